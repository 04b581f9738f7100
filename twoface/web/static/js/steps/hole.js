// Step 3: what is to be filled, painted on the upright face.

import * as api from "../api.js";
import { actions, heading } from "../components/actions.js";
import { chooseFiles } from "../components/dropzone.js";
import { openFinder } from "../components/finder.js";
import { MaskEditor } from "../components/mask-editor.js";
import { openPeople } from "../components/people.js";
import { receives } from "../components/receives.js";
import { button, el } from "../dom.js";
import { t } from "../i18n.js";
import { SIDE } from "../mask.js";
import { announce, busy, problem } from "../notices.js";
import { save } from "../save.js";
import { changed, work } from "../store.js";
import { framesReady } from "./face.js";

export const hole = { name: "hole", open: framesReady, show };

export const holeReady = () => framesReady() && !work.mask.empty;

const PRESETS = [
  ...["eyes", "left-eye", "right-eye", "glasses", "nose", "mouth", "mask", "lower"],
  ...["forehead", "left", "right", "face"],
];
const TOOLS = ["brush", "eraser", "box", "move"];

function show(root, app) {
  work.mask.place(work.photo.view);
  const trouble = el("div", { class: "trouble" });
  const editor = new MaskEditor(refresh, () => (refreshTools(), changed()));
  const stage = el("div", { class: "stage-place" }, editor.element, viewTools());
  const seenPlace = el("div");
  let seen = receives();
  const need = el("p", { class: "need", role: "status" });
  const size = el("input", { type: "range", min: 4, max: 200, step: 4, id: "brush-size" });
  const toolButtons = TOOLS.map((name) =>
    button("", { symbol: name, label: t(`hole.${name}`), kind: "tool", onclick: () => editor.setTool(name) }),
  );
  const [undo, redo, clear] = ["undo", "redo", "clear"].map((name) =>
    button("", { symbol: name, label: t(`hole.${name}`), kind: "tool", onclick: () => change(name) }),
  );
  const bar = actions({
    back: { text: t("face.name"), run: () => app.go("face") },
    between: need,
    next: { text: t("hole.next"), symbol: "spark", run: next },
  });

  size.addEventListener("input", () => editor.setSize(Number(size.value)));
  root.append(
    heading(t("hole.title"), t("hole.lead")),
    el("div", { class: "editor" }, stage, el("div", { class: "side" }, ...side())),
    bar,
  );
  seenPlace.append(seen.element);
  load();
  refresh();

  function viewTools() {
    const tool = (symbol, label, run) => button("", { symbol, label, kind: "tool", onclick: run });
    return el(
      "div",
      { class: "toolbar center", role: "group", "aria-label": t("hole.view") },
      tool("plus", t("hole.zoom_in"), () => editor.view.zoom(1.5)),
      tool("minus", t("hole.zoom_out"), () => editor.view.zoom(1 / 1.5)),
      tool("fit", t("hole.fit"), () => editor.view.fit()),
    );
  }

  function side() {
    return [
      button(t("hole.auto"), { symbol: "spark", onclick: takeCover }),
      trouble,
      el(
        "div",
        { class: "group", role: "group", "aria-labelledby": "presets" },
        el("p", { class: "label", id: "presets" }, t("hole.presets")),
        el("div", { class: "presets" }, PRESETS.map(preset)),
      ),
      el(
        "div",
        { class: "group", role: "group", "aria-labelledby": "by-hand" },
        el("p", { class: "label", id: "by-hand" }, t("hole.by_hand")),
        el("div", { class: "toolbar" }, toolButtons, el("span", { class: "gap" }), undo, redo, clear),
        el("label", { class: "range" }, el("span", {}, t("hole.size")), size),
      ),
      api.server.indexes.length > 0 && button(t("find.open"), { symbol: "zoom", onclick: find }),
      api.server.indexes.length > 0 && button(t("people.open"), { kind: "small", symbol: "people", onclick: openPeople }),
      seenPlace,
      el(
        "div",
        { class: "row tight" },
        button(t("hole.upload"), {
          kind: "small",
          symbol: "up",
          onclick: () => chooseFiles(([file]) => takeMask(file), false),
        }),
        button(t("hole.download"), {
          kind: "small",
          symbol: "down",
          onclick: async () => save(await work.mask.png(), "two-face-hole.png"),
        }),
      ),
      el("details", { class: "keys" }, el("summary", {}, t("page.keys")), el("p", { id: "hole-keys" }, t("hole.keys"))),
    ];
  }

  function preset(name) {
    return button(t(`hole.preset.${name}`), {
      kind: "preset",
      symbol: `hole-${name}`,
      onclick: () => takePreset(name),
    });
  }

  async function load() {
    const waiting = busy(t("hole.loading"));
    stage.append(waiting);
    trouble.replaceChildren(); // not at the end, when it may be of a mask that was given meanwhile
    try {
      editor.show(await createImageBitmap(await work.photo.crop(SIDE, work.photo.view)));
    } catch (error) {
      trouble.replaceChildren(problem(error, { text: t("action.retry"), run: load }));
    }
    waiting.remove();
  }

  function takePreset(name) {
    return take(
      () => takePreset(name),
      async () => [await work.photo.hole(name, SIDE), t(`hole.preset.${name}`)],
    );
  }

  /** Mark what is in front of the face, or closed eyes; it can be painted on. */
  function takeCover() {
    return take(takeCover, async () => {
      const found = await work.photo.cover(SIDE);
      return [found.mask, t(`hole.auto.${found.code}`), ...(found.goes_on ? [t("hole.auto.goes_on")] : [])];
    });
  }

  /** Make a drawing the mask. draw: async () -> [its Blob, its name, more to say]; again: what tries once more. */
  async function take(again, draw) {
    let words;
    try {
      const [blob, name, ...more] = await draw();
      work.mask.takePicture(await createImageBitmap(blob));
      words = [t("hole.preset_set", { name }), ...more].join(". ");
    } catch (error) {
      const retry = error.code === "nothing_found" ? [] : [{ text: t("action.retry"), run: again }];
      return tell(problem(error, ...retry));
    }
    tell(el("p", { class: "muted" }, words));
    announce(words);
    refresh();
  }

  /** Say how a mask was made, or why it was not, where it can be seen. */
  function tell(...said) {
    trouble.replaceChildren(...said);
    if (said.length) trouble.scrollIntoView({ block: "nearest" });
  }

  async function takeMask(file) {
    try {
      const bitmap = await createImageBitmap(file);
      if (bitmap.width !== bitmap.height) throw new api.ApiError("not_square", "", {});
      work.mask.takePicture(bitmap);
      tell(...(work.mask.empty ? [problem(new api.ApiError("mask_empty", ""))] : []));
    } catch (error) {
      tell(problem(error.code === "not_square" ? error : new api.ApiError("not_a_picture", "")));
    }
    refresh();
  }

  function change(name) {
    work.mask[name]();
    refresh();
  }

  function refresh() {
    editor.view.request();
    seen.refresh();
    undo.disabled = !work.mask.past.length;
    redo.disabled = !work.mask.future.length;
    clear.disabled = work.mask.empty;
    need.textContent = work.mask.empty ? t("hole.need") : "";
    if (!work.mask.empty) need.classList.remove("urgent");
    bar.next.classList.toggle("waiting", work.mask.empty);
    refreshTools();
    changed();
  }

  function refreshTools() {
    toolButtons.forEach((tool, i) => tool.setAttribute("aria-pressed", String(TOOLS[i] === editor.tool)));
    size.value = editor.size;
    editor.view.request();
  }

  /** Let a reference be found for the hole, and show what the model receives then. */
  async function find() {
    if (work.mask.empty) return lacksHole();
    await openFinder();
    seen = receives();
    seenPlace.replaceChildren(seen.element);
    refresh();
  }

  function next() {
    if (holeReady()) return app.go("result");
    lacksHole();
  }

  function lacksHole() {
    need.classList.add("urgent");
    announce(need.textContent);
    editor.canvas.focus();
  }

  return () => editor.close();
}
