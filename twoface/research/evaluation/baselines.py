"""What a fill must beat. Each baseline sees what a network sees: (masked, hole, reference) -> filled.

masked: uint8 (H, W, 3) RGB, the hole emptied to 0; hole: bool (H, W); reference: uint8 (H, W, 3), in the same frame.
The result is the masked picture with its hole filled, uint8 (H, W, 3).
"""

import cv2
import numpy as np

from twoface.core.arrays import Field, Mask, Picture
from twoface.core.masks import grow

INPAINT_RADIUS = 5  # px
RING = 8  # px round the hole whose colours the pasted reference takes on


def telea(masked: Picture, hole: Mask, reference: Picture) -> Picture:
    """Telea 2004, fast marching, as in OpenCV."""
    return cv2.inpaint(masked, hole.view(np.uint8), INPAINT_RADIUS, cv2.INPAINT_TELEA)


def navier_stokes(masked: Picture, hole: Mask, reference: Picture) -> Picture:
    """Bertalmio et al. 2001, as in OpenCV."""
    return cv2.inpaint(masked, hole.view(np.uint8), INPAINT_RADIUS, cv2.INPAINT_NS)


def paste(masked: Picture, hole: Mask, reference: Picture) -> Picture:
    """The reference's own pixels."""
    return np.where(hole[..., None], reference, masked)


def matched_paste(masked: Picture, hole: Mask, reference: Picture) -> Picture:
    """The reference's pixels, given in Lab the mean and deviation that the picture has in a ring round the hole."""
    ring = grow(hole, RING) & ~hole
    here, there = _lab(masked), _lab(reference)
    gain = here[ring].std(0) / np.maximum(there[ring].std(0), 1e-6)
    matched = (there - there[ring].mean(0)) * gain + here[ring].mean(0)
    rgb = cv2.cvtColor(matched.astype(np.float32), cv2.COLOR_LAB2RGB)
    return paste(masked, hole, np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8))


def mean_colour(masked: Picture, hole: Mask, reference: Picture) -> Picture:
    """The mean colour of the known pixels."""
    return paste(masked, hole, np.rint(masked[~hole].mean(0)).astype(np.uint8))


def _lab(picture: Picture) -> Field:
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


BASELINES = {f.__name__: f for f in (telea, navier_stokes, paste, matched_paste, mean_colour)}
