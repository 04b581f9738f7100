"""What a worker process of the photo API does: it decodes, fills and encodes. Photos are opened nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from twoface.core.arrays import Mask
from twoface.core.frame import Frame
from twoface.core.images import Photo, encode_photo, read_mask, read_photo
from twoface.core.inpainter import Inpainter


@dataclass(frozen=True)
class FillTask:
    """photo, mask, references: files' bytes. The rest as of `Inpainter.fill` and `encode_photo`."""

    photo: bytes
    mask: bytes | None
    hole: str | tuple[int, ...] | None
    face: Frame | None
    references: list[bytes]
    reference_faces: list[Frame | None] | None
    feather: float | None
    center_size: int
    same_photo: bool
    format: str
    quality: int | None


@dataclass(frozen=True)
class FacesTask:
    """photo: a file's bytes."""

    photo: bytes


def read_pictures(photo: bytes, mask: bytes | None, max_pixels: int) -> tuple[Photo, Mask | None]:
    """A photo's and its mask's files -> both. Raises InputError."""
    read = read_photo(photo, max_pixels)
    if mask is None:
        return read, None
    return read, read_mask(mask, read.size, max_pixels, orientation=read.orientation)


def setup_worker(model: Path | None, threads: int, max_pixels: int) -> Callable[[FillTask | FacesTask], Any]:
    """What a worker process sets up -> its function of a task. model, threads: as of `Inpainter.load`."""
    cv2.setNumThreads(threads)
    inpainter = Inpainter.load(model, threads)
    inpainter.warm_up()
    return partial(_do, inpainter, max_pixels)


def _do(inpainter: Inpainter, max_pixels: int, task: FillTask | FacesTask) -> Any:
    if isinstance(task, FillTask):
        return _fill(inpainter, max_pixels, task)
    return _faces(inpainter, read_photo(task.photo, max_pixels))


def _fill(inpainter: Inpainter, max_pixels: int, task: FillTask) -> tuple[bytes, dict[str, Any]]:
    """-> the encoded picture, and the report of the fill."""
    photo, mask = read_pictures(task.photo, task.mask, max_pixels)
    result = inpainter.fill(
        photo,
        mask=mask,
        hole=task.hole,
        references=[
            read_photo(data, max_pixels, f"reference {number}") for number, data in enumerate(task.references, 1)
        ],
        face=task.face,
        reference_face=task.reference_faces,
        feather=task.feather,
        center_size=task.center_size,
        same_photo=task.same_photo,
    )
    return encode_photo(result.photo, task.format, task.quality), result.report(task.format)


def _faces(inpainter: Inpainter, photo: Photo) -> dict[str, Any]:
    """-> the size of the photo and its faces, as dicts."""
    faces = [
        {"box": face.box, "frame": face.frame.numbers, "score": face.score, "landmarks": face.landmarks.tolist()}
        for face in inpainter.faces(photo)
    ]
    return {"width": photo.size[0], "height": photo.size[1], "faces": faces}
