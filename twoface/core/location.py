"""Where a photo was taken: whether its metadata says so, and the same photo without that."""

import dataclasses
import re
import struct
from collections.abc import Iterator

from twoface.core.images import Photo

_GPS = 0x8825  # the EXIF entry that points to the directory of the place
_XMP = re.compile(
    rb"""\s(?:exif:GPS\w+|photoshop:(?:City|State|Country)|Iptc4xmpCore:Location)\s*=\s*(?:"[^"]*"|'[^']*')"""
    rb"""|<(exif:GPS\w+|photoshop:(?:City|State|Country)|Iptc4xmpCore:Location|Iptc4xmpExt:Location\w+)\b[^>]*"""
    rb"""(?:/>|>.*?</\1>)""",
    re.DOTALL,
)


def has_location(photo: Photo) -> bool:
    """Whether a Photo's EXIF or XMP says where it was taken, by GPS or by the name of a place."""
    return bool(_directory(photo.exif)) or bool(photo.xmp and _XMP.search(photo.xmp))


def without_location(photo: Photo) -> Photo:
    """A Photo -> the same without the place. All else of the EXIF stays byte for byte; its GPS directory is blanked.

    What a camera's maker writes into a block of its own (the MakerNote) is not looked into.
    """
    exif = photo.exif
    if exif and (places := _directory(exif)):
        blanked = bytearray(exif)
        for start, length in places:
            blanked[start : start + length] = bytes(length)
        exif = bytes(blanked)
    return dataclasses.replace(photo, exif=exif, xmp=photo.xmp and _XMP.sub(b"", photo.xmp))


def _directory(exif: bytes | None) -> list[tuple[int, int]]:
    """Where the place lies in EXIF (TIFF bytes) -> [(start, length)] of the directory's entries and their values."""
    if not exif:
        return []
    order = {b"II": "<", b"MM": ">"}.get(bytes(exif[:2]))
    if order is None:
        return []
    try:
        (first,) = struct.unpack_from(order + "I", exif, 4)
        link = next((value for tag, _, _, value in _entries(exif, order, first) if tag == _GPS), None)
        if link is None:
            return []
        entries = list(_entries(exif, order, link))
    except struct.error:
        return []
    places = [(link, 2 + 12 * len(entries))] if entries else []
    for _, kind, count, value in entries:
        length = count * _SIZES.get(kind, 1)
        if length > 4:
            places.append((value, max(0, min(length, len(exif) - value))))
    return places


_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes of TIFF's kinds


def _entries(data: bytes, order: str, offset: int) -> Iterator[tuple[int, int, int, int]]:
    """The entries of a directory -> (tag, kind, count, value or its offset) each."""
    (count,) = struct.unpack_from(order + "H", data, offset)
    for i in range(count):
        yield struct.unpack_from(order + "HHII", data, offset + 2 + 12 * i)
