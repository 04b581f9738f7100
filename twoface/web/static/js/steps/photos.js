// Step 1: the photo to fill, and the references.

import { sample, server } from "../api.js";
import { actions, heading } from "../components/actions.js";
import { acceptDrops, chooseFiles, dropzone } from "../components/dropzone.js";
import { photoCard } from "../components/photo-card.js";
import { button, el } from "../dom.js";
import { t } from "../i18n.js";
import { Mask } from "../mask.js";
import { announce, busy, notice, problem } from "../notices.js";
import { Picture } from "../picture.js";
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

  root.append(
    heading(t("photos.title"), t("photos.lead")),
    el(
      "div",
      { class: "pair" },
      panel("photo", t("photos.photo"), t("photos.photo_lead"), photoPlace),
      panel("reference", t("photos.reference"), t("photos.reference_lead"), referencePlace, referenceSwitch()),
    ),
    samples(),
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
    need.textContent = missing();
    if (photosReady()) need.classList.remove("urgent");
    bar.next.classList.toggle("waiting", !photosReady());
  }

  function drawPlaces() {
    for (const [picture, card] of cards) {
      if (pictures().includes(picture)) continue;
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
  acceptDrops(photoPlace, takePhotos);
  acceptDrops(referencePlace, (files) => (work.useReference ? takeReferences(files) : takePhotos(files)));
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
  if (event.type === "drop" && event.dataTransfer.files.length) takePhotos([...event.dataTransfer.files]);
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

function samples() {
  const place = el("p", { class: "samples row center" });
  const offer = () =>
    place.replaceChildren(
      el("span", { class: "muted" }, t("photos.none_at_hand")),
      ...server.samples.map((offered) =>
        button(t(`photos.sample.${offered.id}`), { kind: "small", onclick: () => load(offered) }),
      ),
    );
  async function load(offered) {
    const control = new AbortController();
    place.replaceChildren(busy(t("photos.loading_sample"), () => control.abort()));
    try {
      const fetched = [offered.photo, offered.reference].filter(Boolean).map((name) => sample(name, control.signal));
      const [photo, reference] = await Promise.all(fetched);
      setPhoto(new File([photo], t("photos.sample_photo")));
      if (!reference) return;
      work.references.splice(0).forEach((picture) => picture.remove());
      work.useReference = document.getElementById("use-reference").checked = true;
      takeReferences([new File([reference], t("photos.sample_reference"))]);
    } catch (error) {
      if (error.name !== "AbortError")
        return place.replaceChildren(problem(error, { text: t("action.retry"), run: () => load(offered) }));
    }
    offer();
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
  work.photo?.remove();
  work.photo = new Picture(file, file.name);
  work.mask = new Mask();
  work.photo.upload();
}

function remove(picture) {
  picture.remove();
  if (picture === work.photo) Object.assign(work, { photo: null, mask: new Mask() });
  else work.references = work.references.filter((other) => other !== picture);
  announce(t("photos.removed", { name: picture.name }));
  changed();
}

/** What still has to be done here, in words. */
function missing() {
  if (!work.photo) return t("photos.need_photo");
  if (pictures().some(({ state }) => state === "failed")) return t("photos.need_mending");
  if (work.useReference && !chosenReferences().length && !canFind()) return t("photos.need_reference");
  return photosReady() ? "" : t("photos.need_patience");
}
