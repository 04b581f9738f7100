// The words: one table, strings.json, both languages side by side.

const KEPT = "two-face.language";
export const LANGUAGES = { en: "English", es: "Español" };

let table = {};
let language = "en";

/** Fetch the table and choose the language: the one switched to before, else the browser's. */
export async function loadStrings() {
  const answer = await fetch("strings.json");
  if (!answer.ok) throw new Error(`strings.json: ${answer.status}`);
  table = await answer.json();
  const browser = navigator.languages.map((code) => code.slice(0, 2)).find((code) => code in LANGUAGES);
  language = kept() ?? browser ?? "en";
  document.documentElement.lang = language;
}

/** The text of a key; {name} in it is replaced by values.name. */
export function t(key, values = {}) {
  const text = table[key]?.[language];
  if (text === undefined) throw new Error(`no text for '${key}'`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const has = (key) => key in table;

/** The text for a count: KEY.one, or KEY.many with {count}. */
export const count = (key, n) => t(`${key}.${n === 1 ? "one" : "many"}`, { count: number(n) });

export function number(value, digits = 0) {
  return value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const percent = (share) => share.toLocaleString(language, { style: "percent" });

export const currentLanguage = () => language;

export function setLanguage(code) {
  language = code;
  document.documentElement.lang = code;
  try {
    localStorage.setItem(KEPT, code);
  } catch {
    // Storage is off: the switch holds until the page is closed.
  }
}

/** Put the words into what index.html already shows. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-i18n]")) element.textContent = t(element.dataset.i18n);
  for (const element of root.querySelectorAll("[data-i18n-label]")) {
    element.setAttribute("aria-label", t(element.dataset.i18nLabel));
  }
}

function kept() {
  try {
    const code = localStorage.getItem(KEPT);
    return code in LANGUAGES ? code : null;
  } catch {
    return null;
  }
}
