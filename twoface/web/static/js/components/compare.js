// Before and after, the face first: a line to drag, a button that shows the photo as it was while it is held, zoom and
// pan, at full resolution.
// Our own, since the well-kept comparison sliders bring inline styles, which the page's CSP forbids, and do not zoom.

import { button, el, icon } from "../dom.js";
import { percent, t } from "../i18n.js";
import { listen } from "./gestures.js";
import { Viewport } from "./viewport.js";

export class Compare {
  /** picture: the photo, a Picture. Call `load`, then `show` with each fill. */
  constructor(picture) {
    Object.assign(this, { picture, share: 0.5, screen: null, full: null, fill: null, dragging: false });
    Object.assign(this, { free: false, held: false }); // zoomed by hand; the photo as it was is shown
    this.canvas = el("canvas", { class: "stage-canvas", role: "img", "aria-label": t("result.compare") });
    this.handle = el(
      "div",
      {
        class: "divider",
        role: "slider",
        tabindex: "0",
        "aria-label": t("result.slider"),
        "aria-valuemin": "0",
        "aria-valuemax": "100",
      },
      el("span", { class: "grip" }, icon("compare")),
    );
    this.words = ["before", "after"].map((name) =>
      el("span", { class: `side-word ${name}`, "aria-hidden": "true" }, t(`result.${name}`)),
    );
    this.surface = el("div", { class: "stage compare" }, this.canvas, this.handle, ...this.words);
    this.view = new Viewport(this.canvas, (context) => this.draw(context));
    this.element = el("div", { class: "compare-place" }, this.surface, this.tools());
    this.handle.addEventListener("keydown", (event) => this.key(event));
    listen(this.surface, {
      down: (point) => (this.dragging = !this.free || Math.abs(point.x - this.line) < 30),
      move: (point, before) => {
        if (this.dragging) this.set((point.x - this.view.x) / (this.view.picture.width * this.view.scale));
        else this.view.pan(point.x - before.x, point.y - before.y);
      },
      pinch: ({ scale, center }) => this.zoom(scale, center),
      wheel: (factor, point) => this.zoom(factor, point),
    });
    this.set(0.5);
  }

  async load() {
    this.screen = await this.picture.screen();
    this.view.setPicture(this.picture.width, this.picture.height);
    this.showFace();
    this.full = await this.picture.full();
    this.view.request();
  }

  show(fill) {
    this.fill = fill;
    this.view.request();
  }

  close() {
    this.view.close();
  }

  tools() {
    const tool = (symbol, label, run) => button("", { symbol, label, kind: "tool", onclick: run });
    return el(
      "div",
      { class: "toolbar center", role: "group", "aria-label": t("hole.view") },
      this.holdButton(),
      tool("plus", t("hole.zoom_in"), () => this.zoom(1.5)),
      tool("minus", t("hole.zoom_out"), () => this.zoom(1 / 1.5)),
      button(t("result.face"), { kind: "small quiet", onclick: () => this.showFace() }),
      button(t("result.whole"), { kind: "small quiet", onclick: () => this.showWhole() }),
      button(t("result.pixels"), { kind: "small quiet", onclick: () => this.showPixels() }),
    );
  }

  /** While it is held, by pointer or key, the photo is shown as it was. */
  holdButton() {
    const hold = (held) => () => {
      this.held = held;
      this.view.request();
    };
    const key = (held) => (event) => [" ", "Enter"].includes(event.key) && hold(held)();
    return button(t("result.hold"), {
      kind: "small hold",
      onpointerdown: hold(true),
      onpointerup: hold(false),
      onpointerleave: hold(false),
      onpointercancel: hold(false),
      oncontextmenu: (event) => event.preventDefault(), // a long touch
      onkeydown: key(true),
      onkeyup: key(false),
      onblur: hold(false),
    });
  }

  zoom(factor, point) {
    this.view.zoom(factor, point);
    this.free = this.view.zoomed;
  }

  showWhole() {
    this.free = false;
    this.view.fit();
  }

  /** The face, all of it filled: the line lies at its left. */
  showFace() {
    const { x, y, side } = this.picture.frame;
    this.free = false;
    this.view.show({ x: x - side * 0.6, y: y - side * 0.6, width: side * 1.2, height: side * 1.2 });
    this.set((x - side * 0.5) / this.picture.width);
  }

  /** One pixel of the photo for each of the screen, about the face. */
  showPixels() {
    const { x, y } = this.picture.frame;
    const [width, height] = [this.view.width, this.view.height].map((length) => length * window.devicePixelRatio);
    this.free = true;
    this.view.show({ x: x - width / 2, y: y - height / 2, width, height });
  }

  /** Where the line is, in CSS pixels of the stage. */
  get line() {
    const { x, picture, scale, width } = this.view;
    return Math.min(Math.max(x + picture.width * scale * this.share, 0), width);
  }

  set(share) {
    this.share = Math.min(Math.max(share, 0), 1);
    const shown = Math.round(this.share * 100);
    this.handle.setAttribute("aria-valuenow", shown);
    this.handle.setAttribute("aria-valuetext", t("result.shown", { share: percent(shown / 100) }));
    this.view.request();
  }

  key(event) {
    const step = event.shiftKey ? 0.1 : 0.02;
    const to = {
      ArrowLeft: this.share - step,
      ArrowDown: this.share - step,
      ArrowRight: this.share + step,
      ArrowUp: this.share + step,
      PageDown: this.share - 0.1,
      PageUp: this.share + 0.1,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.set(to);
  }

  draw(context) {
    if (!this.screen) return;
    const { view } = this;
    const detail = this.full && view.scale * window.devicePixelRatio * this.picture.width > this.screen.width;
    view.paint(context, detail ? this.full : this.screen);
    if (this.fill && !this.held) this.drawFill(context);
    this.surface.style.touchAction = this.free ? "none" : "pan-y"; // else a phone cannot scroll past it
    const { line } = this;
    this.handle.style.transform = `translateX(${line}px)`;
    [line < 90, line > view.width - 90].forEach((hidden, i) => (this.words[i].hidden = hidden || this.held));
    this.handle.hidden = this.held;
    if (this.held) return;
    context.fillStyle = "#fff";
    context.fillRect(line - 1, 0, 2, view.height);
  }

  /** The changed part, right of the line: before is left, after is right. */
  drawFill(context) {
    const {
      view,
      fill: { patch, bitmap },
    } = this;
    const { x, y } = view.toScreen(patch);
    context.save();
    context.beginPath();
    context.rect(this.line, 0, view.width, view.height);
    context.clip();
    context.drawImage(bitmap, x, y, patch.width * view.scale, patch.height * view.scale);
    context.restore();
  }
}
