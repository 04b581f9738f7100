// Pointers of mouse, pen and touch, as what they mean: one finger draws or drags, two pinch, the wheel zooms with Ctrl.

/** Listen on an element whose CSS has touch-action: none. Points are {x, y} in its CSS pixels.
 *
 * handlers: down(point, event), move(point, before, event), up(point, event), cancel() when a second finger ends what
 * the first began, pinch({center, dx, dy, scale, degrees}), wheel(factor, point), hover(point or null).
 */
export function listen(element, handlers) {
  const fingers = new Map();
  const at = ({ clientX, clientY }) => {
    const { left, top } = element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button > 0 || fingers.size === 2) return;
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 1) handlers.down?.(at(event), event);
    else handlers.cancel?.();
  });

  element.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    const now = at(event);
    if (!before) return handlers.hover?.(now);
    if (fingers.size === 1) {
      handlers.move?.(now, before, event);
      handlers.hover?.(now);
    } else {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      handlers.pinch?.(pinch(other, before, now));
    }
    fingers.set(event.pointerId, now);
  });

  const lift = (event) => {
    if (!fingers.delete(event.pointerId) || fingers.size) return;
    handlers.up?.(at(event), event);
  };
  element.addEventListener("pointerup", lift);
  element.addEventListener("pointercancel", lift);
  element.addEventListener("pointerleave", () => fingers.size || handlers.hover?.(null));

  element.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // it scrolls the page; a pinch on a touchpad says ctrlKey
      event.preventDefault();
      handlers.wheel?.(Math.exp(-event.deltaY * (Math.abs(event.deltaY) < 50 ? 0.01 : 0.0015)), at(event));
    },
    { passive: false },
  );
}

/** What one finger's move means while the other stays. */
function pinch(other, before, now) {
  const [from, to] = [before, now].map(({ x, y }) => ({ x: x - other.x, y: y - other.y }));
  const turn = Math.atan2(to.y, to.x) - Math.atan2(from.y, from.x);
  return {
    center: other,
    dx: 0,
    dy: 0,
    scale: Math.hypot(to.x, to.y) / Math.max(1, Math.hypot(from.x, from.y)),
    degrees: (Math.atan2(Math.sin(turn), Math.cos(turn)) * 180) / Math.PI,
  };
}
