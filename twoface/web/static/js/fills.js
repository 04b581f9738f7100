// Fills, and their memory: going back and forth between the steps asks the server for nothing twice.

import * as api from "./api.js";
import { WIDER } from "./geometry.js";
import { withPictures } from "./picture.js";
import { work } from "./store.js";

const KEPT = 24; // names of fills: of each of 8 references, of all, of none, and some earlier holes
const made = new Map(); // what was asked -> Fill

/** Fill the hole from these references, of which the server takes the best for the hole -> Fill.
 *
 * Fill: what the server said, and `bitmap` (of the patch), `crops` ({masked, filled, reference} as addresses of
 * pictures, the last null without one), `used`, the reference it took or null, `face`, which of the faces in it, and
 * what was asked: `photo`, `frame`,
 * `mask` (as text), `references` (as [Picture, frame] each) and `hole`, the mask's version.
 */
export async function fill(references, signal) {
  const name = asked(references);
  if (made.has(name)) return made.get(name);
  const { photo, mask } = work;
  const wanted = {
    photo,
    frame: photo.frame,
    mask: await mask.text(),
    references: references.map((picture) => [picture, meant(picture)]),
    same_photo: references.some(({ insisted }) => insisted),
    hole: mask.version,
  };
  const answer = await ask(wanted, signal);
  const used = answer.reference_used === null ? null : references[answer.reference_used];
  const face = used && answer.reference_faces[answer.reference_used];
  const result = { ...wanted, ...answer, used, face, ...(await pictures(answer, signal)) };
  keep(name, result);
  keep(asked(used ? [used] : []), result);
  return result;
}

/** What this photo has been filled with before, the newest first, without those of the present hole -> [Fill]. */
export function earlier() {
  const { photo, mask } = work;
  const others = [...made.values()].filter((result) => result.photo === photo && result.hole !== mask.version);
  return [...new Set(others)].reverse();
}

/** The finished photo as a file -> {blob, name}. options: as of `api.finished`. */
export const download = (result, options, signal) =>
  remade(result, signal, () => api.finished(result.id, options, signal));

/** The finished photo as one that can be filled -> as `api.addPhoto`. */
export const addFilled = (result, signal) => remade(result, signal, () => api.addFilled(result.id, signal));

/** Do what needs a fill at the server; where it has forgotten it, fill again first. */
async function remade(result, signal, call) {
  try {
    return await call();
  } catch (error) {
    if (error.code !== "fill_gone" && error.code !== "photo_gone") throw error;
    result.id = (await ask(result, signal)).id;
    return call();
  }
}

/** The frame of a reference; null leaves the choice among several faces to the server. */
const meant = (picture) => (picture.asks ? null : picture.frame);

function ask({ photo, frame, mask, references, same_photo }, signal) {
  return withPictures([photo, ...references.map(([picture]) => picture)], () =>
    api.fill({ photo: photo.id, frame, mask, wider: WIDER, references: references.map(placed), same_photo }, signal),
  );
}

export function forgetFills() {
  for (const result of made.values()) release(result);
  made.clear();
}

const placed = ([{ id }, frame]) => ({ photo: id, frame });

function asked(references) {
  const { photo, mask } = work;
  const named = references.map((picture) => [picture.key, meant(picture)]);
  return JSON.stringify([photo.key, photo.frame, mask.version, named]);
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
