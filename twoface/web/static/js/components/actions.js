// The bar at the foot of a step: back, a word, next.

import { button, el } from "../dom.js";

/** back, next: {text, run} or null. between: an element. -> element, with `.next` the button. */
export function actions({ back, next, between }) {
  const forward = next && button(next.text, { kind: "primary large", symbol: next.symbol, onclick: next.run });
  const bar = el(
    "div",
    { class: "actions" },
    back ? button(back.text, { kind: "large", symbol: "back", onclick: back.run }) : el("span"),
    el("div", { class: "actions-between" }, between ?? ""),
    forward ?? el("span"),
  );
  bar.next = forward;
  return bar;
}

/** A step's heading. It takes the focus when the step opens. */
export function heading(title, lead) {
  return el("header", { class: "step-head" }, el("h1", { tabindex: "-1" }, title), el("p", { class: "lead" }, lead));
}
