from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import textured

from twoface.core import bands
from twoface.core.affine import apply, invert
from twoface.core.errors import InputError
from twoface.core.frame import Frame
from twoface.core.holes import check_on_face, check_told, drawn_hole, given_hole, part_of_face, share_inside
from twoface.core.images import Photo
from twoface.core.masks import box_hole
from twoface.core.mesh import template_mesh

SHAPE = (300, 340)
FRAME = Frame.of((40, 30, 168, 158))
TURNED = Frame.of((60, 50, 260, 250, 30))


@contextmanager
def refused(code):
    with pytest.raises(InputError) as told:
        yield
    assert told.value.code == code


def test_a_hole_is_given_in_photo_pixels_or_by_name():
    photo = Photo(textured(*SHAPE))
    hole = box_hole((50, 60, 90, 80), SHAPE)
    assert np.array_equal(given_hole(None, (50, 60, 90, 80), photo), hole)
    assert given_hole(hole, None, photo) is hole and given_hole(None, "eyes", photo) is None
    with refused("mask_empty"):
        given_hole(hole & False, None, photo)
    for wrong in (hole[1:], hole.astype(np.uint8)):
        with pytest.raises(InputError, match="bool .300, 340."):
            given_hole(wrong, None, photo)


@pytest.mark.parametrize("band", [1_000_000, 340 * 16])
@pytest.mark.parametrize("frame", [FRAME, TURNED])
def test_the_part_of_a_mask_in_the_frame(monkeypatch, frame, band):
    """Each pixel whose centre lies in the frame, in bands of any size."""
    monkeypatch.setattr(bands, "PIXELS", band)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = (np.abs(apply(frame.transform(), np.stack([x, y], -1)) - 63.5) <= 64).all(-1)
    mask = np.zeros(SHAPE, bool)
    mask[20:280, 30:300] = True
    assert share_inside(mask, frame) == pytest.approx((mask & inside).sum() / mask.sum())


def test_masks_that_miss_the_frame():
    check_on_face(box_hole((140, 100, 172, 120), SHAPE), FRAME)  # an eighth of it lies outside
    check_on_face(box_hole((0, 0, 340, 140), SHAPE), FRAME)  # 47 % of the photo
    with refused("mask_outside"):
        check_on_face(box_hole((200, 200, 240, 240), SHAPE), FRAME)
    with refused("mask_inverted"):
        check_on_face(~box_hole((80, 80, 110, 110), SHAPE), FRAME)
    half = np.zeros(SHAPE, bool)
    half[: SHAPE[0] // 2 + 12] = True  # 54 % of the photo, most of it off the face
    with refused("mask_inverted"):
        check_on_face(half, FRAME)
    check_on_face(box_hole((4, 4, 330, 220), SHAPE), FRAME)  # 69 %, but the photo's border is known
    tight = Frame.of((-60, -60, 390, 390))  # the photo is all face
    check_on_face(half, tight)
    with refused("mask_inverted"):
        check_on_face(~box_hole((80, 80, 110, 110), SHAPE), tight)


@pytest.mark.parametrize("frame", [FRAME, TURNED])
@pytest.mark.parametrize("side", [128, 256, 57])
def test_a_drawing_lies_where_it_was_drawn(frame, side):
    drawn = np.zeros((side, side), bool)
    drawn[side // 4 : side // 2, side // 3 : side // 2] = True
    hole = drawn_hole(drawn, frame, SHAPE)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    places = (apply(frame.transform(), np.stack([x, y], -1)) + 0.5) * side / 128 - 0.5
    column, row = np.moveaxis(np.rint(places).astype(int), -1, 0)
    there = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    wanted = there & drawn[row.clip(0, side - 1), column.clip(0, side - 1)]
    assert np.count_nonzero(hole ^ wanted) <= 0.02 * wanted.sum()  # of rounding at the rim
    with refused("mask_empty"):
        drawn_hole(drawn & False, frame, SHAPE)
    for wrong in (drawn[1:], drawn.astype(np.uint8)):
        with refused("not_square"):
            drawn_hole(wrong, frame, SHAPE)
    with refused("mask_outside"):
        drawn_hole(drawn, Frame.of((400, 400, 528, 528)), SHAPE)


def test_a_part_of_the_face_lies_in_the_photo_where_its_mesh_does():
    hole = part_of_face("mouth", 64, template_mesh(), TURNED, SHAPE)
    y, x = np.nonzero(hole)
    mouth = apply(invert(TURNED.transform()), template_mesh()[[61, 291, 0, 17], :2])
    assert np.abs([x.mean(), y.mean()] - mouth.mean(0)).max() < 3
    square = part_of_face("center", 32, None, FRAME, SHAPE)
    assert np.array_equal(square, box_hole((88, 78, 120, 110), SHAPE))


def test_a_file_that_ends_in_the_face_or_the_hole_is_refused():
    def photo(missing=None):
        return SimpleNamespace(name="cut.jpg", missing=missing)

    hole, face = box_hole((50, 50, 60, 60), SHAPE), (100.4, 100, 150, 149.6, 12)
    check_told(photo(), hole, face)
    for box, told in (
        ((200, 200, 210, 210), True),
        ((59, 59, 61, 61), False),
        ((149, 149, 151, 151), False),
        ((90, 90, 101, 101), False),
        ((150, 150, 160, 160), True),
        ((90, 90, 100, 100), True),
    ):
        if told:
            check_told(photo(box_hole(box, SHAPE)), hole, face)
        else:
            with refused("damaged"):
                check_told(photo(box_hole(box, SHAPE)), hole, face)
