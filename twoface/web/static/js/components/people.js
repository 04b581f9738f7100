// The dialog of the people in the server's indexes: the groups of faces, whom one may name, merge and split.

import * as api from "../api.js";
import { button, el } from "../dom.js";
import { count, t } from "../i18n.js";
import { announce, busy, problem } from "../notices.js";
import { chooser } from "./chooser.js";
import { sure } from "./sure.js";

const AT_ONCE = 60; // people, or faces, before "Show more"
const FILTERED = 12; // people from which on they can be looked up by name

let index = 0; // of the server's indexes, the one looked at last

/** What a person is called: by a name, or by a number where it has none. */
export const called = (name) => (/^\d+$/.test(name) ? t("people.number", { number: name }) : name);

const label = ({ number, name }) => called(name || String(number));

export function openPeople() {
  const place = el("div", { class: "people-place" });
  const dialog = el(
    "dialog",
    { class: "finder people", "aria-labelledby": "people-title" },
    el("h2", { id: "people-title" }, t("people.open")),
    api.server.indexes.length > 1 && chooser(index, t("people.show"), (chosen) => ((index = chosen), showAll())),
    place,
    el("div", { class: "row end" }, button(t("action.close"), { kind: "primary", onclick: () => dialog.close() })),
  );
  const closing = new AbortController();
  dialog.addEventListener("close", () => (closing.abort(), dialog.remove()));
  document.body.append(dialog);
  dialog.showModal();
  showAll();

  /** Ask the server, and show what comes of it. again: what "Try again" does. */
  async function ask(question, show, text = t("people.loading"), again = () => ask(question, show, text)) {
    place.replaceChildren(busy(text));
    try {
      const answer = await question();
      if (!closing.signal.aborted) show(answer);
    } catch (error) {
      if (closing.signal.aborted) return;
      const gone = ["no_person", "face_gone"].includes(error.code);
      const action = gone ? { text: t("people.back"), run: () => showAll() } : { text: t("action.retry"), run: again };
      place.replaceChildren(problem(error, action));
    }
  }

  /** at: the number of the person who is to have the focus. */
  function showAll(at) {
    ask(
      () => api.overview(index, closing.signal),
      (all) => draw(all, at),
    );
  }

  function showOne(number) {
    ask(
      () => Promise.all([api.overview(index, closing.signal), api.person(index, number, closing.signal)]),
      ([all, one]) => drawPerson(all, one),
    );
  }

  function group() {
    const done = (all) => {
      draw(all);
      announce(counted(all));
    };
    ask(() => api.group(index, closing.signal), done, t("people.grouping"));
  }

  function draw(all, at) {
    if (!all.grouped) return offerGrouping();
    const chosen = new Map(); // number -> person
    const list = el("ul", { class: "people-list" });
    const more = el("div", { class: "row center" });
    const filter = el("input", { type: "search", id: "people-filter", autocomplete: "off" });
    const merge = button(t("people.merge"), { kind: "small", onclick: () => askToMerge([...chosen.values()]) });
    const selected = el("p", { class: "muted fine", role: "status" });
    let shown = AT_ONCE;

    filter.addEventListener("input", () => ((shown = AT_ONCE), drawList()));
    const lookUp = el("div", { class: "row tight" }, el("label", { for: "people-filter" }, t("people.filter")), filter);
    lookUp.hidden = all.people.length <= FILTERED;
    place.replaceChildren(
      el("p", { class: "muted" }, t("people.lead")),
      el("p", { class: "fine" }, counted(all)),
      lookUp,
      list,
      more,
      el("div", { class: "row tight stays" }, merge, selected),
      el(
        "div",
        { class: "row tight" },
        button(t("people.clear"), { kind: "small quiet", onclick: () => sure("people.clear", clear) }),
      ),
    );
    drawList();
    refresh();
    (list.querySelector(`[data-number="${at}"]`) ?? list.querySelector(".person"))?.focus();

    function drawList() {
      const wanted = filter.value.trim().toLocaleLowerCase();
      const found = all.people.filter((person) => label(person).toLocaleLowerCase().includes(wanted));
      list.replaceChildren(...found.slice(0, shown).map(card));
      if (!found.length) list.append(el("li", { class: "muted" }, t("people.nobody")));
      more.replaceChildren(...showMore(found.length > shown, () => ((shown += AT_ONCE), drawList())));
    }

    function card(person) {
      const box = el("input", { type: "checkbox", "aria-label": t("people.select", { name: label(person) }) });
      box.checked = chosen.has(person.number);
      box.addEventListener("change", () => {
        if (box.checked) chosen.set(person.number, person);
        else chosen.delete(person.number);
        refresh();
      });
      return el(
        "li",
        {},
        el(
          "button",
          {
            type: "button",
            class: "person",
            "data-number": person.number,
            onclick: () => showOne(person.number),
          },
          face(api.faceAddress(index, person.number), ""),
          el("span", { class: person.name ? "person-name" : "muted" }, label(person)),
          el("span", { class: "muted fine" }, count("people.faces", person.faces)),
        ),
        el("label", { class: "pick" }, box),
      );
    }

    function refresh() {
      merge.disabled = chosen.size < 2;
      selected.textContent = chosen.size ? count("people.selected", chosen.size) : t("people.merge_lead");
    }
  }

  function offerGrouping() {
    const start = button(t("people.group"), { kind: "primary", onclick: group });
    place.replaceChildren(el("p", {}, t("people.none")), el("p", { class: "muted" }, t("people.none_words")), start);
    start.focus();
  }

  /** The first with a name gives it to all, else the first. */
  function askToMerge(people) {
    const first = people.find(({ name }) => name) ?? people[0];
    const others = people.filter((person) => person !== first).map(({ number }) => number);
    const run = () => ask(() => api.mergePeople(index, first.number, others), merged);
    sure("people.merge", run, { name: label(first) });
  }

  function merged(person) {
    announce(t("people.merged", { name: label(person) }));
    showOne(person.number);
  }

  function clear() {
    ask(() => api.ungroup(index), draw);
  }

  function drawPerson(all, person) {
    const marked = new Set(); // keys
    const list = el("ul", { class: "people-list" });
    const more = el("div", { class: "row center" });
    const trouble = el("div");
    const name = el("input", {
      type: "text",
      id: "person-name",
      maxlength: 100,
      autocomplete: "off",
      value: person.name,
    });
    const form = el(
      "form",
      { class: "row tight" },
      el("label", { for: "person-name" }, t("people.name")),
      name,
      el("button", { type: "submit", class: "small" }, t("people.save")),
    );
    const others = all.people.filter(({ number }) => number !== person.number);
    others.sort((one, other) => !one.name - !other.name || one.name.localeCompare(other.name));
    const whose = el(
      "select",
      { id: "whose" },
      el("option", { value: "" }, t("people.new")),
      others.map((other) => el("option", { value: other.number }, label(other))),
    );
    const move = button(t("people.move"), { kind: "small", onclick: moveMarked });
    const title = el("h3", { tabindex: "-1" }, label(person));
    let shown = AT_ONCE;

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      save();
    });
    place.replaceChildren(
      el(
        "div",
        { class: "row tight" },
        button(t("people.back"), { kind: "small", symbol: "back", onclick: () => showAll(person.number) }),
      ),
      el("div", { class: "row" }, title, el("span", { class: "muted fine" }, count("people.faces", person.faces.length))),
      form,
      trouble,
      el("p", { class: "muted" }, t("people.mark")),
      list,
      more,
      el("div", { class: "row tight stays" }, el("label", { for: "whose" }, t("people.whose")), whose, move),
    );
    drawFaces();
    refresh();
    title.focus();

    function drawFaces() {
      list.replaceChildren(...person.faces.slice(0, shown).map(item));
      more.replaceChildren(...showMore(person.faces.length > shown, () => ((shown += AT_ONCE), drawFaces())));
    }

    function item({ key, name }) {
      const box = el("input", { type: "checkbox", "aria-label": t("find.picture", { name }) });
      box.checked = marked.has(key);
      box.addEventListener("change", () => {
        if (box.checked) marked.add(key);
        else marked.delete(key);
        refresh();
      });
      const picture = face(api.faceAddress(index, person.number, key), "");
      const words = el("span", { class: "photo-name muted fine", title: name }, name);
      return el("li", {}, el("label", { class: "face" }, picture, words, el("span", { class: "pick" }, box)));
    }

    function refresh() {
      move.disabled = whose.disabled = marked.size === 0;
    }

    async function save() {
      try {
        const saved = await api.namePerson(index, person.number, name.value);
        if (closing.signal.aborted) return;
        person.name = name.value = saved.name;
        title.textContent = label(saved);
        trouble.replaceChildren(el("p", { class: "good-words fine", role: "status" }, t("people.saved")));
      } catch (error) {
        if (closing.signal.aborted) return;
        const other = all.people.find(({ number }) => number === error.values.person);
        const merge = other && { text: t("people.merge"), run: () => askToMerge([other, person]) };
        trouble.replaceChildren(problem(error, ...(merge ? [merge] : [{ text: t("action.retry"), run: save }])));
      }
    }

    function moveMarked() {
      const to = whose.value ? Number(whose.value) : null;
      const rest = person.faces.length - marked.size;
      const done = (other) => {
        announce(t("people.moved", { name: label(other) }));
        if (rest) showOne(person.number);
        else showAll(other.number);
      };
      ask(() => api.moveFaces(index, person.number, [...marked], to), done);
    }
  }
}

const counted = ({ people, alone }) =>
  `${count("people.people", people.length)} ${count("people.alone", alone)}`;

function showMore(isThere, run) {
  return isThere ? [button(t("people.more"), { kind: "small", onclick: run })] : [];
}

/** A face from the server, read when it comes into view; a photo may have gone since. */
function face(address, alt) {
  const image = el("img", { src: address, alt, loading: "lazy", width: 160, height: 160 });
  const frame = el("span", { class: "face-picture" }, image);
  image.addEventListener("error", () => frame.replaceChildren(el("span", { class: "fine" }, t("people.no_picture"))));
  return frame;
}
