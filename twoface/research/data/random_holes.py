"""The holes that training sees."""

from __future__ import annotations

import cv2
import numpy as np

from twoface.core.arrays import Mask, Plane, Points
from twoface.core.frame import SIZE
from twoface.core.parts import PARTS, part_hole

AREA_RANGE = (0.015, 0.60)  # a hole covers this much of the frame, at least and at most


def random_hole(rng: np.random.Generator, points: Points) -> Mask:
    """A hole -> bool (128, 128), `AREA_RANGE` of the frame.

    rng: the only source of randomness. points: (478, 3), the face's mesh in crop pixels. The mixture: centre squares
    of 32..88 pixels (30 %, a third of them exactly 64), parts of the face, jittered in place and size, a quarter of
    them as the box round them (40 %), strokes (12 %), boxes (9 %), ellipses and blobs (9 %).
    """
    kind = rng.choice(len(_KINDS), p=_SHARES)
    while True:
        canvas = np.zeros((SIZE, SIZE), np.uint8)
        _KINDS[kind](rng, canvas, points)
        area = cv2.countNonZero(canvas) / canvas.size
        if AREA_RANGE[0] <= area <= AREA_RANGE[1]:
            return canvas.view(bool)


def _draw_center(rng: np.random.Generator, canvas: Plane, points: Points) -> None:
    side = 64 if rng.random() < 1 / 3 else rng.integers(32, 89)
    start = (SIZE - side) // 2
    canvas[start : start + side, start : start + side] = 1


def _draw_part(rng: np.random.Generator, canvas: Plane, points: Points) -> None:
    name = PARTS[rng.integers(len(PARTS))]
    middle = points.mean(0)
    moved = middle + (points - middle) * rng.uniform(0.9, 1.15) + np.append(rng.normal(0, 2.5, 2), 0)
    part = part_hole(name, moved, canvas.shape).view(np.uint8)
    if rng.random() < 0.25:
        x, y, width, height = cv2.boundingRect(part)
        canvas[y : y + height, x : x + width] = 1
    else:
        canvas |= part


def _draw_strokes(rng: np.random.Generator, canvas: Plane, points: Points) -> None:
    for _ in range(rng.integers(1, 5)):
        steps = rng.integers(2, 9)
        angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.uniform(-1.2, 1.2, steps))
        lengths = rng.uniform(8, 30, steps)
        moves = np.stack([np.cos(angles) * lengths, np.sin(angles) * lengths], 1)
        corners = rng.uniform(0.15, 0.85, 2) * SIZE + np.cumsum(moves, 0)
        cv2.polylines(canvas, [corners.round().astype(np.int32)], False, 1, round(rng.uniform(5, 20)))


def _draw_box(rng: np.random.Generator, canvas: Plane, points: Points) -> None:
    width, height = rng.uniform(16, 90, 2).round().astype(int)
    x, y = rng.integers(0, SIZE - width), rng.integers(0, SIZE - height)
    canvas[y : y + height, x : x + width] = 1


def _draw_blobs(rng: np.random.Generator, canvas: Plane, points: Points) -> None:
    for _ in range(rng.integers(1, 4)):
        center = (rng.uniform(0.2, 0.8, 2) * SIZE).round().astype(int)
        axes = rng.uniform(8, 40, 2).round().astype(int)
        cv2.ellipse(canvas, center.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, 1, -1)


_KINDS = (_draw_center, _draw_part, _draw_strokes, _draw_box, _draw_blobs)
_SHARES = (0.30, 0.40, 0.12, 0.09, 0.09)
