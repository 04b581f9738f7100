"""Find the faces of a photo: whole and covered ones, upright, on their side or upside down.

MTCNN looks first, since it gives the landmarks that the training data was aligned with; BlazeFace finds faces that are
covered, and says of every face which way is up. Where a face is not upright, or none is found, the photo is looked at
again turned by quarter turns, and of two looks at a face the one in which it leans less counts: it is found alike
however the photo lies. `benchmarks/detectors.py` compares the ways, `benchmarks/turned.py` turns photos.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from twoface.core.affine import apply, invert
from twoface.core.arrays import Box, Picture, Points, Shape, Transform
from twoface.core.blazeface import SCORE, BlazeFace
from twoface.core.faces import ALIKE, Face, distinct, overlap
from twoface.core.frame import Frame
from twoface.core.mtcnn import SMALLEST, Mtcnn
from twoface.core.pyramid import Pyramid

# A face that lies so many quarter turns clockwise is upright in the photo turned so.
TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
UPRIGHT = 60  # degrees that a face may lean: both detectors find it and its landmarks
ABOUT = (1.2, 1.9)  # frames: the sides of the squares about a face in which BlazeFace looks at it again
SURE, DOUBTFUL = 0.85, 0.7  # scores of a closer look, from which it shows a face, and below which it may be a dog
DOUBT = 0.1  # of score: by how much another side must be surer
HINTED = 0.3  # the score that is enough where a hole, or a first look, says that there is a face
REACH = (1.6, 2.4, 3.6, 5.2)  # of a hole's larger side: squares about it in which its face is looked for


class FaceDetector:
    """threads: as `twoface.core.network.open_session`."""

    def __init__(self, threads: int | None = None) -> None:
        self._mtcnn, self._blazeface = Mtcnn(threads), BlazeFace(threads)

    def detect(self, pixels: Picture, near: Box | None = None) -> list[Face]:
        """All faces of a photo, uint8 (H, W, 3) RGB, the largest first.

        A face need not be upright: its landmarks say which way is up. near: a box; looks only about it, and so finds
        smaller faces there, and those that a hole of that box covers.
        """
        x0, y0 = 0, 0
        if near is not None:
            center, reach = np.add(near[:2], near[2:]) / 2, 2 * max(near[2] - near[0], near[3] - near[1], 3 * SMALLEST)
            x0, y0 = np.maximum(np.floor(center - reach), 0).astype(int).tolist()
            x1, y1 = np.ceil(center + reach).astype(int)
            pixels, near = pixels[y0:y1, x0:x1], (near[0] - x0, near[1] - y0, near[2] - x0, near[3] - y0)
        found = self._look(pixels, near)
        turns = {round(look.frame.angle / 90) % 4 for _, look in found if look is not None and look.score >= DOUBTFUL}
        looks = [(abs(look.frame.angle), face, look.score) for face, look in found if look is not None]
        turned = [each for turn in (turns or {0, 1, 2, 3}) - {0} for each in self._look_turned(turn, pixels, near)]
        looks = sorted([*looks, *turned], key=lambda each: each[0])
        scores = {id(face): score for _, face, score in looks}
        faces = distinct(
            [face for _, face, _ in looks], [] if turned else [face for face, look in found if look is None]
        )
        if near is None:
            faces = _without_doubtful(faces, scores)
        back = np.array([[1.0, 0, x0], [0, 1, y0]])
        return [face.moved(back) for face in sorted(faces, key=lambda face: -face.area)]

    def _look_turned(self, turn: int, pixels: Picture, near: Box | None) -> list[tuple[float, Face, float]]:
        """The faces that are upright in the photo turned, as `looks` in `detect`, where they lie in the photo."""
        back = _back(turn, pixels.shape)
        near = None if near is None else _box(apply(invert(back), np.reshape(near, (2, 2))))
        found = self._look(cv2.rotate(pixels, TURNS[turn]), near)
        looks = [(abs(look.frame.angle), face, look.score) for face, look in found if look is not None]
        return [(lean, face.moved(back), score) for lean, face, score in looks if lean <= UPRIGHT]

    def _look(self, pixels: Picture, near: Box | None) -> list[tuple[Face, Face | None]]:
        """Each face found, and the closer look at it or None where that shows none."""
        squares = _overview(pixels.shape) if near is None else _about(near)
        photo = Pyramid(pixels)
        ours = self._mtcnn.look(photo)
        least = SCORE if near is None else HINTED
        seen = [face for faces in self._blazeface.look(photo, squares, least) for face in faces]
        seen = distinct(ours, sorted(seen, key=lambda face: -face.score))
        found = []
        for i, (face, better) in enumerate(zip(seen, self._again(photo, seen), strict=True)):
            if i < len(ours) and (better is None or _alike(face, better)):
                found.append((face, better))
            elif better is not None and better.score >= least:
                found.append((better, better))
        return found

    def _again(self, photo: Pyramid, faces: Sequence[Face]) -> list[Face | None]:
        """A closer look at each face, from four sides -> the Face as it lies, or None where none shows it.

        One that is sure from the side on which it seems to lie is not looked at from the others: none could be surer.
        """
        looks = [[found] for found in self._closer(photo, [(face, 0) for face in faces])]
        unsure = [i for i, (found,) in enumerate(looks) if _score(found) < 1 - DOUBT]
        turned = iter(self._closer(photo, [(faces[i], turn) for i in unsure for turn in (90, 180, 270)]))
        for i in unsure:
            looks[i] += [next(turned) for _ in range(3)]
        return [_surest(each) for each in looks]

    def _closer(self, photo: Pyramid, sides: Sequence[tuple[Face, int]]) -> list[list[Face | None]]:
        """Looks at faces in squares of the sizes `ABOUT`, turned by so many degrees -> for each what shows it."""
        squares = [
            Frame(face.frame.x, face.frame.y, face.frame.side * about, face.frame.angle + turn)
            for face, turn in sides
            for about in ABOUT
        ]
        looks = iter(self._blazeface.look(photo, squares, HINTED) if squares else [])
        return [[_same(face, next(looks)) for _ in ABOUT] for face, _ in sides]


def _without_doubtful(faces: Sequence[Face], scores: dict[int, float]) -> list[Face]:
    """Faces without those that are doubtful and larger than all that are sure. scores: {id: of a closer look}."""
    sure = max((face.area for face in faces if scores.get(id(face), 0) >= SURE), default=np.inf)
    return [face for face in faces if scores.get(id(face), 0) >= DOUBTFUL or face.area <= sure]


def _same(face: Face, found: Sequence[Face]) -> Face | None:
    """The Face among those found that is the one given, or None."""
    same = [other for other in found if overlap(other.box, face.box) > ALIKE]
    return max(same, key=lambda other: other.score, default=None)


def _surest(turns: Sequence[Sequence[Face | None]]) -> Face | None:
    """turns: what the looks from each side gave, the first as the face seemed to lie -> Face or None."""
    scores = [_score(looks) for looks in turns]
    turn = int(np.argmax(scores))
    looks = turns[turn if scores[turn] > scores[0] + DOUBT else 0]
    return max((face for face in looks if face is not None), key=lambda face: face.score, default=None)


def _score(looks: Sequence[Face | None]) -> float:
    """How sure some looks are, 0..1."""
    return sum(0 if face is None else face.score for face in looks) / len(looks)


def _alike(one: Face, other: Face) -> bool:
    """Whether two faces have about the same frame, be it turned by quarters."""
    a, b = one.frame, other.frame
    apart = np.hypot(a.x - b.x, a.y - b.y) / ((a.side + b.side) / 2)
    return bool(apart < 0.2 and abs(np.log(a.side / b.side)) < 0.35)


def _overview(shape: Shape) -> list[Frame]:
    """Squares that together show a photo of this shape: all of it, and if it is long, parts as wide as it is."""
    height, width = shape[:2]
    short, long = min(height, width), max(height, width)
    squares = [Frame(width / 2, height / 2, long)]
    if long > 1.2 * short:
        along = np.linspace(short / 2, long - short / 2, int(np.ceil(2 * long / short)) - 1).tolist()
        middle = short / 2
        squares += [Frame(at, middle, short) if width > height else Frame(middle, at, short) for at in along]
    return squares


def _about(box: Box) -> list[Frame]:
    x0, y0, x1, y1 = box
    return [Frame((x0 + x1) / 2, (y0 + y1) / 2, reach * max(x1 - x0, y1 - y0)) for reach in REACH]


def _back(turn: int, shape: Shape) -> Transform:
    """The 2x3 affine from the pixels of a photo of this shape, turned, to its own."""
    height, width = shape[:2]
    return {
        1: np.array([[0.0, -1, width - 1], [1, 0, 0]]),
        2: np.array([[-1.0, 0, width - 1], [0, -1, height - 1]]),
        3: np.array([[0.0, 1, 0], [-1, 0, height - 1]]),
    }[turn]


def _box(corners: Points) -> Box:
    return (*corners.min(0), *corners.max(0))
