// The dialog that finds references in the server's indexes for the hole that is drawn.

import { ApiError, isAbort, server } from "../api.js";
import { button, el } from "../dom.js";
import { count, t } from "../i18n.js";
import { announce, busy, problem } from "../notices.js";
import { known, search } from "../search.js";
import { candidateCard } from "./candidate.js";
import { chooser } from "./chooser.js";
import { called } from "./people.js";

let index = 0; // of the server's indexes, the one searched last

/** -> Promise, kept when the user closes the dialog; what was picked is among the references then. */
export function openFinder() {
  const place = el("div", { class: "finder-place" });
  const done = button(t("find.done"), { kind: "primary", onclick: () => dialog.close() });
  const dialog = el(
    "dialog",
    { class: "finder", "aria-labelledby": "finder-title" },
    el("h2", { id: "finder-title" }, t("find.open")),
    el("p", { class: "muted" }, t("find.lead")),
    server.indexes.length > 1 && chooser(index, t("find.search"), (chosen) => ((index = chosen), run())),
    place,
    el("div", { class: "row end" }, done),
  );
  const closing = new AbortController(); // what the cards still wait for
  let searching = null;
  let held = 0;
  document.body.append(dialog);
  dialog.showModal();
  if (known(index)) present(known(index));
  else if (server.indexes.length === 1) run();

  async function run() {
    searching?.abort();
    const mine = (searching = new AbortController());
    place.replaceChildren(busy(t("find.searching"), () => mine.abort()));
    try {
      const answer = await search(index, mine.signal);
      if (searching === mine) present(answer);
    } catch (error) {
      if (searching !== mine || closing.signal.aborted) return;
      const told = isAbort(error) ? new ApiError("cancelled", "") : error;
      place.replaceChildren(problem(told, { text: t("find.again"), run }));
    }
  }

  function present(answer) {
    place.replaceChildren(...results(answer, { signal: closing.signal, again: run, hold }));
    announce(`${t(`find.${answer.verdict}`)}. ${count("find.searched", answer.faces)}`);
  }

  /** While a photo is fetched there is no "Done"; Escape still closes, without it. */
  async function hold(promise) {
    done.disabled = ++held > 0;
    await promise;
    done.disabled = --held > 0;
  }

  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      closing.abort();
      searching?.abort();
      dialog.remove();
      resolve();
    }),
  );
}

/** What was found -> elements: in words, the candidates, and those that are nobody behind a button. */
function results(answer, on) {
  const cards = [];
  const list = (candidates) =>
    el(
      "ul",
      { class: "candidates" },
      candidates.map((candidate) => {
        cards.push(candidateCard(answer, candidate, { ...on, refreshAll }));
        return cards.at(-1).element;
      }),
    );
  const refreshAll = () => cards.forEach((card) => card.refresh());
  const likely = answer.candidates.filter(({ verdict }) => verdict !== "nobody");
  const others = answer.candidates.filter(({ verdict }) => verdict === "nobody");
  return [
    sentence(answer),
    likely.length > 0 && list(likely),
    others.length > 0 && anyway(likely.length > 0, () => list(others)),
  ].filter(Boolean);
}

function sentence({ verdict, person, faces, left_out: { copies, unreadable } }) {
  const counted = [
    count("find.searched", faces),
    copies && count("find.copies", copies),
    unreadable && count("find.unreadable", unreadable),
  ];
  return el(
    "div",
    { class: `verdict ${{ same: "", maybe: "warn", nobody: "plain" }[verdict]}` },
    el("p", { class: "verdict-title" }, t(`find.${verdict}`)),
    person && el("p", { class: "person-name" }, t("find.person", { person: called(person) })),
    el("p", {}, t(`find.${verdict}_words`)),
    el("p", { class: "fine" }, counted.filter(Boolean).join(" ")),
  );
}

/** The way to those who are hardly the person. list: makes their list. */
function anyway(someAreShown, list) {
  const place = el("div", { class: "anyway" });
  const show = () => {
    const shown = list();
    shown.setAttribute("tabindex", "-1");
    place.replaceChildren(someAreShown ? el("p", { class: "muted" }, t("find.rest")) : "", shown);
    shown.focus();
  };
  place.append(
    someAreShown ? el("p", { class: "muted" }, t("find.rest")) : "",
    button(t("find.anyway"), { kind: "small", onclick: show }),
  );
  return place;
}
