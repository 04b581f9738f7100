"""How real a fill is likely to look, told from what it was made of: the second word beside the one on the person.

Nobody's eye is asked: these are the circumstances under which the fills of a blind panel were rated lower
(`benchmarks/outlook.py`, docs/evaluation.md). The limits were chosen on the same 48 fills.
"""

from typing import NamedTuple

import numpy as np

from twoface.core.arrays import Mask, Points
from twoface.core.choice import Worth
from twoface.core.mesh import Mesh, inside

BEYOND = 0.05  # of the frame: how much of a hole may lie beside the face
HIDDEN = 0.5  # of the face
TURNED = 18.0  # degrees of yaw of the photo's face
APART = 0.7  # `choice.Worth.pose`: about 24 degrees between photo and reference
CLEAR = 0.5  # `choice.Worth.clear`: half of what the reference shows of the hole
TEXTS = {
    "beyond": "the hole reaches beyond the face, where hair and background are invented",
    "partly": "something in front of the face goes on beyond the hole: mark all of it, as the hole auto does",
    "hidden": "more than half of the face is hidden",
    "turned": "the face is turned away",
    "apart": "the reference looks elsewhere",
    "covered": "something is in front of the reference's face there too",
    "invented": "without a reference the fill is soft",
    "small": "the face is small",
}


WORDS = {"good": "likely to look natural", "fair": "look closely", "doubtful": "likely to look wrong somewhere"}


class Outlook(NamedTuple):
    """word: "good" without reasons, "fair" with one, "doubtful" with more. reasons: keys of `TEXTS`."""

    word: str
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        return "; ".join([WORDS[self.word], *(TEXTS[reason] for reason in self.reasons)])


def outlook(points: Points, unknown: Mask, continued: float, worth: Worth | None, small: bool, partly: bool) -> Outlook:
    """What speaks against a natural look.

    points: (478, 3), the face's mesh in crop pixels; unknown: bool (128, 128), the hole as the network fills it, and
    continued: how large the rest of it is, which the background is continued in, in crop pixels. worth: of the
    reference, None without one. small: whether the photo's face is small. partly: as of
    `twoface.core.occlusion.partly_inside`.
    """
    face = inside(points, "oval")
    pixels = int(np.count_nonzero(face))
    found = {
        "beyond": np.count_nonzero(unknown & ~face) + continued > BEYOND * unknown.size,
        "partly": partly,
        "hidden": np.count_nonzero(unknown & face) > HIDDEN * max(pixels, 1),
        "turned": abs(Mesh(points, 1.0).pose.yaw) > TURNED,
        "apart": worth is not None and worth.pose < APART,
        "covered": worth is not None and worth.clear < CLEAR,
        "invented": worth is None,
        "small": small,
    }
    reasons = tuple(reason for reason, there in found.items() if there)
    return Outlook(list(WORDS)[min(len(reasons), 2)], reasons)
