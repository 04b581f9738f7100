"""A file's bytes -> what a `twoface.core.images.Photo` is made of."""

import functools
import io
import logging
import os
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from twoface.core import colour
from twoface.core.arrays import Colours, Mask, Numbers, Samples
from twoface.core.bands import array_of, by_bands, hand_back, red_first
from twoface.core.errors import InputError, is_out_of_memory
from twoface.core.files import Source
from twoface.core.formats import heif, jpeg, png, tiff
from twoface.core.metadata import upright_exif
from twoface.core.originals import Original, alpha8

KINDS = "JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF"
_READ = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF")
_KINDS = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}  # of profiles
_MOTION = (b'MotionPhoto="1', b'MicroVideo="1', b"MotionPhoto>1", b"MicroVideo>1")  # in XMP
_EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_LARGE = 10_000_000  # pixels
_MISSING = 0.1  # of a JPEG's rows, at most
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, struct.error, zlib.error, cv2.error)
# EXIF's orientations -> upright.
_TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it says of a file's oddities is not for the user


class Note(NamedTuple):
    """What is not as the user may think. code: a stable word for programs; text: a sentence."""

    code: str
    text: str


@dataclass
class _Decoded:
    """A file's picture as Pillow has it, loaded, and what the file says beside it.

    orientation: of EXIF; turn: that by which the picture is still to be turned. png: of a PNG, what its chunks say.
    """

    image: Image.Image
    name: str
    format: str
    data: bytes
    orientation: int
    turn: int
    png: png.Said | None
    boxes: heif.Boxes | None
    ended: bool


def read_fields(source: Source, max_pixels: int, name: str) -> dict[str, Any]:
    """Decode a photo -> the fields of a Photo. Arguments and errors as of `twoface.core.images.read_photo`."""
    _register_heif()
    name = name if isinstance(source, (bytes, bytearray, memoryview)) else os.fspath(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's words about what it reads are not for the user
            return _fields(_opened(_bytes_of(source, name), max_pixels, name))
    except Image.DecompressionBombError as error:
        raise _too_large(name, max_pixels) from error
    except UnidentifiedImageError as error:
        text = f"{name} is not a picture that can be read: give {KINDS}"
        raise InputError(text, code="not_a_picture") from error
    except InputError:
        raise
    except _DAMAGED as error:
        if is_out_of_memory(error):
            raise
        text = f"{name} is damaged or truncated ({error}): get a whole copy of the file"
        raise InputError(text, code="damaged") from error


def turned(array: Numbers, orientation: int) -> Numbers:
    """A picture's array, upright. orientation: of EXIF, 1..8."""
    return np.ascontiguousarray(_TURNS[orientation](array) if orientation in _TURNS else array)


def _bytes_of(source: Source, name: str) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    try:
        return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist: check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a folder: give a file") from error
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error


def _opened(data: bytes, max_pixels: int, name: str) -> _Decoded:
    said, ended = None, False
    if data.startswith(b"\x89PNG"):
        data, said = png.split(data)
    image = Image.open(io.BytesIO(data), formats=_READ)
    if image.width * image.height > max_pixels:
        raise _too_large(name, max_pixels)
    form = "JPEG" if image.format == "MPO" else str(image.format)
    orientation = None
    if isinstance(image, TiffImageFile):
        orientation = image.tag_v2.get(_ORIENTATION, 1)
        tiff.mend_planes(image, data)
    if image.width * image.height > _LARGE:
        hand_back()
    try:
        image.load()
    except OSError as error:
        if not isinstance(image, JpegImageFile) or "truncated" not in str(error):
            raise
        image, ended = Image.open(io.BytesIO(jpeg.ended(data)), formats=_READ), True
        image.load()
        if not (isinstance(image, JpegImageFile) and jpeg.is_told_whole(image, data)):
            raise
    if said is not None:
        image.info |= {key: value for key, value in (("exif", said.exif), ("xmp", said.xmp)) if value}
    if orientation is None:
        orientation = image.getexif().get(_ORIENTATION, 1)
    boxes = heif.read_boxes(data) if form in ("HEIF", "AVIF") else None
    turn = 1 if form == "TIFF" else orientation  # Pillow and OpenCV have turned a TIFF themselves
    return _Decoded(image, name, form, data, orientation, turn, said, boxes, ended)


def _deep(file: _Decoded) -> Samples | None:
    """The unturned samples of 16 bits, uint16 (H, W[, C]) with alpha last; None where 8 are to be read.

    What Pillow has decoded is given up for them: both at once would take the memory of three photos.
    """
    image, data = file.image, file.data
    if isinstance(image, TiffImageFile) and tiff.is_deep(image) and tiff.can_read_deep(image):
        image.close()
        samples = tiff.read_deep(data, len(image.mode))
        if samples is None:
            file.image = Image.open(io.BytesIO(data), formats=_READ)
        return samples
    if file.format == "HEIF" and image.info.get("bit_depth", 8) > 8:
        bits = image.info["bit_depth"]
        image.close()
        deep = np.asarray(pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False))
        levels = np.rint(np.arange(1 << bits) * (65535 / ((1 << bits) - 1))).astype(np.uint16)
        return by_bands(lambda part: levels[part >> (16 - bits)], deep)
    if file.png is not None and file.png.depth == 16:
        image.close()
        return _deep_png(data)
    return None


