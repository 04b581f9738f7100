// A face that a search found: its picture, who it may be, its scores, and the button that makes it a reference.

import * as api from "../api.js";
import { button, el } from "../dom.js";
import { number, percent, t } from "../i18n.js";
import { announce, busy, problem, words } from "../notices.js";
import { take, taken } from "../search.js";
import { changed, work } from "../store.js";
import { called } from "./people.js";

const SIZE = 192; // pixels of the picture

/** answer: of `search`; candidate: one of its candidates -> {element, refresh()}.
 *
 * on: signal, aborted when nobody looks any more; again(), search anew; hold(promise), what has to be waited for;
 * refreshAll(), the references have changed.
 */
export function candidateCard(answer, candidate, { signal, again, hold, refreshAll }) {
  const { name, verdict, identity, person } = candidate;
  const picture = el("div", { class: "candidate-picture" }, badge(verdict));
  const state = el("div", { class: "candidate-state" });
  let taking = false;
  const use = button(t("find.use"), { kind: "small", label: `${t("find.use")}: ${name}`, onclick: toggle });
  const element = el(
    "li",
    { class: "candidate" },
    picture,
    person && el("p", { class: "person-name" }, called(person)),
    el("p", { class: verdict === "same" ? "good-words" : "warn-words" }, who(verdict)),
    el("p", {}, t("find.chance", { chance: chance(candidate.probability) })),
    el("p", { class: "fine muted" }, t("find.figures", figures(candidate))),
    el("p", { class: "photo-name fine", title: name }, name),
    identity && el("p", { class: "photo-name fine muted", title: identity }, t("find.folder", { identity })),
    tooSmall(candidate) ? el("p", { class: "fine muted" }, t("find.small", { min: api.server.limits.min_face })) : use,
    state,
    parts(candidate),
  );
  load();
  refresh();

  async function load() {
    try {
      const crop = await api.candidateCrop(answer.id, answer.candidates.indexOf(candidate), SIZE, signal);
      const bitmap = await createImageBitmap(crop);
      const about = { role: "img", "aria-label": t("find.picture", { name }) };
      const canvas = el("canvas", { ...about, width: SIZE, height: SIZE });
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      picture.prepend(canvas);
    } catch (error) {
      if (signal.aborted) return;
      picture.prepend(el("p", { class: "fine" }, words(error).title));
      use.disabled = true;
    }
  }

  function toggle() {
    if (taking) return;
    const reference = taken(candidate);
    if (reference) return drop(reference);
    const most = api.server.limits.references;
    if (work.references.length >= most) {
      const full = el("p", { class: "bad-words fine", role: "alert" }, t("find.full", { most }));
      return state.replaceChildren(full);
    }
    hold(add());
  }

  async function add() {
    taking = true;
    state.replaceChildren(busy(t("find.taking")));
    try {
      await take(answer, candidate, signal);
      announce(t("find.taken", { name, index: work.references.length }));
      refreshAll();
    } catch (error) {
      if (signal.aborted) return;
      const actions = error.code === "search_gone" ? [{ text: t("find.again"), run: again }] : [];
      state.replaceChildren(problem(error, ...actions));
    } finally {
      taking = false;
    }
  }

  function drop(reference) {
    reference.remove();
    work.references = work.references.filter((other) => other !== reference);
    announce(t("photos.removed", { name }));
    changed();
    refreshAll();
  }

  /** Say whether it is a reference now. */
  function refresh() {
    const reference = taken(candidate);
    use.setAttribute("aria-pressed", String(Boolean(reference)));
    element.classList.toggle("chosen", Boolean(reference));
    if (!reference) return state.replaceChildren();
    const index = work.references.indexOf(reference) + 1;
    state.replaceChildren(
      el("p", { class: "good-words fine" }, t("face.reference", { index })),
      reference.doubt ? el("p", { class: "warn-words fine" }, reference.doubt) : "",
    );
  }

  return { element, refresh };
}

const tooSmall = ({ frame }) => frame.side < api.server.limits.min_face;

const who = (verdict) => t(verdict === "nobody" ? "find.hardly" : `find.${verdict}`);

/** What has to be seen with the picture, for who is not sure to be the person. */
function badge(verdict) {
  if (verdict === "same") return "";
  return el("span", { class: "badge", "aria-hidden": "true" }, t(verdict === "maybe" ? "find.unsure" : "find.hardly"));
}

/** A probability; it is never certain. */
function chance(probability) {
  if (probability > 0.99) return `> ${percent(0.99)}`;
  return probability < 0.01 ? `< ${percent(0.01)}` : percent(probability);
}

const figures = ({ similarity, quality }) => ({ similarity: number(similarity, 2), quality: number(quality, 2) });

/** What the quality is the product of. */
function parts(candidate) {
  const row = ([part, value]) => [el("dt", {}, t(`find.part.${part}`)), el("dd", {}, number(value, 2))];
  return el(
    "details",
    { class: "fine" },
    el("summary", {}, t("find.parts")),
    el("dl", { class: "parts muted" }, Object.entries(candidate.parts).flatMap(row)),
  );
}
