import cv2
import numpy as np
from fakes import textured

from twoface.core.copies import same_picture, shows_the_same

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
