// Step 2: the square on the face, in the photo and in each reference.

import { server } from "../api.js";
import { actions, heading } from "../components/actions.js";
import { FrameEditor, describe } from "../components/frame-editor.js";
import { button, crispCanvas, el } from "../dom.js";
import { clamped, resized, rotated, same } from "../geometry.js";
import { t } from "../i18n.js";
import { announce, problem } from "../notices.js";
import { changed, pictures, work } from "../store.js";
import { photosReady } from "./photos.js";

export const face = { name: "face", open: photosReady, show };

const PREVIEW = 128; // CSS pixels: what the network sees

/** What is wrong with a picture's square: a key of strings.json, or null. */
export function frameTrouble(picture) {
  const { frame } = picture;
  if (!frame) return "face.draw";
  if (picture === work.photo && picture.asks) return "face.choose";
  return frame.side < server.limits.min_face ? "face.too_small" : null;
}

export const framesReady = () => photosReady() && pictures().every((picture) => !frameTrouble(picture));

function show(root, app) {
  const stage = el("div", { class: "stage-place" });
  const side = el("div", { class: "side" });
  const state = el("div", { class: "frame-state", role: "status" });
  const preview = el("canvas", { class: "crop-preview", role: "img", "aria-label": t("face.preview") });
  let editor = null;
  let shown = null;

  const need = el("p", { class: "need", role: "status" });
  const bar = actions({
    back: { text: t("photos.name"), run: () => app.go("photos") },
    between: need,
    next: { text: t("face.next"), run: next },
  });
  root.append(heading(t("face.title"), t("face.lead")), el("div", { class: "editor" }, stage, side), bar);
  open(pictures().find(frameTrouble) ?? work.photo);

  function open(picture) {
    editor?.close();
    shown = picture;
    editor = new FrameEditor(picture, refresh);
    stage.replaceChildren(editor.element);
    editor.load().then(refresh, (error) => {
      stage.replaceChildren(problem(error, { text: t("action.retry"), run: () => open(picture) }));
    });
    drawSide();
    refresh();
  }

  function drawSide() {
    side.replaceChildren(
      pictures().length > 1 ? picker(shown, open) : "",
      el("div", { class: "frame-now" }, preview, state),
      el("div", { class: "toolbar", role: "group", "aria-label": t("face.tools") }, ...tools()),
      faces(),
      el("details", { class: "keys" }, el("summary", {}, t("page.keys")), el("p", { id: "face-keys" }, t("face.keys"))),
    );
  }

  function tools() {
    const change = (how) => () => editor.set(how(shown.frame ?? editor.start()));
    const tool = (symbol, label, how) => button("", { symbol, label, kind: "tool", onclick: change(how) });
    return [
      tool("larger", t("face.larger"), (frame) => resized(frame, 1.05)),
      tool("smaller", t("face.smaller"), (frame) => resized(frame, 1 / 1.05)),
      tool("left", t("face.turn_left"), (frame) => rotated(frame, -2)),
      tool("right", t("face.turn_right"), (frame) => rotated(frame, 2)),
      button(t("face.zoom"), { symbol: "zoom", onclick: toggleZoom }),
    ];
  }

  function toggleZoom() {
    if (editor.view.zoomed || !shown.frame) editor.view.fit();
    else editor.showFace();
  }

  /** A button for each face that was found, for those who cannot point. */
  function faces() {
    if (!shown.faces.length) return "";
    const place = el("div", { class: "faces row tight" });
    shown.faces.forEach(({ frame }, index) => {
      const choose = () => editor.set(frame);
      place.append(
        button(t("face.found", { index: index + 1 }), { kind: "chip", onclick: choose, "data-face": index }),
      );
    });
    return el(
      "div",
      {},
      el("p", { class: "label" }, t(shown.faces.length > 1 ? "face.found_title" : "face.found_one")),
      place,
    );
  }

  function refresh() {
    const trouble = frameTrouble(shown);
    const small = !trouble && shown.frame.side < server.limits.good_face;
    const values = { min: server.limits.min_face, good: server.limits.good_face, count: shown.faces.length };
    const fine = shown.asks ? t("face.most_alike", values) : t("face.good");
    const message = trouble ? t(trouble, values) : small ? t("face.small", values) : fine;
    state.replaceChildren(
      el("p", { class: trouble ? "bad-words" : small ? "warn-words" : "good-words" }, message),
      shown.frame ? el("p", { class: "muted fine" }, describe(shown.frame)) : "",
    );
    drawCrop(preview, editor.bitmap, shown);
    for (const chip of side.querySelectorAll("[data-face]")) {
      const chosen = same(clamped(shown.faces[chip.dataset.face].frame, shown), shown.frame);
      chip.setAttribute("aria-pressed", String(chosen && !shown.asks));
    }
    side.querySelectorAll(".picker button").forEach((chip, i) => {
      chip.classList.toggle("lacks", Boolean(frameTrouble(pictures()[i])));
    });
    const lacking = pictures().find(frameTrouble);
    need.textContent = lacking ? t(lacking.asks ? "face.need_choice" : "face.need", { name: lacking.name }) : "";
    if (!lacking) need.classList.remove("urgent");
    bar.next.classList.toggle("waiting", Boolean(lacking));
    if (shown === work.photo) work.mask.place(shown.view);
    changed();
  }

  function next() {
    const lacking = pictures().find(frameTrouble);
    if (!lacking) return app.go("hole");
    if (lacking !== shown) open(lacking);
    need.classList.add("urgent");
    editor.canvas.focus();
    announce(need.textContent);
  }

  return () => editor.close();
}

/** Which picture's face is being framed. */
function picker(shown, open) {
  const chips = pictures().map((picture, index) => {
    const name = index ? t("face.reference", { index }) : t("face.photo");
    const canvas = el("canvas", { class: "thumb", "aria-hidden": "true" });
    picture.screen().then(
      (bitmap) => drawThumb(canvas, bitmap),
      () => {},
    ); // its name stays
    const here = String(picture === shown);
    return el(
      "button",
      { type: "button", class: "thumb-chip", "aria-pressed": here, title: picture.name, onclick: () => open(picture) },
      canvas,
      el("span", {}, name),
    );
  });
  return el("div", { class: "picker", role: "group", "aria-label": t("face.which") }, chips);
}

function drawThumb(canvas, bitmap) {
  const context = crispCanvas(canvas, 56, 56);
  const scale = Math.max(56 / bitmap.width, 56 / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  context.drawImage(bitmap, (56 - width) / 2, (56 - height) / 2, width, height);
}

/** The square turned upright, the photo mirrored beyond its border, as the server does. */
function drawCrop(canvas, bitmap, { frame, width, height }) {
  const context = crispCanvas(canvas, PREVIEW, PREVIEW);
  if (!bitmap || !frame) return;
  const scale = PREVIEW / frame.side;
  context.translate(PREVIEW / 2, PREVIEW / 2);
  context.rotate((-frame.angle * Math.PI) / 180);
  context.scale(scale, scale);
  context.translate(-frame.x, -frame.y);
  for (const column of [0, -1, 1]) {
    for (const row of [0, -1, 1]) {
      context.save();
      context.translate(column < 0 ? 0 : column * 2 * width, row < 0 ? 0 : row * 2 * height);
      context.scale(column ? -1 : 1, row ? -1 : 1);
      context.drawImage(bitmap, 0, 0, width, height);
      context.restore();
    }
  }
}
