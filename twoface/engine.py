"""The whole walk of one photo: `Inpainter.load().fill(photo, mask=..., reference=...)`. No torch."""

import time
from dataclasses import dataclass
from functools import cached_property
from numbers import Real

import cv2
import numpy as np

from twoface.blend import SIZE, blend, crop_mask, seam_correction
from twoface.errors import InputError
from twoface.faces import FaceDetector, align, choose, crop, frame_transform, scale_of, shifted, touched, window
from twoface.files import check_output, write_aside
from twoface.holes import check_told, drawn_hole, given_hole, inside_frame
from twoface.identity import VIEW, Embedder, calibration_for, embedding_view, face_view, hide, similarity
from twoface.images import Photo, encode_photo, losses, output_format, read_photo
from twoface.masks import box_hole
from twoface.model import FillModel
from twoface.tone import toned

SMALL = 50  # photo pixels that a face's frame is wide: below it results are soft
FEATHER = 2  # crop pixels, when the user does not say
IDENTITY = (
    "similarity_result_reference",
    "similarity_visible_reference",
    "same_person",
    "threshold",
    "strangers_warned",
)


@dataclass(frozen=True)
class FillResult:
    """What a fill gave.

    photo: the whole Photo, filled. crop, masked_crop, reference_crop: uint8 (128, 128, 3), the last None without
    a reference. mask_crop: bool (128, 128), the hole as the network saw it, grown by the feather.
    face: (x0, y0, x1, y1) in photo pixels, the detected box or the square given, its degrees too. transform: photo ->
    crop. hole: bool (H, W), what was filled. box: (x0, y0, x1, y1), ints: the part of the photo that may have changed.
    identity: similarity_result_reference and similarity_visible_reference (cosines, None without a reference),
    same_person (None without one), the threshold it was judged by, and strangers_warned, the share of wrong
    references that this threshold finds under such a hole.
    references: one {"name", "similarity_visible", "face"} for each given; reference_used: the index of the one
    used and reference_why. warnings: sentences for the user. timing: seconds by stage.
    """

    photo: Photo
    crop: np.ndarray
    masked_crop: np.ndarray
    mask_crop: np.ndarray
    reference_crop: np.ndarray | None
    face: tuple
    transform: np.ndarray
    hole: np.ndarray
    box: tuple
    identity: dict
    references: list
    reference_used: int | None
    reference_why: str
    warnings: list
    timing: dict

    @property
    def warning(self):
        """All warnings as one text, or None."""
        return " ".join(self.warnings) or None

    def report(self, format=None):
        """Everything but the pictures, ready for JSON -> dict. format: of the file, whose losses are warnings then."""
        x0, y0, width, height = cv2.boundingRect(self.hole.view(np.uint8))
        return {
            "photo": self.photo.name,
            "size": list(self.photo.size),
            "face": [round(v, 1) for v in self.face],
            "transform": self.transform.tolist(),
            "hole": {"box": [x0, y0, x0 + width, y0 + height], "pixels": int(np.count_nonzero(self.hole))},
            "changed": list(self.box),
            "identity": self.identity,
            "references": self.references,
            "reference_used": self.reference_used,
            "reference_why": self.reference_why,
            "warnings": self.warnings + ([] if format is None else losses(self.photo, format)),
            "seconds": {stage: round(value, 4) for stage, value in self.timing.items()},
        }

    def save(self, path, quality=None, force=False):
        """Write the filled photo, its format by the extension, as `encode_photo` does.

        quality: 1..100, of the lossy formats; None for the photo's own. Raises InputError as `encode_photo` and
        `write_aside`.
        """
        form = output_format(path)
        check_output(path, force)
        return write_aside(path, encode_photo(self.photo, form, quality), force)


@dataclass(frozen=True)
class _Reference:
    photo: Photo
    face: tuple
    transform: np.ndarray
    crop: np.ndarray
    similarity: float