def _deep_png(data: bytes) -> Samples:
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if samples is None:
        raise ValueError("its samples cannot be decoded")
    kind, clear = data[25], png.clear_colour(data)
    samples = samples[..., None] if samples.ndim == 2 else samples
    if samples.shape[2] > 2:
        red_first(samples)
    colours = samples[..., :3] if kind & 2 else samples[..., :1]
    if kind & 4:
        return np.concatenate([colours, samples[..., 3:]], -1) if colours.shape[2] == 1 else samples
    if clear is not None:
        alpha = np.where((colours == clear).all(-1, keepdims=True), np.uint16(0), np.uint16(65535))
        return np.concatenate([colours, alpha], -1)
    return colours if kind & 2 else colours[..., 0]


def _too_large(name: str, max_pixels: int) -> InputError:
    text = f"{name} has more than {max_pixels / 1e6:g} megapixels: scale it down first"
    return InputError(text, code="too_many_pixels", limit=max_pixels)


def _fields(file: _Decoded) -> dict[str, Any]:
    image, info = file.image, file.image.info
    notes = _left_out(file)
    said = {
        "name": file.name,
        "format": file.format,
        "tables": (image.quantization, max(0, jpeg.sampling_of(image))) if isinstance(image, JpegImageFile) else None,
        "lossless": file.format == "WEBP" and _is_lossless(file.data),
        "orientation": file.orientation,
        "dpi": _dpi(file.png.dpi if file.png else info.get("dpi")),
        **_metadata(file),
    }
    mode, samples, alpha, palette = _own_samples(file, notes)
    meaning = _colour(file, mode, notes)
    missing = _missing(file, samples, notes) if file.ended else None
    file.image.close()  # of what is made from here on each takes as much memory
    file.data = b""
    samples, alpha = turned(samples, file.turn), None if alpha is None else turned(alpha, file.turn)
    original = Original(samples, mode, alpha, meaning, palette)
    pixels, alpha = original.seen(), None if alpha is None else alpha8(alpha)
    if pixels.size > 3 * _LARGE:
        hand_back()
    pictures = {"pixels": pixels, "alpha": alpha, "original": original, "missing": missing}
    return said | pictures | {"notes": tuple(notes)}


def _metadata(file: _Decoded) -> dict[str, Any]:
    image, info, said = file.image, file.image.info, file.png
    if said is not None:
        found: dict[str, Any] = {"exif": said.exif, "xmp": said.xmp, "irb": said.irb, "comment": said.comment}
        found["texts"] = tuple(said.texts)
    elif isinstance(image, TiffImageFile):
        found = {"exif": tiff.exif_of(image), "xmp": tiff.xmp_of(image), "irb": tiff.irb_of(image)}
    else:
        found = {"exif": info.get("exif"), "xmp": info.get("xmp"), "comment": info.get("comment")}
        found["irb"] = jpeg.irb_of(image) if isinstance(image, JpegImageFile) else None
    if found["exif"]:
        found["exif"] = upright_exif(found["exif"].removeprefix(_EXIF_PREFIX))
    return found


