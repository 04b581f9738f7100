"""PNG by its chunks: read whatever their length, written beside the picture; and pictures of 16 bits."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twoface.core import colour
from twoface.core.arrays import Rows
from twoface.core.bands import bands
from twoface.core.formats.irb import of_iptc

if TYPE_CHECKING:
    from twoface.core.images import Photo

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PICTURE = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_MOST = 64_000_000  # bytes of one text or profile, unpacked
_XMP, _COMMENT = "XML:com.adobe.xmp", "Comment"
_RAW = "Raw profile type "


@dataclass
class Said:
    """What the chunks of a PNG say beside its picture.

    colour: function of a mode -> `twoface.core.colour.Colour`. texts: [(key, words)]. dpi: (x, y). frames: of an APNG.
    """

    icc: bytes | None = None
    cicp: tuple[int, int] | None = None
    srgb: bool = False
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    exif: bytes | None = None
    xmp: bytes | None = None
    irb: bytes | None = None
    comment: bytes | None = None
    texts: list[tuple[str, str]] = field(default_factory=list)
    dpi: tuple[float, float] | None = None
    frames: int = 1
    depth: int = 8

    def colour(self, mode: str) -> colour.Colour:
        """-> Colour. mode: "L" or "RGB". Raises ProfileError."""
        if self.cicp:
            told = colour.of_cicp(*self.cicp)
            return told.grey() if mode == "L" else told
        if self.icc:
            return colour.of_profile(self.icc, mode)
        if self.gamma and not self.srgb:
            told = colour.of_gamma(self.gamma, self.chromaticities, tuple(self.chunks))
            return told.grey() if mode == "L" else told
        return colour.Colour()


def split(data: bytes) -> tuple[bytes, Said]:
    """A PNG's bytes -> the bytes of its bare picture, Said. What is left of a chunk that is cut off stays in it."""
    bare: list[bytes | memoryview] = [_SIGNATURE]
    said = Said()
    start, view = len(_SIGNATURE), memoryview(data)
    while start + 8 <= len(view):
        length, name = struct.unpack_from(">I4s", view, start)
        end = start + 12 + length
        if end > len(view):
            break
        if name in _PICTURE:
            bare.append(view[start:end])
        else:
            _listen(said, name, bytes(view[start + 8 : end - 4]))
        if name == b"IHDR" and length == 13:
            said.depth = view[start + 16]
        start = end
        if name == b"IEND":
            break
    bare.append(view[start:] if start < len(view) and bare[-1][4:8] != b"IEND" else b"")
    return b"".join(bare), said


