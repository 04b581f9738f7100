"""What a worker process of the web application does: it decodes, looks at, searches, fills and encodes photos.

A task is (name of a method of `PhotoTasks`, its arguments); files of the user and photos of an index are opened nowhere
else.
"""

from __future__ import annotations

import base64
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from twoface.core.arrays import Mask
from twoface.core.errors import InputError
from twoface.core.fill_result import FillResult
from twoface.core.frame import SIZE, UPRIGHT, Frame
from twoface.core.holes import drawn_hole
from twoface.core.images import Photo, encode_photo, read_mask, read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.location import has_location, without_location
from twoface.core.masks import center_hole
from twoface.core.mesh import moved
from twoface.core.parts import part_hole
from twoface.web.cache import Cache, Filled
from twoface.web.library import Library, Opener, Place, candidate_words, opener, read_found

if TYPE_CHECKING:  # only with an index
    from twoface.search.collection import Candidate
    from twoface.search.rows import FaceRow

Task: TypeAlias = tuple[str, dict[str, Any]]  # the name of a method of `PhotoTasks`, and its arguments
MIN_FACE = 50  # photo pixels: a smaller frame is refused, as in the thesis
GOOD_FACE = 128  # below this the network sees more pixels than the photo has
MAX_MASK = 1024 * 1024  # pixels
SWEEP = 30  # seconds between two looks for what has expired


def setup_worker(
    load: Callable[[], Inpainter],
    max_pixels: int,
    indexes: Sequence[Place] = (),
    opener: Callable[[Inpainter], Opener] = opener,
) -> Callable[[Task], Any]:
    """What a worker process sets up -> its function of a task.

    load: picklable () -> Inpainter. indexes, opener: as of `twoface.web.library.Library`.
    """
    cv2.setNumThreads(2)
    inpainter = load()
    inpainter.warm_up()
    photo_tasks = PhotoTasks(inpainter, max_pixels, Library(indexes, opener(inpainter)))
    threading.Thread(target=photo_tasks.keep_sweeping, daemon=True).start()
    return photo_tasks.do


def load_inpainter(backend: str | None = None, key: str | None = None) -> Inpainter:
    """The engine that answers: our own, or the network of a `twoface serve` at the URL `backend`."""
    if backend is None:
        return Inpainter.load()
    from twoface.client import connect

    return Inpainter.load(connect(backend, key))


