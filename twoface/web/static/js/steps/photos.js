// Step 1: the photo to fill, and the references.

import { sample, server } from "../api.js";
import { actions, heading } from "../components/actions.js";
import { acceptDrops, chooseFiles, dropzone, takeDrop } from "../components/dropzone.js";
import { openPeople } from "../components/people.js";
import { photoCard } from "../components/photo-card.js";
import { button, el, icon } from "../dom.js";
import { t } from "../i18n.js";
import { Mask } from "../mask.js";
import { announce, busy, notice, problem } from "../notices.js";
import { Picture } from "../picture.js";
import { go } from "../router.js";
import { changed, chosenReferences, pictures, subscribe, work } from "../store.js";

export const photos = { name: "photos", open: () => true, show };

/** Whether the next step can be shown. */
export function photosReady() {
  const enough = work.photo && (!work.useReference || work.references.length > 0 || canFind());
  return Boolean(enough) && pictures().every(({ state }) => state === "ready");
}

/** Whether a reference can still be found once the hole is drawn. */
const canFind = () => server.indexes.length > 0;

function show(root, app) {
  const photoPlace = el("div", { class: "place" });
  const referencePlace = el("div", { class: "place" });
  const need = el("p", { class: "need", role: "status" });
  const bar = actions({ between: need, next: { text: t("photos.next"), run: next } });
  const cards = new Map(); // picture -> card
  let drawn = null;

  const shown = example();
  root.append(
    el("div", { class: "opening" }, heading(t("photos.title"), t("photos.lead")), shown),
    el(
      "div",
      { class: "pair" },
      panel("photo", t("photos.photo"), t("photos.photo_lead"), photoPlace),
      panel("reference", t("photos.reference"), t("photos.reference_lead"), referencePlace, referenceSwitch()),
    ),
    samples(() => {
      window.scrollTo(0, 0);
      bar.next.focus({ preventScroll: true });
    }),
    bar,
  );

  function next() {
    if (photosReady()) return app.go("face");
    need.classList.add("urgent");
    announce(need.textContent);
  }

  function draw() {
    const now = JSON.stringify([work.photo?.key, work.references.map(({ key }) => key), work.useReference]);
    if (now !== drawn) drawPlaces();
    drawn = now;
    for (const card of cards.values()) card.refresh();
    shown.hidden = Boolean(work.photo);
    need.textContent = missing();
    if (photosReady()) need.classList.remove("urgent");
    bar.next.classList.toggle("waiting", !photosReady());
  }

  function drawPlaces() {
    const placed = [work.photo, ...work.references];
    for (const [picture, card] of cards) {
      if (placed.includes(picture)) continue;
      card.close();
      cards.delete(picture);
    }
    photoPlace.replaceChildren(work.photo ? card(work.photo).element : dropzone(takePhotos, { several: true }));
    referencePlace.replaceChildren(...references());
    referencePlace.classList.toggle("many", work.references.length > 1);
  }

  function references() {
    if (!work.useReference) return [el("p", { class: "off" }, t("photos.off"))];
    const shown = work.references.map((picture) => card(picture).element);
    if (shown.length >= server.limits.references) return shown;
    return [
      ...shown,
      dropzone(takeReferences, {
        several: true,
        small: shown.length > 0,
        label: shown.length ? null : t("photos.choose_reference"),
      }),
      canFind() && !shown.length ? el("p", { class: "muted fine" }, t("photos.find_later")) : "",
      canFind() ? button(t("people.open"), { kind: "small start", symbol: "people", onclick: openPeople }) : "",
    ];
  }

  function card(picture) {
    const replace = () => chooseFiles(([file]) => setPhoto(file), false);
    const on = { remove: () => remove(picture), replace: picture === work.photo && replace };
    if (!cards.has(picture)) cards.set(picture, photoCard(picture, on));
    return cards.get(picture);
  }

  const paste = (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) takePhotos(files);
  };
  document.addEventListener("paste", paste);
  const stop = subscribe(draw);
  acceptDrops(photoPlace, ([photo, ...others]) => (setPhoto(photo), takeReferences(others)), takeReferences);
  acceptDrops(
    referencePlace,
    (files) => (work.useReference ? takeReferences(files) : takePhotos(files)),
    takeReferences,
  );
  const elsewhere = new AbortController();
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, dropElsewhere, { signal: elsewhere.signal });
  draw();
  return () => {
    document.removeEventListener("paste", paste);
    elsewhere.abort();
    stop();
    for (const card of cards.values()) card.close();
  };
}

/** Beside the places too a photo is taken; the browser would leave the page and show the file. */
function dropElsewhere(event) {
  event.preventDefault();
  if (event.type === "drop") takeDrop(event, takePhotos, takeReferences);
}

