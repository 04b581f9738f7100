"""Which of the faces that a search gave is the best reference: who it is first, then what it can give to the hole."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from twoface.core.affine import apply, invert
from twoface.core.arrays import Mask, Picture, Points, Vector
from twoface.core.choice import sharpness
from twoface.core.frame import SIZE
from twoface.search.face_space import nearest_hole

if TYPE_CHECKING:
    from twoface.search.rows import FaceRow

SAME, MAYBE = 0.9, 0.1  # probabilities from which we say "very likely the same person" and "looks alike"
VERDICTS = {
    "same": "very likely the same person",
    "maybe": "looks alike, maybe someone else",
    "nobody": "nobody here",
}
POSE = 20.0  # degrees that two heads may be turned apart
HINT = 0.2  # difference of an expression figure that matters
ENOUGH = SIZE  # photo pixels a side of the frame
Cosines = TypeVar("Cosines", float, Vector)  # one, or of many pairs


@dataclass(frozen=True)
class Calibration:
    """How similarities under a hole become a probability; `twoface/research/fitting/probability.py` measures it.

    whole: what the cosine counts to what the index keeps of the whole face; again: that with the same hole in both,
    after the photo was read. How alike two faces are with a larger part hidden says nothing more then.
    """

    hole: str
    bias: float
    whole: float
    again: float = 0.0

    def log_odds(self, whole: Cosines, again: Cosines, faces: int) -> Cosines:
        """That one face of a collection of so many is the person, when one of them is."""
        return self.bias + self.whole * whole + self.again * again - np.log(max(faces, 1))


def calibration_for(hidden: Mask) -> Calibration:
    """The calibration of the measured hole that differs in the fewest pixels from `hidden`, bool (128, 128)."""
    known = calibrations()
    return known[nearest_hole(hidden, known)]


@cache
def calibrations() -> dict[str, Calibration]:
    """From `weights/search.json` -> {a hole's name: Calibration}."""
    figures = json.loads((resources.files("twoface") / "weights" / "search.json").read_text())["holes"]
    return {name: Calibration(name, **weights) for name, weights in figures.items()}


def probability(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))


def verdict(chance: float) -> str:
    """A probability in one word: a key of `VERDICTS`."""
    return "same" if chance >= SAME else "maybe" if chance >= MAYBE else "nobody"


@dataclass(frozen=True)
class Wanted:
    """What the hole wants of a donor.

    hole: bool (128, 128) in the crop frame; all False asks for the whole face. pose: (yaw, pitch) in degrees; size: of
    the frame in photo pixels; eyes_open, mouth_open: None where the hole hides them.
    """

    hole: Mask
    pose: tuple[float, float]
    size: float
    eyes_open: float | None
    mouth_open: float | None


def donor_quality(
    wanted: Wanted, row: "FaceRow", aligned: Picture, photo_size: tuple[int, int], hidden: Mask
) -> dict[str, float]:
    """What a face can give to the hole -> {"visible", "pose", "expression", "sharp", "size"}, each 0..1, 1 is best.

    row: FaceRow; aligned: its crop, uint8 (128, 128, 3); photo_size: (width, height) of its photo. hidden: bool
    (128, 128), where something is in front of the face in that crop.
    """
    hole = wanted.hole if wanted.hole.any() else np.ones_like(wanted.hole)
    return {
        "visible": _inside(row, hole, photo_size) * _turned_to_us(row.yaw, hole) * float(1 - hidden[hole].mean()),
        "pose": _alike_pose(wanted.pose, row),
        "expression": _alike_expression(wanted, row),
        "sharp": min(1.0, sharpness(aligned, hole) / 0.15),
        "size": min(1.0, row.size / max(ENOUGH, min(wanted.size, 4 * ENOUGH))),
    }


def _inside(row: "FaceRow", hole: Mask, size: tuple[int, int]) -> float:
    """The share of the hole that the donor's photo really shows; beyond its border it would be a reflection."""
    y, x = np.nonzero(hole)
    places = apply(invert(row.frame.transform()), np.stack([x, y], 1))
    return float(np.mean(((places >= -0.5) & (places < np.array(size) - 0.5)).all(1)))


def _turned_to_us(yaw: float, hole: Mask) -> float:
    """How well a head turned by `yaw` degrees shows the hole's part, beside one that looks at us.

    The head is taken for an upright cylinder as wide as the face.
    """
    x = np.nonzero(hole)[1]
    angle = np.arcsin(np.clip((x / len(hole) - 0.5) / 0.4, -0.9, 0.9))
    return float(np.clip(np.cos(angle + np.radians(yaw)) / np.cos(angle), 0, 1).mean())


def _alike_pose(pose: tuple[float, float], row: "FaceRow") -> float:
    apart = (pose[0] - row.yaw) ** 2 + (pose[1] - row.pitch) ** 2
    return float(np.exp(-apart / (2 * POSE**2)))


def _alike_expression(wanted: Wanted, row: "FaceRow") -> float:
    pairs = ((wanted.eyes_open, row.eyes_open), (wanted.mouth_open, row.mouth_open))
    known = [(a - b) ** 2 for a, b in pairs if a is not None]
    return float(np.exp(-sum(known) / (2 * HINT**2)))


def hides(hole: Mask, places: Points) -> bool:
    """Does the hole, bool (128, 128), cover one of these places, fractions (N, 2) of the frame?"""
    x, y = np.round(np.asarray(places) * len(hole)).astype(int).T
    return bool(hole[y, x].any())
