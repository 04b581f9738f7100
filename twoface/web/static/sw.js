// The page's shell without its server: each file as it was last fetched. Photos and answers are never kept here.

const SHELL = "shell";

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const ours = origin === self.location.origin && !/^\/(api|samples|login|logout)(\/|$)/.test(pathname);
  if (request.method === "GET" && ours) event.respondWith(fromServer(request));
});

/** The server's file where it answers, for it may be newer; else the kept one. */
async function fromServer(request) {
  const shell = await caches.open(SHELL);
  try {
    const answer = await fetch(request);
    if (answer.ok && !answer.redirected) await shell.put(request, answer.clone());
    return answer;
  } catch (error) {
    const kept = await shell.match(request, { ignoreVary: true });
    if (!kept) throw error;
    return kept;
  }
}
