"""How the meshes of faces lie in an aligned crop, and so where hidden points are likely to be. No torch.

A point distribution model (Cootes et al. 1995, "Active Shape Models"): a mesh is the mean mesh and a weighted sum of
modes, the weights normal. `python -m twoface.research.fitting.mesh_shape` finds both in the training crops.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from twoface.core.arrays import Matrix, Points, Vector
from twoface.core.blas import one_blas_thread
from twoface.core.frame import SIZE

# Frames may be off: how many are, and by how much (a deviation of so many crop pixels, and of `PER_PIXEL` for each).
FRAMES = ((0.9, 0.25), (0.1, 3.0))
PER_PIXEL = (1.5, 0.015)  # degrees, and of the scale


@dataclass(frozen=True)
class MeshShape:
    """mean: (N, 2), crop pixels. modes: (2 N, K): a mesh is `mean` + `modes` @ z, each of z normal with deviation 1."""

    mean: Points
    modes: Matrix

    @one_blas_thread()
    def likely(self, points: Points, weight: Vector) -> Points:
        """The mesh that is to be expected of what is seen of it -> float64 (N, 2), crop pixels.

        points: (N, 2), where its points seem to be; weight: (N,), how exactly, 1 over the variance of x and of y in
        square pixels: 0 of a point that is not seen. It is the mean of all meshes given these; how far the frame
        is off is told from them too.
        """
        seen, weights = (points - self.mean).ravel(), weight.repeat(2)
        meshes, evidence = [], []
        for share, pixels in FRAMES:
            modes = np.hstack([self.modes, pixels * self._moves()])
            weighted = modes * weights[:, None]
            precision = weighted.T @ modes + np.eye(modes.shape[1])
            told = weighted.T @ seen
            z = np.linalg.solve(precision, told)
            meshes.append(self.mean + (modes @ z).reshape(-1, 2))
            evidence.append(np.log(share) + (told @ z - np.linalg.slogdet(precision)[1]) / 2)
        chance = np.exp(np.array(evidence) - max(evidence))
        return np.tensordot(chance / chance.sum(), meshes, 1)

    def _moves(self) -> Matrix:
        """How the mesh moves with a frame that is shifted by a pixel either way, turned and scaled -> (2 N, 4)."""
        x, y = (self.mean - (SIZE - 1) / 2).T
        one, zero = np.ones_like(x), np.zeros_like(x)
        turn, scale = np.radians(PER_PIXEL[0]), PER_PIXEL[1]
        moves = [(one, zero), (zero, one), (-turn * y, turn * x), (scale * x, scale * y)]
        return np.stack([np.stack(move, -1).ravel() for move in moves], -1)


@cache
def mesh_shape() -> MeshShape:
    """The one that ships: of MediaPipe's 478 points, 40 modes."""
    with np.load(str(resources.files("twoface") / "weights" / "mesh_shape.npz")) as held:
        return MeshShape(held["mean"].astype(np.float64), held["modes"].astype(np.float64))
