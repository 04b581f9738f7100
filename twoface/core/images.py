"""Bytes <-> photos: what a file says is kept, but for the hole. docs/formats.md has the table.

Reads JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP and GIF; writes JPEG, PNG, WebP and TIFF.
"""

import dataclasses
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import ExifTags, Image

from twoface.core import colour
from twoface.core.arrays import Colours, Mask, Picture, Plane, Samples
from twoface.core.bands import bands, hand_back
from twoface.core.errors import InputError
from twoface.core.files import PathLike, Source
from twoface.core.formats import jpeg, png, tiff
from twoface.core.formats.read import Note, read_fields, turned
from twoface.core.masks import distances, fading, hole_of
from twoface.core.metadata import mark_generated
from twoface.core.originals import Original

# A photo is held in memory several times over (pixels, floats about the hole); 100 MP is beyond today's cameras.
MAX_PIXELS = 100_000_000

_WRITE = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
_MAX_SIDE = {"JPEG": 65_500, "PNG": 2**31 - 1, "WEBP": 16_383, "TIFF": 2**31 - 1}
_NAMES = {"WEBP": "WebP"}
_SCREEN = (72, 96)  # dots per inch
_QUALITY = 95  # of a lossy file that was not a JPEG before
_LARGE = 30_000_000  # bytes of a photo
# Pixels: to choose the codes of a JPEG, and save 1 or 2 per cent, takes as long again and up to 6 bytes a pixel.
_OPTIMIZED = 4_000_000
_TRANSPARENT = {"1": int, "L": int, "I;16": int, "P": int | bytes, "RGB": tuple}  # Pillow's modes: a colour of each
_EXIF_PREFIX = b"Exif\0\0"


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright.

    pixels: uint8 (H, W, 3), sRGB. alpha: uint8 (H, W) or None. original: the file's own samples; None when made in
    memory, and then `pixels` are all.
    exif, xmp, irb (Photoshop's blocks, IPTC among them), comment: bytes or None; the EXIF as TIFF bytes, its
    Orientation 1, its thumbnail gone. texts: ((key, words), ...) of a PNG. dpi: (x, y) or None.
    name: of the file, for messages; format: what it was read from, "" when made in memory. tables: of a JPEG, its
    quantisation tables and chroma subsampling; lossless: of a WebP, whether it was packed so. orientation: of EXIF,
    1..8, before it was turned.
    notes: `twoface.core.formats.read.Note`s, of what was read but cannot be kept. missing: bool (H, W), what a file
    that ends too early does not tell, or None.
    """

    pixels: Picture
    alpha: Plane | None = None
    original: Original | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    irb: bytes | None = None
    comment: bytes | None = None
    texts: tuple[tuple[str, str], ...] = ()
    dpi: tuple[float, float] | None = None
    name: str = "the photo"
    format: str = ""
    tables: tuple[dict[int, list[int]], int] | None = None
    lossless: bool = False
    orientation: int = 1
    notes: tuple[Note, ...] = ()
    missing: Mask | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        held = [self.pixels, self.alpha]
        if self.original is not None:
            held += [self.original.samples, self.original.alpha]
        return sum({id(array): array.nbytes for array in held if array is not None}.values())

    def filled(self, pixels: Picture, hole: Mask, feather: float = 0) -> "Photo":
        """The photo with other pixels in a hole, bool (H, W), then as opaque as anything in the photo.

        feather: photo pixels about the hole, as of `twoface.core.masks.feather`.
        """
        alpha, original = self.alpha, self.original
        if alpha is not None and alpha.min() < 255:
            alpha, most = alpha.copy(), int(alpha.max()) or 255
            for place, distance in distances(hole, feather):
                opaque = np.rint(fading(distance, feather) * most).astype(np.uint8)
                alpha[place] = np.maximum(alpha[place], opaque)
        if original is not None and original.samples is self.pixels:  # which are then no longer needed
            original = dataclasses.replace(original, samples=pixels)
        return dataclasses.replace(self, pixels=pixels, alpha=alpha, original=original)


# As a user of the Python API gives a photo, and a mask.
PhotoSource: TypeAlias = Source | Photo | Picture | Image.Image
MaskSource: TypeAlias = Source | Mask | Image.Image


def as_photo(source: PhotoSource, name: str = "the photo") -> Photo:
    """name: of what has none of its own, for messages. Raises InputError as `read_photo`, and for another array."""
    if isinstance(source, Photo):
        return source
    if not isinstance(source, np.ndarray):
        return read_photo(as_source(source, name), name=name)
    if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or not source.size:
        raise InputError(f"{name} must be uint8 (H, W, 3) RGB, not {source.dtype} {source.shape}")
    return Photo(source, name=name)


def as_source(source: Source | Image.Image, name: str) -> Source:
    """A picture of Pillow's as the bytes of a file, with its ICC profile and orientation; a path or bytes as given.

    Raises InputError for anything else, and for a mode that no file holds.
    """
    if isinstance(source, Image.Image):
        file, turned_by = io.BytesIO(), Image.Exif()
        # Colours may be, which a TIFF does not hold; what does not go with the mode is left over from a conversion.
        transparent = isinstance(source.info.get("transparency"), _TRANSPARENT.get(source.mode, ()))
        transparent |= source.mode == "P" and source.palette is not None and source.palette.mode == "RGBA"
        how = {"format": "PNG"} if transparent else {"format": "TIFF", "compression": "raw"}
        try:
            source.load()  # which turns a TIFF
            turned_by[ExifTags.Base.Orientation] = source.getexif().get(ExifTags.Base.Orientation, 1)
        except (
            OSError,
            ValueError,
            SyntaxError,
            AssertionError,
        ) as error:  # as Pillow says that a file is damaged, or closed
            raise InputError(f"{name} is a picture that Pillow cannot read: {error or 'its file is closed'}") from error
        try:
            source.save(file, exif=turned_by, **how)
        except (OSError, ValueError) as error:
            width, height = source.size
            what = f"of mode {source.mode} and of {width}x{height} pixels"
            raise InputError(f"{name} is a picture {what}: give one of RGB that is not empty") from error
        return file.getvalue()
    if not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        kinds = "a path, bytes, a picture of Pillow's or a numpy array"
        raise InputError(f"{name} must be {kinds}, not {type(source).__name__}")
    return source


def read_photo(source: Source, max_pixels: int = MAX_PIXELS, name: str = "the photo") -> Photo:
    """Decode a photo from a path or from bytes.

    name: of what is given as bytes, for messages.
    Raises InputError when it is missing, not a picture of a known format, damaged, or of more than `max_pixels`.
    """
    return Photo(**read_fields(source, max_pixels, name))


def read_mask(
    source: Source,
    size: tuple[int, int] | None,
    max_pixels: int = MAX_PIXELS,
    name: str = "the mask",
    *,
    invert: bool = False,
    orientation: int = 1,
) -> Mask:
    """Read a hole from a picture of the photo's size -> bool (H, W), True = hole.

    size: (width, height) of the upright photo, None for any. What counts as hole is told by
    `twoface.core.masks.hole_of`; invert: everything but that. orientation: the photo's, before it was turned: a mask of
    its unturned size is turned likewise. name: as of `read_photo`. Raises InputError as that does, and for another
    size.
    """
    photo = read_photo(source, max_pixels, name)
    mask = hole_of(photo.pixels, photo.alpha)
    if size is not None and photo.size != tuple(size):
        if orientation < 5 or photo.size != tuple(size)[::-1]:
            raise InputError(
                f"{photo.name} is {photo.size[0]}x{photo.size[1]}, the photo {size[0]}x{size[1]}:"
                " give a mask of the photo's size"
            )
        mask = turned(mask, orientation)
    return ~mask if invert else mask


def output_format(path: PathLike) -> str:
    """JPEG, PNG, WEBP or TIFF by the file's extension; InputError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITE:
        raise InputError(f"cannot write '{Path(path).name or path}': name the output .jpg, .png, .webp or .tif")
    return _WRITE[suffix]


def encode_photo(
    photo: Photo, format: str, quality: int | None = None, generated: bool = True, effort: int = 4
) -> bytes:
    """Encode a Photo with its samples, colours and metadata.

    format: "PNG", "TIFF" (lossless: what was not filled returns bit for bit in the file's own mode, depth and colour
    space, as far as `losses` is silent), "JPEG" or "WEBP" (lossy: all is encoded anew). quality: 1..100 of the lossy
    formats; None for that of the JPEG that the photo was, no loss for a WebP that had none, else `_QUALITY`. generated:
    say in XMP that a part was made by a network (`twoface.core.metadata`). effort: 0..9, to make a PNG small; more than
    4 gains next to nothing.
    Raises InputError when the format cannot hold so large a photo.
    """
    _check_size(photo, format)
    xmp = mark_generated(photo.xmp) if generated else photo.xmp
    if format == "JPEG":
        photo, xmp = _fitting(photo, xmp)
    plan = _plan(photo, format)
    samples = _Samples(photo, plan)
    if photo.nbytes > _LARGE:
        hand_back()
    own = photo.original.colour if plan.own and photo.original else colour.Colour()
    if format == "TIFF":
        return tiff.write(samples, plan.mode, photo, xmp, own.icc)
    if format == "PNG":
        return png.join(_png(samples, effort), png.chunks_of(photo, xmp, own.chunks, own.icc))
    return _lossy(photo, format, samples, quality, xmp, own.icc)


def losses(photo: Photo, format: str) -> list[str]:
    """What the format cannot hold of a Photo -> list of sentences for the user.

    Raises InputError as `encode_photo`.
    """
    _check_size(photo, format)
    return _plan(photo, format).lost


@dataclass(frozen=True)
class _Plan:
    """How a photo is written. own: in its own colour space, else in sRGB. alpha: whether it is written."""

    mode: str
    depth: int
    own: bool
    alpha: bool
    lost: list[str]


def _plan(photo: Photo, format: str) -> _Plan:
    original, name = photo.original, _NAMES.get(format, format)
    mode, depth, space, hdr = "RGB", 8, None, False
    if original is not None:
        mode, depth, space, hdr = original.mode, original.depth, original.colour.space, original.colour.hdr
    own, lost = True, []
    if mode == "P" and (format != "PNG" or original is None or original.indexed(photo.pixels) is None):
        mode = "RGB"
        if format == "PNG":
            lost.append("the palette has no room for the colours of the fill: the result is RGB")
    if mode == "CMYK" and format in ("PNG", "WEBP"):
        mode, own = "RGB", False
        lost.append(f"{name} holds no CMYK: all colours were converted to sRGB; write .jpg or .tif to keep them")
    if hdr and format != "PNG":
        mode, depth, own = "RGB", 8, False
        lost.append(f"{name} cannot say HDR (PQ, HLG): all was converted to sRGB of 8 bits; write .png to keep it")
    if format == "WEBP" and mode == "L":
        mode, own = "RGB", space is None
        if space is not None:
            lost.append("WebP holds no grey profile: all was converted to sRGB; write .png, .jpg or .tif to keep it")
    if depth == 16 and format in ("JPEG", "WEBP"):
        depth = 8
        lost.append(f"{name} holds 8 of the 16 bits of a sample: write .png or .tif to keep them")
    if photo.alpha is not None and format == "JPEG":
        lost.append("JPEG has no transparency: the photo was laid on white")
    alpha = photo.alpha is not None and format != "JPEG"
    return _Plan(mode, depth, own, alpha, lost + _lost_metadata(photo, format, name))


def _lost_metadata(photo: Photo, format: str, name: str) -> list[str]:
    kept = {
        "PNG": {"exif", "irb", "comment", "texts", "dpi"},
        "TIFF": {"exif", "irb", "dpi"},
        "JPEG": {"exif", "irb", "comment", "dpi"},
        "WEBP": {"exif"},
    }[format]
    words = {"irb": "IPTC", "comment": "the comment", "texts": "text chunks", "dpi": "the resolution (dpi)"}
    if photo.dpi and round(max(photo.dpi)) in _SCREEN:
        del words["dpi"]  # a program's default, nobody's intent
    lost = [word for field, word in words.items() if getattr(photo, field) and field not in kept]
    lost = [f"{name} cannot hold {', '.join(lost)}"] if lost else []
    if format == "JPEG":
        lost += [f"{word} is too long for JPEG and was left out" for word, too_long in _too_long(photo) if too_long]
    return lost


def _too_long(photo: Photo) -> Iterator[tuple[str, bool]]:
    for word, block in (("EXIF", photo.exif), ("XMP", photo.xmp), ("IPTC", photo.irb), ("the comment", photo.comment)):
        yield word, len(block or b"") > jpeg.SEGMENT - 1_000  # room for what is added


def _fitting(photo: Photo, xmp: bytes | None) -> tuple[Photo, bytes | None]:
    """A photo and its XMP without the blocks that a JPEG cannot hold."""
    exif, packet, irb, comment = (too_long for _, too_long in _too_long(photo))
    photo = dataclasses.replace(
        photo,
        exif=None if exif else photo.exif,
        irb=None if irb else photo.irb,
        comment=None if comment else photo.comment,
    )
    return photo, mark_generated() if packet else xmp


def _check_size(photo: Photo, format: str) -> None:
    if max(photo.size) > _MAX_SIDE[format]:
        raise InputError(f"{format} holds at most {_MAX_SIDE[format]} pixels a side: write .png instead")


class _Samples:
    """The samples to write, alpha last: an array (H, W) or (H, W, C) of which a slice gives rows, made when asked for.

    mode: Pillow's, of 8 bits. palette: of mode P, else None.
    """

    def __init__(self, photo: Photo, plan: _Plan) -> None:
        self._photo, self._plan, self._original = photo, plan, photo.original
        self._indices: Plane | None = None
        self.palette: Colours | None = None
        if self._original is not None and (not plan.own or (plan.mode == "RGB" and self._original.mode == "L")):
            self._original = None
        elif self._original is not None and plan.mode == "P":
            found = self._original.indexed(photo.pixels)
            assert found is not None  # else the plan would have another mode
            self._indices, self.palette = found
        first = self[:1]
        self.dtype, self.shape = first.dtype, (photo.pixels.shape[0], *first.shape[1:])
        self.mode = plan.mode + "A" * (photo.alpha is not None and plan.alpha)

    def __getitem__(self, rows: slice) -> Samples:
        pixels, alpha = self._photo.pixels[rows], self._photo.alpha
        alpha = None if alpha is None else alpha[rows]
        if self._indices is not None:
            samples = self._indices[rows]
        elif self._original is not None:
            samples = self._original.filled(pixels, rows)
            alpha = None if alpha is None else self._original.filled_alpha(alpha, rows)
        else:
            samples = pixels
        if self._plan.depth == 8:
            samples, alpha = colour.eight_bits(samples), None if alpha is None else colour.eight_bits(alpha)
        if alpha is None:
            return samples
        return np.dstack([samples, alpha]) if self._plan.alpha else _on_white(samples, alpha)


def _on_white(samples: Samples, alpha: Plane) -> Samples:
    alpha = alpha.reshape(*alpha.shape, *[1] * (samples.ndim - 2)).astype(np.uint16)
    return ((samples * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _png(samples: _Samples, effort: int) -> bytes:
    if samples.dtype == np.uint16:
        return png.write_deep(samples, effort)
    image = _image(samples)
    if samples.palette is not None:
        image.putpalette(samples.palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=effort)
    return buffer.getvalue()


def _image(samples: _Samples) -> Image.Image:
    """-> a Pillow picture."""
    height, width = samples.shape[:2]
    image = Image.new(samples.mode, (width, height))
    for rows in bands(height, width):
        image.paste(Image.fromarray(samples[rows], samples.mode), (0, rows.start))
    return image


def _lossy(
    photo: Photo, format: str, samples: _Samples, quality: int | None, xmp: bytes | None, icc: bytes | None
) -> bytes:
    image = _image(samples)
    options: dict[str, Any] = {"xmp": xmp} if xmp else {}
    if icc:
        options["icc_profile"] = icc
    if photo.exif:
        options["exif"] = _EXIF_PREFIX + photo.exif
    if format == "WEBP":
        options |= {"lossless": photo.lossless and quality is None, "quality": quality or _QUALITY, "exact": True}
    else:
        options |= _jpeg_options(photo, quality)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _jpeg_options(photo: Photo, quality: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {"optimize": photo.pixels.size <= 3 * _OPTIMIZED}
    if photo.tables is None:
        options |= {"quality": quality or _QUALITY, "subsampling": 0}
    elif quality is None:
        options |= jpeg.keep_quality(*photo.tables)
    else:
        options |= {"quality": quality, "subsampling": photo.tables[1]}
    if photo.comment:
        options["comment"] = photo.comment
    if photo.dpi:
        options["dpi"] = photo.dpi
    if photo.irb:
        options["extra"] = jpeg.irb_segment(photo.irb)
    return options
