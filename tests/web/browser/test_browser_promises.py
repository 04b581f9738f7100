"""What once went wrong at the page, or was missing, as people met it."""

import io
import re
import time
from base64 import b64encode

import pytest
from PIL import Image
from test_browser_walk import FACELESS
from visitor import file
from web_server import MARK, photo_bytes

TOUCH = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


def holiday(name="me.jpg"):
    """A JPEG that says where it was taken."""
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (41.0, 23.0, 7.5)}
    data = photo_bytes(format="JPEG", exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


SHELL_IS_KEPT = """(async () => {
  const kept = new Set((await (await caches.open("shell")).keys()).map(({ url }) => url));
  const ours = ({ name }) => name.startsWith(location.origin) && !/[/](api|samples)[/]|sw.js$/.test(name);
  const files = performance.getEntriesByType("resource").filter(ours).map(({ name }) => name);
  return files.length > 10 && [new URL("./", location).href, ...files].every((file) => kept.has(file));
})()"""


def wait_until(page, expression):
    """Until an expression is true; Playwright's own waiting evaluates it again by `eval`, which the page forbids."""
    deadline = time.monotonic() + 120
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def drop(me, selector, *files, folder=None):
    """Drop files on an element; with `folder`, as what that folder holds."""
    me.page.evaluate(
        """([selector, files, folder]) => {
          const data = new DataTransfer();
          const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const made = files.map(({name, text}) => new File([bytes(text)], name, {type: "image/png"}));
          for (const file of folder ? [new File([], folder)] : made) data.items.add(file);
          let entries = made.map((file) => ({name: file.name, file: (take) => take(file)}));
          const reader = {readEntries: (take) => take(entries.splice(0))};
          if (folder) {
            DataTransferItem.prototype.webkitGetAsEntry = () => ({isDirectory: true, createReader: () => reader});
          }
          const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
          document.querySelector(selector).dispatchEvent(event);
        }""",
        [selector, [{"name": given["name"], "text": b64encode(given["buffer"]).decode()} for given in files], folder],
    )


def test_what_is_marked_stays_where_it_is_in_the_photo_and_comes_back_with_a_removed_one(visit):
    me = visit()
    me.to_hole(file())
    me.preset("face")
    whole = me.covered()
    for key, left in (("ArrowRight", whole / 2), ("ArrowLeft", whole)):
        me.page.go_back()
        me.heading("face")
        me.page.get_by_role("application").focus()
        for _ in range(5):  # half of the square's side
            me.page.keyboard.press(f"Shift+{key}")
        me.go("hole")
        assert me.covered() == pytest.approx(left, abs=0.03)
    covered = me.covered()
    me.page.get_by_role("link", name="Two-Face").click()
    me.button("photos.remove", name="me.png").click()
    me.page.locator(".photo-card").wait_for(state="detached")
    next_button = me.button("photos.next")
    next_button.hover()
    colours = next_button.evaluate("(it) => [getComputedStyle(it).color, getComputedStyle(it).backgroundColor]")
    assert contrast(*colours) > 4.5, "a button that waits can be read under the pointer"
    me.page.locator("#notices").get_by_role("button", name=me.words("hole.undo")).click()
    me.page.locator(".found").wait_for()
    me.go("face")
    me.go("hole")
    assert me.covered() == pytest.approx(covered, abs=1e-3)


def test_one_finger_paints_and_a_pinch_neither_paints_nor_takes_a_step_back(visit):
    me = visit(**TOUCH)
    me.to_hole(file())
    me.preset("nose")
    me.preset("eyes")
    me.button("hole.undo").click()
    covered = me.covered()
    touch = me.context.new_cdp_session(me.page)

    def move(*kinds):
        me.page.get_by_role("application").scroll_into_view_if_needed()
        box = me.page.get_by_role("application").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for kind, ways in kinds:
            points = [{"x": middle[0] + way, "y": middle[1], "id": i} for i, way in enumerate(ways)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    move(("touchStart", [20]), ("touchStart", [20, -20]), ("touchMove", [60, -60]), ("touchEnd", []))
    assert me.covered() == covered
    assert me.button("hole.undo").is_enabled()
    me.button("hole.redo").click()  # what was undone before is still there
    assert me.covered() != covered and me.button("hole.redo").is_disabled()
    me.button("hole.undo").click()
    move(("touchStart", [-80]), ("touchMove", [0]), ("touchMove", [80]), ("touchEnd", []))  # one finger paints
    assert me.covered() > covered


def test_a_reload_keeps_the_history_and_the_brush(visit):
    me = visit()
    me.to_hole(file())
    me.preset("mouth")
    first = me.covered()
    me.preset("left")
    me.button("hole.eraser").click()
    me.page.get_by_label(me.words("hole.size")).fill("100")
    wait_until(
        me.page,
        """async () => {
          const {createStore, get} = await import("/vendor/idb-keyval/idb-keyval.js");
          return (await get("work", createStore("two-face", "work"))).brush.size === 100;
        }""",
    )
    me.page.reload()
    me.heading("hole")
    me.marked()
    assert me.page.get_by_label(me.words("hole.size")).input_value() == "100"
    assert me.button("hole.eraser").get_attribute("aria-pressed") == "true"
    me.button("hole.undo").click()
    assert me.covered() == pytest.approx(first, abs=1e-3)
    me.page.set_viewport_size({"width": 1280, "height": 500})
    me.page.get_by_role("application").hover()
    before = me.page.evaluate("scrollY")
    me.page.mouse.wheel(0, 100)  # over the picture it scrolls the page
    wait_until(me.page, f"scrollY > {before}")


def test_a_second_tab_shows_the_work_and_takes_over(visit):
    me = visit()
    me.bring(file())
    second = me.context.new_page()
    second.goto(me.page.url)
    told = second.get_by_text(me.words("page.not_kept.second_tab"))
    told.wait_for()
    second.locator(".photo-card").wait_for()
    me.page.close()
    told.wait_for(state="detached")
    second.get_by_role("button", name=me.words("photos.remove", name="me.png")).click()
    second.locator(".photo-card").wait_for(state="detached")
    second.reload()
    second.get_by_role("heading", level=1, name=me.words("photos.title")).wait_for()
    assert second.locator(".photo-card").count() == 0 and told.count() == 0


def test_the_photo_as_it_was_and_start_over_which_asks_forgets_and_leads_nowhere_else(visit):
    me = visit()
    me.to_result(file())
    me.sees("verdict.none")
    assert me.page.get_by_alt_text(me.words("result.reference_alt")).count() == 0
    live = me.page.locator("#live")
    live.filter(has_text=me.words("result.done")).wait_for(state="attached")
    said = f"{me.words('result.done')} {me.words('verdict.none')}. {me.words('verdict.none_words')}"
    assert live.text_content().startswith(said)
    after = me.page.locator(".side-word.after")
    after.wait_for()
    me.button("result.hold").hover()
    me.page.mouse.down()
    after.wait_for(state="hidden")
    me.page.mouse.up()
    after.wait_for()
    me.button("result.over").click()
    me.page.get_by_role("dialog").get_by_role("button", name=me.words("result.over"), exact=True).click()
    me.heading("photos")
    assert me.page.locator(".photo-card").count() == 0
    me.page.go_back()
    wait_until(me.page, "location.hash === '#photos'")
    me.heading("photos")
    me.page.reload()
    me.heading("photos")
    assert me.page.locator(".photo-card").count() == 0


def test_downloads_in_the_photos_own_format_without_the_place_and_after_the_server_forgot(visit):
    me = visit()
    missing = []
    me.page.on("response", lambda answer: missing.append(answer.url) if answer.status == 404 else None)
    with me.page.expect_response("**/api/photos?*") as answer:
        me.choose("photos.choose", holiday())
    me.page.get_by_role("switch").uncheck()
    me.page.locator(".found").wait_for()
    me.go("face")
    me.go("hole")
    me.preset("eyes")
    me.go("result")
    me.filled()
    photo = answer.value.json()["id"]
    assert me.context.request.delete(f"{me.page.url.split('#')[0]}api/photos/{photo}", headers=MARK).ok
    for left_out in (False, True):
        me.page.get_by_label(me.words("result.no_location")).set_checked(left_out)
        with me.page.expect_download() as download:
            me.button("result.download").click()
        assert download.value.suggested_filename == "me-filled.jpg"
        image = Image.open(io.BytesIO(download.value.path().read_bytes()))
        assert image.format == "JPEG" and bool(image.getexif().get_ifd(0x8825)) is not left_out
    assert sum("/photo?" in url for url in missing) == 1


def test_drops_replace_the_photo_a_folder_gives_references_and_a_bad_one_is_left_out_and_named(visit):
    me = visit()
    me.bring(file("first.png"))
    drop(me, ".panel-photo .place", file("second.png", seed=1))
    me.page.locator(".panel-photo .photo-name", has_text="second.png").wait_for()
    assert me.page.get_by_text("first.png", exact=True).count() == 0
    drop(me, "body", file("b.png", seed=2), file("a.png", seed=3), {"name": "notes.txt", "buffer": b"x"}, folder="us")
    me.page.locator(".panel-reference .found").nth(1).wait_for()
    assert me.page.locator(".panel-reference .photo-name").all_inner_texts() == ["a.png", "b.png"]
    letter = {"name": "letter.png", "mimeType": "image/png", "buffer": b"Dear grandmother, " * 20}
    me.choose("photos.add", letter)
    me.problem("not_a_picture")
    me.sees("photos.left_out", names="letter.png")
    me.go("face")
    assert me.page.locator(".thumb-chip").count() == 3


def contrast(*colours):
    """The WCAG contrast of two computed colours."""
    lights = []
    for colour in colours:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_next_without_a_square_says_which_photo_lacks_it(visit):
    me = visit()
    me.bring(file(), FACELESS)
    me.go("face")
    me.button("face.next").click()
    me.page.locator(".need.urgent", has_text=me.words("face.need", name="wall.png")).wait_for()


def test_another_part_of_the_same_photo_then_more_photos_alike(visit):
    me = visit()
    me.to_result(file(), file("ref.png", seed=1))
    me.button("result.another").click()
    me.heading("face")
    me.sees("photos.removed", name="me.png")  # and can be brought back
    me.go("hole")
    assert me.covered() == 0
    me.preset("mouth")
    me.go("result")
    me.filled()
    me.button("result.more").click()
    letter = {"name": "letter.png", "mimeType": "image/png", "buffer": b"no picture"}
    dialog = me.page.get_by_role("dialog")
    me.choose("more.choose", file("one.png", seed=2), letter, file("two.png", seed=3))
    dialog.get_by_text(me.words("error.not_a_picture")).wait_for()
    dialog.locator("img").nth(1).wait_for()
    with me.page.expect_download() as download:
        dialog.get_by_role("button", name=me.words("result.download"), exact=True).last.click()
    assert download.value.suggested_filename == "two-filled.png"
    dialog.get_by_role("button", name=me.words("action.close"), exact=True).click()
    me.button("result.change").click()
    me.preset("nose")
    me.go("result")
    me.filled()
    earlier = me.page.locator(".tile", has_text=me.words("result.earlier_one", index=1))
    earlier.click()
    me.page.locator(".tile[aria-pressed=true]", has_text=me.words("result.earlier_one", index=1)).wait_for()


def test_the_page_opens_while_its_server_is_away(visit):
    me = visit(service_workers="allow")
    me.page.evaluate("navigator.serviceWorker.ready")
    wait_until(me.page, SHELL_IS_KEPT)
    me.context.set_offline(True)
    me.page.reload()
    me.problem("offline")
    me.context.set_offline(False)
    me.button("action.retry").click()
    me.heading("photos")
    me.button("help.title").click()
    me.page.get_by_role("dialog").get_by_text(me.words("help.limits")).wait_for()
