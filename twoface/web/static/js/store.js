// The work at hand, and its copy in IndexedDB, so that a reload loses nothing. Photos are kept nowhere else.

import { Mask } from "./mask.js";
import { clear, createStore, del, get, set } from "../vendor/idb-keyval/idb-keyval.js";

/** photo: a Picture or null. references: Pictures. mask: of the photo's frame. */
export const work = { useReference: true, photo: null, references: [], mask: new Mask() };

const listeners = new Set();
let database = null;
let saving = false;
let stale = false; // something has changed since the write that is under way began

/** The references that count: none when the switch is off. */
export const chosenReferences = () => (work.useReference ? work.references : []);

/** All pictures that the next steps work on, the photo first. */
export const pictures = () => [work.photo, ...chosenReferences()].filter(Boolean);

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tell everybody, and keep it. */
export function changed() {
  for (const listener of listeners) listener();
  save();
}

/** Keep a picture's file; once is enough, since files do not change. */
export async function keepFile(picture) {
  if (database) await set(`file ${picture.key}`, picture.file, database).catch(notKept);
}

export async function forgetFile(picture) {
  if (database) await del(`file ${picture.key}`, database).catch(notKept);
}

/** Read what an earlier visit left. revive: a kept picture and its file -> Picture. A second tab keeps nothing.
 *
 * onTrouble: called with why nothing is kept, "storage" or "second_tab".
 */
export async function restore(revive, onTrouble) {
  trouble = onTrouble;
  if (!(await firstTab())) return trouble("second_tab");
  try {
    database = createStore("two-face", "work");
    const kept = await get("work", database);
    if (kept) await apply(kept, revive);
  } catch (error) {
    database = null;
    notKept(error);
  }
}

export async function startOver() {
  Object.assign(work, { useReference: true, photo: null, references: [], mask: new Mask() });
  if (database) await clear(database).catch(notKept);
  for (const listener of listeners) listener();
}

async function apply(kept, revive) {
  const open = async (entry) => {
    const file = entry && (await get(`file ${entry.key}`, database));
    return file ? revive(entry, file) : null;
  };
  work.useReference = kept.useReference;
  work.photo = await open(kept.photo);
  work.references = (await Promise.all(kept.references.map(open))).filter(Boolean);
  work.mask.load(kept.mask);
}

/** At once, since the page may go at any moment: a write that begins when it does comes to nothing. One at a time. */
async function save() {
  stale = true;
  if (saving || !database) return;
  saving = true;
  while (stale && database) {
    stale = false;
    await set("work", kept(), database).catch(notKept);
  }
  saving = false;
}

function kept() {
  return {
    useReference: work.useReference,
    photo: work.photo?.kept() ?? null,
    references: work.references.map((picture) => picture.kept()),
    mask: work.mask.bits(),
  };
}

let trouble = () => {};

function notKept(error) {
  console.warn("not kept:", error);
  trouble("storage");
}

/** Whether this is the tab that keeps its work: two would write over each other. */
async function firstTab() {
  if (!navigator.locks) return true;
  return new Promise((resolve) => {
    navigator.locks.request("two-face work", { ifAvailable: true }, (lock) => {
      resolve(!!lock);
      return lock && new Promise(() => {}); // held until the tab closes
    });
  });
}
