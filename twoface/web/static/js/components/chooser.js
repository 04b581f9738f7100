// Which of the server's indexes, where there are several.

import { server } from "../api.js";
import { button, el } from "../dom.js";
import { t } from "../i18n.js";

/** index: the one chosen before; text: of the button; run: called with the index when it is pressed. */
export function chooser(index, text, run) {
  const select = el(
    "select",
    { id: "which-index" },
    server.indexes.map((name, i) => el("option", { value: i, selected: i === index }, name)),
  );
  return el(
    "div",
    { class: "row tight" },
    el("label", { for: "which-index" }, t("find.index")),
    select,
    button(text, { onclick: () => run(Number(select.value)) }),
  );
}
