"""What is to be filled, in photo pixels: from a mask, a box, a name, or a drawing over the face's frame."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from twoface.core.affine import apply, invert
from twoface.core.arrays import Mask, Points, Shape
from twoface.core.bands import bands
from twoface.core.errors import InputError
from twoface.core.frame import SIZE, Frame
from twoface.core.images import MaskSource, Photo, as_source, read_mask
from twoface.core.masks import box_hole, center_hole
from twoface.core.mesh import moved
from twoface.core.parts import check_name, part_hole

INVERTED = 0.5  # a mask of more than this part of the photo, and of the photo's border, is taken for an inverted one
TIGHT = 0.9  # of the border, where all of the photo is the face's


def given_hole(mask: MaskSource | None, hole: str | Sequence[float] | None, photo: Photo) -> Mask | None:
    """The hole that is given in photo pixels -> bool (H, W); None for one that needs the face's frame first.

    mask: bool (H, W), a picture of the photo's size, or None. hole: a box, a name, or None.
    Raises InputError for a mask that is empty or not of the photo's size.
    """
    if mask is None:
        return None if hole is None or isinstance(hole, str) else _not_empty(box_hole(hole, photo.pixels.shape))
    if not isinstance(mask, np.ndarray):
        mask = read_mask(as_source(mask, "the mask"), photo.size, orientation=photo.orientation)
    if mask.dtype != bool or mask.shape != photo.pixels.shape[:2]:
        height, width = photo.pixels.shape[:2]
        raise InputError(f"the mask must be bool ({height}, {width}) as the photo, not {mask.dtype} {mask.shape}")
    return _not_empty(mask)


def part_of_face(name: str, center_size: int, points: Points, frame: Frame, shape: Shape) -> Mask:
    """A named hole, as far as it lies in the frame -> bool (H, W) in photo pixels.

    name, center_size: as of `twoface.core.parts.named_hole`; points: (478, 3), the face's mesh in crop pixels.
    shape: (H, W) of the photo. Raises InputError for an unknown name and one that lies off the photo.
    """
    check_name(name)
    if name == "center":
        return drawn_hole(center_hole(center_size, SIZE), frame, shape)
    x0, y0, x1, y1 = frame.window(shape)
    there = moved(points, invert(frame.shifted(x0, y0).transform()))
    drawn = _placed(part_hole(name, there, (y1 - y0, x1 - x0)), (x0, y0), shape)
    return _not_off(_cut(drawn, frame))


def drawn_hole(drawn: Mask, frame: Frame, shape: Shape) -> Mask:
    """A drawing over the frame -> bool (H, W) in photo pixels, by the nearest of its pixels.

    drawn: bool (S, S). shape: (H, W) of the photo.
    Raises InputError for a drawing that is not such an array, or empty, and one that no photo pixel sees.
    """
    drawn = _square(drawn)
    x0, y0, x1, y1 = frame.window(shape)
    to_drawn = frame.shifted(x0, y0).transform(len(drawn))
    how = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(drawn.view(np.uint8), to_drawn, (x1 - x0, y1 - y0), flags=how)
    return _placed(seen.view(bool), (x0, y0), shape)


def _placed(part: Mask, corner: tuple[int, int], shape: Shape) -> Mask:
    """A part of a photo's mask, bool (h, w), whose left upper corner lies at (x, y) -> bool (H, W)."""
    (x, y), (height, width) = corner, part.shape
    mask = np.zeros(shape[:2], bool)
    mask[y : y + height, x : x + width] = part
    return _not_off(mask)


def _not_off(mask: Mask) -> Mask:
    if not mask.any():
        raise InputError("the mask lies off the photo: move the face's square, or the mask", code="mask_outside")
    return mask


def check_on_face(mask: Mask, frame: Frame) -> None:
    """Raises InputError where nothing of a mask, bool (H, W), lies in the face's frame, or it seems to be inverted."""
    total, kept = int(np.count_nonzero(mask)), int(np.count_nonzero(_cut(mask, frame)))
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    if total > INVERTED * mask.size and border.mean() > (TIGHT if kept == total else INVERTED):
        raise InputError(
            f"{total / mask.size:.0%} of the mask's picture is white: is it inverted?", code="mask_inverted"
        )
    if not kept:
        text = "the mask lies off the face: paint over the face, or give the face's square"
        raise InputError(text, code="mask_outside")


def share_inside(mask: Mask, frame: Frame) -> float:
    """The share of a mask, bool (H, W), that lies in the frame -> 0..1."""
    return float(np.count_nonzero(_cut(mask, frame)) / max(int(np.count_nonzero(mask)), 1))


def check_told(photo: Photo, hole: Mask, face: Sequence[float]) -> None:
    """Raises InputError where a file that ends too early does not tell the hole, bool (H, W), or the face.

    face: as of `twoface.core.faces.Taken`.
    """
    if photo.missing is None:
        return
    x0, y0, x1, y1 = (max(0, round(v)) for v in face[:4])
    if photo.missing[hole].any() or photo.missing[y0:y1, x0:x1].any():
        text = f"{photo.name} ends too early, where the face or the hole is: get a whole copy of the file"
        raise InputError(text, code="damaged")


def _cut(mask: Mask, frame: Frame) -> Mask:
    """The part of a mask that lies in the frame."""
    transform = frame.transform()
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    far = [(x, y), (x + width - 1, y), (x, y + height - 1), (x + width - 1, y + height - 1)]
    if _in_frame(apply(transform, far)).all():
        return mask
    kept = np.zeros_like(mask)
    for rows in bands(height, width):
        part = (slice(y + rows.start, y + rows.stop), slice(x, x + width))
        places = np.moveaxis(np.mgrid[part][::-1], 0, -1)[mask[part]]
        kept[part][mask[part]] = _in_frame(apply(transform, places))
    return kept


def _in_frame(places: Points) -> NDArray[np.bool_]:
    return (np.abs(places - (SIZE - 1) / 2) <= SIZE / 2).all(-1)


def _square(mask: Mask) -> Mask:
    if mask.dtype != bool or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        raise InputError(f"the frame's mask must be bool (S, S), not {mask.dtype} {mask.shape}", code="not_square")
    return _not_empty(np.ascontiguousarray(mask))


def _not_empty(mask: Mask) -> Mask:
    if not mask.any():
        raise InputError("the mask is empty: paint what is to be filled white (128 or above)", code="mask_empty")
    return mask
