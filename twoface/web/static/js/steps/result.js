// Step 4: the filled photo, whose face it may be, its variants, the file to take home, and what can follow.

import { ApiError, isAbort } from "../api.js";
import { actions, heading } from "../components/actions.js";
import { Compare } from "../components/compare.js";
import { openMore } from "../components/more.js";
import { sure } from "../components/sure.js";
import { verdict } from "../components/verdict.js";
import { button, el } from "../dom.js";
import { clamped, contains } from "../geometry.js";
import { addFilled, download, earlier, fill } from "../fills.js";
import { t } from "../i18n.js";
import { announce, busy, problem } from "../notices.js";
import { Picture } from "../picture.js";
import { save } from "../save.js";
import { chosenReferences, work } from "../store.js";
import { holeReady } from "./hole.js";
import { replacePhoto } from "./photos.js";

export const result = { name: "result", open: holeReady, show };

const FORMATS = ["png", "jpeg", "webp"];
const OWN = { PNG: "png", WEBP: "webp" }; // all others come home as JPEG

function show(root, app) {
  const control = { current: new AbortController() };
  const compare = new Compare(work.photo);
  const state = el("div", { class: "result-state" });
  const told = el("div", { class: "told" });
  const crops = el("div", { class: "crops" });
  const words = el("div", { class: "verdict-place" });
  const offers = variants(take);
  const past = history((made) => present(made));
  const file = options();
  const follows = el("div", { class: "follows" }, ...next());
  const head = heading(t("result.filling"), t("result.lead"));
  let shown = null;

  follows.hidden = true;
  root.append(
    head,
    el(
      "div",
      { class: "editor" },
      el("div", { class: "stage-place" }, compare.element, state),
      el("div", { class: "side" }, words, offers.element, past.element, file.element, follows, crops),
    ),
    actions({
      back: { text: t("result.change"), run: () => app.go("hole") },
      between: told,
      next: { text: t("result.download"), symbol: "down", run: takeHome },
    }),
  );
  load();

  function load() {
    compare.load().catch((error) => state.replaceChildren(problem(error, { text: t("action.retry"), run: load })));
    take(chosenReferences());
  }

  /** Fill from these references, and show it; then the other variants, while the user looks. */
  async function take(references) {
    control.current.abort();
    const mine = (control.current = new AbortController());
    state.replaceChildren(busy(t("result.filling"), () => mine.abort()));
    root.setAttribute("aria-busy", "true");
    try {
      const made = await fill(references, mine.signal);
      if (control.current !== mine) return;
      present(made);
      offers.prepare(mine.signal);
    } catch (error) {
      if (control.current !== mine) return;
      if (!shown) entitle("result.not_filled");
      const sorry = isAbort(error) ? new ApiError("cancelled", "") : error;
      state.replaceChildren(problem(sorry, ...mending(sorry, references)));
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
      mask_too_large: "hole",
      face_too_small: "face",
      frame_outside: "face",
      no_face: "face",
    };
    const step = steps[error.code];
    if (error.code === "same_photo") {
      const insist = () => references.forEach((picture) => (picture.insisted = true));
      return [
        { text: t("photos.name"), run: () => app.go("photos") },
        { text: t("result.insist"), run: () => (insist(), take(references)) },
      ];
    }
    return step ? [{ text: t(`${step}.name`), run: () => app.go(step) }] : [again];
  }

  function present(made) {
    shown = made;
    entitle("result.title");
    state.replaceChildren();
    compare.show(made);
    crops.replaceChildren(
      ...["masked", "filled", "reference"].filter((name) => made.crops[name]).map((name) => cropFigure(made, name)),
    );
    const sentence = verdict(made);
    words.replaceChildren(sentence.element);
    follows.hidden = false;
    offers.refresh(made);
    past.refresh(made);
    announce(`${t("result.done")} ${sentence.text}`);
  }

  function entitle(key) {
    head.querySelector("h1").textContent = t(key);
  }

  function takeHome() {
    wait(t("result.preparing"), async (signal) => {
      const { blob, name } = await download(shown, file.chosen(), signal);
      save(blob, name);
    });
  }

  /** Do what needs the fill that is shown, with a word of it in the bar. */
  async function wait(text, run) {
    if (!shown) return told.replaceChildren(problem(new ApiError("nothing_yet", "")));
    const going = new AbortController();
    told.replaceChildren(busy(text, () => going.abort()));
    try {
      await run(going.signal);
      told.replaceChildren();
    } catch (error) {
      const again = { text: t("action.retry"), run: () => wait(text, run) };
      told.replaceChildren(...(isAbort(error) ? [] : [problem(error, again)]));
    }
  }

  /** What can follow: another face or part of this photo, other photos with the same hole, a new beginning. */
  function next() {
    return [
      el("p", { class: "label" }, t("result.next")),
      el(
        "div",
        { class: "row tight" },
        button(t("result.another"), { kind: "small", onclick: fillAnother }),
        button(t("result.more"), { kind: "small", onclick: () => openMore(shown, file.chosen()) }),
        button(t("result.over"), {
          kind: "small",
          onclick: () => sure("result.over", app.startOver),
        }),
      ),
    ];
  }

  /** The filled photo becomes the photo: the server has it already, and this browser keeps a lossless copy. Its square
   * lies on the next face, or stays where it was. */
  function fillAnother() {
    wait(t("result.preparing"), async (signal) => {
      const [found, { blob }] = await Promise.all([
        addFilled(shown, signal),
        download(shown, { format: "png" }, signal),
      ]);
      const picture = new Picture(new File([blob], work.photo.name), work.photo.name);
      const done = work.photo.frame;
      const other = found.faces.find(({ frame }) => !contains(frame, done));
      Object.assign(picture, { frame: other ? clamped(other.frame, found) : done, picked: true });
      picture.take({ ...found, format: work.photo.format });
      picture.state = "ready";
      replacePhoto(picture);
      picture.restore();
      app.go("face");
    });
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

/** A choice among fills, as pictures: by each reference, and by none. take: called with the references of one. */
function variants(take) {
  const references = chosenReferences();
  const name = ([picture]) =>
    picture ? t("result.with", { index: references.indexOf(picture) + 1 }) : t("result.without");
  const choices = [...references.map((picture) => [picture]), []].map((choice) => ({
    choice,
    tile: tile(name(choice), () => take(choice), choice[0]?.name),
  }));
  const why = el("p", { class: "muted fine" });
  const place = el(
    "div",
    { class: "tiles", role: "group", "aria-label": t("result.variants") },
    choices.map(({ tile }) => tile),
  );

  function refresh(made) {
    for (const { choice, tile } of choices) {
      const here = (choice[0] ?? null) === made.used && made.hole === work.mask.version;
      tile.setAttribute("aria-pressed", String(here));
      if (here) fillTile(tile, made);
    }
    const chosen = made.references.length > 1;
    why.textContent = chosen ? t("result.chosen", { index: references.indexOf(made.used) + 1 }) : "";
  }

  /** Make the others ahead, one after another; what fails is told when it is chosen. */
  async function prepare(signal) {
    for (const { choice, tile } of choices) {
      try {
        fillTile(tile, await fill(choice, signal));
      } catch (error) {
        if (error.code !== "same_photo") return; // that one is asked about when it is chosen
      }
    }
  }

  const element = el("div", {}, el("p", { class: "label" }, t("result.variants")), place, why);
  element.hidden = !references.length;
  return { element, refresh, prepare };
}

/** What this photo was filled with before. show: called with a fill. */
function history(show) {
  const place = el("div", { class: "tiles", role: "group", "aria-label": t("result.earlier") });
  const element = el("div", {}, el("p", { class: "label" }, t("result.earlier")), place);
  const tiles = earlier().map((made, index) => {
    const shown = tile(t("result.earlier_one", { index: index + 1 }), () => show(made));
    fillTile(shown, made);
    return { made, shown };
  });
  place.append(...tiles.map(({ shown }) => shown));
  element.hidden = !tiles.length;
  const refresh = (now) => tiles.forEach(({ made, shown }) => shown.setAttribute("aria-pressed", String(made === now)));
  return { element, refresh };
}

/** A button with a picture, which comes later, and words. */
function tile(words, run, title) {
  return el(
    "button",
    { type: "button", class: "tile", title, onclick: run, "aria-pressed": "false" },
    el("span", { class: "tile-picture", "aria-hidden": "true" }),
    el("span", { class: "tile-words" }, words),
  );
}

function fillTile(tile, { crops, verdict }) {
  tile.firstChild.replaceChildren(el("img", { src: crops.filled, alt: "", width: 72, height: 72 }));
  if (tile.childElementCount < 3 && verdict) {
    tile.append(el("span", { class: `tile-verdict ${verdict.tone}` }, t(`verdict.short.${verdict.word}`)));
  }
}

/** What the file is to be -> {element, chosen()}. */
function options() {
  const own = OWN[work.photo.format] ?? "jpeg";
  const words = (name) => (name === own ? t("result.own_format", { name: name.toUpperCase() }) : name.toUpperCase());
  const format = el(
    "select",
    { id: "format" },
    [own, ...FORMATS.filter((name) => name !== own)].map((name) => el("option", { value: name }, words(name))),
  );
  const place = el("input", { type: "checkbox", id: "no-location" });
  const element = el(
    "div",
    { class: "download" },
    el("div", { class: "row tight" }, el("label", { class: "label", for: "format" }, t("result.format")), format),
    work.photo.location && el("label", { class: "row tight check" }, place, t("result.no_location")),
    el("p", { class: "muted fine" }, t("result.marked")),
  );
  return { element, chosen: () => ({ format: format.value, location: !place.checked }) };
}
