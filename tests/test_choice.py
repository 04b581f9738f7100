import cv2
import numpy as np
import pytest
from fakes import textured
from test_mesh import turned

from twoface.choice import best, sharpness, worth
from twoface.mesh import POLYGONS, template_mesh

EYES = np.zeros((128, 128), bool)
EYES[40:75, 25:103] = True
TRUST = np.ones((128, 128), np.float32)


def face(sunglasses=False):
    picture = np.clip(textured(128, 128).astype(float) * 0.2 + 140, 0, 255).astype(np.uint8)
    if sunglasses:
        for side in ("left", "right"):
            x, y = template_mesh()[list(POLYGONS[f"{side}_eye"]), :2].mean(0).round().astype(int).tolist()
            cv2.circle(picture, (x, y), 13, (15, 15, 18), -1)
    return picture


def value(picture=None, trust=TRUST, mesh=None, finer=1.0, hole=EYES):
    mesh = template_mesh() if mesh is None else mesh
    return worth(template_mesh(), hole, trust, face() if picture is None else picture, mesh, finer)


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


def test_sunglasses_count_where_the_eyes_are_wanted():
    assert value(face(sunglasses=True)).clear < 0.3 < 0.9 < value().clear
    mouth = np.roll(EYES, 45, axis=0)
    assert value(face(sunglasses=True), hole=mouth).clear == 1
