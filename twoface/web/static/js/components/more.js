// Several photos with the hole, the references and the file format of one that is filled, in a dialog.

import * as api from "../api.js";
import { button, el } from "../dom.js";
import { t } from "../i18n.js";
import { announce, busy, words } from "../notices.js";
import { withPictures } from "../picture.js";
import { save } from "../save.js";
import { chooseFiles } from "./dropzone.js";

/** made: the Fill whose hole and references are used; options: of the files, as of `api.finished`. */
export function openMore(made, options) {
  const list = el("ul", { class: "more-list" });
  const closing = new AbortController();
  const { signal } = closing;
  const done = []; // {blob, name}
  const all = button(t("more.save_all"), { kind: "primary", symbol: "down", onclick: () => done.forEach(saveOne) });
  const dialog = el(
    "dialog",
    { class: "more", "aria-labelledby": "more-title" },
    el("h2", { id: "more-title" }, t("result.more")),
    el("p", { class: "muted" }, t("more.lead")),
    list,
    el(
      "div",
      { class: "row end" },
      button(t("action.close"), { kind: "quiet", onclick: () => dialog.close() }),
      button(t("more.choose"), { symbol: "image", onclick: () => chooseFiles(run, true) }),
      all,
    ),
  );
  all.hidden = true;
  dialog.addEventListener("close", () => {
    closing.abort();
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();

  /** One after another; what cannot be used is said beside its name, and the others go on. */
  async function run(files) {
    const rows = files.map((file) => ({ file, place: el("div", {}, t("more.waiting")) }));
    list.append(...rows.map(({ file, place }) => el("li", {}, el("p", { class: "photo-name" }, file.name), place)));
    for (const { file, place } of rows) {
      place.replaceChildren(busy(t("result.filling")));
      try {
        const { answer, crop, taken } = await fillFile(file, made, options, signal);
        done.push(taken);
        place.replaceChildren(...outcome(answer, crop, taken));
      } catch (error) {
        if (signal.aborted) return;
        place.replaceChildren(el("p", { class: "bad-words fine" }, words(error).title));
      }
      all.hidden = done.length < 2;
    }
    announce(t("result.done"));
  }
}

async function fillFile(file, { mask, references }, options, signal) {
  if (file.size > api.server.limits.bytes) throw new api.ApiError("bytes", "", { limit: api.server.limits.bytes });
  const photo = await api.addPhoto(file, file.name, { signal });
  if (!photo.faces.length) throw new api.ApiError("no_face", "");
  const answer = await withPictures(
    references.map(([picture]) => picture),
    () =>
      api.fill(
        {
          photo: photo.id,
          frame: photo.faces[0].frame,
          mask,
          references: references.map(([picture, frame]) => ({ photo: picture.id, frame })),
        },
        signal,
      ),
  );
  const [crop, taken] = await Promise.all([
    api.fillCrop(answer.id, "filled", signal),
    api.finished(answer.id, options, signal),
  ]);
  await api.removePhoto(photo.id);
  return { answer, crop, taken };
}

function outcome({ verdict }, crop, taken) {
  const image = el("img", { alt: t("result.filled_alt"), width: 72, height: 72 });
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  image.src = URL.createObjectURL(crop);
  return [
    el(
      "div",
      { class: "row tight" },
      image,
      el("span", { class: `tile-verdict ${verdict.tone}` }, t(`verdict.short.${verdict.word}`)),
      button(t("result.download"), { kind: "small", symbol: "down", onclick: () => saveOne(taken) }),
    ),
  ];
}

const saveOne = ({ blob, name }) => save(blob, name);
