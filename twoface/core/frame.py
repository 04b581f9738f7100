"""The frame: a square of a picture, turned by some degrees; that about a face, cut out upright, is the crop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, remainder
from typing import TypeAlias

import cv2
import numpy as np

from twoface.core.affine import apply, invert, scale_of
from twoface.core.arrays import Box, Picture, Points, Shape, Transform
from twoface.core.errors import InputError

SIZE = 128  # px, the side of the crop, which is what the network sees
LEAST = 2  # px, the side of a frame that a user gives
UNEQUAL = 0.05  # of the longer side, by which the other may be shorter
TURN = 360  # degrees, the most that a user turns it, either way


@dataclass(frozen=True)
class Frame:
    """x, y: its centre in the picture's pixels, whose upper left corner is (0, 0), so a pixel's centre lies at a half.
    side: in pixels. angle: degrees clockwise as seen.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def of(cls, given: "FrameLike") -> "Frame":
        """What a user gives: (x0, y0, x1, y1), half-open pixels, or with a fifth number, degrees about its centre.

        Sides may differ by `UNEQUAL`: the mean is taken, about the same centre. Raises InputError for what is none.
        """
        if isinstance(given, Frame):
            return given
        try:
            numbers = [float(value) for value in given]
        except (TypeError, ValueError):
            raise _no_frame(str(given)) from None
        if len(numbers) not in (4, 5) or not all(map(isfinite, numbers)):
            raise _no_frame(_text(numbers))
        x0, y0, x1, y1, angle = (*numbers, 0.0)[:5]
        if abs(angle) > TURN:
            raise InputError(f"the face's square is turned by {angle:g} degrees: give -{TURN} to {TURN}")
        width, height = x1 - x0, y1 - y0
        told = f"{_text(numbers)}, given as the face's square, "
        if min(width, height) <= 0:
            raise InputError(f"{told}has no area: give X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1", code="not_square")
        told += f"is {width:g} pixels wide and {height:g} high: "
        if abs(width - height) > UNEQUAL * max(width, height):
            raise InputError(f"{told}make both the same", code="not_square")
        if min(width, height) < LEAST:
            raise InputError(f"{told}make it {LEAST} or more", code="not_square")
        return cls((x0 + x1) / 2, (y0 + y1) / 2, (width + height) / 2, angle)

    @classmethod
    def parse(cls, text: str) -> "Frame":
        """ "X0,Y0,X1,Y1[,DEGREES]", as of `of`. Raises InputError for anything else."""
        try:
            given = [float(part) for part in text.split(",")]
        except ValueError:
            raise _no_frame(text) from None
        return cls.of(given)

    @classmethod
    def of_transform(cls, transform: Transform, size: int = SIZE) -> "Frame":
        """What a similarity, picture -> crop of `size` pixels a side, cuts out."""
        x, y = apply(invert(transform), ((size - 1) / 2, (size - 1) / 2)) + 0.5
        angle = np.degrees(np.arctan2(-transform[1, 0], transform[0, 0]))
        return cls(float(x), float(y), size / scale_of(transform), float(angle))

    @property
    def box(self) -> Box:
        """The square before it is turned, (x0, y0, x1, y1)."""
        half = self.side / 2
        return self.x - half, self.y - half, self.x + half, self.y + half

    @property
    def numbers(self) -> tuple[float, float, float, float, float]:
        """(x0, y0, x1, y1, degrees), as `of` reads it and JSON and an index have it."""
        return *self.box, self.angle

    @property
    def short(self) -> tuple[float, ...]:
        """`numbers`, without the degrees where they are 0."""
        return self.numbers if self.angle else self.box

    def __str__(self) -> str:
        """In whole numbers, as `parse` reads it."""
        return ",".join(f"{value:.0f}" for value in self.numbers)

    @property
    def detail(self) -> float:
        """Picture pixels per pixel of the crop."""
        return self.side / SIZE

    def check(self, size: tuple[int, int], name: str) -> None:
        """Raises InputError unless it lies about a photo of this (width, height). name: the photo's.

        It may reach over the border, where the photo is reflected.
        """
        width, height = size
        if not (0 <= self.x < width and 0 <= self.y < height and self.side <= 2 * max(width, height)):
            raise InputError(
                f"the face's square lies outside {name}: its centre must lie inside, and its side be at most twice"
                " the photo's longer one",
                code="frame_outside",
            )

    def transform(self, size: int = SIZE) -> Transform:
        """Picture pixels -> crop pixels, of a crop of `size` pixels a side -> (2, 3) float64."""
        scale, angle = size / self.side, np.radians(self.angle)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[cos, sin], [-sin, cos]])
        return np.column_stack([turn, (size - 1) / 2 - turn @ (self.x - 0.5, self.y - 0.5)])

    def corners(self) -> Points:
        """In picture pixels -> (4, 2), clockwise from the upper left."""
        edge = SIZE - 0.5
        return apply(invert(self.transform()), [(-0.5, -0.5), (edge, -0.5), (edge, edge), (-0.5, edge)])

    def shifted(self, x: float, y: float) -> "Frame":
        """The same in the part of the picture whose upper left pixel is (x, y)."""
        return replace(self, x=self.x - x, y=self.y - y)

    def inner(self, frame: "Frame") -> "Frame":
        """A frame of the crop, in picture pixels."""
        x, y = apply(invert(self.transform()), (frame.x - 0.5, frame.y - 0.5)) + 0.5
        return Frame(float(x), float(y), frame.side * self.detail, remainder(self.angle + frame.angle, 360))

    def window(self, shape: Shape, size: int = SIZE) -> tuple[int, int, int, int]:
        """The part of a picture of `shape` (H, W) that the crop needs -> (x0, y0, x1, y1), ints inside the picture.

        With a margin and, where the frame reaches over the border, as much inside it as its reflection needs.
        """
        corners = self.corners()
        margin = 4 + 4 * self.side / size
        bounds = []
        for side, low, high in zip(shape[1::-1], corners.min(0) - margin, corners.max(0) + margin, strict=True):
            low, high = min(low, 2 * side - high), max(high, -low)
            bounds.append((int(np.clip(np.floor(low), 0, side - 1)), int(np.clip(np.ceil(high), 1, side))))
        (x0, x1), (y0, y1) = bounds
        return x0, y0, x1, y1

    def crop(self, pixels: Picture, size: int = SIZE) -> Picture:
        """The square, upright -> uint8 (size, size, 3); area-correct when it shrinks, the border reflected."""
        side = 2 * size if self.side > size else size
        x0, y0, x1, y1 = self.window(pixels.shape, size)
        part, transform = _shrunk(pixels[y0:y1, x0:x1], self.shifted(x0, y0).transform(side), side / self.side)
        flags, border = cv2.INTER_CUBIC, cv2.BORDER_REFLECT_101
        warped = cv2.warpAffine(part, transform, (side, side), flags=flags, borderMode=border)
        return cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA) if side > size else warped


FrameLike: TypeAlias = Frame | Sequence[float]  # as a user of the Python API gives it
UPRIGHT = Frame(SIZE / 2, SIZE / 2, SIZE)  # of a crop: all of it


def _text(numbers: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in numbers)


def _no_frame(text: str) -> InputError:
    return InputError(
        f"'{text}' is not a square: give four numbers X0,Y0,X1,Y1 in pixels, and a fifth, degrees, to turn it"
    )


def _shrunk(pixels: Picture, transform: Transform, factor: float) -> tuple[Picture, Transform]:
    """A picture shrunk by area to about `factor` -> (pixels, their own transform).

    Width and height are rounded, so the transform is no longer a frame's: it may shrink the two a little differently.
    """
    if factor >= 1:
        return pixels, transform
    width, height = (max(1, round(side * factor)) for side in pixels.shape[1::-1])
    fx, fy = pixels.shape[1] / width, pixels.shape[0] / height
    larger = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), transform @ larger
