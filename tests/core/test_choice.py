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


def test_each_figure_of_a_worth_by_hand():
    half = value(trust=TRUST * 0.5, bare=0.6)
    assert (half.shown, half.clear) == pytest.approx((0.5, 0.6))
    assert value().pose == 1 and value(mesh=turned(yaw=40)).pose == pytest.approx(np.exp(-1), abs=0.02)
    assert value(mesh=turned(yaw=-20)).pose == pytest.approx(np.exp(-1 / 4), abs=0.02)
    assert value(bare=0.001).clear == 0.02 and value(trust=TRUST * 0).clear == 1
    beside = np.zeros((128, 128), bool)
    beside[:10, :10] = True
    assert (value(trust=TRUST * 0.3, hole=beside).shown, value(hole=beside).clear) == (1, 1)
    soft = cv2.GaussianBlur(face(), (0, 0), 3)
    assert value(soft).sharp == pytest.approx((sharpness(soft) / 0.12) ** 0.5) and value(soft).sharp < 1
    assert value(finer=0.5).sharp == pytest.approx(value().sharp * 0.5**0.25)
    assert value(finer=3).sharp == value().sharp <= 1
    noise = np.repeat(np.random.default_rng(0).integers(0, 256, (128, 128, 1), np.uint8), 3, 2)
    assert value(noise).sharp == 1


def test_who_is_clearly_less_alike_is_not_taken_for_the_person():
    plain, hidden = value(), value(trust=TRUST * 0.2)
    assert best([0.70, 0.56], [hidden, plain]) == 1 and best([0.70, 0.54], [hidden, plain]) == 0


def test_sharpness_is_the_fine_part_of_all_detail():
    noise = np.random.default_rng(0).normal(0, 20, (128, 128))
    flat = np.full((128, 128), 120.0)

    def picture(grey):
        return np.repeat(np.rint(grey)[..., None], 3, 2).clip(0, 255).astype(np.uint8)

    left = np.zeros((128, 128), bool)
    left[20:108, 20:64] = True
    assert sharpness(picture(flat + noise)) == pytest.approx(0.95, abs=0.02)
    half = picture(np.where(np.arange(128) < 64, flat + noise, flat))
    assert sharpness(half, left) == pytest.approx(0.95 * 2**0.5, abs=0.03)  # by the deviation of the whole
    assert sharpness(half, np.roll(left, 44, 1)) < 0.2
    steps = picture(np.where(np.arange(128) < 64, flat - 40, flat + 40 + noise))
    assert sharpness(steps, left) < 0.15 < sharpness(steps, np.roll(left, 44, 1)) < 0.6
    framed = half.copy()
    framed[:20], framed[108:], framed[:, :20], framed[:, 108:] = 0, 255, 255, 0  # the rim does not count
    assert sharpness(framed, left) > 1.2
