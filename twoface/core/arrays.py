"""The arrays that go from one module to the next: names for their shape and range.

A type checker sees the kind of number; the name and its comment give the rest. H and W are height and width in pixels.
A pixel's centre is at its integer coordinate; a point is (x, y).
"""

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[Any]  # of any shape and kind
Picture: TypeAlias = NDArray[np.uint8]  # (H, W, 3), RGB, 0..255
Pictures: TypeAlias = NDArray[np.uint8]  # (N, H, W, 3), RGB, 0..255
Plane: TypeAlias = NDArray[np.uint8]  # (H, W), 0..255: grey, alpha, or what each pixel is
Planes: TypeAlias = NDArray[np.uint8]  # (N, H, W), 0..255
Colours: TypeAlias = NDArray[np.uint8]  # (N, 3), RGB, 0..255
Samples: TypeAlias = NDArray[Any]  # uint8 or uint16, (H, W) or (H, W, C): as a file has them, over its whole range
Mask: TypeAlias = NDArray[np.bool_]  # (H, W), True where it applies: the hole, the visible part
FloatPicture: TypeAlias = NDArray[np.float32]  # (H, W, 3), 0..1
Field: TypeAlias = NDArray[np.float32]  # (H, W), or (H, W, C): numbers for each pixel
Batch: TypeAlias = NDArray[np.float32]  # (N, C, H, W), 0..1: what the networks take and give
Transform: TypeAlias = NDArray[np.floating[Any]]  # (2, 3): an affine map of points
Points: TypeAlias = NDArray[np.floating[Any]]  # (N, 2), or (N, 3) with depth
Meshes: TypeAlias = NDArray[np.floating[Any]]  # (N, 478, 3): the points of each face's mesh
Places: TypeAlias = NDArray[np.float32]  # (H, W, 2): for each pixel a point, of another picture or the crop
Vector: TypeAlias = NDArray[np.floating[Any]]  # (N,)
Matrix: TypeAlias = NDArray[np.floating[Any]]  # (N, M)
Embeddings: TypeAlias = NDArray[np.floating[Any]]  # (N, K, 128): of each face whole, and with parts hidden
Indices: TypeAlias = NDArray[np.integer[Any]]  # of what is chosen


class Rows(Protocol):
    """Samples that are made a band of rows at a time, when a slice asks for them; or an array of them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, rows: slice) -> Samples: ...


Box: TypeAlias = tuple[float, float, float, float]  # x0, y0, x1, y1: half-open, in pixels
Shape: TypeAlias = tuple[int, ...]  # (H, W) or (H, W, C)
Fields: TypeAlias = dict[str, NDArray[np.float32]]  # the fill network's outputs by name, (C, h, w) each
