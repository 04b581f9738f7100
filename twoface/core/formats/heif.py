"""HEIC and AVIF by their boxes: the colours of the picture that is shown, its depth, and what lies beside it."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Boxes:
    """cicp: (primaries, transfer) of the nclx box, or None. depth: bits a sample. gain_map, motion: there is one."""

    cicp: tuple[int, int] | None = None
    depth: int = 8
    gain_map: bool = False
    motion: bool = False


def read_boxes(data: bytes) -> Boxes:
    """The boxes of a HEIC or AVIF file; what is not as it should be says nothing."""
    try:
        top = dict(reversed([*_boxes(data, 0, len(data))]))
        if "meta" not in top:
            return Boxes()
        start, end = top["meta"]
        meta = dict(reversed([*_boxes(data, start + 4, end)]))
        properties = _properties(data, meta)
        told = bytes(data[start:end])
        return Boxes(
            _cicp(data, properties),
            _depth(data, properties),
            b"hdrgainmap" in told or b"tmap" in told,
            "mpvd" in top,
        )
    except (struct.error, IndexError, KeyError):
        return Boxes()


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """(kind, (start, end) of the content) of each box."""
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        stop = end if length == 0 else start + length
        if stop < start + head or stop > end:
            return
        yield kind.decode("latin-1"), (start + head, stop)
        start = stop


def _properties(data: bytes, meta: Mapping[str, tuple[int, int]]) -> list[tuple[str, tuple[int, int]]]:
    """The property boxes of the primary picture -> [(kind, (start, end))]."""
    start, _ = meta["pitm"]
    (primary,) = struct.unpack_from(">I" if data[start] else ">H", data, start + 4)
    inside = dict(reversed([*_boxes(data, *meta["iprp"])]))
    every = [*_boxes(data, *inside["ipco"])]
    place = inside["ipma"][0]
    version, wide = data[place], data[place + 3] & 1
    (count,) = struct.unpack_from(">I", data, place + 4)
    place += 8
    for _ in range(count):
        (item,) = struct.unpack_from(">I" if version else ">H", data, place)
        place += 4 if version else 2
        many = data[place]
        numbers = struct.unpack_from(f">{many}{'H' if wide else 'B'}", data, place + 1)
        place += 1 + many * (2 if wide else 1)
        if item == primary:
            return [every[(number & (0x7FFF if wide else 0x7F)) - 1] for number in numbers if number]
    return []


def _cicp(data: bytes, properties: Sequence[tuple[str, tuple[int, int]]]) -> tuple[int, int] | None:
    for kind, (start, end) in properties:
        if kind == "colr" and data[start : start + 4] == b"nclx" and end - start >= 8:
            return struct.unpack_from(">HH", data, start + 4)
    return None


def _depth(data: bytes, properties: Sequence[tuple[str, tuple[int, int]]]) -> int:
    for kind, (start, _) in properties:
        if kind == "pixi" and data[start + 4]:
            return data[start + 5]
        if kind == "av1C":
            return 12 if data[start + 2] & 0x20 else 10 if data[start + 2] & 0x40 else 8
    return 8
