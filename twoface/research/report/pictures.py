"""Pictures inside the page: data URIs in WebP, bounded in size."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from twoface.core.errors import InputError

STILL_WIDTH = 1400  # px at most
ANIMATION_BYTES = 1_500_000  # at most
ANIMATION_SIZES = ((720, 40), (560, 40), (420, 40), (420, 20), (320, 20), (320, 10), (240, 6), (120, 3), (60, 2))
# (width in px, frames at most), tried in turn until the animation is small enough
FRAME_MS, LAST_MS = 350, 2500
Item = TypeVar("Item")


def still(path: Path) -> str:
    """A picture as a data URI, at most STILL_WIDTH wide; small ones stay exact."""
    picture = _open(path)
    lossless = picture.width <= STILL_WIDTH // 2
    return _uri(_encoded([_narrow(picture, STILL_WIDTH)], lossless=lossless, quality=88, method=4))


def animation(paths: Sequence[Path]) -> str | None:
    """The pictures one after the other, without end, in ANIMATION_BYTES at most; None for fewer than two.

    Of many, evenly spaced ones are taken, the first and the last among them.
    """
    if len(paths) < 2:
        return None
    for width, most in ANIMATION_SIZES:
        frames = [_narrow(_open(path), width) for path in spaced(paths, most)]
        frames = [frame.resize(frames[-1].size) for frame in frames]
        durations = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
        data = _encoded(frames, quality=72, method=4, duration=durations, loop=0)
        if len(data) <= ANIMATION_BYTES:
            break
    return _uri(data)


def spaced(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, evenly spaced, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except OSError as error:
        raise InputError(f"{path} is damaged ({error}): delete it") from error


def _narrow(picture: Image.Image, width: int) -> Image.Image:
    if picture.width <= width:
        return picture
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)


def _encoded(frames: list[Image.Image], **options: Any) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=len(frames) > 1, append_images=frames[1:], **options)
    return buffer.getvalue()


def _uri(data: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(data).decode()
