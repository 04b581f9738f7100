"""From photos to a filled one, as people do it."""

import io
from base64 import b64encode

import cv2
import numpy as np
import pytest
from fakes import textured
from PIL import Image
from studios import GROUP
from visitor import file

from twoface.core.metadata import GENERATED

FACELESS = {
    "name": "wall.png",
    "mimeType": "image/png",
    "buffer": cv2.imencode(".png", np.full((300, 400, 3), 120, np.uint8))[1].tobytes(),
}


def exif():
    block = Image.Exif()
    block[0x010F] = "Camera & Sons"
    return block.tobytes().removeprefix(b"Exif\0\0")


def downloaded(visitor, kind):
    visitor.page.get_by_label(visitor.words("result.format")).select_option(kind)
    with visitor.page.expect_download() as download:
        visitor.button("result.download").click()
    assert download.value.suggested_filename.endswith({"jpeg": ".jpg"}.get(kind, f".{kind}"))
    return download.value.path().read_bytes()


def test_with_a_reference_up_to_the_file(visit):
    me = visit()
    photo = file(exif=exif())
    me.to_result(photo, file("ref.png", seed=1))
    for name in ("masked", "filled", "reference"):
        assert me.page.get_by_alt_text(me.words(f"result.{name}_alt")).evaluate("image => image.naturalWidth") == 128
    before = np.array(Image.open(io.BytesIO(photo["buffer"])))
    for kind in ("png", "jpeg", "webp"):
        data = downloaded(me, kind)
        image = Image.open(io.BytesIO(data))
        assert image.format == kind.upper() and image.size == (400, 320)
        assert GENERATED.encode() in data and image.getexif()[0x010F] == "Camera & Sons"
        if kind == "png":
            changed = (np.array(image.convert("RGB")) != before).any(2)
            y, x = np.nonzero(changed)
            assert changed.any() and x.min() > 60 and x.max() < 260 and y.min() > 80 and y.max() < 180
    slider = me.page.get_by_role("slider", name=me.words("result.slider"))
    slider.focus()
    me.page.keyboard.press("End")
    assert slider.get_attribute("aria-valuenow") == "100"
    me.page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuenow") == "98"


def test_a_group_asks_whose_face(visit):
    """Of the photo; of a reference the face most like the photo's is taken, and the result says so."""
    me = visit()
    me.bring(file("group.png", width=GROUP), file("friends.png", width=GROUP, seed=1))
    me.go("face")
    me.sees("face.choose", count=2)
    me.button("face.next").click()
    me.sees("face.need_choice", name="group.png")
    me.button("face.found", index=2).click()
    me.page.get_by_title("friends.png").click()
    me.sees("face.most_alike", count=2)
    me.go("hole")
    me.preset("eyes")
    me.go("result")
    me.filled()
    assert "friends.png" in me.page.locator(".verdict").inner_text()


def test_the_photo_as_its_own_reference_is_asked_about_and_of_another_person_it_warns(visit):
    me = visit()
    me.to_hole(file(), file("copy.png"))
    me.preset("eyes")
    me.button("hole.next").click()
    me.problem("same_photo")
    me.button("result.insist").click()
    me.filled()
    me.page.get_by_role("link", name="Two-Face").click()
    me.button("photos.remove", name="copy.png").click()
    other = 255 - np.array(Image.open(io.BytesIO(file()["buffer"])))
    data = cv2.imencode(".png", other[:, :, ::-1])[1].tobytes()
    me.choose("photos.choose_reference", {"name": "other.png", "mimeType": "image/png", "buffer": data})
    me.page.locator(".found").nth(1).wait_for()
    me.go("face")
    me.go("hole")
    me.go("result")
    me.filled()
    me.sees("verdict.two_people")


