"""BlazeFace, MediaPipe's face detector (Bazarevsky et al. 2019, Apache-2.0), on ONNX Runtime. No torch.

It finds faces whose parts are hidden and faces that lie on their side, in two milliseconds, but only those that are a
large part of the square that it is shown. `python -m twoface.research.fitting.mediapipe` converts it; `weights/NOTICE`
says where it comes from.
"""

from collections.abc import Iterator, Sequence
from importlib import resources

import cv2
import numpy as np

from twoface.core.affine import apply, invert, scale_of, similarity_transform
from twoface.core.arrays import Field, Numbers, Points, Vector
from twoface.core.faces import ALIKE, TEMPLATE, Face, overlap
from twoface.core.frame import SIZE, Frame
from twoface.core.mesh import SIDE as CUT
from twoface.core.mesh import cut
from twoface.core.network import open_session
from twoface.core.pyramid import Pyramid

SIDE = 128  # pixels a side of what the network sees
CELLS = ((16, 2), (8, 6))  # of its two grids: cells a side, anchors in each
SCORE = 0.5  # from which an anchor shows a face
# Where its points for the left eye, right eye (as seen) and mouth's middle lie in an aligned face, as fractions of the
# frame: the median over 100 photos. Its fourth, the nose's tip, moves as the head turns.
PLACES = np.array([(0.364, 0.460), (0.607, 0.463), (0.481, 0.726)])
FITTED = [0, 1, 3]
FAR = 1.6  # times that the frame by its points may be larger or smaller than that by its box
BOX = np.array([(0.198, 0.303), (0.790, 0.891)])  # the same of its box


class BlazeFace:
    """threads: as `twoface.core.network.open_session`."""

    def __init__(self, threads: int | None = None) -> None:
        self._session = open_session(resources.files("twoface") / "weights" / "blazeface.onnx", threads)

    def look(self, photo: Pyramid, squares: Sequence[Frame], least: float = SCORE) -> list[list[Face]]:
        """What it finds in each of some squares of a photo -> a list of Face for each, the surest first.

        What lies beyond the photo is black. least: score of a face.
        """
        shown = np.stack([_shown(photo, square) for square in squares])
        boxes, scores = self._session.run(["boxes", "scores"], {"image": shown})
        return [
            [_face(square, *face) for face in _merged(*_decoded(values, logits, least))]
            for square, values, logits in zip(squares, boxes, scores[..., 0], strict=True)
        ]


def _shown(photo: Pyramid, square: Frame) -> Field:
    part = cut(*photo.level(square, CUT), cv2.BORDER_CONSTANT)
    return cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 127.5 - 1


def _decoded(values: Numbers, logits: Vector, least: float) -> tuple[Points, Vector]:
    """The anchors that show a face -> points (K, 8, 2) as fractions of the square, and scores (K,), surest first.

    points: the box's upper left and lower right corner, then the six key points.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    good = np.flatnonzero(scores >= least)
    good = good[np.argsort(-scores[good], kind="stable")]
    values = values[good].reshape(-1, 8, 2) / SIDE
    centre, half = values[:, 0] + ANCHORS[good], values[:, 1] / 2
    corners = np.stack([centre - half, centre + half], 1)
    return np.concatenate([corners, values[:, 2:] + ANCHORS[good][:, None]], 1), scores[good]


def _merged(points: Points, scores: Vector) -> Iterator[tuple[Points, float]]:
    """Points of the same face, averaged by their scores -> (points, the best score) each."""
    boxes = points[:, :2].reshape(-1, 4)
    rest = np.arange(len(points))
    while len(rest):
        same = np.array([overlap(boxes[rest[0]], boxes[i]) > ALIKE or i == rest[0] for i in rest])
        weight = scores[rest[same]]
        yield np.tensordot(weight, points[rest[same]], 1) / weight.sum(), float(weight[0])
        rest = rest[~same]


def _face(square: Frame, points: Points, score: float) -> Face:
    """points: (8, 2), fractions of the square -> Face in the photo's pixels."""
    points = points * CUT - 0.5
    (x0, y0), (x1, y1) = points[:2]
    transform = similarity_transform(points[2:][FITTED], PLACES * SIZE)
    by_box = similarity_transform(points[:2], BOX * SIZE)
    if not 1 / FAR < scale_of(transform) / scale_of(by_box) < FAR:  # the points of a covered face may fall on one
        transform = by_box
    face = Face((x0, y0, x1, y1), apply(invert(transform), TEMPLATE * SIZE), score)
    return face.moved(invert(square.transform(CUT)))


def _anchors() -> Points:
    """The middles of the anchors, fractions of the square -> (896, 2)."""
    grids = []
    for cells, each in CELLS:
        along = (np.arange(cells) + 0.5) / cells
        grids.append(np.repeat(np.stack(np.meshgrid(along, along), -1).reshape(-1, 2), each, 0))
    return np.concatenate(grids)


ANCHORS = _anchors()
