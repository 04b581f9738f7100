// Fills, and their memory: going back and forth between the steps asks the server for nothing twice.

import * as api from "./api.js";
import { withPictures } from "./picture.js";
import { work } from "./store.js";

const KEPT = 12;
const made = new Map(); // what was asked -> Fill

/** Fill the hole from these references, of which the server takes the most alike one -> Fill.
 *
 * Fill: what the server said, and `bitmap` (of the patch), `crops` ({masked, filled, reference} as addresses of
 * pictures, the last null without one), `references` (as asked) and `used`, the reference it took or null.
 */
export async function fill(references, signal) {
  const name = asked(references);
  if (made.has(name)) return made.get(name);
  const mask = await work.mask.text();
  const { photo } = work;
  const answer = await withPictures([photo, ...references], async () => {
    const request = { photo: photo.id, frame: photo.frame, mask, references: references.map(placed) };
    return api.fill(request, signal);
  });
  const used = answer.reference_used === null ? null : references[answer.reference_used];
  const result = { ...answer, references, used, ...(await pictures(answer, signal)) };
  keep(name, result);
  keep(asked(used ? [used] : []), result);
  return result;
}

/** The finished photo as a file -> {blob, name}. Made again where the server has forgotten it. */
export async function download(result, format, signal) {
  try {
    return await api.finished(result.id, format, signal);
  } catch (error) {
    if (error.code !== "fill_gone" && error.code !== "photo_gone") throw error;
    for (const [name, kept] of made) if (kept === result) made.delete(name);
    return api.finished((await fill(result.references, signal)).id, format, signal);
  }
}

export function forgetFills() {
  for (const result of made.values()) release(result);
  made.clear();
}

const placed = ({ id, frame }) => ({ photo: id, frame });

function asked(references) {
  const picture = ({ key, frame }) => [key, frame];
  return JSON.stringify([picture(work.photo), work.mask.version, references.map(picture)]);
}

async function pictures({ id, reference_used: used }, signal) {
  const names = used === null ? ["masked", "filled"] : ["masked", "filled", "reference"];
  const [patch, ...crops] = await Promise.all([
    api.patch(id, signal).then(createImageBitmap),
    ...names.map((name) => api.fillCrop(id, name, signal).then(URL.createObjectURL)),
  ]);
  return { bitmap: patch, crops: { reference: null, ...Object.fromEntries(names.map((name, i) => [name, crops[i]])) } };
}

function keep(name, result) {
  made.set(name, result);
  if (made.size <= KEPT) return;
  const [oldest, dropped] = made.entries().next().value;
  made.delete(oldest);
  if (![...made.values()].includes(dropped)) release(dropped);
}

function release({ bitmap, crops }) {
  bitmap.close();
  for (const address of Object.values(crops)) if (address) URL.revokeObjectURL(address);
}
