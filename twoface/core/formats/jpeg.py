"""JPEG by its segments: IPTC, what cannot be kept, and files that end too early."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import JpegImagePlugin
from PIL.JpegImagePlugin import JpegImageFile

from twoface.core.arrays import Samples
from twoface.core.formats.irb import of_iptc

SEGMENT = 65_500  # bytes that EXIF, XMP or IPTC may take
_PHOTOSHOP = b"Photoshop 3.0\0"
_END = b"\xff\xd9"
_UNIT = 18  # rows that are told together, at most, and two that the colours of the next have a part in
_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"


def irb_of(image: JpegImageFile) -> bytes | None:
    """The Photoshop blocks of a Pillow picture."""
    parts = (data for name, data in image.applist if name == "APP13" and data.startswith(_PHOTOSHOP))
    return of_iptc(b"".join(part.removeprefix(_PHOTOSHOP) for part in parts))


def irb_segment(irb: bytes) -> bytes:
    """Photoshop blocks as APP13."""
    return b"\xff\xed" + struct.pack(">H", 2 + len(_PHOTOSHOP) + len(irb)) + _PHOTOSHOP + irb


def has_gain_map(image: JpegImageFile, xmp: bytes | None) -> bool:
    """Whether a Pillow picture's file holds an HDR gain map."""
    words = xmp or b""
    told = b"hdr-gain-map/1.0/" in words or b"HDRGainMap" in words
    return told or any(name == "APP2" and data.startswith(_GAIN_MAP) for name, data in image.applist)


def ended(data: bytes) -> bytes:
    """A JPEG with its end marker put back."""
    return bytes(data) + _END


def is_told_whole(image: JpegImageFile, data: bytes) -> bool:
    """Whether a file that ends too early has begun to tell all that its picture holds.

    So it is where there is one scan; a progressive one must have begun its last.
    """
    if not image.info.get("progressive"):
        return True
    told = set()
    for component, start, end, low in _scans(data):
        if low == 0:
            told |= {(component, i) for i in range(start, end + 1)}
    return len(told) == 64 * image.layers


def missing_rows(pixels: Samples) -> int:
    """How many rows at the bottom libjpeg made up, flat in every block of eight, uint8 (H, W[, C])."""
    height, width = pixels.shape[:2]
    side = min(8, width)
    blocks = pixels.reshape(height, width, -1)[:, : width - width % side].reshape(height, width // side, side, -1)
    flat = (blocks == blocks[:, :, :1]).all((1, 2, 3))
    rows = height if flat.all() else int(np.argmin(flat[::-1]))
    begun = rows or (blocks[-side:, -1] == blocks[-1, -1, -1]).all()  # the row of blocks in which the file ends
    return min(height, rows + _UNIT) if begun else 0


def keep_quality(tables: dict[int, list[int]], sampling: int) -> dict[str, Any]:
    """Options of Pillow's JPEG writer: the tables and chroma subsampling of another file."""
    return {"quality": -1, "qtables": tables, "subsampling": sampling}


def sampling_of(image: JpegImageFile) -> int:
    """The chroma subsampling of a Pillow JPEG: 0, 1, 2 for 4:4:4, 4:2:2, 4:2:0; -1 for another."""
    return JpegImagePlugin.get_sampling(image)


def _scans(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(component, first and last coefficient, bits still to come) of each scan, by its header."""
    start = 2
    while start + 4 <= len(data):
        if data[start] != 0xFF:
            start = data.find(b"\xff", start)
            if start < 0:
                return
            continue
        marker = data[start + 1]
        if marker in (0x00, 0xFF, 0x01) or 0xD0 <= marker <= 0xD9:
            start += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, start + 2)
        if marker == 0xDA and start + 2 + length <= len(data):
            count = data[start + 4]
            first, last, bits = data[start + 5 + 2 * count : start + 8 + 2 * count]
            for i in range(count):
                yield data[start + 5 + 2 * i], first, last, bits & 15
        start += 2 + length