def join(picture: bytes, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG with chunks, [(name, bytes)], put in after its header."""
    head, view = len(_SIGNATURE) + 25, memoryview(picture)
    return b"".join([view[:head], *(_chunk(*chunk) for chunk in chunks), view[head:]])


def write_deep(samples: Rows, effort: int) -> bytes:
    """uint16 (H, W) grey, or (H, W, C) of grey and alpha, RGB or RGBA -> a PNG of 16 bits. effort: 0..9.

    samples: an array, or whatever has its shape and gives its rows by a slice.
    """
    height, width, channels = (*samples.shape, 1)[:3]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    out = io.BytesIO()
    out.write(_SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)))
    packer, above = zlib.compressobj(effort), None
    for rows in bands(height, width):
        lines = samples[rows].reshape(rows.stop - rows.start, -1).astype(">u2").view(np.uint8)
        filtered = np.empty((len(lines), lines.shape[1] + 1), np.uint8)
        filtered[:, 0], filtered[1:, 1:] = 2, lines[1:] - lines[:-1]  # each less the one above
        filtered[0, 1:] = lines[0] if above is None else lines[0] - above
        above = lines[-1]
        if packed := packer.compress(filtered.data):
            out.write(_chunk(b"IDAT", packed))
    out.write(_chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b""))
    return out.getvalue()


def clear_colour(bare: bytes) -> NDArray[np.uint16] | None:
    """The colour that a 16-bit PNG names as transparent (tRNS) -> uint16 (1,) or (3,), or None."""
    start = len(_SIGNATURE)
    while start + 8 <= len(bare):
        length, name = struct.unpack_from(">I4s", bare, start)
        if name == b"tRNS" and length in (2, 6):
            return np.frombuffer(bare, ">u2", length // 2, start + 8)
        start += 12 + length
    return None


def chunks_of(
    photo: Photo, xmp: bytes | None, colours: Sequence[tuple[bytes, bytes]], icc: bytes | None
) -> list[tuple[bytes, bytes]]:
    """What a photo says, as chunks -> [(name, bytes)].

    photo: a `twoface.core.images.Photo`; colours: chunks of its Colour, icc: its profile, None where they are not its
    own.
    """
    chunks = list(colours)
    if icc and not any(name == b"gAMA" for name, _ in chunks):
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if photo.dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(v / 0.0254) for v in photo.dpi), 1)))
    if photo.exif:
        chunks.append((b"eXIf", photo.exif))
    if xmp:
        chunks.append((b"iTXt", _XMP.encode() + b"\0\0\0\0\0" + xmp))
    if photo.irb:
        lines = photo.irb.hex()
        lines = "\n".join(lines[i : i + 72] for i in range(0, len(lines), 72))
        words = f"\niptc\n{len(photo.irb):8}\n{lines}\n"
        chunks.append((b"zTXt", _RAW.encode() + b"iptc\0\0" + zlib.compress(words.encode())))
    texts = list(photo.texts)
    if photo.comment:
        texts.append((_COMMENT, photo.comment.decode("utf-8", "replace")))
    chunks += [(b"iTXt", key.encode("latin-1", "replace") + b"\0\0\0\0\0" + words.encode()) for key, words in texts]
    return chunks


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def _listen(said: Said, name: bytes, data: bytes) -> None:
    try:
        if name == b"iCCP":
            said.icc = _unpacked(data.partition(b"\0")[2][1:])
        elif name == b"cICP" and len(data) == 4 and data[2] == 0:
            said.cicp = (data[0], data[1])
        elif name == b"sRGB":
            said.srgb = True
        elif name == b"gAMA":
            said.gamma = struct.unpack(">I", data)[0] / 100_000 or None
            said.chunks.append((name, data))
        elif name == b"cHRM":
            said.chromaticities = tuple(v / 100_000 for v in struct.unpack(">8I", data))
            said.chunks.append((name, data))
        elif name == b"pHYs":
            x, y, unit = struct.unpack(">IIB", data)
            said.dpi = (x * 0.0254, y * 0.0254) if unit == 1 and x and y else None
        elif name == b"eXIf":
            said.exif = data
        elif name == b"acTL":
            said.frames = struct.unpack_from(">I", data)[0]
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            _read_text(said, name, data)
    except (struct.error, zlib.error, ValueError):
        return  # a chunk that is not as it should be says nothing; the picture is whole without it


def _read_text(said: Said, kind: bytes, data: bytes) -> None:
    name, _, rest = data.partition(b"\0")
    key = name.decode("latin-1")
    if kind == b"iTXt":
        packed, rest = rest[0], rest[2:].split(b"\0", 2)[2]
        words = _unpacked(rest) if packed else rest
    else:
        words = _unpacked(rest[1:]) if kind == b"zTXt" else rest
        if key != _XMP:
            words = words.decode("latin-1").encode()
    if key == _XMP:
        said.xmp = words
    elif key.startswith(_RAW):
        _read_raw(said, key.removeprefix(_RAW), words)
    elif key == _COMMENT and said.comment is None:
        said.comment = words
    else:
        said.texts.append((key, words.decode("utf-8", "replace")))


def _read_raw(said: Said, name: str, words: bytes) -> None:
    """ImageMagick's way: a name, a length, and hexadecimal lines."""
    data = bytes.fromhex(words.decode().strip().split("\n", 2)[2])
    xap = b"http://ns.adobe.com/xap/1.0/\0"
    if name in ("exif", "APP1") and data.startswith(b"Exif\0\0"):
        said.exif = said.exif or data
    elif name == "xmp" or data.startswith(xap):
        said.xmp = said.xmp or data.removeprefix(xap)
    elif name in ("iptc", "8bim"):
        said.irb = said.irb or of_iptc(data)
    elif name in ("icc", "icm"):
        said.icc = said.icc or data


def _unpacked(data: bytes) -> bytes:
    unpack = zlib.decompressobj()
    plain = unpack.decompress(data, _MOST)
    if unpack.unconsumed_tail:
        raise ValueError("too long")
    return plain