class PhotoTasks:
    """An Inpainter and the photos at hand. Every method is a task; `session` says whose photos are meant."""

    def __init__(self, inpainter: Inpainter, max_pixels: int, library: Library) -> None:
        self._inpainter, self._max_pixels, self._library, self._cache = inpainter, max_pixels, library, Cache()

    def do(self, task: Task) -> Any:
        name, arguments = task
        return getattr(self, name)(**arguments)

    def keep_sweeping(self) -> None:
        while True:
            time.sleep(SWEEP)
            self._cache.sweep()

    def add_photo(self, session: str, name: str, data: bytes) -> dict[str, Any]:
        """Decode a file and find its faces -> dict of the photo."""
        start = time.perf_counter()
        photo = dataclasses.replace(read_photo(data, self._max_pixels), name=name)
        return self._keep(session, photo) | {"seconds": round(time.perf_counter() - start, 3)}

    def _keep(self, session: str, photo: Photo) -> dict[str, Any]:
        faces = self._inpainter.faces(photo)
        width, height = photo.size
        told = {
            "name": photo.name,
            "width": width,
            "height": height,
            "format": photo.format,
            "location": has_location(photo),
            "megapixels": round(width * height / 1e6, 1),
            "faces": [
                {"frame": dataclasses.asdict(face.frame), "box": list(face.box), "score": face.score} for face in faces
            ],
        }
        return told | {"id": self._cache.add(session, photo)}  # at the end: what fails takes nobody's place

    def forget(self, session: str, photo: str) -> None:
        self._cache.forget(session, photo)

    def forget_session(self, session: str) -> None:
        self._cache.forget_session(session)

    def preview(self, session: str, photo: str, side: int) -> bytes:
        """The whole photo, its longest side at most `side` -> JPEG, which takes a seventh of WebP's time."""
        picture = self._cache.photo(session, photo)
        factor = min(1, side / max(picture.size))
        size = [max(1, round(length * factor)) for length in picture.size]
        pixels = cv2.resize(picture.pixels, size, interpolation=cv2.INTER_AREA)
        return encode_photo(Photo(pixels), "JPEG", 90, generated=False)

    def crop(self, session: str, photo: str, frame: Frame, size: int) -> bytes:
        """The frame turned upright -> PNG where the network's own 128 pixels are asked for, else WebP."""
        picture = self._cache.photo(session, photo)
        _check(frame, picture)
        pixels = frame.crop(picture.pixels, size)
        form = "PNG" if size == SIZE else "WEBP"
        return encode_photo(Photo(pixels), form, 90, generated=False)

    def hole(self, session: str, photo: str, frame: Frame, name: str, size: int, wider: float) -> bytes:
        """A part of the face that the frame shows, white on black -> PNG, `size` pixels a side.

        name: of `twoface.core.parts.HOLES`. wider: the side of the square that it is drawn over, of the frame's.
        """
        picture = self._cache.photo(session, photo)
        _check(frame, picture)
        if name == "center":
            drawn = center_hole(round(size / 2 / wider), size)
        else:
            aligned = frame.crop(picture.pixels)
            mesh = self._inpainter.mesher.through(aligned, np.zeros((SIZE, SIZE), bool))
            drawn = part_hole(name, moved(mesh, _wider(UPRIGHT, wider).transform(size)), (size, size))
        return cv2.imencode(".png", drawn.astype(np.uint8) * 255)[1].tobytes()

    def cover(self, session: str, photo: str, frame: Frame, size: int, wider: float) -> dict[str, Any]:
        """What is in front of the face that the frame shows, or closed eyes -> dict: `code` and `share` as of
        `Cover.report`, `mask`: base64 of a PNG, `size` pixels a side, as of `hole`.

        Raises InputError, code "nothing_found".
        """
        picture = self._cache.photo(session, photo)
        _check(frame, picture)
        found = self._inpainter.cover(picture, frame)
        hole = cv2.warpAffine(found.hole.astype(np.uint8) * 255, _wider(frame, wider).transform(size), (size, size))
        drawn = cv2.imencode(".png", np.where(hole >= 128, np.uint8(255), np.uint8(0)))[1].tobytes()
        return found.report() | {"mask": base64.b64encode(drawn).decode()}

    def fill(
        self,
        session: str,
        photo: str,
        frame: Frame,
        mask: bytes,
        wider: float,
        references: Sequence[tuple[str, Frame | None]],
        same_photo: bool,
    ) -> dict[str, Any]:
        """Fill a hole -> dict of the fill.

        mask: a picture's bytes, drawn over a square about the frame. wider: the side of that square, of the frame's.
        references: [(photo id, Frame or None)], None: the face in it that is most like the photo's. same_photo: as of
        `Inpainter.fill`.
        """
        picture = self._cache.photo(session, photo)
        others = [self._cache.photo(session, id) for id, _ in references]
        for where, what in [(frame, picture), *zip((f for _, f in references), others, strict=True)]:
            if where is not None:
                _check(where, what)
        result = self._inpainter.fill(
            picture,
            mask=drawn_hole(_read_mask(mask), _wider(frame, wider), picture.pixels.shape),
            face=frame,
            references=others,
            reference_face=[where for _, where in references],
            same_photo=same_photo,
        )
        x0, y0, x1, y1 = result.box
        crops = {"masked": result.masked_crop, "filled": result.crop, "reference": result.reference_crop}
        filled = Filled(
            result.box,
            result.photo.pixels[y0:y1, x0:x1].copy(),
            {name: pixels for name, pixels in crops.items() if pixels is not None},
            None if result.photo.alpha is None else result.photo.alpha[y0:y1, x0:x1].copy(),
        )
        return {
            "id": self._cache.add_fill(session, photo, filled),
            "patch": {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0},
            "identity": None if result.identity is None else dataclasses.asdict(result.identity),
            "verdict": result.verdict._asdict(),
            "outlook": result.outlook._asdict(),
            "reference_used": result.reference_used,
            "reference_faces": [_face(reference["faces"]) for reference in result.references],
            "warnings": _warnings(result, picture, frame, same_photo),
            "seconds": {stage: round(seconds, 4) for stage, seconds in result.timing.items()},
        }

    def patch(self, session: str, fill: str) -> bytes:
        """The part of the photo that changed, at full resolution -> PNG."""
        _, filled = self._cache.fill(session, fill)
        return encode_photo(Photo(filled.pixels, filled.alpha), "PNG", effort=1)

    def fill_crop(self, session: str, fill: str, name: str) -> bytes:
        """One of the network's 128x128 pictures -> PNG; None where there was no reference."""
        photo, filled = self._cache.fill(session, fill)
        if name not in filled.crops:
            raise InputError("this fill had no reference", code="fill_gone")
        return encode_photo(Photo(filled.crops[name]), "PNG", generated=name == "filled")

    def finished(self, session: str, fill: str, format: str, quality: int | None, location: bool) -> tuple[str, bytes]:
        """The whole filled photo with its metadata -> (its name, bytes).

        format: as of `encode_photo`. location: whether the metadata may say where it was taken.
        """
        photo = self._whole(session, fill)
        return photo.name, encode_photo(photo if location else without_location(photo), format, quality)

    def add_filled(self, session: str, fill: str) -> dict[str, Any]:
        """Take a filled photo as one to be filled again -> as `add_photo`."""
        start = time.perf_counter()
        added = self._keep(session, self._whole(session, fill))
        return added | {"seconds": round(time.perf_counter() - start, 3)}

    def _whole(self, session: str, fill: str) -> Photo:
        photo, filled = self._cache.fill(session, fill)
        x0, y0, x1, y1 = filled.box
        pixels, alpha = photo.pixels.copy(), photo.alpha
        pixels[y0:y1, x0:x1] = filled.pixels
        if alpha is not None:
            assert filled.alpha is not None  # it was filled from this photo
            alpha = alpha.copy()
            alpha[y0:y1, x0:x1] = filled.alpha
        return dataclasses.replace(photo, pixels=pixels, alpha=alpha)

    def open_indexes(self) -> None:
        """Raises TwoFaceError for an index that cannot be opened."""
        self._library.open_all()

    def search(self, session: str, photo: str, frame: Frame, mask: bytes, wider: float, index: int) -> dict[str, Any]:
        """Find references for a hole -> dict of the search. mask, wider: as of `fill`; index: its number."""
        picture = self._cache.photo(session, photo)
        _check(frame, picture)
        hole = drawn_hole(_read_mask(mask), _wider(frame, wider), picture.pixels.shape)
        answer = self._library.search(index, picture, frame, hole)
        return {
            "id": self._cache.add_search(session, photo, answer.candidates),
            "verdict": answer.verdict,
            "person": answer.person,
            "faces": answer.faces,
            "left_out": answer.left_out,
            "candidates": [candidate_words(found) for found in answer.candidates],
            "seconds": {stage: round(seconds, 3) for stage, seconds in answer.seconds.items()},
        }

    def candidate_crop(self, session: str, search: str, number: int, size: int) -> bytes:
        """The face of what was found, turned upright, from its photo as it is now -> WebP."""
        return self._face(self._candidate(session, search, number), size)

    def add_candidate(self, session: str, search: str, number: int) -> dict[str, Any]:
        """Take a photo that was found as `add_photo` takes a file -> the same dict, and the face's `frame`."""
        start = time.perf_counter()
        candidate = self._candidate(session, search, number)
        added = self._keep(session, read_found(candidate, self._max_pixels))
        return added | {"frame": dataclasses.asdict(candidate.frame), "seconds": round(time.perf_counter() - start, 3)}

    def people(self, session: str, index: int, what: str, **arguments: Any) -> Any:
        """See or change the people of an index: a function of `twoface.web.people`, by name -> what that gives."""
        return self._library.people(index, what, **arguments)

    def person_crop(self, session: str, index: int, size: int, **which: Any) -> bytes:
        """A face of a person, as of `twoface.web.people.face`, from its photo as it is now -> WebP."""
        return self._face(self._library.people(index, "face", **which), size)

    def _face(self, found: Candidate | FaceRow, size: int) -> bytes:
        """found: a candidate, or a row of an index."""
        pixels = found.frame.crop(read_found(found, self._max_pixels).pixels, size)
        return encode_photo(Photo(pixels), "WEBP", 90, generated=False)

    def _candidate(self, session: str, search: str, number: int) -> Candidate:
        candidates = self._cache.search(session, search)
        if number >= len(candidates):
            raise InputError(f"this search found {len(candidates)} photos, not {number + 1}", code="bad_request")
        return candidates[number]