class Inpainter:
    """Fills holes in face photos. Make one with `load` and use it for many photos.

    network, detector: what it was made of, for others to use too.
    """

    def __init__(self, network, detector, embedder=None):
        self.network = network
        self.detector = detector
        if embedder is not None:
            self._embedder = embedder

    @classmethod
    def load(cls, model=None, threads=None):
        """model: an ONNX file that `twoface export` wrote, default the one that ships; or whatever has a `run` as
        `FillModel`, such as `twoface.client.connect` gives. threads: default at most 2.
        """
        return cls(model if hasattr(model, "run") else FillModel(model, threads), FaceDetector(threads))

    @cached_property
    def _embedder(self):
        return Embedder()  # loaded when the first reference asks for it

    def warm_up(self):
        """Load and run what the first photo would wait for; the fill network, which may be far away, is not asked."""
        blank = np.zeros((1, VIEW, VIEW, 3), np.uint8)
        self.detector.detect(blank[0])
        self._embedder.embed(blank)

    def faces(self, photo):
        """All faces of a photo, the largest first -> list of `twoface.faces.Face`. photo: as of `fill`."""
        return self.detector.detect(_as_photo(photo).pixels)

    def fill(
        self,
        photo,
        *,
        mask=None,
        hole=None,
        frame_mask=None,
        reference=None,
        references=(),
        face=None,
        reference_face=None,
        feather=None,
        center_size=64,
    ):
        """Fill a part of a face -> FillResult.

        photo, reference, each of references: a path, bytes, a Photo, or uint8 (H, W, 3) RGB. With several the one
        most alike to the visible part of the photo is used; with none the network invents.
        One of three says what to fill. mask: bool (H, W) or a picture's path or bytes (>= 128 is hole). hole: a name of
        `twoface.masks.HOLES` or a box (x0, y0, x1, y1) in photo pixels. frame_mask: bool (S, S) of any size, drawn
        over the face's frame.
        face: a square of the photo, (x0, y0, x1, y1) in pixels, that becomes the crop frame as it is, or (x0, y0, x1,
        y1, degrees), turned clockwise about its centre; nothing is detected then. A turned one, be it by 0 degrees,
        may reach over the photo's border (the border is reflected) if its centre lies inside. Without it, the face that
        the mask touches, else the largest. reference_face: the same for the reference; or a list with one for each
        reference, None where it is to be found.
        feather: the seam's width in photo pixels, default that of `FEATHER` crop pixels. center_size: the side of
        the hole `center` in crop pixels.
        Raises InputError for every input that cannot be used.
        """
        clock = _Clock()
        if sum(given is not None for given in (mask, hole, frame_mask)) != 1:
            raise InputError("give either a mask or a hole, and not both")
        given = [*([] if reference is None else [reference]), *references]
        squares = _squares(reference_face, len(given))
        if feather is not None and not 0 <= feather < float("inf"):
            raise InputError(f"the feather must be 0 pixels or more, not {feather}")
        photo = _as_photo(photo)
        mask = given_hole(mask, hole, photo)
        clock.lap("decode")

        box, transform = self._frame(photo, face, mask)
        clock.lap("faces")
        if mask is None:
            mask, warnings = drawn_hole(hole, center_size, frame_mask, transform, photo.pixels.shape), []
        else:
            mask, warnings = inside_frame(mask, transform)
        check_told(photo, mask, box)
        if SIZE / scale_of(transform) < SMALL:
            warnings.append(f"the face in {photo.name} is small: below {SMALL} pixels results are soft")
        feather_px = FEATHER / scale_of(transform) if feather is None else feather
        x0, y0, x1, y1 = window(transform, photo.pixels.shape)
        part, part_hole, part_transform = photo.pixels[y0:y1, x0:x1], mask[y0:y1, x0:x1], shifted(transform, x0, y0)
        unknown = crop_mask(part_hole, part_transform, feather_px)
        aligned = crop(part, part_transform)
        masked = np.where(unknown[..., None], np.uint8(0), aligned)
        clock.lap("crop")

        visible = self._visible(masked, unknown) if given else None
        references = [self._reference(*each, visible, unknown) for each in zip(given, squares, strict=True)]
        best = max(range(len(references)), key=lambda i: references[i].similarity, default=None)
        used = None if best is None else references[best]
        clock.lap("references")

        fields = self.network.run(
            _planes(masked),
            unknown[None, None].astype(np.float32),
            np.zeros((1, 3, SIZE, SIZE), np.float32) if used is None else _planes(used.crop),
        )
        clock.lap("network")
        fields = {name: field[0] for name, field in fields.items()}
        seam = seam_correction(aligned, fields["fill"], crop_mask(part_hole, part_transform, 0), unknown)
        source = None if used is None else (used.photo.pixels, used.transform)
        pixels = photo.pixels.copy()
        filled = blend(part, part_hole, part_transform, fields, source, feather_px, seam)
        pixels[y0:y1, x0:x1] = toned(part, filled, part_hole)
        clock.lap("blend")

        identity = self._identity(pixels, transform, used, unknown)
        if identity["same_person"] is False:
            warnings.append(
                f"{photo.name} and {used.photo.name} look like two people (similarity of what is visible"
                f" {used.similarity:.2f}, below {identity['threshold']:.2f}): is this the right reference?"
            )
        clock.lap("identity")
        return FillResult(
            photo=photo.filled(pixels, mask, feather_px),
            crop=crop(pixels, transform),
            masked_crop=masked,
            mask_crop=unknown,
            reference_crop=None if used is None else used.crop,
            face=tuple(float(v) for v in box),
            transform=transform,
            hole=mask,
            box=_changed(mask, feather_px),
            identity=identity,
            references=[
                {"name": r.photo.name, "similarity_visible": r.similarity, "face": [round(float(v), 1) for v in r.face]}
                for r in references
            ],
            reference_used=best,
            reference_why=_why(len(references)),
            warnings=[*(note.text for note in photo.notes), *warnings],
            timing=clock.laps(),
        )

    def _frame(self, photo, square, mask=None):
        """-> face box, transform."""
        if square is not None:
            _check_frame(square, photo)
            return tuple(square), frame_transform(square)
        faces = self.detector.detect(photo.pixels)
        if mask is not None and not any(touched(face, mask) for face in faces):
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
            faces = self.detector.detect(photo.pixels, near=(x, y, x + width, y + height)) or faces
        if not faces:
            text = f"no face was found in {photo.name}: give it as a square X0,Y0,X1,Y1 (--face)"
            raise InputError(text, code="no_face")
        face = choose(faces, mask)
        return face.box, align(face.landmarks)

    def _visible(self, aligned, unknown):
        return self._embedder.embed(embedding_view(hide(aligned, unknown))[None])[0]

    def _reference(self, item, square, visible, unknown):
        photo = _as_photo(item)
        try:
            box, transform = self._frame(photo, square)
        except InputError as error:
            text = f"reference {photo.name}: {str(error).replace('--face', '--reference-face')}"
            raise InputError(text, code=error.code) from error
        picture = crop(photo.pixels, transform)
        return _Reference(photo, box, transform, picture, similarity(visible, self._visible(picture, unknown)))

    def _identity(self, pixels, transform, used, unknown):
        if used is None:
            return dict.fromkeys(IDENTITY)
        views = np.stack([face_view(pixels, transform), face_view(used.photo.pixels, used.transform)])
        known = calibration_for(unknown)
        same = used.similarity >= known.threshold
        figures = (
            similarity(*self._embedder.embed(views)),
            used.similarity,
            same,
            known.threshold,
            known.strangers_warned,
        )
        return dict(zip(IDENTITY, figures, strict=True))


