"""A reference photo, registered to a face: what the network is shown of it, and where that lies in the photo."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from twoface.core.affine import apply
from twoface.core.arrays import Batch, Field, Mask, Picture, Places, Points
from twoface.core.frame import SIZE, Frame
from twoface.core.masks import distance_to
from twoface.core.mesh import FOREHEAD, inside, with_reference
from twoface.core.occlusion import brightness
from twoface.core.register import at_places, enlarged, pixels, pixels_per_crop_pixel, register

RIM = 3  # crop pixels about what covers a reference that are not trusted either
# By how much the logarithm of brightness is below that of the skin expected: about hair over a forehead, and in it.
FRINGE = (0.25, 0.75)
OVER_BROWS = (2.0, 4.0)  # crop pixels above the brows, dark too: where hair hangs to, if it is told from there
EDGE = (1, 4)  # crop pixels inside the face's outline: still its edge, and surely the face


@dataclass(frozen=True)
class Registered:
    """picture: (128, 128, 3), the reference as the network is shown it, uint8 or as its photo was. trust: float32
    (128, 128), 0..1.

    map: float32 (33, 33, 2), as of `twoface.core.register.Registration`: where the crop lies in the reference photo.
    points: float64 (478, 3), the mesh in crop pixels that it is registered to.
    """

    picture: Picture
    trust: Field
    map: Places
    points: Points

    @property
    def within(self) -> Field:
        """float32 (128, 128), 1 inside the outline of the face that is filled, 0 at its edge and beyond."""
        depth = distance_to(~inside(self.points, "oval"))
        return np.clip((depth - EDGE[0]) / (EDGE[1] - EDGE[0]), 0, 1).astype(np.float32)

    def planes(self) -> tuple[Batch, Batch]:
        """What `FillModel.run` takes of it: reference (1, 3, 128, 128) and trust (1, 1, 128, 128), float32."""
        picture = np.ascontiguousarray(self.picture.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        return picture, self.trust[None, None]


def registered(points: Points, unknown: Mask, pixels: Picture, mesh: Points) -> Registered:
    """Register a reference to a face with a hole.

    points: (478, 3), the face's mesh in crop pixels, as seen through its hole; unknown: bool (128, 128), the hole.
    pixels: uint8 (H, W, 3), the reference photo; mesh: (478, 3), of the face in it, in its pixels.
    """
    points = with_reference(points, mesh, unknown)
    found = register(points, mesh)
    return Registered(sampled(pixels, found.map), enlarged(found.trust), found.map, points)


def uncovered(found: Registered, hidden: Mask, frame: Frame) -> Registered:
    """A registered reference that is not trusted where something is in front of its face.

    hidden: bool (128, 128), in the reference's own crop; frame: of that in its photo.
    """
    if not hidden.any():
        return found
    wide = _widened(hidden)
    places = apply(frame.transform(), at_places(found.map, pixels())).astype(np.float32)
    shown = 1 - cv2.remap(wide, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return replace(found, trust=found.trust * shown)


def without_fringe(found: Registered, invented: Picture) -> Registered:
    """A registered reference that is not trusted where hair hangs over its forehead and not over the photo's.

    Moved into the photo such hair would leave strands that look like scratches. It is what is much darker than the
    skin that the photo's surroundings make one expect. invented: uint8 (128, 128, 3), the photo's crop, filled without
    a reference.
    """
    face = inside(found.points, "oval") & (found.trust > 0.5)
    if not face.any():
        return found
    darker = brightness(invented) - brightness(found.picture)
    darker -= np.median(darker[face])
    about, within = (
        (darker > least) & _forehead(found.points, above) for least, above in zip(FRINGE, OVER_BROWS, strict=True)
    )
    _, pieces = cv2.connectedComponents(about.view(np.uint8))
    hair = np.isin(pieces, np.unique(pieces[within & about]))
    return replace(found, trust=found.trust * (1 - _widened(hair)))


def _forehead(points: Points, above: float) -> Mask:
    """Where a face's forehead lies in the crop, from so many pixels above its brows on -> bool (128, 128)."""
    top, brows = (points[list(line), :2] for line in FOREHEAD)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(mask, [np.vstack([top, brows - (0, above)]).round().astype(np.int32)], 1)
    return mask.view(bool)


def _widened(mask: Mask) -> Field:
    """A mask, bool (128, 128), and a rim about it -> float32 (128, 128) of 0 and 1."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM + 1, 2 * RIM + 1))
    return cv2.dilate(mask.astype(np.float32), disc)


def sampled(pixels: Picture, grid: Places) -> Picture:
    """The crop's part of a reference photo -> uint8 (128, 128, 3); area-correct. Arguments as of `shrunk`."""
    finer = 2 if pixels_per_crop_pixel(grid) > 1.01 else 1
    part, grid = shrunk(pixels, grid, finer)
    along = (np.arange(finer * SIZE, dtype=np.float32) + 0.5) / finer - 0.5
    places = at_places(grid, np.stack(np.meshgrid(along, along), -1))
    picture = cv2.remap(part, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA) if finer > 1 else picture


def shrunk(pixels: Picture, grid: Places, detail: float) -> tuple[Picture, Places]:
    """The part of a reference photo that the crop needs, shrunk by area to `detail` pixels per crop pixel.

    pixels: uint8 (H, W, 3); grid: (33, 33, 2), where the crop lies in it -> (pixels, grid in their pixels).
    A photo that has no more detail than that is only cut.
    """
    size = np.array(pixels.shape[1::-1])
    low, high = grid.min((0, 1)), grid.max((0, 1))
    margin = 4 + 4 * pixels_per_crop_pixel(grid)
    low, high = np.minimum(low, 2 * size - high) - margin, np.maximum(high, -low) + margin  # and what is reflected
    low = np.clip(np.floor(low), 0, size - 1).astype(int)
    high = np.clip(np.ceil(high), low + 1, size).astype(int)
    part, grid = pixels[low[1] : high[1], low[0] : high[0]], grid - low.astype(np.float32)
    factor = detail / pixels_per_crop_pixel(grid)
    if factor >= 1:
        return part, grid
    small = np.maximum(1, np.round((high - low) * factor)).astype(int)
    ratio = (small / (high - low)).astype(np.float32)
    return cv2.resize(part, small.tolist(), interpolation=cv2.INTER_AREA), (grid + 0.5) * ratio - 0.5
