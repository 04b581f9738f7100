import cv2
import numpy as np
import pytest
from fakes import textured
from test_mesh import turned

from twoface.core.choice import best, sharpness, worth
from twoface.core.mesh import template_mesh

EYES = np.zeros((128, 128), bool)
EYES[40:75, 25:103] = True
TRUST = np.ones((128, 128), np.float32)


def face():
    return np.clip(textured(128, 128).astype(float) * 0.2 + 140, 0, 255).astype(np.uint8)


def value(picture=None, trust=TRUST, mesh=None, finer=1.0, hole=EYES, bare=1.0):
    """bare: what is left of the trust, by what covers the reference."""
    mesh = template_mesh() if mesh is None else mesh
    return worth(template_mesh(), hole, (trust, trust * bare), face() if picture is None else picture, mesh, finer)


def test_who_is_alike_comes_first_then_who_shows_the_part():
    plain, hidden = value(), value(trust=TRUST * 0.2)
    assert hidden.shown == pytest.approx(0.2) and plain.total > hidden.total
    assert best([0.7, 0.65], [hidden, plain]) == 1
    assert best([0.7, 0.4], [hidden, plain]) == 0  # too unlike to be taken for the person
    assert best([0.6, 0.7], [plain, plain]) == 1


def test_a_turned_head_a_soft_and_a_small_one_are_worth_less():
    soft = cv2.GaussianBlur(face(), (0, 0), 8)
    assert sharpness(soft) < 0.7 * sharpness(face())
    for other in (value(mesh=turned(yaw=35)), value(soft), value(finer=0.1)):
        assert other.total < 0.8 * value().total


def test_a_reference_covered_where_the_hole_is_ranks_behind_the_others():
    sunglasses = np.where(EYES, np.float32(0), np.float32(1))
    assert value(bare=sunglasses).clear < 0.05 < 0.9 < value().clear
    assert best([0.75, 0.7], [value(bare=sunglasses), value(mesh=turned(yaw=50))]) == 1
    mouth = np.roll(EYES, 45, axis=0)
    assert value(bare=sunglasses, hole=mouth).clear == 1
