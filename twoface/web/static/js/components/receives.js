// What the model receives: the face with its hole black, and the aligned references, 128 x 128 each.

import { crispCanvas, el } from "../dom.js";
import { t } from "../i18n.js";
import { WIDER } from "../geometry.js";
import { SIDE } from "../mask.js";
import { chosenReferences, work } from "../store.js";

const SEEN = 128;
const FEATHER = 2; // of 128: the hole grows by it, so that the rim too has been predicted

/** -> {element, refresh()}; of the references as they are now. */
export function receives() {
  const masked = el("canvas", { class: "seen", role: "img", "aria-label": t("hole.seen_masked") });
  const references = chosenReferences().map((picture, index) => ({
    picture,
    canvas: el("canvas", { class: "seen", role: "img", "aria-label": t("hole.seen_reference", { index: index + 1 }) }),
  }));
  let photo = null;

  const figure = (canvas, words) => el("figure", { class: "seen-figure" }, canvas, el("figcaption", {}, words));
  const element = el(
    "div",
    { class: "receives" },
    el("p", { class: "label" }, t("hole.receives")),
    el(
      "div",
      { class: "row tight top" },
      figure(masked, t("hole.masked")),
      references.map(({ canvas }, i) => figure(canvas, t("face.reference", { index: i + 1 }))),
    ),
    references.map(({ picture }, i) => doubt(picture, i + 1)),
    references.length > 1 && el("p", { class: "muted fine" }, t("hole.most_alike")),
    !references.length && el("p", { class: "muted fine" }, t("hole.no_reference")),
  );

  async function load(picture, take) {
    try {
      take(await createImageBitmap(await picture.crop(SEEN)));
    } catch {
      // The stage beside it loads the same photo, and says what is wrong.
    }
  }

  function refresh() {
    const context = crispCanvas(masked, SEEN, SEEN);
    if (!photo) return;
    context.drawImage(photo, 0, 0, SEEN, SEEN);
    const black = new OffscreenCanvas(SEEN, SEEN);
    const paint = black.getContext("2d");
    const within = SIDE / WIDER; // the frame, in the middle of what the mask is drawn over
    const start = (SIDE - within) / 2;
    for (let i = 0; i < 16; i++) {
      const [x, y] = [Math.cos((i * Math.PI) / 8) * FEATHER, Math.sin((i * Math.PI) / 8) * FEATHER];
      paint.drawImage(work.mask.canvas, start, start, within, within, x, y, SEEN, SEEN);
    }
    paint.globalCompositeOperation = "source-in";
    paint.fillRect(0, 0, SEEN, SEEN);
    for (let i = 0; i < 4; i++) context.drawImage(black, 0, 0, SEEN, SEEN); // its soft rim is hole too
  }

  load(work.photo, (bitmap) => {
    photo = bitmap;
    refresh();
  });
  for (const { picture, canvas } of references) {
    load(picture, (bitmap) => crispCanvas(canvas, SEEN, SEEN).drawImage(bitmap, 0, 0, SEEN, SEEN));
  }
  return { element, refresh };
}

/** What a search doubts of a reference, "" for none. */
function doubt(picture, index) {
  const words = `${t("face.reference", { index })}: ${picture.doubt}`;
  return picture.doubt && el("p", { class: "fine warn-words" }, words);
}
