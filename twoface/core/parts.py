"""Holes with the shape of a part of the face, drawn by its mesh: one table for every door, training and evaluation.

A hole tilts and turns with the head, since its corners are points of the mesh (`twoface.core.mesh`, MediaPipe's
topology).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from twoface.core.arrays import Mask, Plane, Points, Shape
from twoface.core.errors import InputError
from twoface.core.frame import SIZE
from twoface.core.masks import center_hole, parse_box
from twoface.core.mesh import EYE_CORNERS, POLYGONS, mirrored, template_mesh

_SHIFT = 4  # binary digits of a pixel's fraction, for OpenCV

# Corners on the picture's left; those on its right are their mirror points.
_SOCKET = (*(226, 31, 228, 229, 230, 231, 232, 233), *(244, 189, 221, 222, 223, 224, 225, 113))  # round the eye
_LENS = (*_SOCKET, *POLYGONS["left_brow"], 116, 50, 36, 126)  # with its frame, as large as of sunglasses
_TEMPLE = (162, 127)  # where the arm of glasses goes to the ear
_BRIDGE = (107, 336, 121, 350)
_CHIN = (  # the jaw below the ears
    *(132, 58, 172, 136, 150, 149, 176, 148),
    *(152, 377, 400, 378, 379, 365, 397, 288, 361),
)
_TOP = (127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356)  # from temple to temple
_ABOVE_BROWS = (300, 293, 334, 296, 336, 9, 107, 66, 105, 63, 70)
_MIDLINE = (*(10, 151, 9, 8, 168, 6, 197, 195, 5, 4), *(1, 2, 164, 0, 17, 18, 200, 199, 175, 152))


@dataclass(frozen=True)
class _Part:
    """The union of polygons, widened.

    polygons: (point numbers, by how much they are widened as a share of the distance between the eyes); of the points
    the convex hull is taken unless `exact`. beyond: whether it may reach over the face's outline.
    """

    polygons: tuple[tuple[tuple[int, ...], float], ...]
    exact: bool = False
    beyond: bool = False


def _mirror(points: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(mirrored()[point]) for point in points)


def _define_parts() -> dict[str, _Part]:
    left_half = (*POLYGONS["oval"][18:], *_MIDLINE)
    left_eye, right_eye = (_SOCKET, 0.06), (_mirror(_SOCKET), 0.06)
    lenses = ((_LENS, 0.06), (_mirror(_LENS), 0.06), (_BRIDGE, 0.06))
    temples = (
        ((*_TEMPLE, 124, 111), 0.08),
        (_mirror((*_TEMPLE, 124, 111)), 0.08),
        (_TEMPLE, 0.22),
        (_mirror(_TEMPLE), 0.22),
    )
    return {
        "eyes": _Part((left_eye, right_eye)),
        "left-eye": _Part((left_eye,)),
        "right-eye": _Part((right_eye,)),
        "glasses": _Part((*lenses, *temples), beyond=True),
        "nose": _Part(((POLYGONS["nose"], 0.08),)),
        "mouth": _Part(((POLYGONS["lips"], 0.18),)),
        "mask": _Part((((*_CHIN, 6, 117, 346, 227, 447), 0.08),), beyond=True),
        "lower": _Part((((*_CHIN, 5, 50, 280), 0.05),)),
        "forehead": _Part((((*_TOP, *_ABOVE_BROWS), 0.0),), exact=True),
        "left": _Part(((left_half, 0.03),), exact=True),
        "right": _Part(((_mirror(left_half), 0.03),), exact=True),
        "face": _Part(((POLYGONS["oval"], 0.03),)),
    }


_PARTS = _define_parts()
PARTS = tuple(_PARTS)
HOLES = ("center", *PARTS)
AUTO = "auto"  # whatever covers the face, or eyes that are closed: found by `Inpainter.cover`


def named_hole(name: str, points: Points | None = None, center_size: int = 64) -> Mask:
    """The hole called `name` (one of `HOLES`) in the crop -> bool (128, 128).

    points: (478, 3), the face's mesh in crop pixels, default that of a face which looks straight ahead; the hole
    `center` does not ask for it. center_size: the side of that square in crop pixels, 1..128 (the thesis used 32).
    left and right are as seen in the picture.
    Raises InputError for an unknown name or a centre square that does not fit.
    """
    check_name(name)
    if name == "center":
        return center_hole(center_size, SIZE)
    return part_hole(name, template_mesh() if points is None else points, (SIZE, SIZE))


def part_hole(name: str, points: Points, shape: Shape) -> Mask:
    """The hole called `name`, one of `PARTS`, in any picture -> bool `shape`; empty where the face lies outside.

    points: (478, 3), the face's mesh in the picture's pixels, depth in the same unit. shape: (H, W).
    """
    part, unit = _PARTS[name], eye_distance(points)
    canvas = np.zeros(shape[:2], np.uint8)
    for polygon, grown in part.polygons:
        _draw(canvas, points[list(polygon)], grown * unit, part.exact)
    if not part.beyond:
        face = np.zeros_like(canvas)
        _draw(face, points, max(grown for _, grown in part.polygons) * unit)
        canvas &= face
    return canvas.view(bool)


def eye_distance(points: Points) -> float:
    """How far the eyes' middles are apart, in depth too, so that it stays when the head turns. points: (478, 3)."""
    outer, inner, right_inner, right_outer = points[list(EYE_CORNERS)]
    return float(np.linalg.norm((outer + inner) / 2 - (right_inner + right_outer) / 2))


def check_name(name: str) -> None:
    """Raises InputError for a name that is none of `HOLES`."""
    if name not in HOLES:
        raise InputError(f"unknown hole '{name}': use one of {', '.join(HOLES)}")


def parse_hole(text: str) -> str | tuple[int, int, int, int]:
    """A name of `HOLES`, `AUTO`, or a box as `parse_box`. Raises InputError for anything else."""
    if "," in text:
        return parse_box(text)
    if text not in (AUTO, *HOLES):
        raise InputError(f"unknown hole '{text}': use {AUTO}, one of {', '.join(HOLES)}, or a box X0,Y0,X1,Y1")
    return text


def _draw(canvas: Plane, corners: Points, grown: float, exact: bool = False) -> None:
    """Fill a polygon, (N, 2 or 3), widened by `grown` pixels with round corners."""
    corners = corners[:, :2].astype(np.float32)
    corners = corners if exact else cv2.convexHull(corners)[:, 0]
    corners = np.rint(corners * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 1, shift=_SHIFT)
    if grown >= 0.5:
        cv2.polylines(canvas, [corners], True, 1, round(2 * grown), shift=_SHIFT)
