"""TIFF of one page: its metadata, and the writing of 8 and 16 bits, packed by Deflate, which Pillow has for 8 only."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from twoface.core.arrays import Rows, Samples
from twoface.core.bands import red_first
from twoface.core.formats.irb import iptc_of, of_iptc

if TYPE_CHECKING:
    from twoface.core.images import Photo

_HEAD = b"II*\0\x08\0\0\0"
_EXIF, _GPS = 0x8769, 0x8825
# What a directory says about the photo, not about the place of its samples: name, description, maker, model, page,
# transfer function, program, date, artist, computer, white point, primaries, rights, Windows' own, and the directories
# of EXIF and GPS.
_KEPT = (269, 270, 271, 272, 285, 301, 305, 306, 315, 316, 318, 319, 0x8298, *range(0x9C9B, 0x9CA0), _EXIF, _GPS)
_XMP, _IPTC, _PHOTOSHOP, _ICC = 700, 33723, 34377, 34675
_BITS, _PLANES, _EXTRA = 258, 284, 338
_PHOTOMETRIC = {"L": 1, "RGB": 2, "CMYK": 5}
_STRIP = 1 << 19  # bytes, before packing


def exif_of(image: TiffImageFile) -> bytes | None:
    """The photo's own tags in a Pillow TIFF -> EXIF as TIFF bytes, or None."""
    given = image.getexif()
    kept = ImageFileDirectory_v2(_HEAD)
    _take(kept, given)
    return _HEAD + kept.tobytes(8) if len(kept) else None


def irb_of(image: TiffImageFile) -> bytes | None:
    """The Photoshop blocks, or the IPTC records, of a Pillow TIFF."""
    for tag in (_PHOTOSHOP, _IPTC):
        value = image.tag_v2.get(tag)
        if isinstance(value, tuple):  # of bytes, or of the numbers that some programs write
            value = b"".join(v if isinstance(v, bytes) else struct.pack("<I", v) for v in value)
        if value and (found := of_iptc(value)):
            return found
    return None


def xmp_of(image: TiffImageFile) -> bytes | None:
    """-> bytes or None."""
    value = image.tag_v2.get(_XMP)
    return value if isinstance(value, bytes) else None


def is_deep(image: TiffImageFile) -> bool:
    """Whether a Pillow TIFF has 16 bits a sample."""
    return set(image.tag_v2.get(_BITS, ())) == {16}


def mend_planes(image: TiffImageFile, data: bytes) -> None:
    """Have Pillow read planes of 16 bits that lie apart and are not packed, which it takes for 8 bits."""
    if is_deep(image) and image.tag_v2.get(_PLANES) == 2:
        order = ";16L" if data[:2] == b"II" else ";16B"
        image.tile = [
            tile._replace(args=(tile.args[0] + order, *tile.args[1:]))
            if tile.codec_name == "raw" and isinstance(tile.args, tuple)
            else tile
            for tile in image.tile
        ]


def can_read_deep(image: TiffImageFile) -> bool:
    """Whether `read_deep` can read a TIFF of 16 bits: planes that lie apart, and multiplied alpha, it cannot."""
    apart, multiplied = image.tag_v2.get(_PLANES) == 2, 1 in image.tag_v2.get(_EXTRA, ())
    return image.mode in ("RGB", "RGBA") and not apart and not multiplied


def read_deep(data: bytes, channels: int) -> Samples | None:
    """The samples of a TIFF of 16 bits, upright -> uint16 (H, W, channels); None where they are of another form."""
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.shape[2] != channels:
        return None
    red_first(samples)
    return samples


def write(samples: Rows, mode: str, photo: Photo, xmp: bytes | None, icc: bytes | None) -> bytes:
    """A TIFF -> bytes.

    samples: uint8 or uint16 (H, W) or (H, W, C), the last of them alpha where there is one more than `mode` has; an
    array, or whatever has its shape and dtype and gives its rows by a slice.
    mode: "L", "RGB" or "CMYK". photo: whose metadata is written; xmp, icc: bytes or None.
    """
    height, width, channels = (*samples.shape, 1)[:3]
    repeated = mode == "L" and channels == 2 and samples.dtype == np.uint16
    if repeated:  # few programs read grey with alpha at 16 bits
        mode, channels = "RGB", 4
    tags = ImageFileDirectory_v2(_HEAD)
    if photo.exif:
        given = Image.Exif()
        given.load(photo.exif)
        _take(tags, given)
    tags[256], tags[257], tags[277], tags[262] = width, height, channels, _PHOTOMETRIC[mode]
    tags[_BITS], tags[259], tags[317] = (samples.dtype.itemsize * 8,) * channels, 8, 2
    if channels > len(mode):
        tags[_EXTRA] = (2,)
    if photo.dpi:
        tags[282], tags[283], tags[296] = *photo.dpi, 2
    blocks = {_XMP: xmp, _PHOTOSHOP: photo.irb, _IPTC: photo.irb and iptc_of(photo.irb), _ICC: icc}
    for tag, value in blocks.items():
        if value:
            tags.tagtype[tag] = 7 if tag in (_ICC, _PHOTOSHOP, _IPTC) else 1
            tags[tag] = value
    rows = max(1, _STRIP // (width * channels * samples.dtype.itemsize))
    starts = range(0, height, rows)
    lengths, out = [0] * len(starts), io.BytesIO()
    _write_directory(tags, rows, lengths, out)  # for its length, which stays
    for i, start in enumerate(starts):
        strip = samples[start : start + rows]
        lengths[i] = out.write(_packed(strip[..., [0, 0, 0, 1]] if repeated else strip))
    out.seek(0)
    _write_directory(tags, rows, lengths, out)
    return out.getvalue()


def _write_directory(tags: ImageFileDirectory_v2, rows: int, lengths: list[int], out: io.BytesIO) -> None:
    """Of strips of some rows, which follow it and have these lengths."""
    tags[278] = rows
    for tag, values in ((273, np.cumsum([0, *lengths])[:-1].tolist()), (279, lengths)):
        tags.tagtype[tag] = 4
        tags[tag] = tuple(values)
    tags.save(out)


def _packed(samples: Samples) -> bytes:
    """Rows, each sample less its left neighbour, by Deflate."""
    rows = samples.reshape(*samples.shape[:2], -1)
    less = rows.copy()
    less[:, 1:] -= rows[:, :-1]
    return zlib.compress(less.astype(less.dtype.newbyteorder("<")).data)


def _take(tags: ImageFileDirectory_v2, given: Image.Exif) -> None:
    """Put the photo's own tags of a Pillow Exif into a directory; one that cannot be written again is left out."""
    for tag in _KEPT:
        value = given.get_ifd(tag) if tag in (_EXIF, _GPS) else given.get(tag)
        if not value:
            continue
        try:
            tags[tag] = dict(value) if isinstance(value, dict) else value
            tags.tobytes(8)
        except (struct.error, TypeError, ValueError, KeyError, AttributeError):
            del tags[tag]
