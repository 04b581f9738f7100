"""The tone of a photo without colours (grey, sepia, cyanotype, a scan's cast): one colour for each brightness."""

import cv2
import numpy as np

from twoface.core.arrays import Colours, Field, Mask, Picture

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SIDE = 48  # the photo is looked at as large as this: grain and JPEG's coloured noise are gone then
_STEP = 8  # of 0..255, between the brightnesses whose colour is measured
_LEAST = 16  # places that a colour is measured from
_SPREAD = 9.0  # of 0..255: nearly all places of a photo without colours lie as near to its curve
_NEARLY = 95  # per cent


def toned(known: Picture, filled: Picture, tone: Colours) -> Picture:
    """A fill in the tone of its photo -> uint8 (H, W, 3).

    known, filled: uint8 (H, W, 3), the photo before and after, or a part of it; tone: what `tone_of` says of the photo.
    Pixels that were not filled, where both are the same, stay bit for bit; the others keep their brightness.
    """
    changed = (known != filled).any(-1)
    result = filled.copy()
    result[changed] = tone[np.rint(filled[changed].astype(np.float32) @ _LUMA).astype(np.uint8)]
    return result


def tone_of(pixels: Picture, hole: Mask) -> Colours | None:
    """The one colour of each brightness -> uint8 (256, 3); None for a photo in colours, or where nothing is known.

    pixels: uint8 (H, W, 3); hole: bool (H, W), which is not looked at.
    """
    places = _places(pixels, hole)
    if len(places) < _LEAST:
        return None
    luma = places @ _LUMA
    cast = places - luma[:, None]
    centres = np.arange(0, 256, _STEP)
    near = [np.abs(luma - centre) <= _STEP for centre in centres]
    kept = [i for i, part in enumerate(near) if np.count_nonzero(part) >= _LEAST]
    if not kept:
        return None
    casts = np.stack([np.median(cast[near[i]], axis=0) for i in kept])
    levels = np.arange(256)
    curve = np.stack([np.interp(levels, centres[kept], casts[:, channel]) for channel in range(3)], -1)
    off = np.linalg.norm(cast - curve[np.clip(np.rint(luma), 0, 255).astype(int)], axis=1)
    if np.percentile(off, _NEARLY) > _SPREAD:
        return None
    return np.clip(np.rint(levels[:, None] + curve), 0, 255).astype(np.uint8)


def _places(pixels: Picture, hole: Mask) -> Field:
    """The mean colours of the photo's known parts, float32 (N, 3)."""
    height, width = pixels.shape[:2]
    factor = min(1, _SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    known = cv2.resize(hole.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA) == 0
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)[known].astype(np.float32)
