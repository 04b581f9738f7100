"""A person at the page: `Visitor`; and the photos that it brings."""

import json
from importlib import resources
from urllib.parse import urlsplit

from web_server import photo_bytes

STRINGS = json.loads((resources.files("twoface.web") / "static" / "strings.json").read_text(encoding="utf-8"))
DESKTOP = {"width": 1280, "height": 900}


class Visitor:
    """A person at the page, who knows its words by their keys in strings.json."""

    def __init__(self, context, url, language):
        self.context, self.language, self.troubles, self.strangers = context, language, [], []
        home = urlsplit(url).netloc
        context.on("request", lambda request: self._asked(request.url, home))
        self.page = context.new_page()
        self.page.set_default_timeout(120_000)  # a busy build machine
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._said)
        self.page.goto(url)
        self.heading("photos")

    def _asked(self, url, home):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != home:
            self.strangers.append(url)

    def _said(self, message):
        # An answer of 4xx or 5xx is logged by the browser itself; the page's words for it are what tests look at.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.troubles.append(message.text)

    def words(self, key, **values):
        text = STRINGS[key][self.language]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def heading(self, step):
        """Wait for a step."""
        self.page.get_by_role("heading", level=1, name=self.words(f"{step}.title")).wait_for()

    def button(self, key, **values):
        return self.page.get_by_role("button", name=self.words(key, **values), exact=True)

    def problem(self, code):
        """Wait for the words of an error where it happened -> that box."""
        box = self.page.get_by_role("alert").filter(has_text=self.words(f"error.{code}").split("{")[0])
        box.first.wait_for()
        return box.first

    def sees(self, key, **values):
        self.page.get_by_text(self.words(key, **values)).first.wait_for()

    def choose(self, key, *files):
        """Choose files by the button of that name."""
        with self.page.expect_file_chooser() as chooser:
            self.button(key).first.click()
        chooser.value.set_files(list(files))

    def bring(self, photo, *references):
        """Step 1: choose a photo and references, or none; wait until their faces are framed."""
        self.choose("photos.choose", photo)
        for i, reference in enumerate(references):
            self.choose("photos.add" if i else "photos.choose_reference", reference)
        if not references:
            self.page.get_by_role("switch").uncheck()
        self.page.locator(".found, .not-found").nth(len(references)).wait_for()

    def go(self, step):
        """On to the next step, by the button that leads there."""
        before = {"face": "photos.next", "hole": "face.next", "result": "hole.next"}[step]
        self.button(before).click()
        self.heading(step)

    def to_hole(self, *files):
        self.bring(*files)
        self.go("face")
        self.go("hole")

    def to_result(self, *files, preset="eyes"):
        self.to_hole(*files)
        self.preset(preset)
        self.go("result")
        self.filled()

    def preset(self, name):
        """Take a part of the face as the hole."""
        self.button(f"hole.preset.{name}").click()
        said = self.words("hole.preset_set", name=self.words(f"hole.preset.{name}"))
        self.page.locator("#live", has_text=said).wait_for(state="attached")
        self.marked()

    def marked(self):
        """Wait until something is marked as hole."""
        self.page.locator(".need:empty").wait_for(state="attached")

    def filled(self):
        self.page.get_by_alt_text(self.words("result.filled_alt")).wait_for()

    def retry_until_filled(self):
        """Press "Try again" after each failure, as a patient person does."""
        for _ in range(20):
            self.button("action.retry").click()
            outcome = self.page.locator(".problem").or_(self.page.get_by_alt_text(self.words("result.filled_alt")))
            self.page.locator(".busy").wait_for(state="detached")
            outcome.first.wait_for()
            if not self.page.locator(".problem").count():
                return
        raise AssertionError("the backend was not found again")

    def covered(self):
        """How many of the mask's pixels are hole, as step 3 shows it black in what the model receives."""
        return self.page.locator("canvas.seen").first.evaluate(
            """async (canvas) => {
              const frame = () => new Promise((done) => requestAnimationFrame(done));
              const opaque = () => canvas.getContext("2d").getImageData(0, 0, 1, 1).data[3] === 255;
              do await frame(); while (!opaque()); // the crop has come
              await frame();
              const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              const dark = (i) => data[i] + data[i + 1] + data[i + 2] < 12 && data[i + 3] > 250;
              let black = 0;
              for (let i = 0; i < data.length; i += 4) black += dark(i);
              return black / (canvas.width * canvas.height);
            }"""
        )

    def drag(self, locator, start, *ends):
        """With the mouse, from one place of an element over others; places are shares of its width and height."""
        box = locator.bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, *ends)]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        for place in at[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def tab_to(self, key, **values):
        """By the Tab key alone, until the control of that name has the focus."""
        wanted = self.words(key, **values)
        for _ in range(80):
            self.page.keyboard.press("Tab")
            name = self.page.evaluate(
                "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
            )
            if name == wanted:
                return
        raise AssertionError(f"{wanted} is not reached by the Tab key")


def file(name="me.png", seed=0, **fields):
    """A photo of 400 x 320 pixels with a face at FACE, as a file to choose."""
    return {"name": name, "mimeType": "image/png", "buffer": photo_bytes(seed=seed, **fields)}


def error(status, code):
    """What answers a route of the page with an error of the server."""
    body = json.dumps({"error": {"code": code, "message": "as the server says"}})
    return lambda route: route.fulfill(status=status, body=body)