class _Clock:
    """Seconds by stage."""

    def __init__(self):
        self._laps, self._last = {}, time.perf_counter()

    def lap(self, name):
        now = time.perf_counter()
        self._laps[name], self._last = now - self._last, now

    def laps(self):
        return self._laps | {"total": sum(self._laps.values())}


def _as_photo(source):
    if isinstance(source, Photo):
        return source
    if not isinstance(source, np.ndarray):
        return read_photo(source)
    if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or not source.size:
        raise InputError(f"a photo must be uint8 (H, W, 3) RGB, not {source.dtype} {source.shape}")
    return Photo(source)


def _squares(given, count):
    """One square, None, or a list of them -> list of `count`."""
    if given is None:
        return [None] * count
    if any(isinstance(value, Real) for value in given):
        given = [given]
    if len(given) != count:
        raise InputError(f"reference faces: {len(given)}, references: {count}: give a face for each, or none")
    return list(given)


def _check_frame(square, photo):
    """A frame lies in the photo; a turned one has its centre there, and is not absurdly large."""
    if len(square) == 4:
        box_hole(square, photo.pixels.shape)
        return
    x0, y0, x1, y1, _ = square
    width, height = photo.size
    inside = 0 <= x0 + x1 < 2 * width and 0 <= y0 + y1 < 2 * height
    if not (np.isfinite(square).all() and inside and x1 - x0 <= 2 * max(width, height)):
        raise InputError(
            f"the face's square lies outside {photo.name}: its centre must lie inside, and its side be at most twice"
            " the photo's longer one",
            code="frame_outside",
        )


def _changed(hole, feather_px):
    """The box that a hole and its feather lie in -> (x0, y0, x1, y1)."""
    x, y, width, height = cv2.boundingRect(hole.view(np.uint8))
    reach = int(np.ceil(min(feather_px, max(hole.shape))))
    right, bottom = min(x + width + reach, hole.shape[1]), min(y + height + reach, hole.shape[0])
    return max(x - reach, 0), max(y - reach, 0), right, bottom


def _why(count):
    if count > 1:
        return f"the most alike of {count} to the visible part of the photo"
    return "the only one given" if count else "none given"


def _planes(picture):
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255
