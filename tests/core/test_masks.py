import numpy as np
import pytest
from fakes import textured

from twoface.core import bands
from twoface.core.errors import InputError
from twoface.core.masks import box_hole, center_hole, fading, feather, grow, hole_of, parse_box


@pytest.mark.parametrize("size", [64, 128])
def test_the_centre_is_a_square_in_the_middle(size):
    mask = center_hole(32, size)
    assert mask.sum() == 32 * 32 and mask[size // 2 - 16 : size // 2 + 16, size // 2 - 16 : size // 2 + 16].all()
    for side in (0, size + 1):
        with pytest.raises(InputError, match="centre square"):
            center_hole(side, size)


def test_box_is_half_open_and_inside():
    mask = box_hole((2, 1, 5, 4), (6, 8))
    assert np.array_equal(mask, box_hole((2, 1, 5, 4), (6, 8, 3)))
    assert mask.sum() == 9 and mask[1, 2] and not mask[4, 5]
    for box in [(-1, 0, 3, 3), (0, 0, 9, 3), (3, 3, 3, 5), (4, 0, 2, 2)]:
        with pytest.raises(InputError):
            box_hole(box, (6, 8))


def test_parsing():
    assert parse_box("1,2, 3,4") == (1, 2, 3, 4)
    for bad in ("1,2,3", "a,b,c,d", "1.5,2,3,4"):
        with pytest.raises(InputError):
            parse_box(bad)


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


def test_a_layer_without_transparent_parts_is_read_by_what_is_white():
    for colour, hole in ((0, False), (255, True), (200, True), (90, False)):
        plain = np.full((9, 9, 3), colour, np.uint8)
        for alpha in (None, np.full((9, 9), 255, np.uint8), np.zeros((9, 9), np.uint8)):
            assert (hole_of(plain, alpha) == hole).all()


def test_a_drawing_in_a_few_greys_keeps_its_meaning_and_one_in_colours_does_not():
    alpha = np.full((40, 40), 255, np.uint8)
    alpha[30:] = 0
    white = box_hole((5, 5, 20, 12), (40, 40))
    greys = np.full((40, 40, 3), 60, np.uint8)
    greys[5:12, 5:20], greys[14:20, 5:20] = 200, 100
    assert np.array_equal(hole_of(greys, alpha), white)
    colours = np.where(white[..., None], np.uint8((255, 200, 60)), np.uint8((20, 60, 160)))
    assert np.array_equal(hole_of(colours, alpha), alpha > 0)  # of a brush of two colours
    dark = np.full((40, 40, 3), 60, np.uint8)
    dark[5:12, 5:20] = 100  # nothing is light: what was drawn is the hole
    assert np.array_equal(hole_of(dark, alpha), alpha > 0)


@pytest.mark.parametrize(("noise", "drawing"), [(30, True), (60, False)])
def test_black_and_white_may_be_noisy_and_no_more(noise, drawing):
    """As of a JPEG. More, and it is a photo of which something was erased."""
    off = np.random.default_rng(0).integers(0, noise, (60, 60, 3), np.uint8)
    white = np.zeros((60, 60), bool)
    white[:, 30:] = True
    alpha = np.full((60, 60), 255, np.uint8)
    alpha[:20] = 0
    hole = hole_of(np.where(white[..., None], 255 - off, off), alpha)
    assert np.array_equal(hole, white & (alpha > 0) if drawing else alpha == 0)


def test_grow_is_a_disc():
    mask = np.zeros((21, 21), bool)
    mask[10, 10] = True
    grown = grow(mask, 5)
    assert grown[10, 15] and not grown[10, 16] and not grown[14, 14]
    assert not grow(np.zeros((5, 5), bool), 3).any()


def test_a_feather_is_a_smoothstep():
    assert fading(np.float32([0, 1.5, 3, 4.5, 6, 7]), 6) == pytest.approx([1, 0.84375, 0.5, 0.15625, 0, 0])


def test_growing_is_the_same_in_bands_of_any_size(monkeypatch):
    mask = np.zeros((90, 70), bool)
    mask[[2, 30, 31, 60], [60, 3, 40, 20]] = True
    whole = grow(mask, 7)
    monkeypatch.setattr(bands, "PIXELS", 70 * 8)
    assert np.array_equal(grow(mask, 7), whole)


def test_feather_is_one_in_the_hole_and_zero_beyond():
    mask = box_hole((20, 20, 30, 30), (50, 50))
    alpha = feather(mask, 6)
    assert (alpha[mask] == 1).all() and (alpha[~grow(mask, 5.99)] == 0).all()
    row = alpha[25, 29:36]
    assert (np.diff(row) < 0).all() and row[-1] == 0
    assert np.array_equal(feather(mask, 0), mask.astype(np.float32))
    with pytest.raises(InputError):
        feather(mask, -1)
