// The square on a face: drag it, its corners and its handle; two fingers; arrows, + and -, [ and ].

import { el } from "../dom.js";
import * as geometry from "../geometry.js";
import { number, t } from "../i18n.js";
import { SIDE, TINT } from "../mask.js";
import { announce } from "../notices.js";
import { work } from "../store.js";
import { listen } from "./gestures.js";
import { Viewport } from "./viewport.js";

const REACH = { mouse: 14, pen: 18, touch: 26 }; // CSS pixels about a handle in which a pointer takes it
const ARM = 34; // CSS pixels from the square's top to the handle that turns it

/** picture: a Picture, whose frame it sets. changed: called after each change. Call `load` to show it. */
export class FrameEditor {
  constructor(picture, changed) {
    Object.assign(this, { picture, changed, bitmap: null, drag: null, hover: null });
    this.canvas = el("canvas", {
      class: "stage-canvas",
      tabindex: "0",
      role: "application",
      "aria-label": t("face.stage", { name: picture.name }),
      "aria-describedby": "face-keys",
    });
    this.element = el("div", { class: "stage" }, this.canvas);
    this.view = new Viewport(this.canvas, (context) => this.draw(context), 22);
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => this.tell());
    listen(this.canvas, {
      down: (point, event) => this.down(point, event.pointerType),
      move: (point, before) => this.move(point, before),
      up: () => this.up(),
      cancel: () => (this.drag = { kind: "pinch" }),
      pinch: (change) => this.pinch(change),
      wheel: (factor, point) => this.view.zoom(factor, point),
      hover: (point) => this.point(point),
    });
  }

  async load() {
    this.bitmap = await this.picture.screen();
    this.view.setPicture(this.picture.width, this.picture.height);
  }

  close() {
    this.view.close();
  }

  set(frame) {
    Object.assign(this.picture, { frame: geometry.clamped(frame, this.picture), picked: true });
    this.view.request();
    this.changed();
  }

  /** Say to screen readers how the square lies. */
  tell() {
    if (this.picture.frame) announce(describe(this.picture.frame));
  }

  /** Fill the stage with the square and a little about it. */
  showFace() {
    const { x, y, side } = this.picture.frame;
    const wide = side * 1.9;
    this.view.show({ x: x - wide / 2, y: y - wide / 2, width: wide, height: wide });
  }

  handles() {
    const { frame } = this.picture;
    const points = geometry.corners(frame).map((corner) => this.view.toScreen(corner));
    const above = this.arm(-1);
    const { x, y } = above.turn;
    const seen = x > 8 && y > 8 && x < this.view.width - 8 && y < this.view.height - 8;
    return { points, ...(seen ? above : this.arm(1)) };
  }

  /** The handle that turns, above the square (side -1) or below it (1). */
  arm(side) {
    const { frame } = this.picture;
    const base = this.view.toScreen(geometry.ofFrame(frame, { x: 0, y: side / 2 }));
    const reach = geometry.turned({ x: 0, y: side * ARM }, frame.angle);
    return { side, base, turn: { x: base.x + reach.x, y: base.y + reach.y } };
  }

  /** What lies under a point of the canvas: turn, corner (with index), frame, face (with the frame) or nothing. */
  under(point, reach) {
    const near = ({ x, y }) => Math.hypot(x - point.x, y - point.y) <= reach;
    const place = this.view.toPicture(point);
    if (this.picture.frame) {
      const { points, turn, side } = this.handles();
      if (near(turn)) return { kind: "turn", side };
      const index = points.findIndex(near);
      if (index >= 0) return { kind: "corner", index };
      if (geometry.contains(this.picture.frame, place)) return { kind: "frame" };
    }
    const face = this.picture.faces.find(({ frame }) => geometry.contains(frame, place));
    return face ? { kind: "face", frame: face.frame } : { kind: "nothing" };
  }

  down(point, pointer) {
    this.drag = { ...this.under(point, REACH[pointer] ?? REACH.touch), start: this.view.toPicture(point) };
  }

  move(point, before) {
    if (!this.drag) return;
    const [now, last] = [point, before].map((place) => this.view.toPicture(place));
    const { frame } = this.picture;
    this.drag.moved = true;
    if (this.drag.kind === "turn") this.set(geometry.turnedTo(frame, now, this.drag.side));
    else if (this.drag.kind === "corner") this.set(geometry.cornerTo(frame, this.drag.index, now));
    else if (this.drag.kind === "frame") this.set(geometry.moved(frame, now.x - last.x, now.y - last.y));
    else if (this.drag.kind !== "pinch" && !frame) this.set(geometry.spanned(this.drag.start, now));
    else if (this.drag.kind === "nothing" && this.drag.spans) this.set(geometry.spanned(this.drag.start, now));
    else if (this.drag.kind !== "pinch") this.view.pan(point.x - before.x, point.y - before.y);
    if (this.drag.kind !== "pinch" && !frame) Object.assign(this.drag, { kind: "nothing", spans: true });
  }

  up() {
    if (this.drag?.kind === "face" && !this.drag.moved) this.set(this.drag.frame);
    this.drag = null;
    this.tell();
  }

  pinch({ center, dx, dy, scale, degrees }) {
    const { frame } = this.picture;
    const about = this.view.toPicture(center);
    if (frame && geometry.contains(geometry.resized(frame, 1.4), about)) {
      this.set(geometry.pinched(frame, { center: about, dx, dy, scale, degrees }));
    } else this.view.zoom(scale, center);
  }

  point(point) {
    const found = point ? this.under(point, REACH.mouse) : { kind: "nothing" };
    const cursors = { turn: "grab", frame: "move", face: "pointer", nothing: this.view.zoomed ? "grab" : "default" };
    const diagonal = this.picture.frame && Math.round((found.index * 90 + 45 + this.picture.frame.angle) / 45) % 4;
    const corner = ["ns-resize", "nwse-resize", "ew-resize", "nesw-resize"][(diagonal + 4) % 4];
    if (found.kind === "nothing" && !this.picture.frame) this.canvas.style.cursor = "crosshair";
    else this.canvas.style.cursor = found.kind === "corner" ? corner : cursors[found.kind];
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const change = KEYS[event.key];
    if (!change) return;
    event.preventDefault();
    const frame = this.picture.frame ?? this.start();
    this.set(change(frame, frame.side * (event.shiftKey ? 0.1 : 0.01), event.shiftKey ? 10 : 1));
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.tell(), 600);
  }

  /** Where a square begins that is drawn by keys: in the middle. */
  start() {
    const { width, height } = this.picture;
    return { x: width / 2, y: height / 2, side: Math.min(width, height) / 2, angle: 0 };
  }

  draw(context) {
    if (!this.bitmap) return;
    this.view.paint(context, this.bitmap);
    if (this.picture === work.photo) this.hole(context);
    if (this.picture.frame) this.dim(context);
    for (const { frame } of this.picture.faces) {
      if (!geometry.same(frame, this.picture.frame)) this.outline(context, frame);
    }
    if (this.picture.frame) this.square(context);
  }

  /** What is marked already, where it lies in the photo. */
  hole(context) {
    const { frame } = work.mask;
    if (!frame || work.mask.empty) return;
    const { x, y } = this.view.toScreen(frame);
    const side = frame.side * this.view.scale;
    context.save();
    context.translate(x, y);
    context.rotate((frame.angle * Math.PI) / 180);
    context.globalAlpha = 0.62;
    context.drawImage(work.mask.tinted(), -side / 2, -side / 2, side, side);
    context.restore();
  }

  trace(context, frame) {
    geometry.corners(frame).forEach((corner, i) => {
      const { x, y } = this.view.toScreen(corner);
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.closePath();
  }

  dim(context) {
    context.beginPath();
    context.rect(0, 0, this.view.width, this.view.height);
    this.trace(context, this.picture.frame);
    context.fillStyle = "rgb(10 14 16 / 52%)";
    context.fill("evenodd");
  }

  outline(context, frame) {
    context.beginPath();
    this.trace(context, frame);
    context.setLineDash([6, 5]);
    stroke(context, "#ffffff", 1.5);
    context.setLineDash([]);
  }

  square(context) {
    const { points, base, turn } = this.handles();
    context.beginPath();
    this.trace(context, this.picture.frame);
    context.moveTo(base.x, base.y);
    context.lineTo(turn.x, turn.y);
    stroke(context, "#5fe0cf", 2);
    this.guide(context);
    for (const place of points) knob(context, place, 7, "#ffffff");
    knob(context, turn, 8, "#5fe0cf");
  }

  /** Where the eyes and the mouth should lie. */
  guide(context) {
    for (const [y, from, to] of [
      [0.46, 0.375, 0.625],
      [0.735, 0.4, 0.6],
    ]) {
      context.beginPath();
      for (const x of [from, to]) {
        const place = this.view.toScreen(geometry.ofFrame(this.picture.frame, { x: x - 0.5, y: y - 0.5 }));
        context.moveTo(place.x + 5, place.y);
        context.arc(place.x, place.y, 5, 0, 2 * Math.PI);
      }
      stroke(context, "rgb(255 255 255 / 80%)", 1.5);
    }
  }
}

const KEYS = {
  ArrowLeft: (frame, step) => geometry.moved(frame, -step, 0),
  ArrowRight: (frame, step) => geometry.moved(frame, step, 0),
  ArrowUp: (frame, step) => geometry.moved(frame, 0, -step),
  ArrowDown: (frame, step) => geometry.moved(frame, 0, step),
  "+": (frame) => geometry.resized(frame, 1.03),
  "=": (frame) => geometry.resized(frame, 1.03),
  "-": (frame) => geometry.resized(frame, 1 / 1.03),
  "[": (frame, _, degrees) => geometry.rotated(frame, -degrees),
  "]": (frame, _, degrees) => geometry.rotated(frame, degrees),
  "{": (frame, _, degrees) => geometry.rotated(frame, -degrees),
  "}": (frame, _, degrees) => geometry.rotated(frame, degrees),
};

/** "312 px wide, turned by 4 degrees", for screen readers and below the picture. */
export function describe({ side, angle }) {
  return t("face.lies", { side: number(Math.round(side)), angle: number(Math.round(angle) || 0) }); // never -0
}

function stroke(context, color, width) {
  context.strokeStyle = "rgb(0 0 0 / 45%)";
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke();
}

function knob(context, { x, y }, radius, color) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = color;
  context.fill();
  context.strokeStyle = "rgb(0 0 0 / 60%)";
  context.lineWidth = 1.5;
  context.stroke();
}
