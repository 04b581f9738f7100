// Not a module, and loaded first: says so when the page itself cannot start (a module that does not load or parse).
window.addEventListener("error", (event) => {
  if (document.body?.dataset.started) return;
  const show = () => {
    document.getElementById("failed").hidden = false;
    document.getElementById("failed-why").textContent = event.message || event.target?.src || "";
  };
  if (document.body) show();
  else document.addEventListener("DOMContentLoaded", show);
}, true);
