// Making elements. Text goes in as text nodes only, so nothing that a user gave can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. props: attributes; `class`; on... listeners; true sets an empty attribute, false and null none. */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Put img/icons.svg into the page, so that its symbols are there when the server is not. */
export async function loadIcons() {
  const answer = await fetch("img/icons.svg");
  if (!answer.ok) throw new Error(`icons.svg: ${answer.status}`);
  const sprite = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  sprite.classList.add("sprite");
  document.body.append(sprite);
}

/** A symbol of img/icons.svg, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button. kind: a class; `label` names it where it shows an icon alone. */
export function button(text, { kind = "", label, symbol, ...props } = {}) {
  const content = [symbol ? icon(symbol) : null, text ? el("span", {}, text) : null];
  return el("button", { type: "button", class: kind, "aria-label": label, title: label, ...props }, content);
}

/** Make a canvas of CSS pixels crisp on this screen, and empty -> its context. */
export function crispCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  return context;
}