def _own_samples(file: _Decoded, notes: list[Note]) -> tuple[str, Samples, Samples | None, Colours | None]:
    """-> mode, samples, alpha, palette, as of Original but unturned."""
    deep, image = _deep(file), file.image
    if deep is not None:
        if deep.ndim == 2:
            return "L", deep, None, None
        colours = deep.shape[2] - 1 + deep.shape[2] % 2
        alpha = deep[..., -1] if deep.shape[2] % 2 == 0 else None
        return ("L", deep[..., 0], alpha, None) if colours == 1 else ("RGB", deep[..., :3], alpha, None)
    if image.mode == "F" or image.mode.startswith("I"):
        return "L", _integers(image, file.name), None, None
    if isinstance(image, TiffImageFile) and tiff.is_deep(image):
        notes.append(Note("depth", f"{file.name} has 16 bits a sample in a form of which 8 are read"))
    if image.mode == "LAB":
        lab = colour.Tables(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "LAB")
        notes.append(Note("lab", f"the Lab colours of {file.name} were converted to sRGB"))
        return "RGB", lab.to_srgb(array_of(image)), None, None
    if image.has_transparency_data:
        whole = "LA" if image.mode in ("L", "LA", "La", "1") else "RGBA"
        samples = array_of(image, lambda part: part.convert(whole).convert(whole[:-1]))
        return whole[:-1], samples, array_of(image, lambda part: part.convert(whole).getchannel("A")), None
    if image.mode == "P":
        return "P", array_of(image), None, _palette(image)
    if image.mode == "1":
        notes.append(Note("bilevel", f"{file.name} has black and white only: the result has greys too"))
    kept = {"1": "L", "L": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    return kept, array_of(image, lambda part: part.convert(kept)), None, None


def _palette(image: Image.Image) -> Colours:
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    used = int(np.array(image).max()) + 1
    return np.concatenate([colours, np.zeros((max(0, used - len(colours)), 3), np.uint8)])


def _integers(image: Image.Image, name: str) -> Samples:
    """Grey of more than 8 bits -> uint16 (H, W)."""
    samples = array_of(image)
    if samples.dtype.kind == "f" or samples.min() < 0 or samples.max() > 65535:
        text = f"{name} has samples of 32 bits, which have no fixed white: save it with 8 or 16 bits a sample"
        raise InputError(text, code="not_a_picture")
    return samples.astype(np.uint16)


def _colour(file: _Decoded, mode: str, notes: list[Note]) -> colour.Colour:
    """What the samples mean -> Colour."""
    plain = colour.Colour(colour.PlainCmyk() if mode == "CMYK" else None)
    try:
        if mode == "P":
            mode = "RGB"
        if file.png is not None:
            return file.png.colour(mode)
        icc = file.image.info.get("icc_profile")
        if file.image.mode == "LAB":
            return colour.Colour()
        if icc and icc[16:20] == _KINDS[mode]:
            return colour.of_profile(icc, mode)
        if file.boxes is not None and file.boxes.cicp:
            told = colour.of_cicp(*file.boxes.cicp)
            return told.grey() if mode == "L" else told
    except colour.ProfileError:
        text = f"the colour profile of {file.name} is damaged and was left out: colours may be off"
        notes.append(Note("profile", text))
    return plain


def _left_out(file: _Decoded) -> list[Note]:
    """What lies in the file beside the picture and is not kept."""
    image, data, name = file.image, file.data, file.name
    xmp = (file.png.xmp if file.png else image.info.get("xmp")) or b""
    boxes = file.boxes or heif.Boxes()
    gain_map = boxes.gain_map or (isinstance(image, JpegImageFile) and jpeg.has_gain_map(image, xmp))
    motion = boxes.motion or any(word in xmp for word in _MOTION) or b"MotionPhoto_Data" in data
    frames = file.png.frames if file.png else getattr(image, "n_frames", 1)
    notes = []
    if gain_map:
        notes.append(Note("gain_map", f"the HDR gain map of {name} is not kept: the result is the plain picture"))
    if motion:
        notes.append(Note("motion", f"the video of the motion photo {name} is not kept"))
    if frames > 1 + gain_map:
        notes.append(Note("frames", f"{name} holds {frames} pictures: only the first is filled and kept"))
    if file.format == "AVIF" and boxes.depth > 8:
        notes.append(Note("depth", f"{name} has {boxes.depth} bits a sample, of which 8 are read"))
    return notes


def _missing(file: _Decoded, samples: Samples, notes: list[Note]) -> Mask:
    """What a JPEG that ends too early does not tell -> bool (H, W), upright. Raises InputError where it is much."""
    rows = jpeg.missing_rows(samples)
    if rows > _MISSING * len(samples):
        lost = f"{rows} of {len(samples)} rows are missing"
        text = f"{file.name} is damaged or truncated ({lost}): get a whole copy of the file"
        raise InputError(text, code="damaged")
    lost = f"its last {rows} rows are missing" if rows else "nothing that is seen is missing"
    notes.append(Note("ended", f"{file.name} ends too early: {lost}"))
    missing = np.zeros(samples.shape[:2], bool)
    missing[len(samples) - rows :] = True
    return turned(missing, file.turn)


def _is_lossless(data: bytes) -> bool:
    """Whether the picture of a WebP, or the first of several, was packed without loss, by the file's chunks."""
    start = 12
    while start + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, start)
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        start += 24 if name == b"ANMF" else 8 + length + length % 2  # a frame holds chunks behind its own 16 bytes
    return False


def _dpi(given: Any) -> tuple[float, float] | None:
    """-> (x, y), or None where it says nothing."""
    try:
        x, y = (float(v) for v in given)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 1 < x < 65_535 and 1 < y < 65_535 else None


@functools.cache
def _register_heif() -> None:
    pillow_heif.register_heif_opener()
