import numpy as np

from twoface.core.mesh import template_mesh
from twoface.core.mesh_shape import mesh_shape
from twoface.research.fitting.mesh_shape import MODES, fit


def test_the_modes_are_how_meshes_differ():
    random = np.random.default_rng(0)
    wide, moved = random.normal(0, 3, (300, 1)), random.normal(0, 1, (300, 1))
    meshes = np.repeat(template_mesh()[None], 300, 0)
    meshes[..., 0] += wide * np.where(meshes[..., 0] < 64, -1, 1)  # the halves apart
    meshes[..., 1] += moved
    shape, variance = fit(meshes)
    assert np.allclose(shape.mean, meshes[..., :2].mean(0))
    assert shape.modes.shape == (956, MODES) and variance[2:].max() < 1e-6 * variance[0]
    assert np.allclose(np.abs(shape.modes[::2, 0]).mean(), wide.std(ddof=1), rtol=0.05)
    assert np.allclose(np.abs(shape.modes[1::2, 1]), moved.std(ddof=1), rtol=0.1)


def test_what_ships_was_fitted_so():
    shape = mesh_shape()
    sizes = (shape.modes**2).sum(0)
    assert (np.diff(sizes) <= 0).all()  # the largest first
    assert np.abs(np.triu(shape.modes.T @ shape.modes, 1)).max() < 0.01 * sizes[0]
