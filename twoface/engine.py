"""The whole walk of one photo: `Inpainter.load().fill(photo, mask=..., reference=...)`. No torch."""

import dataclasses
import time
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from twoface.blend import SIZE, blend, crop_mask, seam_correction
from twoface.errors import InputError
from twoface.faces import (
    FaceDetector,
    align,
    apply,
    choose,
    crop,
    scale_of,
    shifted,
    square_transform,
    touched,
    window,
)
from twoface.files import check_output, write_aside
from twoface.identity import Embedder, calibration_for, embedding_view, face_view, hide, similarity
from twoface.images import Photo, encode_photo, output_format, read_mask, read_photo
from twoface.masks import box_hole, named_hole
from twoface.model import FillModel

FEATHER = 2  # crop pixels, when the user does not say
IDENTITY = (
    "similarity_result_reference",
    "similarity_visible_reference",
    "same_person",
    "threshold",
    "strangers_warned",
)
OVERHANG = 0.02  # the part of a mask that may lie outside the crop frame; it stays as it is


@dataclass(frozen=True)
class FillResult:
    """What a fill gave.

    photo: the whole Photo, filled. crop, masked_crop, reference_crop: uint8 (128, 128, 3), the last None without
    a reference. mask_crop: bool (128, 128), the hole as the network saw it, grown by the feather.
    face: (x0, y0, x1, y1) in photo pixels, the detected box or the square given. transform: photo ->
    crop. hole: bool (H, W), what was filled.
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

    def report(self):
        """Everything but the pictures, ready for JSON -> dict."""
        x0, y0, width, height = cv2.boundingRect(self.hole.view(np.uint8))
        return {
            "photo": self.photo.name,
            "size": list(self.photo.size),
            "face": [round(v, 1) for v in self.face],
            "transform": self.transform.tolist(),
            "hole": {"box": [x0, y0, x0 + width, y0 + height], "pixels": int(np.count_nonzero(self.hole))},
            "identity": self.identity,
            "references": self.references,
            "reference_used": self.reference_used,
            "reference_why": self.reference_why,
            "warnings": self.warnings,
            "seconds": {stage: round(value, 4) for stage, value in self.timing.items()},
        }

    def save(self, path, quality=95, force=False):
        """Write the filled photo, its format by the extension, as `encode_photo` does.

        quality: 1..100, of the lossy formats. Raises InputError as `encode_photo` and `write_aside`.
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
    """Fills holes in face photos. Make one with `load` and use it for many photos."""

    def __init__(self, network, detector, embedder=None):
        self._network = network
        self._detector = detector
        if embedder is not None:
            self._embedder = embedder

    @classmethod
    def load(cls, model=None, threads=None):
        """model: an ONNX file that `twoface export` wrote, default the one that ships. threads: default at most 2."""
        return cls(FillModel(model, threads), FaceDetector(threads))

    @cached_property
    def _embedder(self):
        return Embedder()  # loaded when the first reference asks for it

    def fill(
        self,
        photo,
        *,
        mask=None,
        hole=None,
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
        mask: what to fill, bool (H, W) or the path of a picture (>= 128 is hole); or hole: a name of
        `twoface.masks.HOLES` or a box (x0, y0, x1, y1) in photo pixels. One of the two.
        face: a square (x0, y0, x1, y1) in photo pixels that becomes the crop frame as it is; nothing is detected
        then. Otherwise the face that the mask touches, else the largest. reference_face: the same for the reference.
        feather: the seam's width in photo pixels, default that of `FEATHER` crop pixels. center_size: the side of
        the hole `center` in crop pixels.
        Raises InputError for every input that cannot be used.
        """
        clock = _Clock()
        if (mask is None) == (hole is None):
            raise InputError("give either a mask or a hole, and not both")
        given = [*([] if reference is None else [reference]), *references]
        if reference_face is not None and len(given) != 1:
            raise InputError("a reference face needs exactly one reference: give one, or leave the face out")
        if feather is not None and not 0 <= feather < float("inf"):
            raise InputError(f"the feather must be 0 pixels or more, not {feather}")
        photo = _as_photo(photo)
        mask = _as_mask(mask, hole, photo)
        clock.lap("decode")

        box, transform = self._frame(photo, face, mask)
        clock.lap("faces")
        if mask is None:
            mask = _named_mask(hole, center_size, transform, photo)
        wanted, mask = mask, _inside(mask, transform)
        warnings = _check_hole(wanted, mask)
        feather_px = FEATHER / scale_of(transform) if feather is None else feather
        x0, y0, x1, y1 = window(transform, photo.pixels.shape)
        part, part_hole, part_transform = photo.pixels[y0:y1, x0:x1], mask[y0:y1, x0:x1], shifted(transform, x0, y0)
        unknown = crop_mask(part_hole, part_transform, feather_px)
        aligned = crop(part, part_transform)
        masked = np.where(unknown[..., None], np.uint8(0), aligned)
        clock.lap("crop")

        visible = self._visible(masked, unknown) if given else None
        references = [self._reference(item, reference_face, visible, unknown) for item in given]
        best = max(range(len(references)), key=lambda i: references[i].similarity, default=None)
        used = None if best is None else references[best]
        clock.lap("references")

        fields = self._network.run(
            _planes(masked),
            unknown[None, None].astype(np.float32),
            np.zeros((1, 3, SIZE, SIZE), np.float32) if used is None else _planes(used.crop),
        )
        clock.lap("network")
        fields = {name: field[0] for name, field in fields.items()}
        seam = seam_correction(aligned, fields["fill"], crop_mask(part_hole, part_transform, 0), unknown)
        source = None if used is None else (used.photo.pixels, used.transform)
        pixels = photo.pixels.copy()
        pixels[y0:y1, x0:x1] = blend(part, part_hole, part_transform, fields, source, feather_px, seam)
        clock.lap("blend")

        identity = self._identity(pixels, transform, used, unknown)
        if identity["same_person"] is False:
            warnings.append(
                f"{photo.name} and {used.photo.name} look like two people (similarity of what is visible"
                f" {used.similarity:.2f}, below {identity['threshold']:.2f}): is this the right reference?"
            )
        clock.lap("identity")
        return FillResult(
            photo=dataclasses.replace(photo, pixels=pixels),
            crop=crop(pixels, transform),
            masked_crop=masked,
            mask_crop=unknown,
            reference_crop=None if used is None else used.crop,
            face=tuple(float(v) for v in box),
            transform=transform,
            hole=mask,
            identity=identity,
            references=[
                {"name": r.photo.name, "similarity_visible": r.similarity, "face": [round(float(v), 1) for v in r.face]}
                for r in references
            ],
            reference_used=best,
            reference_why=_why(len(references)),
            warnings=warnings,
            timing=clock.laps(),
        )

    def _frame(self, photo, square, mask=None):
        """-> face box, transform."""
        if square is not None:
            box_hole(square, photo.pixels.shape)  # lies in the photo, or raises
            return tuple(square), square_transform(square)
        faces = self._detector.detect(photo.pixels)
        if mask is not None and not any(touched(face, mask) for face in faces):
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
            faces = self._detector.detect(photo.pixels, near=(x, y, x + width, y + height)) or faces
        if not faces:
            raise InputError(f"no face was found in {photo.name}: give it as a square X0,Y0,X1,Y1 (--face)")
        face = choose(faces, mask)
        return face.box, align(face.landmarks)

    def _visible(self, aligned, unknown):
        return self._embedder.embed(embedding_view(hide(aligned, unknown))[None])[0]

    def _reference(self, item, square, visible, unknown):
        photo = _as_photo(item)
        try:
            box, transform = self._frame(photo, square)
        except InputError as error:
            raise InputError(f"reference {photo.name}: {str(error).replace('--face', '--reference-face')}") from error
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


def _as_mask(mask, hole, photo):
    """The mask in photo pixels, or None for a named hole, which needs the face first."""
    if isinstance(hole, str):
        return None
    if hole is not None:
        return box_hole(hole, photo.pixels.shape)
    if not isinstance(mask, np.ndarray):
        mask = read_mask(mask, photo.size)
    if mask.dtype != bool or mask.shape != photo.pixels.shape[:2]:
        height, width = photo.pixels.shape[:2]
        raise InputError(f"the mask must be bool ({height}, {width}) as the photo, not {mask.dtype} {mask.shape}")
    if not mask.any():
        raise InputError("the mask is empty: paint what is to be filled white (128 or above)")
    return mask


def _named_mask(name, center_size, transform, photo):
    """A hole drawn in the crop frame, in photo pixels -> bool (H, W)."""
    drawn = named_hole(name, SIZE, center_size).astype(np.uint8)
    how = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(drawn, transform, photo.size, flags=how).astype(bool)


def _inside(mask, transform):
    """The part of a mask in the crop frame -> bool (H, W)."""
    x0, y0, x1, y1 = window(transform, mask.shape)
    y, x = np.nonzero(mask[y0:y1, x0:x1])
    places = apply(transform, np.stack([x + x0, y + y0], 1))
    kept = (np.abs(places - (SIZE - 1) / 2) <= SIZE / 2).all(1)
    inside = np.zeros_like(mask)
    inside[y[kept] + y0, x[kept] + x0] = True
    return inside


def _check_hole(wanted, inside):
    """Warnings about the part of the mask that lies outside the crop frame; InputError when it is too large."""
    total, kept = np.count_nonzero(wanted), np.count_nonzero(inside)
    if not kept:
        raise InputError("the mask lies off the face: paint over the face, or say where it is with --face")
    outside = 1 - kept / total
    if outside > OVERHANG:
        raise InputError(
            f"{outside:.0%} of the mask lies outside the face's frame:"
            " draw a smaller mask, or give a larger square with --face"
        )
    return [f"{outside:.1%} of the mask lies outside the face's frame and was left as it is."] if outside else []


def _why(count):
    if count > 1:
        return f"the most alike of {count} to the visible part of the photo"
    return "the only one given" if count else "none given"


def _planes(picture):
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255
