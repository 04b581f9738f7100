import numpy as np
import pytest
from fakes import textured

from twoface.errors import InputError
from twoface.masks import (
    AREA_RANGE,
    HOLES,
    box_hole,
    feather,
    grow,
    hole_of,
    named_hole,
    parse_box,
    parse_hole,
    random_hole,
)


def test_center_is_the_centre_square():
    mask = named_hole("center", 128, 32)
    assert mask.sum() == 32 * 32
    assert mask[48:80, 48:80].all()


@pytest.mark.parametrize("name", HOLES)
def test_named_holes_scale_with_the_frame(name):
    small, large = named_hole(name, 64, 32), named_hole(name, 128, 64)
    assert abs(small.mean() - large.mean()) < 0.02
    assert AREA_RANGE[0] < large.mean() < AREA_RANGE[1]


def test_left_and_right_mirror_each_other():
    assert np.array_equal(named_hole("left"), named_hole("right")[:, ::-1])


@pytest.mark.parametrize("bad", [("chin", 64), ("center", 0), ("center", 129)])
def test_unknown_holes_are_refused(bad):
    with pytest.raises(InputError):
        named_hole(bad[0], 128, bad[1])


def test_box_is_half_open_and_inside():
    mask = box_hole((2, 1, 5, 4), (6, 8))
    assert mask.sum() == 9 and mask[1, 2] and not mask[4, 5]
    for box in [(-1, 0, 3, 3), (0, 0, 9, 3), (3, 3, 3, 5), (4, 0, 2, 2)]:
        with pytest.raises(InputError):
            box_hole(box, (6, 8))


def test_parsing():
    assert parse_box("1,2, 3,4") == (1, 2, 3, 4)
    assert parse_hole("eyes") == "eyes" and parse_hole("1,2,3,4") == (1, 2, 3, 4)
    for bad in ("1,2,3", "a,b,c,d", "chin", "1.5,2,3,4"):
        with pytest.raises(InputError):
            parse_hole(bad)


def test_a_hole_is_what_is_white():
    grey = np.repeat(np.array([[0, 127, 128, 255]], np.uint8)[..., None], 3, axis=2)
    assert hole_of(grey).tolist() == [[False, False, True, True]]
    assert hole_of(grey, np.full((1, 4), 255, np.uint8)).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 0), (255, 255, 255)])
def test_strokes_on_a_transparent_layer_are_the_hole(colour):
    hole = box_hole((5, 5, 20, 12), (40, 40))
    layer = np.where(hole[..., None], np.array(colour, np.uint8), np.uint8(0))
    assert np.array_equal(hole_of(layer, hole * np.uint8(255)), hole)
    layer[5:12, 5:9] = (0, 90, 200)  # and of a second brush
    assert np.array_equal(hole_of(layer, hole * np.uint8(255)), hole)


def test_what_was_erased_in_a_copy_of_the_photo_is_the_hole():
    hole = box_hole((5, 5, 20, 12), (40, 40))
    assert np.array_equal(hole_of(textured(40, 40), ~hole * np.uint8(255)), hole)


def test_black_and_white_keep_their_meaning_beside_transparent_parts():
    drawn = np.zeros((40, 40, 3), np.uint8)
    drawn[5:12, 5:20] = 255
    alpha = np.full((40, 40), 255, np.uint8)
    alpha[30:] = 0
    assert np.array_equal(hole_of(drawn, alpha), box_hole((5, 5, 20, 12), (40, 40)))


def test_grow_is_a_disc():
    mask = np.zeros((21, 21), bool)
    mask[10, 10] = True
    grown = grow(mask, 5)
    assert grown[10, 15] and not grown[10, 16] and not grown[14, 14]
    assert not grow(np.zeros((5, 5), bool), 3).any()


def test_feather_is_one_in_the_hole_and_zero_beyond():
    mask = box_hole((20, 20, 30, 30), (50, 50))
    alpha = feather(mask, 6)
    assert (alpha[mask] == 1).all() and (alpha[~grow(mask, 5.99)] == 0).all()
    row = alpha[25, 29:36]
    assert (np.diff(row) < 0).all() and row[-1] == 0
    assert np.array_equal(feather(mask, 0), mask.astype(np.float32))
    with pytest.raises(InputError):
        feather(mask, -1)


def test_random_holes_keep_to_their_area_and_seed():
    rng, again = np.random.default_rng(5), np.random.default_rng(5)
    holes = [random_hole(rng) for _ in range(400)]
    areas = np.array([hole.mean() for hole in holes])
    assert all(hole.dtype == bool and hole.shape == (128, 128) for hole in holes[:5])
    assert AREA_RANGE[0] <= areas.min() and areas.max() <= AREA_RANGE[1]
    assert all(np.array_equal(hole, random_hole(again)) for hole in holes)
    center = named_hole("center")
    assert 0.05 < np.mean([np.array_equal(hole, center) for hole in holes]) < 0.2
