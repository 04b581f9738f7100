"""TIFF of one page: its metadata, and the writing of 8 and 16 bits, packed by Deflate, which Pillow has for 8 only."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from twoface.formats.irb import iptc_of, of_iptc

_HEAD = b"II*\0\x08\0\0\0"
_EXIF, _GPS = 0x8769, 0x8825
# What a directory says about the photo, not about the place of its samples: description, maker, model, program, date,
# artist, computer, rights, Windows' own, and the directories of EXIF and GPS.
_KEPT = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298, *range(0x9C9B, 0x9CA0), _EXIF, _GPS)
_XMP, _IPTC, _PHOTOSHOP, _ICC = 700, 33723, 34377, 34675
_BITS, _PLANES, _EXTRA = 258, 284, 338
_PHOTOMETRIC = {"L": 1, "RGB": 2, "CMYK": 5}
_STRIP = 1 << 19  # bytes, before packing


def exif_of(image):
    """The photo's own tags in a Pillow TIFF -> EXIF as TIFF bytes, or None."""
    given = image.getexif()
    kept = ImageFileDirectory_v2(_HEAD)
    _take(kept, given)
    return _HEAD + kept.tobytes(8) if len(kept) else None


def irb_of(image):
    """The Photoshop blocks, or the IPTC records, of a Pillow TIFF -> bytes or None."""
    for tag in (_PHOTOSHOP, _IPTC):
        value = image.tag_v2.get(tag)
        if isinstance(value, tuple):  # of bytes, or of the numbers that some programs write
            value = b"".join(v if isinstance(v, bytes) else struct.pack("<I", v) for v in value)
        if value and (found := of_iptc(value)):
            return found
    return None


def xmp_of(image):
    """-> bytes or None."""
    value = image.tag_v2.get(_XMP)
    return value if isinstance(value, bytes) else None


def is_deep(image):
    """Whether a Pillow TIFF has 16 bits a sample."""
    return set(image.tag_v2.get(_BITS, ())) == {16}


def read_deep(image, data):
    """The samples of a TIFF of 16 bits, upright -> uint16 (H, W) or (H, W, 3 or 4); None where it cannot be so.

    These are planes that lie apart, and colours already multiplied by their alpha.
    """
    if image.mode == "I;16":
        return np.array(image)
    if image.tag_v2.get(_PLANES) == 2 or 1 in image.tag_v2.get(_EXTRA, ()) or image.mode not in ("RGB", "RGBA"):
        return None
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.shape[2] != len(image.mode):
        return None
    return cv2.cvtColor(samples, cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def write(samples, mode, photo, xmp, icc):
    """A TIFF -> bytes.

    samples: uint8 or uint16 (H, W) or (H, W, C), the last of them alpha where there is one more than `mode` has.
    mode: "L", "RGB" or "CMYK". photo: whose metadata is written; xmp, icc: bytes or None.
    """
    if mode == "L" and samples.ndim == 3 and samples.dtype == np.uint16:
        mode, samples = "RGB", samples[..., [0, 0, 0, 1]]  # few programs read grey with alpha at 16 bits
    height, width, channels = samples.reshape(*samples.shape[:2], -1).shape
    tags = ImageFileDirectory_v2(_HEAD)
    if photo.exif:
        given = Image.Exif()
        given.load(photo.exif)
        _take(tags, given)
    tags[256], tags[257], tags[277], tags[262] = width, height, channels, _PHOTOMETRIC[mode]
    tags[_BITS], tags[259], tags[317] = (samples.itemsize * 8,) * channels, 8, 2
    if channels > len(mode):
        tags[_EXTRA] = (2,)
    if photo.dpi:
        tags[282], tags[283], tags[296] = *photo.dpi, 2
    blocks = {_XMP: xmp, _PHOTOSHOP: photo.irb, _IPTC: photo.irb and iptc_of(photo.irb), _ICC: icc}
    for tag, value in blocks.items():
        if value:
            tags.tagtype[tag] = 7 if tag in (_ICC, _PHOTOSHOP, _IPTC) else 1
            tags[tag] = value
    rows = max(1, _STRIP // (width * channels * samples.itemsize))
    strips = [_packed(samples[start : start + rows]) for start in range(0, height, rows)]
    starts = np.cumsum([0, *map(len, strips)])[:-1].tolist()
    tags[278] = rows
    for tag, values in ((273, starts), (279, [len(strip) for strip in strips])):
        tags.tagtype[tag] = 4
        tags[tag] = tuple(values)
    out = io.BytesIO()
    tags.save(out)
    return b"".join([out.getvalue(), *strips])


def _packed(samples):
    """Rows, each sample less its left neighbour, by Deflate."""
    rows = samples.reshape(*samples.shape[:2], -1)
    less = rows.copy()
    less[:, 1:] -= rows[:, :-1]
    return zlib.compress(less.astype(less.dtype.newbyteorder("<")))


def _take(tags, given):
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
