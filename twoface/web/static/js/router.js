// Which step is shown: #photos, #face, #hole or #result of the address, so that the browser's Back works.

let steps = [];
let show = () => {};

/** steps: objects with `name` and `open()`, whether it can be shown yet. render: called with the step to show. */
export function start(all, render) {
  [steps, show] = [all, render];
  window.addEventListener("popstate", () => {
    history.replaceState(null, "", `#${wanted().name}`); // what the address names may be open no longer
    render(wanted());
  });
  history.replaceState(null, "", `#${wanted().name}`);
  show(wanted());
}

export function go(name) {
  const step = reachable(name);
  if (location.hash !== `#${step.name}`) history.pushState(null, "", `#${step.name}`);
  show(step);
}

export const wanted = () => reachable(location.hash.slice(1));

/** The step of that name, or the last one before it that can be shown. */
function reachable(name) {
  const index = Math.max(
    0,
    steps.findIndex((step) => step.name === name),
  );
  return steps.slice(0, index + 1).findLast((step, i) => steps.slice(0, i + 1).every((earlier) => earlier.open()));
}
