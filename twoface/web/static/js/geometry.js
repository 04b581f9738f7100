// Frames: a square of a photo, {x, y, side, angle}: centre and side in photo pixels, degrees clockwise as seen.
// The photo's upper left corner is (0, 0). Everything here is pure.

export const WIDER = 1.75; // the side of what the hole is drawn over, of the frame's: a hand goes on beside the face
export const SMALLEST = 16; // photo pixels: below this a frame cannot be seen

const radians = (degrees) => (degrees * Math.PI) / 180;

/** A vector of the upright frame, turned as the frame is. */
export function turned({ x, y }, angle) {
  const cos = Math.cos(radians(angle));
  const sin = Math.sin(radians(angle));
  return { x: x * cos - y * sin, y: x * sin + y * cos };
}

/** Frame coordinates (-0.5 .. 0.5 in both) of a point in photo pixels. */
export function inFrame(frame, point) {
  const { x, y } = turned({ x: point.x - frame.x, y: point.y - frame.y }, -frame.angle);
  return { x: x / frame.side, y: y / frame.side };
}

/** Photo pixels of frame coordinates. */
export function ofFrame(frame, { x, y }) {
  const moved = turned({ x: x * frame.side, y: y * frame.side }, frame.angle);
  return { x: frame.x + moved.x, y: frame.y + moved.y };
}

/** Upper left, upper right, lower right, lower left, in photo pixels. */
export function corners(frame) {
  return [
    [-0.5, -0.5],
    [0.5, -0.5],
    [0.5, 0.5],
    [-0.5, 0.5],
  ].map(([x, y]) => ofFrame(frame, { x, y }));
}

export function contains(frame, point) {
  const { x, y } = inFrame(frame, point);
  return Math.abs(x) <= 0.5 && Math.abs(y) <= 0.5;
}

export const moved = (frame, dx, dy) => ({ ...frame, x: frame.x + dx, y: frame.y + dy });

export const resized = (frame, factor) => ({ ...frame, side: frame.side * factor });

export const rotated = (frame, degrees) => ({ ...frame, angle: upright(frame.angle + degrees) });

/** The corner `index` drawn to `point`, the opposite one staying. */
export function cornerTo(frame, index, point) {
  const fixed = corners(frame)[(index + 2) % 4];
  const reach = turned({ x: point.x - fixed.x, y: point.y - fixed.y }, -frame.angle);
  const [signX, signY] = [
    [-1, -1],
    [1, -1],
    [1, 1],
    [-1, 1],
  ][index];
  const side = Math.max(SMALLEST, (reach.x * signX + reach.y * signY) / 2);
  const half = turned({ x: (signX * side) / 2, y: (signY * side) / 2 }, frame.angle);
  return { ...frame, side, x: fixed.x + half.x, y: fixed.y + half.y };
}

/** The top (side -1) or the foot (1) of the frame turned towards `point`; near upright it snaps. */
export function turnedTo(frame, point, side = -1) {
  const angle = upright((Math.atan2(point.y - frame.y, point.x - frame.x) * 180) / Math.PI - side * 90);
  return { ...frame, angle: Math.abs(angle) < 1.5 ? 0 : angle };
}

/** Moved, scaled and turned by two fingers about `center`. */
export function pinched(frame, { center, dx, dy, scale, degrees }) {
  const arm = turned({ x: (frame.x - center.x) * scale, y: (frame.y - center.y) * scale }, degrees);
  return {
    x: center.x + arm.x + dx,
    y: center.y + arm.y + dy,
    side: frame.side * scale,
    angle: upright(frame.angle + degrees),
  };
}

/** A square from one corner to where the pointer is. */
export function spanned(from, to) {
  const side = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y));
  return {
    x: from.x + (Math.sign(to.x - from.x) * side) / 2,
    y: from.y + (Math.sign(to.y - from.y) * side) / 2,
    side,
    angle: 0,
  };
}

/** The nearest frame that the server takes: its centre in the photo, its side at most twice the photo's longer one. */
export function clamped(frame, { width, height }) {
  return {
    x: Math.min(Math.max(frame.x, 0), width - 1),
    y: Math.min(Math.max(frame.y, 0), height - 1),
    side: Math.min(Math.max(frame.side, SMALLEST), 2 * Math.max(width, height)),
    angle: upright(frame.angle),
  };
}

export const same = (a, b) =>
  !!a && !!b && ["x", "y", "side", "angle"].every((key) => Math.abs(a[key] - b[key]) < 1e-6);

function upright(angle) {
  const within = ((angle % 360) + 360) % 360;
  return within > 180 ? within - 360 : within;
}