/** What it is for, in two pictures. */
function example() {
  const side = (name) =>
    el(
      "figure",
      {},
      el("img", { src: `img/${name}.webp`, alt: t(`photos.example_${name}`), width: 168, height: 168 }),
      el("figcaption", {}, t(`result.${name}`)),
    );
  return el("div", { class: "example" }, side("before"), icon("next"), side("after"));
}

function panel(name, title, lead, place, extra) {
  const id = `${name}-title`;
  return el(
    "section",
    { class: `panel panel-${name}`, "aria-labelledby": id },
    el("header", { class: "panel-head" }, el("h2", { id }, title), extra),
    el("p", { class: "muted" }, lead),
    place,
  );
}

function referenceSwitch() {
  const box = el("input", { type: "checkbox", role: "switch", id: "use-reference" });
  box.checked = work.useReference;
  box.addEventListener("change", () => {
    work.useReference = box.checked;
    changed();
  });
  return el("label", { class: "switch" }, box, el("span", {}, t("photos.use_reference")));
}

/** loaded: called when the sample that was chosen has come. */
function samples(loaded) {
  const place = el("div", { class: "samples" });
  const offer = () =>
    place.replaceChildren(
      el(
        "p",
        { class: "row center" },
        el("span", { class: "muted" }, t("photos.none_at_hand")),
        ...server.samples.map((offered) =>
          button(t(`photos.sample.${offered.id}`), { kind: "small", onclick: () => load(offered) }),
        ),
      ),
      el("p", { class: "muted fine" }, t("photos.samples_words")),
    );
  async function load(offered) {
    const control = new AbortController();
    place.replaceChildren(busy(t("photos.loading_sample"), () => control.abort()));
    try {
      const fetched = [offered.photo, offered.reference].map((name) => sample(name, control.signal));
      const [photo, reference] = await Promise.all(fetched);
      setPhoto(new File([photo], t("photos.sample_photo")));
      work.references.splice(0).forEach((picture) => picture.remove());
      takeReferences([new File([reference], t("photos.sample_reference"))]);
    } catch (error) {
      const again = { text: t("action.retry"), run: () => load(offered) };
      if (error.name === "AbortError") offer();
      else place.replaceChildren(problem(error, again));
      return place.querySelector("button").focus();
    }
    offer();
    loaded();
  }
  offer();
  return place;
}

/** The first file becomes the photo where there is none, the others references. */
function takePhotos(files) {
  const rest = [...files];
  if (!work.photo) setPhoto(rest.shift());
  else if (!work.useReference) setPhoto(rest.pop());
  if (rest.length && work.useReference) takeReferences(rest);
}

function takeReferences(files) {
  if (!files.length) return;
  work.useReference = document.getElementById("use-reference").checked = true;
  const most = server.limits.references;
  const room = most - work.references.length;
  if (files.length > room) notice(() => t("photos.most_references", { most }));
  for (const file of files.slice(0, room)) {
    const picture = new Picture(file, file.name);
    work.references.push(picture);
    picture.upload();
  }
}

function setPhoto(file) {
  const picture = new Picture(file, file.name);
  replacePhoto(picture);
  picture.upload();
}

/** Make a picture, or null, the photo; the one that was there can be brought back. */
export function replacePhoto(picture) {
  const { photo, mask } = work;
  Object.assign(work, { photo: picture, mask: new Mask() });
  if (photo) offerUndo(photo, () => (work.photo?.remove(), Object.assign(work, { photo, mask })));
  changed();
}

function remove(picture) {
  if (picture === work.photo) return replacePhoto(null);
  const index = work.references.indexOf(picture);
  work.references = work.references.filter((other) => other !== picture);
  offerUndo(picture, () => work.references.splice(index, 0, picture));
  changed();
}

/** Forget a picture, and offer to bring it back. back: puts it where it was. */
function offerUndo(picture, back) {
  picture.remove();
  announce(t("photos.removed", { name: picture.name }));
  const run = () => {
    back();
    picture.restore();
    changed();
    go("photos");
  };
  const action = { say: () => t("hole.undo"), run };
  undoBar?.remove();
  undoBar = notice(() => t("photos.removed", { name: picture.name }), { kind: "calm", action });
}

let undoBar = null; // of the picture removed last

export const forgetUndo = () => undoBar?.remove();

/** What still has to be done here, in words. */
function missing() {
  if (!work.photo) return t("photos.need_photo");
  if (pictures().some(({ state }) => state === "failed")) return t("photos.need_mending");
  if (work.useReference && !chosenReferences().length && !canFind()) return t("photos.need_reference");
  if (!photosReady()) return t("photos.need_patience");
  const bad = work.references.filter((picture) => work.useReference && picture.state === "failed");
  return bad.length ? t("photos.left_out", { names: bad.map(({ name }) => name).join(", ") }) : "";
}