def test_variants_by_each_reference_and_by_none(visit):
    me = visit()
    near = np.array(Image.open(io.BytesIO(file()["buffer"])))
    near[80:160, 100:220] //= 2  # a copy that shows something else in the hole
    data = cv2.imencode(".png", near[:, :, ::-1])[1].tobytes()
    me.to_result(file(), file("far.png", seed=3), {"name": "near.png", "mimeType": "image/png", "buffer": data})
    me.sees("result.chosen", index=2)
    for key, values in (("result.with", {"index": 1}), ("result.without", {}), ("result.with", {"index": 2})):
        tile = me.page.locator(".tile", has_text=me.words(key, **values))
        tile.locator("img").wait_for()  # made ahead
        tile.click()
        me.page.locator(".tile[aria-pressed=true]", has_text=me.words(key, **values)).wait_for()


def test_a_photo_that_is_pasted_or_from_the_camera_or_a_sample(visit):
    me = visit(permissions=["camera"])
    me.page.evaluate(
        """(text) => {
          const data = new DataTransfer();
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          data.items.add(new File([bytes], "pasted.png", {type: "image/png"}));
          document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}));
        }""",
        b64encode(file()["buffer"]).decode(),
    )
    me.page.get_by_text("pasted.png").first.wait_for()
    me.page.locator(".found").first.wait_for()
    me.button("photos.remove", name="pasted.png").click()
    me.page.locator(".photo-card").wait_for(state="detached")
    me.button("photos.camera").first.click()
    me.button("camera.shoot").click()
    me.page.locator(".found, .not-found").first.wait_for()
    me.page.locator(".photo-card").get_by_role("button").last.click()
    me.page.locator(".photo-card").wait_for(state="detached")
    me.button("photos.sample.sunglasses").click()
    me.page.locator(".found").nth(1).wait_for()
    assert me.page.evaluate("document.activeElement.textContent") == me.words("photos.next")
    me.go("face")


def test_a_square_is_drawn_where_no_face_is_found_and_moves_turns_and_grows_by_key_and_mouse(visit):
    me = visit()
    me.bring(FACELESS)
    me.sees("photos.no_face")
    me.go("face")
    me.sees("face.draw")
    stage = me.page.get_by_role("application")
    me.button("face.next").click()  # not yet: the step stays
    me.heading("face")
    me.drag(stage, (0.3, 0.2), (0.6, 0.8))
    me.sees("face.good")
    me.go("hole")
    me.page.get_by_role("link", name="Two-Face").click()
    me.choose("photos.replace", file())
    me.page.locator(".found").wait_for()
    me.go("face")
    lies = me.page.locator(".frame-state .fine")
    assert lies.text_content() == me.words("face.lies", side=200, angle=5)
    stage.focus()
    for key in ("+", "]", "]"):
        me.page.keyboard.press(key)
    assert lies.text_content() != me.words("face.lies", side=200, angle=5)
    me.button("face.found", index=1).click()
    assert lies.text_content() == me.words("face.lies", side=200, angle=5)
    me.drag(stage, (0.4, 0.45), (0.5, 0.5))
    assert me.button("face.found", index=1).get_attribute("aria-pressed") == "false"
    for _ in range(60):
        me.page.keyboard.press("-")
    me.sees("face.too_small", min=50)


def test_painting_and_a_mask_that_goes_out_and_comes_back(visit):
    me = visit()
    me.to_hole(file())
    stage = me.page.get_by_role("application")
    assert me.covered() == 0 and me.button("hole.undo").is_disabled()
    me.button("hole.brush").click()
    me.drag(stage, (0.3, 0.4), (0.6, 0.4))
    painted = me.covered()
    assert painted > 0.01
    me.button("hole.eraser").click()
    me.drag(stage, (0.45, 0.3), (0.45, 0.5))
    assert 0 < me.covered() < painted
    me.button("hole.undo").click()
    assert me.covered() == pytest.approx(painted, abs=1e-3)
    me.button("hole.box").click()
    me.drag(stage, (0.2, 0.5), (0.8, 0.9))
    boxed = me.covered()
    assert boxed > painted + 0.1
    me.button("hole.undo").click()
    me.button("hole.redo").click()
    assert me.covered() == pytest.approx(boxed, abs=1e-3)
    me.button("hole.clear").click()
    assert me.covered() == 0
    for name, least in (("eyes", 0.03), ("lower", 0.1), ("face", 0.2), ("nose", 0.02)):
        me.preset(name)
        assert me.covered() > least
    me.button("hole.clear").click()
    me.preset("mouth")
    covered = me.covered()
    with me.page.expect_download() as download:
        me.button("hole.download").click()
    mask = download.value.path().read_bytes()
    assert Image.open(io.BytesIO(mask)).size[0] >= 256
    me.button("hole.clear").click()
    me.choose("hole.upload", {"name": "mask.png", "mimeType": "image/png", "buffer": mask})
    me.marked()
    assert me.covered() == pytest.approx(covered, abs=1e-3)


