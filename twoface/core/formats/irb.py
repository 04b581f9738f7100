"""Photoshop's image resource blocks, which hold a photo's IPTC fields (APP13 of a JPEG)."""

import struct

_IPTC = 0x0404
_STALE = {1033, 1036}  # thumbnails, which show the photo before the fill


def of_iptc(data: bytes) -> bytes | None:
    """Blocks, or bare IPTC records -> blocks without thumbnails; None where nothing is left."""
    if data[:1] == b"\x1c":
        data = b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(data)) + data + bytes(len(data) % 2)
    kept, start = [], 0
    while data[start : start + 4] == b"8BIM" and start + 12 <= len(data):
        name = data[start + 6] + 1
        head = start + 6 + name + name % 2
        if head + 4 > len(data):
            break
        (length,) = struct.unpack_from(">I", data, head)
        end = head + 4 + length + length % 2
        if struct.unpack_from(">H", data, start + 4)[0] not in _STALE:
            kept.append(data[start:end])
        start = end
    return b"".join(kept) or None


def iptc_of(blocks: bytes) -> bytes | None:
    """The bare IPTC records in blocks."""
    start = blocks.find(b"8BIM" + struct.pack(">HH", _IPTC, 0))
    if start < 0:
        return None
    (length,) = struct.unpack_from(">I", blocks, start + 8)
    return blocks[start + 12 : start + 12 + length]
