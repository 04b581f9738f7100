"""Holes as masks: boxes, those of a file; grown and feathered.

A mask is a bool array (H, W), True = hole. NumPy and OpenCV only.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from twoface.core.arrays import Colours, Field, Mask, Picture, Plane, Shape
from twoface.core.bands import bands, widened
from twoface.core.errors import InputError
from twoface.core.frame import SIZE

# Of a mask with transparent parts: the spread of a brush's one colour, how far black and white may be off, the share
# of the pixels that must agree, the colours that a drawing may have.
_STROKE, _TONE, _NEARLY, _BRUSHES = 24, 32, 0.9, 8
_JUDGED = 1_000_000  # pixels, evenly spread, from which its colours are told


def box_hole(box: Sequence[float], shape: Shape) -> Mask:
    """A box (x0, y0, x1, y1), half-open pixels, as a mask of `shape` (H, W).

    Raises InputError when the box is none or empty, or does not lie inside the picture.
    """
    if len(box) != 4:
        raise InputError(f"a box is X0,Y0,X1,Y1 in pixels, not {len(box)} numbers")
    x0, y0, x1, y1 = box
    height, width = shape[:2]
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise InputError(
            f"the box {x0:g},{y0:g},{x1:g},{y1:g} does not fit the {width}x{height} picture:"
            " give X0,Y0,X1,Y1 in pixels with X0 < X1 and Y0 < Y1, inside the picture"
        )
    mask = np.zeros((height, width), bool)
    mask[int(y0) : int(y1), int(x0) : int(x1)] = True
    return mask


def center_hole(side: int, size: int = SIZE) -> Mask:
    """The square of `side` pixels in the middle of a frame -> bool (size, size). The thesis used 32 of 128.

    Raises InputError for a square that does not fit.
    """
    if not 1 <= side <= size:
        raise InputError(f"the centre square must be 1 to {size} crop pixels wide, not {side}")
    start = (size - side) // 2
    return box_hole((start, start, start + side, start + side), (size, size))


def parse_box(text: str) -> tuple[int, int, int, int]:
    """ "X0,Y0,X1,Y1" -> (x0, y0, x1, y1) of ints. Raises InputError when it is not four whole numbers."""
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"'{text}' is not a box: give four whole numbers X0,Y0,X1,Y1 in pixels") from error
    return x0, y0, x1, y1


def hole_of(pixels: Picture, alpha: Plane | None = None) -> Mask:
    """What a picture says is the hole -> bool (H, W).

    pixels: uint8 (H, W, 3); alpha: uint8 (H, W) or None. Hole is what is white, of a luma of 128 and above. With
    transparent parts it may be told otherwise: the opaque part of strokes, one colour on a transparent layer; or, in a
    copy of the photo, what was erased. A drawing in black and white keeps its meaning, and transparent is not hole.
    """
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    clear = None if alpha is None else alpha < 128
    if clear is None or not clear.any() or clear.all():
        return luma >= 128
    opaque = pixels[~clear]
    if np.ptp(opaque, axis=0).max() <= _STROKE:
        return ~clear
    opaque = opaque[:: -(-len(opaque) // _JUDGED)]
    if _is_drawing(opaque):
        return (luma >= 128) & ~clear
    return ~clear if _is_flat(opaque) else clear


def distance_to(mask: Mask) -> Field:
    """Distance in pixels from every pixel to the nearest hole pixel -> float32 (H, W); 0 in the hole, inf if none."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def distances(mask: Mask, reach: float) -> Iterator[tuple[tuple[slice, slice], Field]]:
    """Distances to a mask, bool (H, W), a band of rows at a time, wherever they may be `reach` pixels or less.

    -> iterator of (rows and columns, slices; distances float32). Those of more than `reach` may come out too large.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    reach = int(min(reach, max(mask.shape))) + 1
    top, left = max(0, y - reach), max(0, x - reach)
    near = mask[top : y + height + reach, left : x + width + reach]
    for rows in bands(*near.shape):
        around = widened(rows, reach, len(near))
        distance = distance_to(near[around])[rows.start - around.start :][: rows.stop - rows.start]
        yield (slice(top + rows.start, top + rows.stop), slice(left, left + near.shape[1])), distance


def grow(mask: Mask, px: float) -> Mask:
    """The mask dilated by a disc of `px` pixels (a fraction is allowed) -> bool (H, W)."""
    grown = np.zeros_like(mask)
    for place, distance in distances(mask, px):
        grown[place] = distance <= px
    return grown


def feather(mask: Mask, px: float) -> Field:
    """The weight of the fill at each pixel -> float32 (H, W) in [0, 1].

    Exactly 1 in the hole, falling smoothly (a smoothstep of the distance) to exactly 0 at `px` pixels outside it;
    with px = 0 the mask itself.
    """
    if px < 0:
        raise InputError(f"the feather must be 0 pixels or more, not {px}")
    return fading(distance_to(mask), px)


def fading(distance: Field, px: float) -> Field:
    """As `feather`, from the distance to the hole in pixels, as of `distance_to`."""
    if px == 0:
        return (distance == 0).astype(np.float32)
    t = np.clip(1 - distance / np.float32(px), 0, 1)
    return t * t * (3 - 2 * t)


def _is_drawing(colours: Colours) -> bool:
    """Whether uint8 (N, 3) has dark and light, and nearly all of it is black or white, or of a few greys."""
    low, high = colours.max(-1) <= _TONE, colours.min(-1) >= 255 - _TONE
    plain = (low | high).mean() >= _NEARLY or (np.ptp(colours, axis=1).max() <= _TONE and _is_flat(colours))
    return bool(plain and (colours.max(-1) < 128).any() and (colours.min(-1) >= 128).any())


def _is_flat(colours: Colours) -> bool:
    """Whether nearly all of uint8 (N, 3) are a few colours, as of a brush."""
    _, counts = np.unique(colours @ np.array([1, 256, 65536]), return_counts=True)
    return bool(np.sort(counts)[-_BRUSHES:].sum() >= _NEARLY * len(colours))
