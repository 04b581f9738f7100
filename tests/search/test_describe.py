import numpy as np
import pytest

from twoface.core.mesh import Mesh, template_mesh
from twoface.search.describe import described

LIDS, LIPS = ((159, 145), (386, 374)), (13, 14)


def opened(pairs, by):
    """The face with the second point of each pair moved down."""
    points = template_mesh()
    for upper, lower in pairs:
        points[lower] = points[upper] + (0, by, 0)
    return Mesh(points, 1.0)


@pytest.mark.parametrize("yaw", [-40, -15, 0, 15, 40])
def test_yaw_is_read_off_the_mesh(yaw):
    points, turn = template_mesh(), np.radians(yaw)
    x, z = points[:, 0] - 64, points[:, 2].copy()
    points[:, 0], points[:, 2] = 64 + x * np.cos(turn) - z * np.sin(turn), z * np.cos(turn) + x * np.sin(turn)
    assert described(Mesh(points, 1.0))["yaw"] == pytest.approx(yaw, abs=1)


def test_eyes_and_mouth_are_open_or_shut():
    assert described(opened(LIDS, 0.5))["eyes_open"] < 0.2 < 0.8 < described(opened(LIDS, 6))["eyes_open"] <= 1
    assert described(opened([LIPS], 0))["mouth_open"] == 0 < 0.5 < described(opened([LIPS], 20))["mouth_open"] <= 1
