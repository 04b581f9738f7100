"""Faces of a photo, and which of them is meant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from twoface.core.affine import apply, similarity_transform
from twoface.core.arrays import Box, Mask, Points, Shape, Transform, Vector
from twoface.core.errors import InputError
from twoface.core.frame import SIZE, Frame

# Left eye, right eye (as seen in the picture), nose, left and right mouth corner: fractions of the crop frame.
TEMPLATE = np.array([(0.375, 0.46), (0.625, 0.46), (0.5, 0.60), (0.40, 0.735), (0.60, 0.735)])

ALIKE = 0.3  # boxes that share more of their union are one face
FACE = 0.35  # of a frame's side: the radius about its centre in which the face lies
CLOSE = 0.1  # of similarity: two faces that differ less are told apart badly (benchmarks/groups.py)
HALVED = 0.05  # of similarity, less for a face half as large: who is meant seldom stands far behind somebody else

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
    def frame(self) -> Frame:
        """What becomes the crop: puts the landmarks nearest to `TEMPLATE`.

        Raises InputError when they fall on one point.
        """
        return Frame.of_transform(similarity_transform(self.landmarks, TEMPLATE * SIZE))


@dataclass(frozen=True)
class Taken:
    """Which face of a photo was taken.

    frames: of all that were found, the largest first. number: the index of the one taken. why: a key of `WHY`.
    face: the numbers of the box of the one taken, or of the frame that was given. close: whether another is about as
    good a choice.
    """

    frames: tuple[Frame, ...]
    number: int
    why: str
    face: tuple[float, ...]
    close: bool = False

    @classmethod
    def given(cls, frame: Frame) -> "Taken":
        return cls((frame,), 0, "given", frame.short)

    @classmethod
    def found(cls, faces: Sequence[Face], number: int, why: str, close: bool = False) -> "Taken":
        return cls(tuple(face.frame for face in faces), number, why, faces[number].box, close)

    def among(self, found: Sequence[Face]) -> "Taken":
        """The same, and what else was found: faces whose middle does not lie in this one. found: of its photo."""
        taken = self.frames[self.number]
        middles = [np.hypot(face.frame.x - taken.x, face.frame.y - taken.y) for face in found]
        others = [face.frame for face, apart in zip(found, middles, strict=True) if apart > FACE * taken.side]
        return replace(self, frames=(taken, *others), number=0)

    def others(self, shape: Shape) -> Mask:
        """Where the faces lie that were not taken -> bool (H, W). shape: (H, W) of the photo."""
        drawn = np.zeros(shape[:2], np.uint8)
        for number, frame in enumerate(self.frames):
            if number != self.number:
                cv2.circle(drawn, (round(frame.x), round(frame.y)), round(FACE * frame.side), 1, cv2.FILLED)
        return drawn.view(bool)

    @property
    def squares(self) -> str:
        """Words for the faces that were not taken, to be given in its place."""
        return " or ".join(str(frame) for i, frame in enumerate(self.frames) if i != self.number)

    def several(self, name: str) -> str:
        """The words for several faces, none of which the hole or the user means. name: of the photo."""
        return f"{name} shows {len(self.frames)} faces, and the largest was taken: for another give {self.squares}"

    def report(self) -> dict[str, Any]:
        """Ready for JSON. taken: the number, from 1; frames as `Frame.of` reads them."""
        frames = [rounded(frame.numbers) for frame in self.frames]
        return {"found": len(frames), "taken": self.number + 1, "why": self.why, "close": self.close, "frames": frames}


def rounded(numbers: Iterable[float]) -> list[float]:
    """Places for a report."""
    return [round(float(value), 1) for value in numbers]


def most_alike(faces: Sequence[Face], similarities: Sequence[float]) -> Taken:
    """The face most like another by its similarity, of several; the smaller ones must be the more alike (`HALVED`)."""
    largest = max(face.area for face in faces)
    alike = [
        similarity + HALVED * float(np.log2(max(face.area, 1) / max(largest, 1))) / 2
        for face, similarity in zip(faces, similarities, strict=True)
    ]
    order = sorted(range(len(faces)), key=lambda i: -alike[i])
    close = len(faces) > 1 and alike[order[0]] - alike[order[1]] < CLOSE
    return Taken.found(faces, order[0], "alike" if len(faces) > 1 else "only", close)


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


def no_face(name: str) -> InputError:
    """name: of the photo."""
    return InputError(f"no face was found in {name}: give it as a square X0,Y0,X1,Y1", code="no_face")


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
