// One picture of the first step: at once from the file, then with its faces; progress, cancel, remove.

import { button, el } from "../dom.js";
import { corners } from "../geometry.js";
import { count, number, t } from "../i18n.js";
import { passing, problem } from "../notices.js";
import { Viewport } from "./viewport.js";

/** -> {element, refresh(), close()}. on: {remove(), replace()}, replace only where the picture can be. */
export function photoCard(picture, on) {
  const canvas = el("canvas", { class: "photo-canvas", role: "img" });
  const state = el("div", { class: "photo-state" });
  const name = el("p", { class: "photo-name", title: picture.name }, picture.name);
  const element = el(
    "figure",
    { class: "photo-card" },
    el("div", { class: "photo-frame" }, canvas),
    el(
      "figcaption",
      {},
      el("div", { class: "photo-words" }, name, state),
      el("div", { class: "photo-tools" }, tools(picture, on)),
    ),
  );
  let bitmap = null;
  const view = new Viewport(canvas, (context) => draw(context, view, bitmap, picture));
  let shown = null;

  async function load() {
    try {
      bitmap = await picture.screen();
    } catch {
      return; // the browser cannot show it: the server's preview comes once it is there
    }
    const size = picture.width ? picture : bitmap;
    element.querySelector(".photo-frame").style.aspectRatio = `${size.width} / ${size.height}`;
    view.setPicture(size.width, size.height);
  }

  function refresh() {
    const now = JSON.stringify([picture.state, Math.round(picture.progress * 50), picture.faces.length]);
    if (now === shown) return;
    shown = now;
    state.replaceChildren(describe(picture));
    element.classList.toggle("failed-card", picture.state === "failed" && !bitmap);
    canvas.setAttribute("aria-label", t("photos.picture_label", { name: picture.name }));
    if (!bitmap && picture.state !== "failed") load();
    else if (picture.width) view.setPicture(picture.width, picture.height);
  }

  refresh();
  return { element, refresh, close: () => view.close() };
}

function tools(picture, { replace, remove }) {
  const of = { name: picture.name };
  return [
    replace && button(t("photos.replace"), { kind: "small quiet", onclick: replace }),
    button("", { symbol: "close", label: t("photos.remove", of), kind: "round quiet", onclick: remove }),
  ];
}

function describe(picture) {
  const again = { text: t("action.retry"), run: () => picture.upload() };
  if (picture.state === "failed") return problem(picture.error, ...(passing(picture.error) ? [again] : []));
  if (picture.state === "ready") {
    const size = `${number(picture.width)} × ${number(picture.height)}`;
    const faces = picture.faces.length ? count("photos.faces", picture.faces.length) : t("photos.no_face");
    return el(
      "div",
      {},
      el("p", { class: picture.faces.length ? "found" : "not-found" }, `${size} · ${faces}`),
      picture.doubt && el("p", { class: "fine warn-words" }, picture.doubt),
    );
  }
  const sending = picture.state === "sending";
  const text = sending ? t("photos.sending") : t("photos.looking");
  return el(
    "div",
    { class: "row tight" },
    el("progress", sending ? { value: picture.progress, "aria-label": text } : { "aria-label": text }),
    el("span", { class: "muted" }, text),
    button(t("action.cancel"), { kind: "small quiet", onclick: () => picture.cancel() }),
  );
}

function draw(context, view, bitmap, picture) {
  if (!bitmap) return;
  view.paint(context, bitmap);
  if (picture.state !== "ready") return;
  picture.faces.forEach(({ frame }, index) => {
    context.beginPath();
    for (const corner of corners(frame)) {
      const { x, y } = view.toScreen(corner);
      context.lineTo(x, y);
    }
    context.closePath();
    for (const [color, width] of [
      ["rgb(0 0 0 / 55%)", 4],
      [index ? "#fff" : "#5fe0cf", 2],
    ]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.stroke();
    }
  });
}
