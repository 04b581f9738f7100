// The work at hand, and its copy in IndexedDB, so that a reload loses nothing. Photos are kept nowhere else.

import { Mask } from "./mask.js";
import { clear, createStore, del, get, set } from "../vendor/idb-keyval/idb-keyval.js";

const LOCK = "two-face work";
const blank = () => ({ useReference: true, photo: null, references: [], mask: new Mask() });

/** photo: a Picture or null. references: Pictures. mask: of the photo. brush: {tool, size} of step 3. */
export const work = { ...blank(), brush: { tool: "brush", size: 48 } };

const listeners = new Set();
let database = null;
let saving = false;
let stale = false; // something has changed since the write that is under way began
let keptMask = null; // [Mask, its version] as last written

/** The references that count: none when the switch is off, and a failed one only where there is no other. */
export function chosenReferences() {
  if (!work.useReference) return [];
  const usable = work.references.filter(({ state }) => state !== "failed");
  return usable.length ? usable : work.references;
}

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

/** Read what an earlier visit left. Of several tabs the first keeps the work; another shows what was kept, and takes
 * over when the first is closed.
 *
 * revive: a kept picture and its file -> Picture. onTrouble: called with why nothing is kept, "storage" or
 * "second_tab". onTakeOver: called when this tab keeps the work from now on; the work may be another then.
 */
export async function restore(revive, onTrouble, onTakeOver) {
  trouble = onTrouble;
  let kept = null;
  try {
    kept = createStore("two-face", "work");
    await read(kept, revive);
  } catch (error) {
    return notKept(error);
  }
  if (await firstTab()) {
    database = kept;
    return;
  }
  trouble("second_tab");
  whenFirst(async () => {
    const { photo } = (await get("work", kept)) ?? {};
    if (!work.photo || work.photo.key === photo?.key) await read(kept, revive);
    database = kept;
    for (const picture of [work.photo, ...work.references]) if (picture) await keepFile(picture);
    keptMask = null;
    onTakeOver();
    changed();
  });
}

export async function startOver() {
  Object.assign(work, blank());
  keptMask = null;
  if (database) await clear(database).catch(notKept);
  for (const listener of listeners) listener();
}

async function read(store, revive) {
  const kept = await get("work", store);
  if (!kept) return;
  const open = async (entry) => {
    const file = entry && (await get(`file ${entry.key}`, store));
    return file ? revive(entry, file) : null;
  };
  Object.assign(work, { useReference: kept.useReference, brush: kept.brush ?? work.brush });
  work.photo = await open(kept.photo);
  work.references = (await Promise.all(kept.references.map(open))).filter(Boolean);
  work.mask = new Mask();
  const mask = await get("hole", store);
  if (mask) work.mask.load(mask);
}

/** At once, since the page may go at any moment: a write that begins when it does comes to nothing. One at a time. */
async function save() {
  stale = true;
  if (saving || !database) return;
  saving = true;
  while (stale && database) {
    stale = false;
    await write().catch(notKept);
  }
  saving = false;
}

async function write() {
  const { mask, useReference, brush, photo, references } = work;
  const writes = [
    set(
      "work",
      { useReference, brush, photo: photo?.kept() ?? null, references: references.map((picture) => picture.kept()) },
      database,
    ),
  ];
  if (keptMask?.[0] !== mask || keptMask[1] !== mask.version) {
    keptMask = [mask, mask.version];
    writes.push(set("hole", mask.kept(), database)); // with its history up to 2 MB, so not with every change
  }
  await Promise.all(writes);
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
    navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
      resolve(!!lock);
      return lock && new Promise(() => {}); // held until the tab closes
    });
  });
}

/** Call `then` when the tabs before this one are closed. */
function whenFirst(then) {
  navigator.locks.request(LOCK, async () => {
    await then();
    return new Promise(() => {});
  });
}
