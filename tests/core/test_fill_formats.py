"""A fill of files as people have them, through the engine."""

import io

import cv2
import numpy as np
import pytest
from fakes import placed_face, textured
from PIL import Image
from test_formats import deep_png, encoded

from twoface.core.errors import InputError
from twoface.core.frame import Frame
from twoface.core.images import encode_photo, read_photo
from twoface.core.masks import box_hole

FACE = (40, 30, 296, 286)
FRAME = Frame.of(FACE)
HOLE = (140, 130, 200, 190)
COLOURS = textured(320, 340)
OTHER = textured(320, 340, 9)


@pytest.fixture
def fill(inpainter):
    return inpainter(placed_face(FRAME)).fill


def test_grey_stays_grey(fill):
    grey = cv2.cvtColor(COLOURS, cv2.COLOR_RGB2GRAY)
    result = fill(encoded(grey), hole=HOLE, reference=OTHER)
    again = Image.open(io.BytesIO(encode_photo(result.photo, "PNG")))
    assert again.mode == "L" and (np.array(again) != grey).any()
    tinted = (np.stack([grey, 0.9 * grey, 0.7 * grey], -1)).astype(np.uint8)
    filled = fill(tinted, hole=HOLE, reference=OTHER).photo.pixels[130:190, 140:200].astype(float)
    assert np.abs(filled[..., 2] / filled[..., 0] - 0.7).mean() < 0.03


def test_16_bits_stay_16_bits(fill):
    deep = COLOURS.astype(np.uint16) * 256 + textured(320, 340, 5)
    result = fill(deep_png(deep), hole=HOLE, reference=OTHER)
    again = read_photo(encode_photo(result.photo, "PNG")).original.samples
    x0, y0, x1, y1 = result.box
    known = np.ones(deep.shape[:2], bool)
    known[y0:y1, x0:x1] = False
    assert np.array_equal(again[known], deep[known]) and (again[150, 160] != deep[150, 160]).any()


def test_an_erased_hole_is_opaque(fill):
    hole = box_hole(HOLE, COLOURS.shape)
    erased = np.dstack([COLOURS, ~hole * np.uint8(255)])
    result = fill(encoded(erased), mask=encoded(erased), reference=OTHER)
    assert np.array_equal(result.hole, hole) and (result.photo.alpha == 255).all()


def test_what_is_not_kept_is_told(fill):
    pictures = [Image.fromarray(COLOURS), Image.fromarray(OTHER)]
    data = encoded(pictures[0], "WEBP", save_all=True, append_images=pictures[1:], quality=95)
    report = fill(data, hole=HOLE).report()
    assert any("2 pictures" in warning for warning in report["warnings"])
    deep = fill(deep_png(COLOURS.astype(np.uint16) * 257), hole=HOLE)
    assert any("16 bits" in warning for warning in deep.report("JPEG")["warnings"])
    assert not deep.report("PNG")["warnings"]


def test_a_small_face_is_told(fill):
    small = fill(COLOURS, hole="eyes", face=(100, 100, 130, 130))
    assert any("is small" in warning for warning in small.warnings)
    assert not any("is small" in warning for warning in fill(COLOURS, hole="eyes", face=FACE).warnings)


def test_an_inverted_mask_is_named(fill):
    with pytest.raises(InputError, match=r"97% of .* white: is it inverted\?"):
        fill(COLOURS, mask=~box_hole(HOLE, COLOURS.shape))


def test_a_jpeg_that_ends_before_the_hole_is_refused(fill):
    data = encoded(COLOURS, "JPEG", quality=90)
    data = data[: int(len(data) * 0.96)]
    assert any("too early" in warning for warning in fill(data, hole=HOLE, face=FACE).warnings)
    with pytest.raises(InputError, match="ends too early, where the face or the hole is"):
        fill(data, hole=(140, 290, 200, 318), face=(40, 64, 296, 320))
