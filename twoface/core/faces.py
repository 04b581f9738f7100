"""Faces of a photo, which of them is meant, and how one is cut out upright.

A transform is a 2x3 float64 affine, photo pixels -> crop pixels; a pixel's centre is at its integer coordinate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from twoface.core.arrays import Box, Frame, Mask, Picture, Points, Shape, Transform, Vector
from twoface.core.errors import InputError

SIZE = 128  # px, the side of the crop, which is what the network sees
# Left eye, right eye (as seen in the picture), nose, left and right mouth corner: fractions of the crop frame.
TEMPLATE = np.array([(0.375, 0.46), (0.625, 0.46), (0.5, 0.60), (0.40, 0.735), (0.60, 0.735)])

ALIKE = 0.3  # boxes that share more of their union are one face
CLOSE = 0.1  # of similarity: two faces that differ less are told apart badly (benchmarks/groups.py)

WHY = {  # a face of a photo is taken
    "given": "the one that was given",
    "only": "the only one found",
    "touched": "the one that the hole touches",
    "largest": "the largest",
    "alike": "the one most like the photo's",
}


@dataclass(frozen=True)
class Face:
    """box: in photo pixels; landmarks: (5, 2) as `TEMPLATE`; score in [0, 1]."""

    box: Box
    landmarks: Points
    score: float

    @property
    def area(self) -> float:
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, 0) * max(y1 - y0, 0)

    def moved(self, transform: Transform) -> "Face":
        """The face in another picture's pixels. transform: a 2x3 similarity."""
        x0, y0, x1, y1 = self.box
        corners = apply(transform, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        return Face((*corners.min(0).tolist(), *corners.max(0).tolist()), apply(transform, self.landmarks), self.score)

    @property
    def frame(self) -> tuple[float, float, float, float, float]:
        """The square that becomes the crop, (x0, y0, x1, y1, degrees), as `frame_transform` takes it."""
        return frame_of(align(self.landmarks))


def align(landmarks: Points, size: int = SIZE) -> Transform:
    """The similarity transform that puts the five landmarks nearest to `TEMPLATE` -> (2, 3) float64.

    Raises InputError when the landmarks fall on one point.
    """
    return similarity_transform(landmarks, TEMPLATE * size)


def similarity_transform(source: ArrayLike, target: ArrayLike) -> Transform:
    """The 2x3 similarity that brings points (N, 2) nearest to others (least squares) -> (2, 3) float64.

    Rotation, one scale and a shift, never a reflection (Umeyama 1991; in the plane it is a complex regression).
    Raises InputError when the points fall on one.
    """
    source = np.asarray(source, np.float64) @ (1, 1j)
    target = np.asarray(target, np.float64) @ (1, 1j)
    centered = source - source.mean()
    spread = (np.abs(centered) ** 2).sum()
    if spread < 1e-6:
        raise InputError("the face's landmarks fall on one point: give it as a square X0,Y0,X1,Y1", code="no_face")
    turn = (centered.conj() * (target - target.mean())).sum() / spread
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def frame_transform(frame: Sequence[float], size: int = SIZE) -> Transform:
    """The transform that makes a square of the photo, turned upright, the crop frame -> (2, 3) float64.

    frame: (x0, y0, x1, y1) half-open photo pixels, or (x0, y0, x1, y1, degrees): that square turned clockwise (as
    seen) about its centre. Sides may differ by 5 % (the mean side is used, about the same centre); else InputError.
    """
    x0, y0, x1, y1, degrees = frame if len(frame) == 5 else (*frame, 0)
    width, height = x1 - x0, y1 - y0
    if not (min(width, height) >= 2 and abs(width - height) <= 0.05 * max(width, height)):
        text = ",".join(f"{v:g}" for v in (x0, y0, x1, y1))
        raise InputError(f"the face box {text} is {width:g}x{height:g} pixels: give a square", code="not_square")
    scale, angle = 2 * size / (width + height), np.radians(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    center = np.array([x0 + x1 - 1, y0 + y1 - 1]) / 2
    return np.column_stack([turn, (size - 1) / 2 - turn @ center])


def frame_of(transform: Transform, size: int = SIZE) -> tuple[float, float, float, float, float]:
    """The square of the photo that is the crop frame -> (x0, y0, x1, y1, degrees), what `frame_transform` takes."""
    x, y = apply(invert(transform), ((size - 1) / 2, (size - 1) / 2)) + 0.5
    half = size / scale_of(transform) / 2
    degrees = np.degrees(np.arctan2(-transform[1, 0], transform[0, 0]))
    return float(x - half), float(y - half), float(x + half), float(y + half), float(degrees)


def parse_frame(text: str) -> Frame:
    """ "X0,Y0,X1,Y1[,DEGREES]" -> tuple of four or five floats. Raises InputError for anything else."""
    try:
        frame = tuple(float(part) for part in text.split(","))
    except ValueError:
        frame = ()
    if len(frame) not in (4, 5):
        raise InputError(
            f"'{text}' is not a box: give four numbers X0,Y0,X1,Y1 in pixels, and a fifth, degrees, to turn it"
        )
    return frame


def scale_of(transform: Transform) -> float:
    """Crop pixels per photo pixel."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def invert(transform: Transform) -> Transform:
    """The 2x3 affine crop pixels -> photo pixels."""
    return cv2.invertAffineTransform(transform)


def apply(transform: Transform, points: ArrayLike) -> Points:
    """Map points (..., 2) through a 2x3 affine -> (..., 2) float64."""
    return np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]


def frame_corners(transform: Transform, size: int = SIZE) -> Points:
    """The four corners of the crop frame in photo pixels -> (4, 2), clockwise from the upper left."""
    edge = size - 0.5
    return apply(invert(transform), [(-0.5, -0.5), (edge, -0.5), (edge, edge), (-0.5, edge)])


def window(transform: Transform, shape: Shape, size: int = SIZE) -> tuple[int, int, int, int]:
    """The part of a photo of `shape` (H, W) that a crop frame needs -> (x0, y0, x1, y1), ints inside the photo.

    With a margin and, where the frame reaches over the photo's border, as much inside it as its reflection needs.
    """
    corners = frame_corners(transform, size)
    margin = 4 + 4 / scale_of(transform)
    bounds = []
    for side, low, high in zip(shape[1::-1], corners.min(0) - margin, corners.max(0) + margin, strict=True):
        low, high = min(low, 2 * side - high), max(high, -low)
        bounds.append((int(np.clip(np.floor(low), 0, side - 1)), int(np.clip(np.ceil(high), 1, side))))
    (x0, x1), (y0, y1) = bounds
    return x0, y0, x1, y1


def shifted(transform: Transform, x: float, y: float) -> Transform:
    """The transform of the part of the photo whose upper left pixel is (x, y)."""
    return np.column_stack([transform[:, :2], apply(transform, (x, y))])


def shrink(pixels: Picture, transform: Transform, detail: float, size: int = SIZE) -> tuple[Picture, Transform]:
    """The `window` of a photo, shrunk by area to `detail` pixels per crop pixel -> (pixels, its transform).

    A photo that has no more detail than that is only cut.
    """
    x0, y0, x1, y1 = window(transform, pixels.shape, size)
    part, transform = pixels[y0:y1, x0:x1], shifted(transform, x0, y0)
    factor = detail * scale_of(transform)
    if factor >= 1:
        return part, transform
    width, height = (max(1, round(side * factor)) for side in part.shape[1::-1])
    fx, fy = part.shape[1] / width, part.shape[0] / height
    larger = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), transform @ larger


def crop(pixels: Picture, transform: Transform, size: int = SIZE) -> Picture:
    """The crop frame of a photo -> uint8 (size, size, 3); area-correct when it shrinks, the border reflected."""
    fine = 2 if scale_of(transform) < 1 else 1
    part, small = shrink(pixels, transform, fine, size)
    half = (fine - 1) / 2
    small = np.array([[fine, 0, half], [0, fine, half]]) @ np.vstack([small, (0, 0, 1)])
    warped = cv2.warpAffine(
        part, small, (size * fine, size * fine), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA) if fine > 1 else warped


@dataclass(frozen=True)
class Taken:
    """Which face of a photo was taken.

    frames: (x0, y0, x1, y1, degrees) of all that were found, the largest first. number: the index of the one taken.
    why: a key of `WHY`. close: whether another is about as good a choice.
    """

    frames: tuple[Frame, ...]
    number: int
    why: str
    close: bool = False

    def report(self) -> dict[str, Any]:
        """Ready for JSON. taken: the number, from 1; frames as `parse_frame` reads them."""
        frames = [[round(float(v), 1) for v in frame] for frame in self.frames]
        return {"found": len(frames), "taken": self.number + 1, "why": self.why, "close": self.close, "frames": frames}


def most_alike(frames: Sequence[Frame], similarities: Sequence[float]) -> Taken:
    """The face most like another by its similarity, of several frames."""
    order = sorted(range(len(frames)), key=lambda i: -similarities[i])
    close = len(frames) > 1 and similarities[order[0]] - similarities[order[1]] < CLOSE
    return Taken(tuple(frames), order[0], "alike" if len(frames) > 1 else "only", close)


def why(faces: Sequence[Face], face: Face, mask: Mask | None = None) -> str:
    """Why `choose` takes a face: a key of `WHY`."""
    if len(faces) == 1:
        return "only"
    return "touched" if mask is not None and touched(face, mask) else "largest"


def choose(faces: Sequence[Face], mask: Mask | None = None) -> Face:
    """The face that the mask (H, W) covers most pixels of; without a mask, or when it touches none, the largest."""
    if not faces:
        raise InputError("no face was found: give it as a square X0,Y0,X1,Y1", code="no_face")
    if mask is None:
        return max(faces, key=lambda face: face.area)
    return max(faces, key=lambda face: (touched(face, mask), face.area))


def distinct(*lists: Iterable[Face]) -> list[Face]:
    """Faces of several lists without those that one before overlaps -> list."""
    kept: list[Face] = []
    for face in (face for faces in lists for face in faces):
        if all(overlap(face.box, other.box) <= ALIKE for other in kept):
            kept.append(face)
    return kept


def overlap(one: Sequence[float] | Vector, other: Sequence[float] | Vector) -> float:
    """Two boxes (x0, y0, x1, y1) -> the part that they share by their union, 0..1."""
    area = [max(x1 - x0, 0) * max(y1 - y0, 0) for x0, y0, x1, y1 in (one, other)]
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    both = float(np.prod(np.maximum(high - low, 0)))
    return both / max(sum(area) - both, 1e-12)


def touched(face: Face, mask: Mask) -> int:
    """How many hole pixels of the mask (H, W) lie in the face's box."""
    height, width = mask.shape
    x0, y0, x1, y1 = np.clip(np.round(face.box).astype(int), 0, (width, height, width, height))
    return int(np.count_nonzero(mask[y0:y1, x0:x1]))
