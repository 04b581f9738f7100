// The identity figures in words, and what they can and cannot tell (docs/evaluation.md).

import { el } from "../dom.js";
import { number, percent, t } from "../i18n.js";

// Cosines of whole faces, from the calibration: two photos of one person have .67 in the mean, two people are told
// apart best at .45, and 1 % of photos of one person lie below .31.
const BANDS = [
  [0.67, "very_likely"],
  [0.45, "likely"],
  [0.31, "unsure"],
  [-1, "unlikely"],
];
const BLIND = 0.25; // where fewer wrong references than this share are found, the page does not say whose face it is

/** What a person should know of a fill -> element. */
export function verdict({ identity, warnings, used }) {
  const others = warnings.filter(({ code }) => code !== "two_people");
  const lines = identity ? judged(identity) : [el("p", { class: "verdict plain" }, t("verdict.none"))];
  const doubt = used?.doubt && el("p", { class: "fine warn-words" }, used.doubt);
  return el("div", {}, ...lines, doubt, ...others.map(({ code }) => el("p", { class: "fine warn-words" }, t(`warning.${code}`))));
}

function judged({
  similarity_result_reference: result,
  similarity_visible_reference: visible,
  same_person,
  threshold,
  strangers_warned,
}) {
  const values = {
    result: number(result, 2),
    visible: number(visible, 2),
    threshold: number(threshold, 2),
    found: percent(strangers_warned),
  };
  if (!same_person) {
    return [
      el(
        "div",
        { class: "verdict warn", role: "alert" },
        el("p", { class: "verdict-title" }, t("verdict.two_people")),
        el("p", {}, t("verdict.two_people_words", values)),
      ),
      el("p", { class: "muted fine" }, t("verdict.two_people_figures", values)),
    ];
  }
  const [, band] = BANDS.find(([least]) => result >= least);
  const blind = strangers_warned < BLIND;
  return [
    el(
      "div",
      { class: blind ? "verdict plain" : "verdict" },
      el("p", { class: "verdict-title" }, t(`verdict.${blind ? "likeness" : band}`, values)),
      el("p", {}, t(blind ? "verdict.blind" : "verdict.meaning")),
    ),
    el(
      "details",
      { class: "fine" },
      el("summary", {}, t(blind ? "verdict.how_blind" : "verdict.check", values)),
      el("p", { class: "muted" }, t("verdict.figures", values)),
    ),
  ];
}
