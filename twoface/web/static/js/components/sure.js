// A question before what cannot be taken back.

import { button, el } from "../dom.js";
import { t } from "../i18n.js";

/** key: in strings.json of the button's text; KEY_sure and KEY_words ask. run: what is done after a yes. values: of
 * KEY_words. */
export function sure(key, run, values) {
  const dialog = el(
    "dialog",
    { class: "sure", "aria-labelledby": "sure-title" },
    el("h2", { id: "sure-title" }, t(`${key}_sure`)),
    el("p", {}, t(`${key}_words`, values)),
    el(
      "div",
      { class: "row end" },
      button(t("action.cancel"), { kind: "quiet", onclick: () => dialog.close() }),
      button(t(key), { kind: "primary", onclick: () => (dialog.close(), run()) }),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
