"""What an index keeps of a face, and what a search compares with it: embeddings of `twoface.core.identity`.

A hole hides what tells people apart, and moves the embedding of every face to another place; embeddings of faces with
different holes hardly compare. So an index keeps each face as several `KINDS`: whole, and with a part hidden in the
mean colour of the rest. A face with a hole is compared with the whole faces and, the kind's part hidden in it too, with
those of a kind that hides all of the hole. Embeddings are compared as directions from the mean of all faces of their
kind: `twoface.research.fitting.face_space` measured the means on people of the train split, and what the kinds bring.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Protocol

import numpy as np

from twoface.core.arrays import Embeddings, Mask, Matrix, Picture, Pictures, Points, Vector
from twoface.core.blend import crop_mask
from twoface.core.frame import SIZE, UPRIGHT, Frame
from twoface.core.identity import LENGTH, PLACE, VIEW, calibrated_holes, directions, face_view, flat
from twoface.core.parts import named_hole, part_hole

FILE = resources.files("twoface") / "weights" / "search.npz"
WHOLE = "whole"
KINDS = (WHOLE, "eyes", "glasses", "lower", "mask", "center")  # the others by the hole that they hide
# The kind by which faces with a calibrated hole are searched; the others of these holes by whole faces alone.
KIND_OF = {
    **{kind: kind for kind in KINDS if kind not in (WHOLE, "center")},
    "center 64": "center",
    "nose": "mask",
    "mouth": "lower",
}
ABOUT = 2.7  # crop pixels about a hole that a kind hides too; what indexes keep was hidden so
COVERED = 0.9  # the share of a hole that its kind must hide
FACTS = b"mesh"  # what tells pose and expression of an index's faces


class Embeds(Protocol):
    """As `twoface.core.identity.Embedder`."""

    def embed(self, faces: Pictures) -> Matrix: ...


@dataclass(frozen=True)
class FaceSpace:
    """kept: of each of `KINDS` the mean (128,) of its embeddings; seen: of each calibrated hole the mean (128,) of what
    `twoface.core.identity.visible` gives."""

    kept: dict[str, Vector]
    seen: dict[str, Vector]

    @staticmethod
    @cache
    def load() -> "FaceSpace":
        """The means that were measured, from `FILE`."""
        with FILE.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
        return FaceSpace(_below("kept/", arrays), _below("seen/", arrays))

    def index(self, embeddings: Embeddings) -> Embeddings:
        """Embeddings of faces, each as all `KINDS`, (N, K, 128) -> what an index keeps of them, unit (N, K, 128)."""
        means = [self.kept[kind] for kind in KINDS]
        return np.stack([directions(embeddings[:, i], mean) for i, mean in enumerate(means)], 1)

    def query(self, seen: Matrix, hole: Mask) -> Matrix:
        """What a face with a hole is compared with whole faces by -> unit (N, 128).

        seen: (N, 128), as of `twoface.core.identity.visible`; hole: bool (128, 128).
        """
        return directions(seen, self.seen[nearest_hole(hole, self.seen)])


@dataclass(frozen=True)
class IndexEmbedder:
    """Faces -> what an index keeps of them."""

    embedder: Embeds
    space: FaceSpace

    def embed(self, faces: Sequence[Pictures]) -> Embeddings:
        """faces: each as `kind_views` gives it -> unit (N, K, 128)."""
        if not faces:
            return np.zeros((0, len(KINDS), LENGTH), np.float32)
        embeddings = self.embedder.embed(np.concatenate(faces))
        return self.space.index(embeddings.reshape(len(faces), len(KINDS), LENGTH))


def kind_views(pixels: Picture, frame: Frame, points: Points) -> Pictures:
    """A face of a photo as all `KINDS` -> views, uint8 (K, 150, 150, 3).

    pixels: uint8 (H, W, 3); points: (478, 3), the face's mesh in crop pixels.
    """
    aligned = frame.crop(pixels)
    hidden = [flat_view(aligned, kind_hole(kind, points)) for kind in KINDS[1:]]
    return np.stack([face_view(pixels, frame), *hidden])


def share_of(hole: Mask, kind: Mask) -> float:
    """How much a cosine of faces with the kind's part hidden counts beside that of whole ones, 0..1: the less the more
    is hidden besides the hole. Both bool (128, 128)."""
    return float(hole.sum() / (hole | kind).sum())


def flat_view(aligned: Picture, hole: Mask) -> Picture:
    """The view of a face in its crop, uint8 (128, 128, 3), with a hole in the mean colour of the rest."""
    return face_view(flat(aligned, hole), UPRIGHT)


def kind_hole(kind: str, points: Points) -> Mask:
    """What a kind hides of the face with this mesh, (478, 3) in crop pixels, and `ABOUT` it -> bool (128, 128)."""
    hole = named_hole("center") if kind == "center" else part_hole(kind, points, (SIZE, SIZE))
    return crop_mask(hole, UPRIGHT, ABOUT)


def kind_for(hole: Mask, points: Points) -> str:
    """By which kind a face with a hole, bool (128, 128), is searched; `WHOLE` when by whole faces alone.

    points: (478, 3), its mesh in crop pixels.
    """
    kind = KIND_OF.get(nearest_hole(hole, calibrated_holes()), WHOLE)
    if kind == WHOLE:
        return WHOLE
    seen = hole & _viewed()
    return kind if (seen & kind_hole(kind, points)).sum() >= COVERED * seen.sum() else WHOLE


@cache
def space_version() -> str:
    """The first digits of the SHA-256 of `FILE` and of what is kept: faces of two versions cannot be compared."""
    return sha256(FILE.read_bytes() + FACTS + ",".join(KINDS).encode()).hexdigest()[:12]


def nearest_hole(hole: Mask, names: Iterable[str]) -> str:
    """Which of the calibrated holes called `names` differs in the fewest pixels from `hole`, bool (128, 128)."""
    holes = calibrated_holes()
    return min(names, key=lambda name: np.count_nonzero(holes[name] ^ hole))


@cache
def _viewed() -> Mask:
    """What of the crop the recogniser sees -> bool (128, 128)."""
    place = PLACE.transform(VIEW)
    (x0, x1), (y0, y1) = ((np.array([0, VIEW]) - place[axis, 2]) / place[axis, axis] for axis in (0, 1))
    places = np.arange(SIZE)
    return ((places >= y0) & (places < y1))[:, None] & ((places >= x0) & (places < x1))[None]


def _below(prefix: str, arrays: dict[str, Vector]) -> dict[str, Vector]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
