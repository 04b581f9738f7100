// A canvas that shows a picture larger or smaller than itself: fit, zoom and pan, crisp on every screen.

import { crispCanvas } from "../dom.js";

const LARGEST = 16; // CSS pixels for one of the picture

export class Viewport {
  /** draw: called with (context) in CSS pixels whenever the view has changed. margin: room about the picture. */
  constructor(canvas, draw, margin = 0) {
    Object.assign(this, { canvas, draw, margin, width: 0, height: 0, scale: 1, x: 0, y: 0 });
    this.picture = { width: 1, height: 1 };
    this.follow = () => this.fit();
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(canvas);
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.pending);
  }

  /** The size of the picture that is shown, in its own pixels. */
  setPicture(width, height) {
    this.picture = { width, height };
    this.fit();
  }

  /** Show all of it. */
  fit() {
    this.scale = this.fitScale;
    this.follow = () => this.fit();
    this.pan(0, 0);
  }

  /** Show a box of the picture, and keep to it when the canvas changes. */
  show({ x, y, width, height }) {
    this.scale = Math.min(this.width / width, this.height / height) || 1;
    this.x = this.width / 2 - (x + width / 2) * this.scale;
    this.y = this.height / 2 - (y + height / 2) * this.scale;
    this.follow = () => this.show({ x, y, width, height });
    this.request();
  }

  get fitScale() {
    const [width, height] = [this.width, this.height].map((room) => Math.max(1, room - 2 * this.margin));
    return Math.min(width / this.picture.width, height / this.picture.height);
  }

  get zoomed() {
    return this.scale > this.fitScale * 1.01;
  }

  /** Zoom about a point of the canvas, its middle by default. */
  zoom(factor, { x, y } = { x: this.width / 2, y: this.height / 2 }) {
    const scale = Math.min(Math.max(this.scale * factor, this.fitScale), Math.max(LARGEST, this.fitScale * 4));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.pan(0, 0);
  }

  /** Move the picture, its middle never leaving the canvas. */
  pan(dx, dy) {
    const held = (start, length, room) =>
      length <= room ? (room - length) / 2 : Math.min(Math.max(start, room - length - this.margin), this.margin);
    this.x = held(this.x + dx, this.picture.width * this.scale, this.width);
    this.y = held(this.y + dy, this.picture.height * this.scale, this.height);
    this.follow = this.zoomed ? () => this.pan(0, 0) : () => this.fit();
    this.request();
  }

  /** Pan as far as a point of the picture needs to be well inside. */
  reveal(point) {
    const { x, y } = this.toScreen(point);
    const lacking = (at, room) => Math.max(0, 24 - at) - Math.max(0, at - room + 24);
    this.pan(lacking(x, this.width), lacking(y, this.height));
  }

  toPicture({ x, y }) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  toScreen({ x, y }) {
    return { x: x * this.scale + this.x, y: y * this.scale + this.y };
  }

  /** Draw at the next frame. */
  request() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.drawNow();
    });
  }

  drawNow() {
    if (!this.width) return;
    const context = crispCanvas(this.canvas, this.width, this.height);
    this.draw(context);
  }

  /** Draw a bitmap, of whatever resolution, as the picture. */
  paint(context, bitmap) {
    const { width, height } = this.picture;
    context.imageSmoothingEnabled = this.scale * (width / bitmap.width) < 4; // else show its pixels
    context.drawImage(bitmap, this.x, this.y, width * this.scale, height * this.scale);
    context.imageSmoothingEnabled = true;
  }

  #resize() {
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.follow();
    this.drawNow();
  }
}
