"""A reference photo, registered to a face: what the network is shown of it, and where that lies in the photo."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from twoface.core.affine import apply
from twoface.core.arrays import Batch, Field, Mask, Picture, Places, Points
from twoface.core.frame import SIZE, Frame
from twoface.core.masks import distance_to
from twoface.core.mesh import inside, with_reference
from twoface.core.register import at_places, enlarged, pixels, pixels_per_crop_pixel, register

RIM = 3  # crop pixels about what covers a reference that are not trusted either
EDGE = (1, 4)  # crop pixels inside the face's outline: still its edge, and surely the face


@dataclass(frozen=True)
class Registered:
    """picture: (128, 128, 3), the reference as the network is shown it, uint8 or as its photo was. trust: float32
    (128, 128), 0..1.

    map: float32 (33, 33, 2), as of `twoface.core.register.Registration`: where the crop lies in the reference photo.
    within: float32 (128, 128), 1 inside the outline of the face that is filled, 0 at its edge and beyond.
    """

    picture: Picture
    trust: Field
    map: Places
    within: Field

    def planes(self) -> tuple[Batch, Batch]:
        """What `FillModel.run` takes of it: reference (1, 3, 128, 128) and trust (1, 1, 128, 128), float32."""
        picture = np.ascontiguousarray(self.picture.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        return picture, self.trust[None, None]


def no_reference(count: int = 1) -> tuple[Batch, Batch]:
    """What `FillModel.run` takes where there is no reference."""
    return np.zeros((count, 3, SIZE, SIZE), np.float32), np.zeros((count, 1, SIZE, SIZE), np.float32)


def registered(points: Points, unknown: Mask, pixels: Picture, mesh: Points) -> Registered:
    """Register a reference to a face with a hole.

    points: (478, 3), the face's mesh in crop pixels, as seen through its hole; unknown: bool (128, 128), the hole.
    pixels: uint8 (H, W, 3), the reference photo; mesh: (478, 3), of the face in it, in its pixels.
    """
    points = with_reference(points, mesh, unknown)
    found = register(points, mesh)
    depth = distance_to(~inside(points, "oval"))
    within = np.clip((depth - EDGE[0]) / (EDGE[1] - EDGE[0]), 0, 1).astype(np.float32)
    return Registered(sampled(pixels, found.map), enlarged(found.trust), found.map, within)


def uncovered(found: Registered, hidden: Mask, frame: Frame) -> Registered:
    """A registered reference that is not trusted where something is in front of its face.

    hidden: bool (128, 128), in the reference's own crop; frame: of that in its photo.
    """
    if not hidden.any():
        return found
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM + 1, 2 * RIM + 1))
    wide = cv2.dilate(hidden.astype(np.float32), disc)
    places = apply(frame.transform(), at_places(found.map, pixels())).astype(np.float32)
    shown = 1 - cv2.remap(wide, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return replace(found, trust=found.trust * shown)


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
