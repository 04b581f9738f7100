// Help: what the page does, step by step, in a dialog.

import { button, el } from "../dom.js";
import { t } from "../i18n.js";

const PARTS = ["photos", "face", "hole", "result"];

export function openHelp() {
  const dialog = el(
    "dialog",
    { class: "help", "aria-labelledby": "help-title" },
    el("h2", { id: "help-title" }, t("help.title")),
    el("p", {}, t("help.what")),
    ...PARTS.flatMap((part) => [el("h3", {}, t(`${part}.title`)), el("p", {}, t(`help.${part}`))]),
    el("h3", {}, t("help.limits_title")),
    el("p", {}, t("help.limits")),
    el("div", { class: "row end" }, button(t("action.close"), { kind: "primary", onclick: () => dialog.close() })),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  dialog.scrollTop = 0;
}
