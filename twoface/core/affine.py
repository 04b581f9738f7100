"""2x3 affine maps of points: of one picture's pixels to another's; a pixel's centre is at its integer coordinate.

Where the map is a square cut out upright, it is a `twoface.core.frame.Frame`.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from twoface.core.arrays import Points, Transform
from twoface.core.errors import InputError


def apply(transform: Transform, points: ArrayLike) -> Points:
    """Map points (..., 2) -> (..., 2) float64."""
    return np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]


def invert(transform: Transform) -> Transform:
    """The map back."""
    return cv2.invertAffineTransform(transform)


def scale_of(transform: Transform) -> float:
    """Of a similarity: how long a pixel becomes."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def similarity_transform(source: ArrayLike, target: ArrayLike) -> Transform:
    """The similarity that brings points (N, 2) nearest to others (least squares) -> (2, 3) float64.

    Rotation, one scale and a shift, never a reflection (Umeyama 1991; in the plane it is a complex regression).
    Raises InputError when the points fall on one.
    """
    source = np.asarray(source, np.float64) @ (1, 1j)
    target = np.asarray(target, np.float64) @ (1, 1j)
    centered = source - source.mean()
    spread = (np.abs(centered) ** 2).sum()
    if spread < 1e-6:
        raise InputError("the face's landmarks fall on one point: give it as a square X0,Y0,X1,Y1", code="no_face")
    turn = (centered.conj() * (target - target.mean())).sum() / spread
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
