// The page: words, what the server offers, the work of an earlier visit, then the steps.

import { LOCAL, logOut, meet, server } from "./api.js";
import { openHelp } from "./components/help.js";
import { sure } from "./components/sure.js";
import { button, el, icon, loadIcons } from "./dom.js";
import { forgetFills } from "./fills.js";
import { LANGUAGES, currentLanguage, loadStrings, setLanguage, t, translate } from "./i18n.js";
import { announce, notice, problem, translateNotices, watchErrors } from "./notices.js";
import { Picture } from "./picture.js";
import * as router from "./router.js";
import { face } from "./steps/face.js";
import { hole } from "./steps/hole.js";
import { forgetUndo, photos } from "./steps/photos.js";
import { result } from "./steps/result.js";
import { restore, startOver, subscribe, work } from "./store.js";

const STEPS = [photos, face, hole, result];
const main = document.getElementById("step");

let leave = () => {};
let current = null;

/** What the steps may ask of the page. */
const app = {
  go: router.go,
  async startOver() {
    work.photo?.remove();
    work.references.forEach((picture) => picture.remove());
    forgetFills();
    forgetUndo();
    await startOver();
    router.go("photos");
  },
};

async function begin() {
  await Promise.all([loadStrings(), loadIcons()]);
  document.body.dataset.started = "yes";
  watchErrors();
  translate(document);
  document.getElementById("brand").addEventListener("click", follow);
  document.getElementById("skip").addEventListener("click", skip);
  document.getElementById("help").addEventListener("click", openHelp);
  document.getElementById("sign-out").addEventListener("click", signOut);
  let told = null;
  const trouble = (why) => (told = notice(() => t(`page.not_kept.${why}`)));
  await restore(Picture.revive, trouble, () => {
    told?.remove();
    takeOver();
  });
  await meetServer();
  keepShell().catch((error) => console.warn("no offline shell:", error));
}

/** Have sw.js show the page while its server is away; it keeps what it fetches, so at first what is here already. */
async function keepShell() {
  if (!navigator.serviceWorker) return;
  const known = navigator.serviceWorker.controller;
  await navigator.serviceWorker.register("sw.js");
  if (known) return;
  // What is fetched before the worker is in charge does not pass through it: keep what is listed once it is.
  const { serviceWorker } = navigator;
  if (!serviceWorker.controller)
    await new Promise((resolve) => serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  const ours = ({ name }) => name.startsWith(location.origin) && !/\/(api|samples)\//.test(name);
  const shell = await caches.open("shell");
  const asked = new Set();
  const keep = (file) => {
    if (asked.has(file)) return; // to keep it is to fetch it, which is listed too
    asked.add(file);
    shell.add(file).catch((error) => console.warn("not kept offline:", file, error)); // it is when it is fetched next
  };
  keep("./");
  const listed = (entries) => entries.getEntries().filter(ours).forEach(({ name }) => keep(name));
  new PerformanceObserver(listed).observe({ type: "resource", buffered: true }); // those under way come when they are there
}

/** Ask the server what it offers; without it there is nothing to do but to try again. */
async function meetServer() {
  main.replaceChildren();
  try {
    await meet();
  } catch (error) {
    main.replaceChildren(problem(error, { text: t("action.retry"), run: meetServer }));
    return;
  }
  sendNew();
  subscribe(drawStepper);
  router.start(STEPS, show);
}

/** The tab that kept the work is closed: show what it left. */
function takeOver() {
  forgetFills();
  if (!current) return; // the server has not been met
  sendNew();
  router.go(current.name);
}

function sendNew() {
  for (const picture of [work.photo, ...work.references]) if (picture?.state === "new") picture.upload();
}

/** End the login, and leave nothing in a browser that others may use. */
function signOut() {
  sure("page.sign_out", async () => {
    await logOut();
    await app.startOver();
    location.assign("login");
  });
}

function show(step) {
  const moved = current && current !== step;
  leave();
  current = step;
  drawFrame();
  main.replaceChildren();
  main.className = `step-${step.name}`;
  leave = step.show(main, app) ?? (() => {});
  document.title = `${t(`${step.name}.name`)} · Two-Face`;
  if (!moved) return;
  window.scrollTo(0, 0);
  main.querySelector("h1").focus({ preventScroll: true });
  announce(t("page.step_of", { index: STEPS.indexOf(step) + 1, name: t(`${step.name}.name`) }));
}

/** Header and footer, which are there in every step. */
function drawFrame() {
  translate(document);
  drawStepper();
  document.getElementById("languages").replaceChildren(...Object.entries(LANGUAGES).map(languageButton));
  document.getElementById("privacy").replaceChildren(icon("lock"), privacy());
  document.getElementById("version").textContent = `Two-Face ${server.version}`;
  document.getElementById("sign-out").hidden = !server.locked;
}

function drawStepper() {
  const place = document.getElementById("stepper");
  const hadFocus = place.contains(document.activeElement) ? document.activeElement.dataset.step : null;
  const items = STEPS.map((step, index) => {
    const open = STEPS.slice(0, index + 1).every((earlier) => earlier.open());
    const here = step === current;
    return el(
      "li",
      {},
      el(
        "button",
        {
          type: "button",
          "data-step": step.name,
          disabled: !open,
          "aria-current": here && "step",
          onclick: () => router.go(step.name),
        },
        el("span", { class: "dot", "aria-hidden": "true" }, String(index + 1)),
        el("span", { class: "name" }, t(`${step.name}.name`)),
      ),
    );
  });
  place.replaceChildren(...items);
  if (hadFocus) place.querySelector(`[data-step="${hadFocus}"]`)?.focus();
}

function languageButton([code, name]) {
  const choose = () => {
    setLanguage(code);
    translateNotices();
    show(current);
    document.querySelector(`#languages [lang="${code}"]`).focus();
  };
  const pressed = String(code === currentLanguage());
  return button(code.toUpperCase(), { title: name, lang: code, "aria-pressed": pressed, onclick: choose });
}

/** True wherever the server runs: on this machine, elsewhere, or in front of a remote backend. */
function privacy() {
  if (server.backend) return t("page.privacy_backend", { backend: server.backend });
  return LOCAL.includes(location.hostname) ? t("page.privacy") : t("page.privacy_remote", { host: location.hostname });
}

function follow(event) {
  event.preventDefault();
  router.go("photos");
}

function skip(event) {
  event.preventDefault();
  main.focus();
}

begin();
