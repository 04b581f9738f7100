// Not a module, and loaded first: says so when the page itself cannot start (a file that does not load or parse).

function showFailure(event) {
  if (document.body?.dataset.started || event.target?.tagName === "IMG") return;
  const why = event.message || event.reason?.message || event.target?.src || event.target?.href || "";
  const show = () => {
    document.getElementById("failed").hidden = false;
    document.getElementById("failed-why").textContent = why;
  };
  if (document.body) show();
  else document.addEventListener("DOMContentLoaded", show);
}

window.addEventListener("error", showFailure, true);
window.addEventListener("unhandledrejection", showFailure);
