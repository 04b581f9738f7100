import cv2
import numpy as np
import pytest
from fakes import textured

from twoface.core.copies import copy_score, same_picture, shows_the_same

HOLE = np.zeros((128, 128), bool)
HOLE[40:70, 30:100] = True


def test_a_copy_shows_the_same_in_the_hole():
    picture = textured(128, 128)
    picture[HOLE] = 20  # sunglasses
    shifted = np.roll(picture, (3, -2), (0, 1))
    squeezed = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    for copy in (picture, picture + np.uint8(12), shifted, squeezed):
        assert same_picture(picture, copy, ~HOLE) and shows_the_same(picture, copy, HOLE)


def test_a_copy_in_which_the_part_is_not_covered_does_not():
    whole = textured(128, 128)
    hidden = whole.copy()
    hidden[HOLE] = 20
    assert same_picture(hidden, whole, ~HOLE) and not shows_the_same(hidden, whole, HOLE)


def test_where_nothing_is_visible_nothing_is_known():
    picture, everything = textured(128, 128), np.ones((128, 128), bool)
    assert not same_picture(picture, picture, ~everything) and not shows_the_same(picture, picture, everything)


def test_pictures_without_any_detail_are_no_copies():
    plain = np.full((128, 128, 3), 90, np.uint8)
    assert copy_score(plain, plain + 9, ~HOLE) == -1 and not shows_the_same(plain, plain, HOLE)


def noisy(picture, deviation):
    noise = np.random.default_rng(5).normal(0, deviation, (64, 64, 1)).repeat(2, 0).repeat(2, 1)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_a_copy_correlates_by_93_of_a_hundred():
    picture = np.clip(textured(128, 128).astype(float) * 0.5 + 60, 0, 255).astype(np.uint8)
    assert copy_score(picture, picture, ~HOLE) == pytest.approx(1, abs=1e-4)
    assert copy_score(picture, 255 - picture, ~HOLE) < 0.5
    near, far = noisy(picture, 6), noisy(picture, 12)
    assert 0.95 < copy_score(picture, near, ~HOLE) < 0.99 and same_picture(picture, near, ~HOLE)
    assert 0.85 < copy_score(picture, far, ~HOLE) < 0.92 and not same_picture(picture, far, ~HOLE)


def test_frames_may_lie_eight_pixels_apart():
    picture = textured(160, 160)
    one = picture[16:144, 16:144]
    assert same_picture(one, picture[24:152, 8:136], ~HOLE)
    assert not same_picture(one, picture[30:158, 16:144], ~HOLE)


@pytest.mark.parametrize(("levels", "same"), [(5, True), (-5, True), (12, False), (-12, False)])
def test_in_the_hole_copies_differ_by_eight_levels_at_most(levels, same):
    picture = np.clip(textured(128, 128), 30, 220)
    other = np.where(HOLE[..., None], picture.astype(int) + levels, picture).astype(np.uint8)
    assert shows_the_same(picture, other, HOLE) is same
    assert shows_the_same(picture, other + np.uint8(20), HOLE) is same  # a brighter copy is a copy
