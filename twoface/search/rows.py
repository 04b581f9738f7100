"""What is kept of a photo and of each of its faces.

An embedding is biometric data: who has an index can tell whether a given face is in it. There are no pictures in it.
"""

from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from twoface.core.arrays import Matrix
from twoface.core.frame import Frame


@dataclass(frozen=True)
class FaceRow:
    """A face of a photo, as it is kept.

    path: of the photo, absolute; face: its number in the photo, the largest 0. identity: whose it is by the folder's
    name, or "". vectors: unit (K, 128), of `FaceSpace.index`, kept as float16; None where they were not asked for.
    frame: kept as its `numbers`. box, landmarks: as of `twoface.core.faces.Face`, the landmarks flat. score: the
    detector's. size: the frame's side. yaw, pitch, roll: degrees. sharpness, eyes_open, mouth_open: as
    `twoface.search.describe` gives them.
    """

    path: str
    face: int
    identity: str
    vectors: Matrix | None
    frame: Frame
    box: tuple[float, ...]
    landmarks: tuple[float, ...]
    score: float
    size: float
    yaw: float
    pitch: float
    roll: float
    sharpness: float
    eyes_open: float
    mouth_open: float

    @property
    def kept(self) -> Matrix:
        """`vectors`, which were asked for."""
        assert self.vectors is not None
        return self.vectors


@dataclass(frozen=True)
class PhotoRow:
    """A photo that was looked at: its file's size and time then, how many faces, and why it could not be read ("")."""

    path: str
    size: int
    mtime_ns: int
    faces: int = 0
    error: str = ""


@dataclass(frozen=True)
class Found:
    """A row that a search gave, and its cosine to what was searched."""

    row: FaceRow
    similarity: float = field(compare=False)


FIGURES = [name for name, kind in get_type_hints(FaceRow).items() if kind is float]
COLUMNS = [f.name for f in fields(FaceRow) if f.name != "vectors"]
LISTS = {"frame": 5, "box": 4, "landmarks": 10}


def columns_of(face: FaceRow) -> dict[str, Any]:
    """What is kept of a face besides its vectors, by `COLUMNS`; those of `LISTS` as tuples of numbers."""
    return {name: getattr(face, name) for name in COLUMNS} | {"frame": face.frame.numbers}


def row_of(columns: dict[str, Any], vectors: Matrix | None) -> FaceRow:
    """The face of which `columns_of` gives these."""
    return FaceRow(**columns | {"frame": Frame.of(columns["frame"])}, vectors=vectors)
