// The door: a password for a cookie.

import { logIn } from "./api.js";
import { loadStrings, translate } from "./i18n.js";
import { problem } from "./notices.js";

const form = document.getElementById("login");
const password = document.getElementById("password");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await logIn(password.value);
    location.assign("./");
  } catch (error) {
    if (error.code === "unauthorized") error.code = "password";
    document.getElementById("told").replaceChildren(problem(error));
    password.select();
  }
});

await loadStrings();
translate(document);