def test_what_is_in_front_of_the_face_is_marked_in_one_click(visit):
    me = visit()
    pixels = textured(320, 400)
    pixels[130:170, 120:200] = (0, 255, 0)  # what the stand-in sees in front of a face
    pixels[200:226, 36:122] = (0, 255, 0)  # a hand: most of it lies beside the face
    png = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    me.to_hole({"name": "hand.png", "mimeType": "image/png", "buffer": png})
    me.button("hole.auto").click()
    me.sees("hole.preset_set", name=me.words("hole.auto.something"))
    me.sees("hole.auto.goes_on")
    marked = me.covered()
    assert 0.04 < marked < 0.2
    me.button("hole.brush").click()
    me.drag(me.page.get_by_role("application"), (0.3, 0.8), (0.7, 0.8))
    assert me.covered() > marked + 0.005
    me.go("result")
    me.filled()


def test_back_forward_and_reload_lose_nothing(visit):
    me = visit()
    me.to_hole(file(), file("ref.png", seed=1))
    me.preset("eyes")
    covered = me.covered()
    me.page.go_back()
    me.heading("face")
    me.page.go_back()
    me.heading("photos")
    assert me.page.locator(".photo-card").count() == 2
    me.page.go_forward()
    me.page.go_forward()
    me.heading("hole")
    with me.page.expect_response("**/crop?*"):
        me.page.reload()
    me.heading("hole")
    me.marked()
    assert me.covered() == pytest.approx(covered, abs=1e-3)
    me.go("result")
    me.filled()
    me.button("result.change").click()
    me.heading("hole")


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_browsers_language_and_the_switch(visit, language):
    me = visit(language)
    assert me.page.locator("html").get_attribute("lang") == language
    me.language = other = {"en": "es", "es": "en"}[language]
    me.page.locator(f"#languages [lang={other}]").click()
    me.heading("photos")
    me.page.reload()
    me.heading("photos")
    assert me.page.locator("html").get_attribute("lang") == other


def test_on_a_phone_by_touch(visit):
    me = visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2)
    narrow = "document.documentElement.scrollWidth <= 360"
    me.bring(file(), file("ref.png", seed=1))
    assert me.page.evaluate(narrow)
    for key, step in (("photos.next", "face"), ("face.next", "hole")):
        me.button(key).tap()
        me.heading(step)
        assert me.page.evaluate(narrow)
    me.button("hole.preset.mouth").tap()
    me.marked()
    me.button("hole.next").tap()
    me.heading("result")
    me.filled()
    assert me.page.evaluate(narrow)


def test_by_keyboard_alone(visit):
    me = visit()
    me.tab_to("photos.sample.sunglasses")
    me.page.keyboard.press("Enter")
    me.page.locator(".found").nth(1).wait_for()
    for key, step in (("photos.next", "face"), ("face.next", "hole")):
        me.tab_to(key)
        me.page.keyboard.press("Enter")
        me.heading(step)
        assert me.page.evaluate("document.activeElement.tagName") == "H1"
    me.tab_to("hole.stage")
    for key in ("r", "ArrowLeft", "Space", "Shift+ArrowRight", "Shift+ArrowDown", "Space"):  # a box
        me.page.keyboard.press(key)
    assert me.covered() > 0
    me.tab_to("hole.next")
    me.page.keyboard.press("Enter")
    me.heading("result")
    me.filled()
    me.tab_to("result.download")
    with me.page.expect_download():
        me.page.keyboard.press("Enter")
