// The hole: a square drawn over the face and what is about it (`Picture.view`), opaque where it is to be filled, with its
// undo history.
// It belongs to the photo: when the frame moves, what was drawn stays where it is in the photo.

import { same } from "./geometry.js";

export const SIDE = 768; // pixels; the network sees 128 of the frame
export const TINT = "#12b5a3";
const KEPT_STEPS = 30;
const tint = new OffscreenCanvas(SIDE, SIDE);

export class Mask {
  constructor() {
    this.canvas = new OffscreenCanvas(SIDE, SIDE);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.version = 0; // grows with every change
    this.frame = null; // the square of the photo that the canvas is drawn over
    this.drawn = null; // {bits, frame} as last drawn, when the canvas shows it over another frame
    this.past = []; // {bits, frame}, the last one at the end
    this.future = [];
    this.known = { version: -1, bits: null };
  }

  get empty() {
    return !this.bits().some((byte) => byte);
  }

  /** Call before a change that "undo" shall take back. */
  remember() {
    this.dropped = this.future;
    this.past.push(this.#now());
    if (this.past.length > KEPT_STEPS) this.past.shift();
    this.future = [];
    this.drawn = null;
  }

  /** What was begun since `remember` was not meant: as if it had not been called. */
  takeBack() {
    this.#show(this.past.pop());
    this.future = this.dropped;
  }

  undo() {
    this.#travel(this.past, this.future);
  }

  redo() {
    this.#travel(this.future, this.past);
  }

  clear() {
    this.remember();
    this.context.clearRect(0, 0, SIDE, SIDE);
    this.version++;
  }

  /** A stroke of the brush, or of the eraser. Points and radius are in mask pixels. */
  stroke(from, to, radius, erase) {
    this.#draw(erase, (context) => {
      context.lineCap = context.lineJoin = "round";
      context.lineWidth = 2 * radius;
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x + 1e-3, to.y);
      context.stroke();
    });
  }

  box(from, to) {
    const left = Math.round(Math.min(from.x, to.x));
    const top = Math.round(Math.min(from.y, to.y));
    const width = Math.round(Math.max(from.x, to.x)) - left;
    const height = Math.round(Math.max(from.y, to.y)) - top;
    this.#draw(false, (context) => context.fillRect(left, top, width, height));
  }

  /** Take a black and white picture: what is light becomes the hole. */
  takePicture(bitmap) {
    this.remember();
    const context = new OffscreenCanvas(SIDE, SIDE).getContext("2d");
    context.imageSmoothingEnabled = bitmap.width > SIDE;
    context.drawImage(bitmap, 0, 0, SIDE, SIDE);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    this.#paint((i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) * data[4 * i + 3] >= 3 * 128 * 255);
  }

  /** One bit for each pixel, row by row -> Uint8Array, not to be changed. */
  bits() {
    if (this.known.version !== this.version) this.known = { version: this.version, bits: this.#read() };
    return this.known.bits;
  }

  /** Lay the canvas over another frame of the photo; what was drawn keeps its place there. */
  place(frame) {
    if (!frame || same(frame, this.frame)) return;
    const step = this.#now();
    if (step.bits.some(Boolean)) this.#show(step, frame);
    this.frame = frame;
  }

  /** What IndexedDB keeps of it. */
  kept() {
    return { now: this.#now(), past: this.past, future: this.future };
  }

  load({ now, past, future }) {
    if (now.bits.length !== (SIDE * SIDE) / 8) return; // kept by an earlier version of the page
    Object.assign(this, { past, future, frame: now.frame });
    this.#show(now);
  }

  /** The hole in its colour -> canvas, which holds it until the next call. */
  tinted() {
    const context = tint.getContext("2d");
    context.globalCompositeOperation = "copy";
    context.drawImage(this.canvas, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = TINT;
    context.fillRect(0, 0, SIDE, SIDE);
    return tint;
  }

  /** As a PNG, white on black -> Blob. */
  async png() {
    const canvas = new OffscreenCanvas(SIDE, SIDE);
    const context = canvas.getContext("2d");
    const bits = this.bits();
    const picture = context.createImageData(SIDE, SIDE);
    for (let i = 0; i < SIDE * SIDE; i++) {
      picture.data.fill(bits[i >> 3] & (1 << (i & 7)) ? 255 : 0, 4 * i, 4 * i + 3);
      picture.data[4 * i + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  }

  /** The PNG as the server takes it, in base64. */
  async text() {
    const bytes = new Uint8Array(await (await this.png()).arrayBuffer());
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  }

  #read() {
    const { data } = this.context.getImageData(0, 0, SIDE, SIDE);
    const bits = new Uint8Array((SIDE * SIDE) / 8);
    for (let i = 0; i < SIDE * SIDE; i++) if (data[4 * i + 3] >= 128) bits[i >> 3] |= 1 << (i & 7);
    return bits;
  }

  #draw(erase, paint) {
    this.context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    this.context.fillStyle = this.context.strokeStyle = "#fff";
    paint(this.context);
    this.version++;
  }

  #paint(isHole) {
    const picture = this.context.createImageData(SIDE, SIDE);
    for (let i = 0; i < SIDE * SIDE; i++) if (isHole(i)) picture.data.fill(255, 4 * i, 4 * i + 4);
    this.context.putImageData(picture, 0, 0);
    this.version++;
  }

  #travel(from, to) {
    if (!from.length) return;
    to.push(this.#now());
    this.#show(from.pop());
  }

  #now() {
    return this.drawn ?? { bits: this.bits(), frame: this.frame };
  }

  /** Show what was drawn over one frame over another, by default the present one. */
  #show(step, frame = this.frame) {
    this.#paint((i) => step.bits[i >> 3] & (1 << (i & 7)));
    this.drawn = step;
    if (!step.frame || same(step.frame, frame)) return;
    const copy = new OffscreenCanvas(SIDE, SIDE);
    copy.getContext("2d").drawImage(this.canvas, 0, 0);
    this.context.clearRect(0, 0, SIDE, SIDE);
    this.context.globalCompositeOperation = "source-over";
    this.context.save();
    this.context.translate(SIDE / 2, SIDE / 2);
    this.context.scale(SIDE / frame.side, SIDE / frame.side);
    this.context.rotate((-frame.angle * Math.PI) / 180);
    this.context.translate(step.frame.x - frame.x, step.frame.y - frame.y);
    this.context.rotate((step.frame.angle * Math.PI) / 180);
    this.context.scale(step.frame.side / SIDE, step.frame.side / SIDE);
    this.context.drawImage(copy, -SIDE / 2, -SIDE / 2);
    this.context.restore();
    this.version++;
  }
}