def _check(frame: Frame, photo: Photo) -> None:
    """Raises InputError for a frame that is too small, or as `Frame.check`."""
    if frame.side < MIN_FACE:
        text = f"the face's square is {frame.side:.0f} pixels wide: at least {MIN_FACE} are needed"
        raise InputError(text, code="face_too_small", side=int(frame.side), min=MIN_FACE)
    frame.check(photo.size, "the photo")


def _wider(frame: Frame, wider: float) -> Frame:
    """A square about a frame, whose side is `wider` times its."""
    return dataclasses.replace(frame, side=wider * frame.side)


def _read_mask(data: bytes) -> Mask:
    mask = read_mask(data, None, MAX_MASK)
    if mask.shape[0] != mask.shape[1]:
        raise InputError("the mask must be square: it is drawn over the face's square", code="not_square")
    if not mask.any():
        raise InputError("the mask is empty: paint what is to be filled", code="mask_empty")
    return mask


def _face(taken: dict[str, Any]) -> dict[str, Any]:
    """What the page gets of `Taken.report` -> {"found", "taken" (from 1), "close", "frame"}."""
    frame = dataclasses.asdict(Frame.of(taken["frames"][taken["taken"] - 1]))
    return {name: taken[name] for name in ("found", "taken", "close")} | {"frame": frame}


def _warnings(result: FillResult, photo: Photo, frame: Frame, same_photo: bool) -> list[dict[str, str]]:
    found = [{"code": note.code, "message": note.text} for note in photo.notes]
    if result.verdict.word == "two_people":
        found.append({"code": "two_people", "message": "the photo and the reference look like two people"})
    if frame.side < GOOD_FACE:
        found.append({"code": "small_face", "message": f"the face is small: below {GOOD_FACE} pixels results are soft"})
    if not same_photo and any(reference["copy"] for reference in result.references):
        found.append({"code": "same_photo", "message": "a reference is the photo itself or a copy, and was left out"})
    return found
