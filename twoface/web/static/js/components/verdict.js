// The server's verdict on whose face a result shows, in words, with its figures (twoface/core/verdict.py), and what
// speaks against a natural look (twoface/core/outlook.py).

import { el } from "../dom.js";
import { number, percent, t } from "../i18n.js";

/** What a person should know of a fill -> {element, text}, the text without the figures. */
export function verdict({ verdict: { word, tone }, outlook, identity, warnings, used, face }) {
  const values = identity ? figures(identity) : {};
  const others = warnings.filter(({ code }) => code !== "two_people").map(({ code }) => t(`warning.${code}`));
  const choice = face?.found > 1 && t(face.close ? "result.face_close" : "result.face_taken", { ...face, name: used.name });
  const notes = [used?.doubt, choice, ...others].filter(Boolean);
  const title = t(`verdict.${word}`);
  const meaning = t(`verdict.${word}_words`, values);
  const look = [t(`outlook.${outlook.word}`), ...outlook.reasons.map((reason) => t(`outlook.reason.${reason}`))].join(" ");
  const element = el(
    "div",
    {},
    el(
      "div",
      { class: `verdict ${tone}` },
      el("p", { class: "verdict-title" }, title),
      el("p", {}, meaning),
      notes.map((note) => el("p", { class: "fine warn-words" }, note)),
      el("p", { class: "fine outlook" }, look),
    ),
    identity &&
      el(
        "details",
        { class: "fine" },
        el("summary", {}, t("verdict.why")),
        el("p", { class: "muted" }, t("verdict.figures", values)),
      ),
  );
  return { element, text: [`${title}.`, meaning, ...notes, look].join(" ") };
}

function figures({
  similarity_result_reference: result,
  similarity_visible_reference: visible,
  threshold,
  strangers_warned,
}) {
  return {
    result: number(result, 2),
    visible: number(visible, 2),
    threshold: number(threshold, 2),
    found: percent(strangers_warned),
  };
}
