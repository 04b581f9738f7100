import numpy as np
import pytest

from twoface.core.frame import Frame
from twoface.core.pyramid import LEAST, Pyramid


@pytest.mark.parametrize(("scale", "side"), [(0.5, 1), (1.0, 1), (3.9, 1), (4.0, 2), (7.9, 2), (8.1, 4)])
def test_the_smallest_level_that_is_still_shrunk_shows_the_same_place(scale, side):
    y, x = np.mgrid[:301, :403]
    ramp = np.stack([x * 0.5, y * 0.5, 0 * x], -1).astype(np.uint8)
    look = 30
    picture, there = Pyramid(ramp).level(Frame(25, 22, scale * look, 10), look)
    assert picture.shape == (301 // side, 403 // side, 3)
    assert there.side == pytest.approx(look * scale / side) and (side == 1 or there.side / look >= LEAST)
    assert (there.x * side, there.y * side, there.angle) == (25, 22, 10)
    column, row = int(there.x), int(there.y)
    at = ((column + 0.5) * side - 0.5, (row + 0.5) * side - 0.5)  # of the level's pixel, in the picture
    assert picture[row, column, :2] == pytest.approx(np.array(at) * 0.5, abs=1.5)


def test_a_line_has_no_half():
    square = Frame(450, 0.5, 1600)
    picture, there = Pyramid(np.zeros((1, 900, 3), np.uint8)).level(square, 100)
    assert picture.shape == (1, 900, 3) and there == square
