import numpy as np
import pytest

from twoface.core.mesh import POLYGONS, template_mesh
from twoface.core.mesh_shape import MeshShape, mesh_shape

EYES_AND_BROWS = [i for name in ("left_eye", "right_eye", "left_brow", "right_brow") for i in POLYGONS[name]]


def drawn(seed, spread=1.0):
    """A mesh of the model, (478, 2)."""
    shape = mesh_shape()
    z = np.random.default_rng(seed).normal(0, spread, shape.modes.shape[1])
    return shape.mean + (shape.modes @ z).reshape(-1, 2)


def seen(hidden, exactness=10.0):
    """The weights of a mesh whose points are seen but for some."""
    weight = np.full(478, exactness / 478)
    weight[hidden] = 0
    return weight


def error(found, truth, where):
    return np.linalg.norm(found - truth, axis=1)[where].mean()


def test_the_shape_that_ships_is_an_aligned_face():
    shape = mesh_shape()
    assert shape.mean.shape == (478, 2) and shape.modes.shape == (956, 40)
    assert np.abs(shape.mean - template_mesh()[:, :2]).mean() < 5
    deviation = np.sqrt((shape.modes**2).sum(1))
    assert 1 < np.median(deviation) < 4  # crop pixels


def test_without_anything_seen_it_is_the_mean():
    shape = mesh_shape()
    assert np.allclose(shape.likely(shape.mean + 30, np.zeros(478)), shape.mean)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_hidden_is_told_by_what_is_seen(seed):
    truth, shape = drawn(seed), mesh_shape()
    wrong = truth.copy()
    wrong[EYES_AND_BROWS] += 20  # of no weight
    found = shape.likely(wrong, seen(EYES_AND_BROWS))
    assert error(found, truth, EYES_AND_BROWS) < 0.6 * error(shape.mean, truth, EYES_AND_BROWS)
    assert np.allclose(found, shape.likely(truth, seen(EYES_AND_BROWS)))


def test_points_are_believed_by_their_weight():
    shape, truth = mesh_shape(), drawn(1)
    far = truth + (4, 0)
    vague, exact = (error(shape.likely(far, np.full(478, weight)), far, slice(None)) for weight in (0.001, 10.0))
    assert exact < 0.2 * vague


def test_a_frame_that_is_off_is_told_by_what_is_seen():
    shape, truth = mesh_shape(), drawn(2, 0.5)
    for off in ((7, 0), (0, -7)):
        found = shape.likely(truth + off, seen(EYES_AND_BROWS, 40))
        assert error(found, truth + off, EYES_AND_BROWS) < 2.5


def test_a_model_of_other_meshes():
    along = np.zeros((4, 1))
    along[::2] = 2.0  # x of both points, together
    shape = MeshShape(np.array([[40.0, 60], [80, 60]]), along)
    found = shape.likely(np.array([[43.0, 60], [0, 0]]), np.array([100.0, 0]))
    assert found[0] == pytest.approx((43, 60), abs=0.1) and found[1] == pytest.approx((83, 60), abs=0.3)
