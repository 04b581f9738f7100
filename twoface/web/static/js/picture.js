// A picture that the user gave: its file, what the server said of it, the face's frame, and how to show it.

import * as api from "./api.js";
import { clamped, resized, WIDER } from "./geometry.js";
import { t } from "./i18n.js";
import { changed, forgetFile, keepFile } from "./store.js";

const SCREEN = 2048; // longest side of what is drawn while nothing is zoomed

export class Picture {
  constructor(file, name) {
    Object.assign(this, { key: crypto.randomUUID(), file, name });
    Object.assign(this, { id: null, width: 0, height: 0, format: null, location: false, faces: [], frame: null });
    this.picked = false; // whether the user said which face is meant
    this.insisted = false; // whether it may be a reference although it is a copy of the photo
    Object.assign(this, { found: null }); // of one from an index: {key, verdict, probability}
    Object.assign(this, { state: "new", progress: 0, error: null }); // new, sending, looking, ready, failed
    this.crops = new Map();
  }

  /** What a search that found it doubts, in words; "" of all others. */
  get doubt() {
    const verdict = this.found?.verdict ?? "same";
    return verdict === "same" ? "" : t(`find.doubt.${verdict}`);
  }

  /** Whether it shows several faces and nobody has said which is meant. */
  get asks() {
    return this.faces.length > 1 && !this.picked;
  }

  /** What IndexedDB keeps of it beside the file. */
  kept() {
    const { key, name, id, width, height, format, location, faces, frame, picked, found } = this;
    return { key, name, id, width, height, format, location, faces, frame, picked, found };
  }

  static revive(kept, file) {
    const picture = Object.assign(new Picture(file, kept.name), kept);
    picture.state = picture.id ? "ready" : "new";
    return picture;
  }

  /** Send the file and take what the server found. Never rejects: `state` and `error` tell. */
  async upload() {
    this.cancel();
    const control = (this.control = new AbortController());
    Object.assign(this, { state: "sending", progress: 0, error: null });
    changed();
    try {
      const limit = api.server.limits.bytes;
      if (this.file.size > limit) throw new api.ApiError("bytes", "too large", { limit });
      keepFile(this);
      this.take(await this.send(control.signal));
      this.state = "ready";
    } catch (error) {
      if (this.control !== control) return;
      Object.assign(this, { state: "failed", error: api.isAbort(error) ? new api.ApiError("cancelled", "") : error });
    }
    changed();
  }

  async send(signal) {
    const progress = (share) => {
      this.progress = share;
      if (share === 1 && this.state === "sending") this.state = "looking";
      changed();
    };
    return api.addPhoto(this.file, this.name, { progress, signal });
  }

  take({ id, width, height, format, location, faces }) {
    this.format ??= format; // of the file that the user gave, not of what stands for it later
    Object.assign(this, { id, width, height, location, faces });
    this.frame ??= faces.length ? clamped(faces[0].frame, this) : null;
    changed();
  }

  /** The server forgot it: send it again, and keep what the user chose. */
  sendAgain() {
    this.sending ??= api
      .addPhoto(this.file, this.name, {})
      .then((found) => this.take(found))
      .finally(() => (this.sending = null));
    return this.sending;
  }

  cancel() {
    this.control?.abort();
    this.control = null;
  }

  /** Forget it here and there. */
  remove() {
    this.cancel();
    forgetFile(this);
    if (this.id) api.removePhoto(this.id).catch(() => {}); // it expires there by itself
    this.screenBitmap?.then(
      (bitmap) => bitmap.close(),
      () => {},
    );
    this.fullBitmap?.then(
      (bitmap) => bitmap.close(),
      () => {},
    );
    this.screenBitmap = this.fullBitmap = null;
  }

  /** Take it back after `remove`. */
  restore() {
    keepFile(this);
    if (this.state !== "ready") this.upload();
  }

  /** At most SCREEN pixels wide and high -> Promise of ImageBitmap. */
  screen() {
    this.screenBitmap ??= this.#shrunk();
    this.screenBitmap.catch(() => (this.screenBitmap = null));
    return this.screenBitmap;
  }

  /** At full resolution -> Promise of ImageBitmap. */
  full() {
    this.fullBitmap ??= this.screen().then((screen) => (screen.width >= this.width ? screen : this.#decoded()));
    this.fullBitmap.catch(() => (this.fullBitmap = null));
    return this.fullBitmap;
  }

  /** The square that the hole is drawn over: the frame, and what may go on about it. */
  get view() {
    return this.frame && resized(this.frame, WIDER);
  }

  /** The frame, or another square, turned upright -> Promise of Blob. */
  crop(size, frame = this.frame) {
    const name = JSON.stringify([frame, size]);
    if (!this.crops.has(name)) {
      if (this.crops.size > 8) this.crops.clear();
      const made = withPictures([this], () => api.crop(this.id, frame, size));
      made.catch(() => this.crops.delete(name));
      this.crops.set(name, made);
    }
    return this.crops.get(name);
  }

  /** The part of the face called `name`, drawn over the view, `size` pixels a side -> Promise of Blob. */
  hole(name, size) {
    return withPictures([this], () => api.hole(this.id, name, this.frame, size, WIDER));
  }

  /** What is in front of the face, or closed eyes -> Promise of {code, mask: Blob, drawn over the view}. */
  async cover(size) {
    const found = await withPictures([this], () => api.cover(this.id, this.frame, size, WIDER));
    const bytes = Uint8Array.from(atob(found.mask), (letter) => letter.charCodeAt(0));
    return { ...found, mask: new Blob([bytes], { type: "image/png" }) };
  }

  async #shrunk() {
    const full = await this.#decoded();
    const factor = Math.min(1, SCREEN / Math.max(full.width, full.height));
    if (factor === 1) return full;
    const resizeWidth = Math.round(full.width * factor);
    const resizeHeight = Math.round(full.height * factor);
    const small = await createImageBitmap(full, { resizeWidth, resizeHeight, resizeQuality: "high" });
    full.close(); // 48 MB for 12 megapixels, and the comparison alone needs it
    return small;
  }

  /** By the browser; where it cannot (HEIC), or turns the picture otherwise, as the server sees it. */
  async #decoded() {
    try {
      const bitmap = await createImageBitmap(this.file);
      if (!this.width || (bitmap.width === this.width && bitmap.height === this.height)) return bitmap;
    } catch (error) {
      if (!this.id) throw error;
    }
    const side = Math.max(this.width, this.height);
    return createImageBitmap(await withPictures([this], () => api.preview(this.id, side)));
  }
}

/** Do what needs these pictures at the server; where it has forgotten them, send them again first. */
export async function withPictures(pictures, call) {
  const ids = pictures.map((picture) => picture.id);
  try {
    return await call();
  } catch (error) {
    if (error.code !== "photo_gone") throw error;
    await Promise.all(pictures.map((picture, i) => picture.id === ids[i] && picture.sendAgain()));
    return call();
  }
}
