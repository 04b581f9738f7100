// Painting the hole on the upright face: brush, eraser, box; zoom and pan; by keys too.

import { el } from "../dom.js";
import { inFrame } from "../geometry.js";
import { t } from "../i18n.js";
import { SIDE, TINT } from "../mask.js";
import { announce } from "../notices.js";
import { work } from "../store.js";
import { listen } from "./gestures.js";
import { Viewport } from "./viewport.js";

const STEP = 8; // mask pixels: a fiftieth or so of the face

export class MaskEditor {
  /** changed: called after each change of the mask; settings: called when tool or size change by a key. */
  constructor(changed, settings) {
    Object.assign(this, { changed, settings, ...work.brush, bitmap: null, drag: null, hover: null });
    this.cursor = null; // {x, y, down}: the place that keys move, and whether they paint
    this.canvas = el("canvas", {
      class: "stage-canvas painting",
      tabindex: "0",
      role: "application",
      "aria-label": t("hole.stage"),
      "aria-describedby": "hole-keys",
    });
    this.element = el("div", { class: "stage square" }, this.canvas);
    this.view = new Viewport(this.canvas, (context) => this.draw(context));
    this.view.setPicture(SIDE, SIDE);
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => this.dropCursor());
    listen(this.canvas, {
      down: (point, event) => this.down(point, event),
      move: (point, before) => this.move(point, before),
      up: () => this.up(),
      cancel: () => this.cancel(),
      pinch: ({ scale, center }) => this.view.zoom(scale, center),
      wheel: (factor, point) => this.view.zoom(factor, point),
      hover: (point) => this.point(point),
    });
  }

  show(bitmap) {
    this.bitmap = bitmap;
    this.view.request();
  }

  close() {
    this.view.close();
  }

  touched() {
    this.view.request();
    this.changed();
  }

  down(point, event) {
    this.dropCursor();
    const place = this.view.toPicture(point);
    if (this.tool === "move" || event.button === 1) {
      this.drag = { kind: "pan" };
      return;
    }
    work.mask.remember();
    this.drag = { kind: this.tool, from: place, to: place };
    if (this.tool !== "box") this.paint(place, place);
  }

  move(point, before) {
    if (!this.drag) return;
    const [now, last] = [point, before].map((place) => this.view.toPicture(place));
    if (this.drag.kind === "pan") this.view.pan(point.x - before.x, point.y - before.y);
    else if (this.drag.kind === "box") this.drag.to = now;
    else this.paint(last, now);
    this.view.request();
  }

  up() {
    const { drag } = this;
    this.drag = null;
    if (!drag || drag.kind === "pan") return;
    if (drag.kind === "box") work.mask.box(drag.from, drag.to);
    this.touched();
  }

  /** A second finger: what the first began to paint was not meant. */
  cancel() {
    if (this.drag && this.drag.kind !== "pan") work.mask.takeBack();
    this.drag = null;
    this.touched();
  }

  paint(from, to) {
    work.mask.stroke(from, to, this.size / 2, this.tool === "eraser");
    this.view.request();
  }

  point(point) {
    this.hover = point && this.view.toPicture(point);
    this.canvas.style.cursor = { box: "crosshair", move: "grab" }[this.tool] ?? "none";
    this.view.request();
  }

  key(event) {
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === "z") this.travel(event, event.shiftKey ? "redo" : "undo");
    else if (command && event.key.toLowerCase() === "y") this.travel(event, "redo");
    else if (!command && !event.altKey && KEYS[event.key]) {
      event.preventDefault();
      KEYS[event.key](this, event.shiftKey ? STEP * 4 : STEP);
      this.view.request();
    }
  }

  travel(event, direction) {
    event.preventDefault();
    work.mask[direction]();
    this.touched();
    announce(t(`hole.${direction}`));
  }

  setTool(tool) {
    this.tool = work.brush.tool = tool;
    this.settings();
    announce(t(`hole.${tool}`));
  }

  setSize(size) {
    this.size = work.brush.size = Math.min(Math.max(size, 4), 200);
    this.settings();
  }

  /** Move the keys' place; what is painted follows it while it is down. */
  step(dx, dy) {
    const before = (this.cursor ??= { x: SIDE / 2, y: SIDE / 2, down: false });
    const within = (value) => Math.min(Math.max(value, 0), SIDE);
    this.cursor = { ...before, x: within(before.x + dx), y: within(before.y + dy) };
    this.view.reveal(this.cursor);
    if (this.cursor.down && this.tool === "box") this.drag.to = this.cursor;
    else if (this.cursor.down) this.paint(before, this.cursor);
  }

  /** Put the brush down, or lift it. */
  press() {
    this.step(0, 0);
    if (this.tool === "move") return;
    this.cursor.down = !this.cursor.down;
    announce(t(this.cursor.down ? "hole.down" : "hole.up"));
    if (!this.cursor.down) return this.up();
    work.mask.remember();
    this.drag = { kind: this.tool, from: this.cursor, to: this.cursor };
    if (this.tool !== "box") this.paint(this.cursor, this.cursor);
  }

  /** Leave off painting by keys: a box that was not finished is dropped. */
  dropCursor() {
    if (this.cursor?.down && this.tool === "box") this.cancel();
    else if (this.cursor?.down) this.up();
    this.cursor = null;
    this.view.request();
  }

  draw(context) {
    const { view } = this;
    if (this.bitmap) view.paint(context, this.bitmap);
    if (this.bitmap) this.hideOutside(context, work.photo);
    context.globalAlpha = 0.62;
    view.paint(context, work.mask.tinted());
    context.globalAlpha = 1;
    if (this.drag?.kind === "box") this.outlineBox(context, this.drag);
    if (this.cursor) this.ring(context, this.cursor, true);
    else if (this.hover && ["brush", "eraser"].includes(this.tool)) this.ring(context, this.hover, false);
  }

  /** Beyond the photo's border there is nothing to paint on. */
  hideOutside(context, { width, height, view }) {
    context.beginPath();
    context.rect(0, 0, this.view.width, this.view.height);
    const border = [
      [0, 0],
      [width, 0],
      [width, height],
      [0, height],
    ].map(([x, y]) => inFrame(view, { x: x - 0.5, y: y - 0.5 }));
    border.forEach(({ x, y }, i) => {
      const place = this.view.toScreen({ x: (x + 0.5) * SIDE, y: (y + 0.5) * SIDE });
      context[i ? "lineTo" : "moveTo"](place.x, place.y);
    });
    context.closePath();
    context.fillStyle = getComputedStyle(this.element).backgroundColor;
    context.fill("evenodd");
  }

  outlineBox(context, { from, to }) {
    const [a, b] = [from, to].map((place) => this.view.toScreen(place));
    context.strokeStyle = "#fff";
    context.fillStyle = `${TINT}80`;
    context.lineWidth = 2;
    context.fillRect(a.x, a.y, b.x - a.x, b.y - a.y);
    context.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
  }

  ring(context, place, cross) {
    const { x, y } = this.view.toScreen(place);
    const radius = this.tool === "box" || this.tool === "move" ? 8 : (this.size / 2) * this.view.scale;
    for (const [color, width] of [
      ["rgb(0 0 0 / 60%)", 3.5],
      ["#fff", 1.5],
    ]) {
      context.beginPath();
      context.arc(x, y, Math.max(2, radius), 0, 2 * Math.PI);
      if (cross)
        for (const [dx, dy] of [
          [9, 0],
          [0, 9],
        ])
          (context.moveTo(x - dx, y - dy), context.lineTo(x + dx, y + dy));
      context.strokeStyle = color;
      context.lineWidth = width;
      context.stroke();
    }
  }
}

const KEYS = {
  ArrowLeft: (editor, step) => editor.step(-step, 0),
  ArrowRight: (editor, step) => editor.step(step, 0),
  ArrowUp: (editor, step) => editor.step(0, -step),
  ArrowDown: (editor, step) => editor.step(0, step),
  " ": (editor) => editor.press(),
  Enter: (editor) => editor.press(),
  Escape: (editor) => editor.dropCursor(),
  b: (editor) => editor.setTool("brush"),
  e: (editor) => editor.setTool("eraser"),
  r: (editor) => editor.setTool("box"),
  m: (editor) => editor.setTool("move"),
  "[": (editor) => editor.setSize(editor.size - 8),
  "]": (editor) => editor.setSize(editor.size + 8),
  "+": (editor) => editor.view.zoom(1.25),
  "=": (editor) => editor.view.zoom(1.25),
  "-": (editor) => editor.view.zoom(1 / 1.25),
  0: (editor) => editor.view.fit(),
};
