"""Which of several references is used: of those who are the person, the one that shows the hole's part best."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from twoface.core.arrays import Field, Mask, Picture, Points
from twoface.core.mesh import Mesh, inside

ALIKE = 0.15  # of similarity: who is so much less like the photo than the best is not taken for the same person
TURNED = 40.0  # degrees of yaw between photo and reference that halve a reference's worth and more (a gaussian's width)
COVERED = 0.02  # what a reference is still worth, by the others, that is covered where the hole is
SHARP = 0.12  # `sharpness` of a face in focus


@dataclass(frozen=True)
class Worth:
    """What a reference can give to a hole, 0..1 each; total is their product.

    shown: the part of the hole, in the face, that is turned to us in it. pose: how near its yaw is. sharp: its focus
    and size. clear: the share of what it shows that nothing covers.
    """

    shown: float
    pose: float
    sharp: float
    clear: float

    @property
    def total(self) -> float:
        return self.shown * self.pose * self.sharp * self.clear


def worth(
    points: Points, unknown: Mask, trust: tuple[Field, Field], aligned: Picture, mesh: Points, finer: float
) -> Worth:
    """points: (478, 3), the photo's mesh in crop pixels; unknown: bool (128, 128), its hole. trust: two float
    (128, 128), of the reference as it is turned, and less what covers it.

    aligned: uint8 (128, 128, 3), the reference's crop; mesh: (478, 3), its mesh in the crop's pixels. finer: pixels of
    the reference photo per pixel of the photo.
    """
    part = unknown & inside(points, "oval")
    shown, bare = (float(each[part].mean()) if part.any() else 1.0 for each in trust)
    apart = Mesh(points, 1.0).pose.yaw - Mesh(mesh, 1.0).pose.yaw
    return Worth(
        shown=shown,
        pose=float(np.exp(-((apart / TURNED) ** 2))),
        sharp=float(min(1, sharpness(aligned) / SHARP) ** 0.5 * min(1, finer) ** 0.25),
        clear=max(bare / shown, COVERED) if shown else 1.0,
    )


def best(similarities: Sequence[float], worths: Sequence[Worth]) -> int:
    """The place of the reference to use: the worthiest of those who are about as alike as the most alike."""
    near = [i for i, s in enumerate(similarities) if s >= max(similarities) - ALIKE]
    return max(near, key=lambda i: (worths[i].total, similarities[i]))


def sharpness(aligned: Picture, region: Mask | None = None) -> float:
    """Fine detail of a crop, uint8 (128, 128, 3): deviation of what a blur of 1.5 px removes, over the whole deviation.

    region: bool (128, 128), only there. About 0.03 for a face enlarged from 30 pixels, 0.15 and more for a sharp one.
    """
    gray = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = gray - cv2.GaussianBlur(gray, (0, 0), 1.5)
    part = slice(20, 108) if region is None else region
    return float(fine[part].std() / max(gray[20:108, 20:108].std(), 1))
