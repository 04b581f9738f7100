import cv2
import numpy as np
import pytest
from fakes import textured

from twoface.core.mesh import template_mesh
from twoface.research.data.occluders import OCCLUDERS, Scene, draw_shadow


def scene(seed=0, hand=None):
    """A drawn face in a scene, the others as plain."""
    picture = textured(128, 128, seed).astype(np.float32)
    other = textured(160, 160, 9)
    head = np.dstack([other, np.zeros((160, 160), np.uint8)]).astype(np.float32)
    cv2.circle(head, (80, 80), 50, (120, 90, 70, 1), -1)
    mesh = template_mesh()
    covered = np.zeros((128, 128), np.uint8)
    given = (lambda: (other, mesh + (16, 16, 0)), lambda: head, hand)
    return Scene(np.random.default_rng(seed), picture, mesh, covered, *given)


@pytest.mark.parametrize("name", OCCLUDERS)
def test_what_is_drawn_is_marked_and_is_before_the_face(name):
    """Over a few draws: it meets the face, changes the picture where it is marked, and little elsewhere."""
    met = 0
    for seed in range(6):
        before, drawn = scene(seed).picture, scene(seed)
        OCCLUDERS[name][0](drawn)
        assert drawn.picture.shape == (128, 128, 3) and np.isfinite(drawn.picture).all()
        assert set(np.unique(drawn.covered)) <= {0, 1}
        covered = drawn.covered == 1
        met += bool((covered & drawn.face).any())
        changed = np.abs(drawn.picture - before).max(-1)
        far = cv2.dilate(drawn.covered, np.ones((25, 25), np.uint8)) == 0
        assert not far.any() or changed[far].mean() < 6
        assert not covered.any() or changed[covered].mean() > 2 * changed[~covered].mean()
    assert met >= 4


def test_a_shadow_covers_nothing():
    drawn = scene()
    draw_shadow(drawn)
    assert not drawn.covered.any() and np.abs(drawn.picture - scene().picture).max() > 10


def test_the_same_draw_twice():
    one, other = scene(3), scene(3)
    for each in (one, other):
        OCCLUDERS["hand"][0](each)
    assert np.array_equal(one.picture, other.picture) and np.array_equal(one.covered, other.covered)


@pytest.mark.parametrize("name", ["hand", "microphone", "thing"])
def test_real_hands_are_laid_whole_over_the_face(name):
    cut, marks, seen = np.zeros((160, 160, 4), np.float32), np.full((21, 2), 30.0), 0
    cut[90:150, 10:50] = (0, 255, 0, 1)
    marks[0], marks[[5, 9, 13, 17]] = (30, 148), [(15, 120), (25, 118), (35, 119), (45, 121)]
    marks[[4, 8, 12, 16, 20]] = [(12, 110), (18, 92), (26, 91), (36, 92), (46, 95)]
    for seed in range(12):
        drawn = scene(seed, lambda: (cut, marks))
        OCCLUDERS[name][0](drawn)
        red, green, blue = np.moveaxis(drawn.picture, -1, 0)
        hand = (green > 60) & (red < 0.3 * green) & (blue < 0.3 * green)  # its colour is brought near to the face's
        if np.count_nonzero(hand) > 200:
            seen += 1
            assert (drawn.covered[cv2.erode(hand.astype(np.uint8), np.ones((3, 3))) > 0] == 1).mean() > 0.95
    assert seen >= 2
