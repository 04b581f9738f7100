"""A photo whose face and hole are known, ready for the network: its crop, and its background beside the face."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from twoface.core import background
from twoface.core.arrays import Mask, Picture, Points
from twoface.core.blend import crop_mask
from twoface.core.errors import InputError
from twoface.core.faces import Taken
from twoface.core.frame import Frame
from twoface.core.holes import share_inside
from twoface.core.images import Photo
from twoface.core.mesh import inside, invented
from twoface.core.network import Network
from twoface.core.occlusion import Cover, grown

FEATHER = 2  # crop pixels, when the user does not say
WIDEST = 1e9  # photo pixels: a wider feather is the same, and its square at last no number
HOLDS = 0.9  # of what a frame that was given holds of a mask, that a corrected one must hold


@dataclass(frozen=True)
class Prepared:
    """A photo whose face and hole are known, ready for the network.

    hole: bool (H, W), in photo pixels. pixels: uint8 (H, W, 3), the photo's own, or a copy in which the background is
    continued where the hole lies beside the face. inner: bool (H, W), the rest of the hole, which the network fills.
    faces: as of `FillResult`. frame: of the crop. feather: in photo pixels. crop: uint8 (128, 128, 3), of `pixels`.
    unknown: bool (128, 128), `inner` as the network sees it, and the rim that it leaves of what it covers. invented:
    the crop filled without a reference. mesh: (478, 3) in crop pixels, of that fill where the hole hides it. partly: as
    of `twoface.core.occlusion.partly_inside`. warnings: sentences for the user. cover: as of `FillResult`.
    """

    photo: Photo
    hole: Mask
    pixels: Picture
    inner: Mask
    faces: Taken
    frame: Frame
    feather: float
    crop: Picture
    unknown: Mask
    invented: Picture
    mesh: Points
    partly: bool
    warnings: list[str]
    cover: Cover | None = None

    @cached_property
    def covered(self) -> tuple[Picture, Mask]:
        """The crop of the photo as it was given, and all of the hole in it -> as `crop` and `unknown`."""
        if self.pixels is self.photo.pixels:
            return self.crop, self.unknown
        return crop_and_hole(self.photo.pixels, self.hole, self.frame)

    @property
    def masked(self) -> Picture:
        """The crop with the hole black."""
        return np.where(self.unknown[..., None], np.uint8(0), self.crop)

    @property
    def continued(self) -> float:
        """How large the part of the hole is that the background is continued in, in crop pixels."""
        return float(np.count_nonzero(self.hole & ~self.inner) / self.frame.detail**2)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1): the part of the photo that the hole and its feather lie in, which a fill may change."""
        x, y, width, height = cv2.boundingRect(self.hole.view(np.uint8))
        reach = int(np.ceil(min(self.feather, max(self.hole.shape))))
        right, bottom = min(x + width + reach, self.hole.shape[1]), min(y + height + reach, self.hole.shape[0])
        return max(x - reach, 0), max(y - reach, 0), right, bottom


def holds(better: Frame, given: Frame, mask: Mask | None) -> bool:
    """Whether a corrected frame holds the hole about as well as the one that was given. mask: bool (H, W), or None."""
    return mask is None or share_inside(mask, better) >= HOLDS * share_inside(mask, given)


def background_continued(
    photo: Photo,
    hole: Mask,
    points: Points,
    frame: Frame,
    others: Callable[[], Mask],
    feather: float,
    network: Network,
) -> tuple[Picture, Mask]:
    """Continue the background of a photo where its hole lies beside the face -> `Prepared.pixels` and `inner`.

    hole: bool (H, W); points: (478, 3), the face's mesh in crop pixels; frame: of the crop; feather: in photo pixels.
    others: gives bool (H, W), other people's faces, if they are asked for. network: what tells by a first fill what may
    be there.
    Raises InputError, code "mask_too_large", where there is nothing to take it from.
    """
    beside = background.beside(hole, points, frame)
    if not beside.any():
        return photo.pixels, hole
    inner = hole & ~beside
    barred = inner | grown(inside(points, "oval"), frame, hole.shape) | others()
    behind = background.BEHIND * frame.detail
    guess = _guess(photo.pixels, hole, frame, network)
    pixels = background.continued(photo.pixels, beside, barred, behind, feather, guess)
    if pixels is not None:
        return pixels, inner
    if share_inside(hole, frame) < 1:
        text = f"too little of {photo.name} is left beside the hole to fill it from: paint a smaller mask"
        raise InputError(text, code="mask_too_large")
    return photo.pixels, hole  # the network fills what its crop shows


def _guess(pixels: Picture, hole: Mask, frame: Frame, network: Network) -> tuple[Picture, Frame] | None:
    """The crop with all of the hole filled, and its frame; None where the network does not fill all of it."""
    aligned, unknown = crop_and_hole(pixels, hole, frame)
    try:
        return invented(aligned, unknown, network), frame
    except InputError:  # one of the thesis fills the middle of a crop only; else it comes again, of the hole's rest
        return None


def crop_and_hole(pixels: Picture, hole: Mask, frame: Frame) -> tuple[Picture, Mask]:
    """What a frame shows -> the crop, uint8 (128, 128, 3), and the hole in it, bool (128, 128).

    pixels: uint8 (H, W, 3), the photo's; hole: bool (H, W).
    """
    part, hole, frame = window(pixels, hole, frame)
    return frame.crop(part), crop_mask(hole, frame)


def window(pixels: Picture, hole: Mask, frame: Frame) -> tuple[Picture, Mask, Frame]:
    """The part of a photo that the crop needs -> a view of its pixels, one of its hole, the frame in it."""
    x0, y0, x1, y1 = frame.window(pixels.shape)
    return pixels[y0:y1, x0:x1], hole[y0:y1, x0:x1], frame.shifted(x0, y0)
