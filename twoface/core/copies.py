"""Is one photo a copy of another, and does it show what the other hides?"""

import cv2
import numpy as np

from twoface.core.arrays import Mask, Picture

COPY = 0.93  # correlation of what is visible from which two pictures are one (benchmarks/search_copies.py)
SAME = 8.0  # levels of 255 by which copies may differ inside a hole, in the mean: more, and it shows something else
HALF, SHIFT = 64, 4  # pixels: the size at which crops are compared, and how far their frames may lie apart
INNER = np.s_[SHIFT:-SHIFT, SHIFT:-SHIFT]


def same_picture(one: Picture, other: Picture, visible: Mask) -> bool:
    """Is what is visible the same picture, perhaps scaled, cropped or compressed anew? Crops uint8 (128, 128, 3).

    Brightness is taken out, so a brighter copy is a copy; and so is one whose frame lies a few pixels beside.
    """
    return copy_score(one, other, visible) >= COPY


def copy_score(one: Picture, other: Picture, visible: Mask) -> float:
    """The correlation, -1..1, of what is visible in two crops, at half their size and the best of small shifts."""
    return _laid_over(_half(one), _half(other), _inside(visible))[0]


def shows_the_same(one: Picture, other: Picture, hole: Mask) -> bool:
    """Do two crops show the same inside a hole, bool (128, 128), too? Arguments as of `same_picture`."""
    one, other = _half(one), _half(other)
    score, x, y = _laid_over(one, other, _inside(~hole))
    inside = _inside(hole)[INNER]
    if score < 0 or not inside.any():
        return False
    height, width = inside.shape
    apart = one[INNER].astype(float) - other[y : y + height, x : x + width]
    return bool(np.abs(apart - apart[~inside].mean(0))[inside].mean() < SAME)


def _laid_over(one: Picture, other: Picture, seen: Mask) -> tuple[float, int, int]:
    """-> the correlation of what is seen, bool (64, 64), and x, y: where `INNER` of one lies in the other."""
    if not seen[INNER].any():
        return -1.0, 0, 0
    mask = np.repeat(seen[INNER][..., None], 3, 2).astype(np.float32)
    scores = cv2.matchTemplate(other, one[INNER], cv2.TM_CCOEFF_NORMED, mask=mask)
    scores = np.where(np.isfinite(scores), scores, -1)
    y, x = np.unravel_index(scores.argmax(), scores.shape)
    return float(scores[y, x]), int(x), int(y)


def _half(crop: Picture) -> Picture:
    return cv2.resize(crop, (HALF, HALF), interpolation=cv2.INTER_AREA)


def _inside(part: Mask) -> Mask:
    """The pixels of a half-size crop that lie wholly in a part, bool (128, 128)."""
    return cv2.resize(part.astype(np.float32), (HALF, HALF), interpolation=cv2.INTER_AREA) == 1
