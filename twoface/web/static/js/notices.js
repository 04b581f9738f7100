// What is said outside the steps: to screen readers, and about trouble that belongs to no step.

import { button, el } from "./dom.js";
import { has, t } from "./i18n.js";

/** Say it to screen readers alone. */
export function announce(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  setTimeout(() => (live.textContent = text), 50); // a change of text is what is read out
}

/** The words for an error -> {title, hint}. */
export function words(error) {
  const code = has(`error.${error.code}`) ? error.code : "unknown";
  const values = { ...error.values, seconds: error.retryAfter ?? "", message: error.message };
  if (values.limit) values.millions = Math.floor(values.limit / 1e6);
  return { title: t(`error.${code}`, values), hint: has(`hint.${code}`) ? t(`hint.${code}`, values) : null };
}

const PASSING = new Set([
  "offline",
  "no_network",
  "interrupted",
  "stranger",
  "backend_away",
  "busy",
  "too_many",
  "timeout",
  "worker_died",
  "failed",
  "unknown",
  "cancelled",
  "photo_gone",
  "fill_gone",
  "index_busy",
]);

/** Whether the same again may go well. */
export const passing = (error) => PASSING.has(error.code);

/** A box that says what went wrong and what to do. actions: [{text, run}], e.g. a retry. */
export function problem(error, ...actions) {
  const { title, hint } = words(error);
  if (error.code === "unauthorized") actions = [{ text: t("action.sign_in"), run: () => location.assign("login") }];
  return el(
    "div",
    { class: "problem", role: "alert" },
    el("p", { class: "problem-title" }, title),
    hint && el("p", {}, hint),
    actions.length > 0 &&
      el(
        "p",
        { class: "row" },
        actions.map(({ text, run }) => button(text, { kind: "small", onclick: run })),
      ),
  );
}

/** A line with a spinner, shown only when it lasts over 300 ms. cancel: what its button does. */
export function busy(text, cancel) {
  return el(
    "div",
    { class: "busy", role: "status" },
    el("span", { class: "spinner", "aria-hidden": "true" }),
    el("span", {}, text),
    cancel && button(t("action.cancel"), { kind: "small quiet", onclick: cancel }),
  );
}

/** A bar on top of the page that stays until it is closed -> the bar. say, action.say: functions, as the language may
 * change. The action closes it. */
export function notice(say, { kind = "", action } = {}) {
  const place = document.getElementById("notices");
  const bar = el("div", { class: `notice ${kind}`, role: kind === "calm" ? "status" : "alert" });
  bar.draw = () =>
    bar.replaceChildren(
      el("p", {}, say()),
      action ? button(action.say(), { kind: "small", onclick: () => (bar.remove(), action.run()) }) : "",
      button("", { symbol: "close", label: t("action.close"), kind: "quiet round", onclick: () => bar.remove() }),
    );
  bar.draw();
  if (![...place.children].some((other) => other.textContent === bar.textContent)) place.append(bar);
  return bar;
}

export function translateNotices() {
  for (const bar of document.getElementById("notices").children) bar.draw();
}

/** Nothing fails in silence: what no step caught is shown. */
export function watchErrors() {
  const shown = (error) => {
    if (error?.name === "AbortError") return;
    console.error(error);
    const say = () => t("error.unexpected", { message: error?.message ?? "" });
    notice(say, { kind: "bad", action: { say: () => t("action.reload"), run: () => location.reload() } });
  };
  window.addEventListener("error", (event) => shown(event.error ?? event));
  window.addEventListener("unhandledrejection", (event) => shown(event.reason));
}
