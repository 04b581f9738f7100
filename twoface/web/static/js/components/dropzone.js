// A place for photos: drop them, choose them, or take one with the camera.

import { server } from "../api.js";
import { button, el, icon } from "../dom.js";
import { t } from "../i18n.js";
import { openCamera } from "./camera.js";

const TYPES = "image/jpeg,image/png,image/webp,image/heic,image/heif,image/avif,.heic,.heif,.avif";
const PICTURE = /\.(jpe?g|png|webp|hei[cf]|avif)$/i;

/** take: called with an array of files. several: whether more than one can be chosen. small: a tile, without words. */
export function dropzone(take, { several = false, small = false, label }) {
  const choose = button(t(small ? "photos.add" : "photos.choose"), {
    kind: small ? "small" : "primary",
    symbol: "image",
    onclick: () => chooseFiles(take, several),
    "aria-label": label,
  });
  const camera = button(small ? "" : t("photos.camera"), {
    kind: small ? "small" : "",
    symbol: "camera",
    label: small ? t("photos.camera") : undefined,
    onclick: async () => {
      const file = await openCamera();
      if (file) take([file]);
    },
  });
  const megabytes = Math.floor(server.limits.bytes / 1e6);
  return el(
    "div",
    { class: small ? "drop small" : "drop" },
    !small && icon("drop"),
    !small && el("p", { class: "drop-words" }, t("photos.drop")),
    el("div", { class: "row center" }, choose, camera),
    !small && el("p", { class: "muted fine" }, t("photos.kinds", { megabytes })),
  );
}

/** Open the system's file chooser. */
export function chooseFiles(take, several) {
  const input = el("input", { type: "file", accept: TYPES, multiple: several });
  input.addEventListener("change", () => input.files.length && take([...input.files]));
  input.click();
}

/** Files dropped on an element go to `take`, the pictures of dropped folders to `takeFolder`. */
export function acceptDrops(element, take, takeFolder) {
  let depth = 0; // of dragenter in the element's children
  const mark = (step) => {
    depth = Math.max(0, depth + step);
    element.classList.toggle("over", depth > 0);
  };
  element.addEventListener("dragenter", (event) => hasFiles(event) && (event.preventDefault(), mark(1)));
  element.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  element.addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  element.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    depth = 0;
    element.classList.remove("over");
    takeDrop(event, take, takeFolder);
  });
}

/** What a drop brings: its files to `take`, the pictures of its folders, by name, to `takeFolder`. */
export async function takeDrop({ dataTransfer: { items, files } }, take, takeFolder) {
  const entries = [...items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry());
  const single = [...files].filter((_, i) => !entries[i]?.isDirectory);
  if (single.length) take(single);
  const folders = entries.filter((entry) => entry?.isDirectory);
  if (folders.length) takeFolder((await Promise.all(folders.map(picturesIn))).flat());
}

async function picturesIn(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length; ) {
    entries.push(...some); // at most a hundred at a time
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  const found = await Promise.all(
    entries.map((entry) => {
      if (entry.isDirectory) return picturesIn(entry);
      return PICTURE.test(entry.name) ? new Promise((resolve, reject) => entry.file(resolve, reject)) : [];
    }),
  );
  return found.flat();
}

const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
