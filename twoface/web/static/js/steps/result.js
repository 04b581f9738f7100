// Step 4: the filled photo, how alike it is, its variants, and the file to take home.

import { ApiError, isAbort } from "../api.js";
import { actions, heading } from "../components/actions.js";
import { Compare } from "../components/compare.js";
import { verdict } from "../components/verdict.js";
import { button, el } from "../dom.js";
import { download, fill } from "../fills.js";
import { t } from "../i18n.js";
import { announce, busy, problem } from "../notices.js";
import { save } from "../save.js";
import { chosenReferences, work } from "../store.js";
import { holeReady } from "./hole.js";

export const result = { name: "result", open: holeReady, show };

const FORMATS = ["png", "jpeg", "webp"];

function show(root, app) {
  const control = { current: new AbortController() };
  const compare = new Compare(work.photo);
  const state = el("div", { class: "result-state" });
  const crops = el("div", { class: "crops" });
  const words = el("div", { class: "verdict-place" });
  const offers = variants(take);
  let shown = null;

  root.append(
    heading(t("result.title"), t("result.lead")),
    el(
      "div",
      { class: "editor" },
      el("div", { class: "stage-place" }, compare.element, state),
      el(
        "div",
        { class: "side" },
        crops,
        words,
        offers.element,
        downloads(() => shown),
      ),
    ),
    actions({
      back: { text: t("result.change"), run: () => app.go("hole") },
      next: { text: t("result.over"), run: startOver },
    }),
  );
  root.querySelector(".actions .primary").classList.remove("primary");
  load();

  function load() {
    compare.load().catch((error) => state.replaceChildren(problem(error, { text: t("action.retry"), run: load })));
    take(chosenReferences());
  }

  /** Fill from these references, and show it. */
  async function take(references) {
    control.current.abort();
    const mine = (control.current = new AbortController());
    state.replaceChildren(busy(t("result.filling"), () => mine.abort()));
    root.setAttribute("aria-busy", "true");
    try {
      const made = await fill(references, mine.signal);
      if (control.current === mine) present(made);
    } catch (error) {
      if (control.current !== mine) return;
      const told = isAbort(error) ? new ApiError("cancelled", "") : error;
      state.replaceChildren(problem(told, ...mending(told, references)));
    } finally {
      root.removeAttribute("aria-busy");
    }
  }

  function mending(error, references) {
    const again = {
      text: t(error.code === "cancelled" ? "result.again" : "action.retry"),
      run: () => take(references),
    };
    const steps = {
      mask_empty: "hole",
      mask_outside: "hole",
      face_too_small: "face",
      frame_outside: "face",
      no_face: "face",
    };
    const step = steps[error.code];
    return step ? [{ text: t(`${step}.name`), run: () => app.go(step) }] : [again];
  }

  function present(made) {
    shown = made;
    state.replaceChildren();
    compare.show(made);
    crops.replaceChildren(
      ...["masked", "filled", "reference"].filter((name) => made.crops[name]).map((name) => cropFigure(made, name)),
    );
    const sentence = verdict(made);
    words.replaceChildren(sentence);
    offers.refresh(made);
    announce(`${t("result.done")} ${sentence.textContent}`);
  }

  function startOver() {
    const sure = el(
      "dialog",
      { class: "sure", "aria-labelledby": "sure-title" },
      el("h2", { id: "sure-title" }, t("result.over_sure")),
      el("p", {}, t("result.over_words")),
      el(
        "div",
        { class: "row end" },
        button(t("action.cancel"), { kind: "quiet", onclick: () => sure.close() }),
        button(t("result.over"), { kind: "primary", onclick: () => (sure.close(), app.startOver()) }),
      ),
    );
    sure.addEventListener("close", () => sure.remove());
    document.body.append(sure);
    sure.showModal();
  }

  return () => {
    control.current.abort();
    compare.close();
  };
}

function cropFigure({ crops }, name) {
  return el(
    "figure",
    {},
    el("img", { src: crops[name], alt: t(`result.${name}_alt`), width: 128, height: 128 }),
    el("figcaption", {}, t(`result.${name}`)),
  );
}

/** A choice among fills: by each reference, and by none. take: called with the references of one. */
function variants(take) {
  const references = chosenReferences();
  const choices = [...references.map((picture) => [picture]), []];
  const place = el("div", { class: "row tight", role: "group", "aria-label": t("result.variants") });
  const name = ([picture]) =>
    picture ? t("result.with", { index: references.indexOf(picture) + 1 }) : t("result.without");
  const chips = choices.map((choice) =>
    button(name(choice), { kind: "chip", onclick: () => take(choice), title: choice[0]?.name }),
  );
  const why = el("p", { class: "muted fine" });
  place.append(...chips);

  function refresh(made) {
    chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String((choices[i][0] ?? null) === made.used)));
    const chosen = made.references.length > 1;
    why.textContent = chosen ? t("result.chosen", { index: references.indexOf(made.used) + 1 }) : "";
  }
  const element = el("div", {}, el("p", { class: "label" }, t("result.variants")), place, why);
  element.hidden = !references.length;
  return { element, refresh };
}

/** Format and button. current: the fill that is shown, or null. */
function downloads(current) {
  const format = el(
    "select",
    { id: "format" },
    FORMATS.map((name) => el("option", { value: name }, name.toUpperCase())),
  );
  const told = el("div");
  const get = async () => {
    if (!current()) return told.replaceChildren(problem(new ApiError("nothing_yet", "")));
    const control = new AbortController();
    told.replaceChildren(busy(t("result.preparing"), () => control.abort()));
    try {
      const { blob, name } = await download(current(), format.value, control.signal);
      save(blob, name);
      told.replaceChildren();
    } catch (error) {
      told.replaceChildren(...(isAbort(error) ? [] : [problem(error, { text: t("action.retry"), run: get })]));
    }
  };
  return el(
    "div",
    { class: "download" },
    el("p", { class: "label" }, t("result.take_home")),
    el(
      "div",
      { class: "row tight" },
      el("label", { class: "unseen", for: "format" }, t("result.format")),
      format,
      button(t("result.download"), { kind: "primary", symbol: "down", onclick: get }),
    ),
    el("p", { class: "muted fine" }, t("result.marked")),
    told,
  );
}
