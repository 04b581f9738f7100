// Searches for references in the server's indexes, and the last one's answer, so that looking again asks for nothing.

import * as api from "./api.js";
import { clamped, WIDER } from "./geometry.js";
import { Picture, withPictures } from "./picture.js";
import { changed, keepFile, work } from "./store.js";

let last = { asked: null, answer: null };

/** What an earlier search of this index found for this hole -> the answer, or null. */
export const known = (index) => (last.asked === asked(index) ? last.answer : null);

/** Search an index (its number) for the hole -> what the server found. */
export async function search(index, signal) {
  const name = asked(index);
  const mask = await work.mask.text();
  const { photo } = work;
  const answer = await withPictures([photo], () =>
    api.search({ photo: photo.id, frame: photo.frame, mask, wider: WIDER, index }, signal),
  );
  last = { asked: name, answer };
  return answer;
}

/** Make a candidate of a search a reference: as a chosen file, but its face is framed, and the file a JPEG of the
 * server's without metadata, which is what is sent if it forgets the photo. */
export async function take(answer, candidate, signal) {
  const added = await api.addCandidate(answer.id, answer.candidates.indexOf(candidate), signal);
  const file = await api.preview(added.id, Math.max(added.width, added.height), signal);
  const picture = new Picture(file, added.name);
  const { key, verdict, probability } = candidate;
  Object.assign(picture, { state: "ready", frame: clamped(added.frame, added), picked: true });
  picture.found = { key, verdict, probability };
  picture.take(added);
  work.useReference = true;
  work.references.push(picture);
  keepFile(picture);
  changed();
}

/** The reference that a candidate has become, or undefined. */
export const taken = ({ key }) => work.references.find(({ found }) => found?.key === key);

function asked(index) {
  return JSON.stringify([index, work.photo.key, work.photo.frame, work.mask.version]);
}
