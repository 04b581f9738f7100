"""Large pictures a band of rows at a time, so that nothing of their size is made in passing."""

import ctypes
import sys
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image

from twoface.core.arrays import Numbers

PIXELS = 500_000  # of a band


def bands(height: int, width: int) -> list[slice]:
    """Slices of rows that make up a picture, each of about `PIXELS`."""
    rows = max(1, PIXELS // width)
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def widened(rows: slice, by: int, height: int) -> slice:
    """Rows, a slice, with as many as `by` more above and below, inside a picture of `height`."""
    return slice(max(0, rows.start - by), min(height, rows.stop + by))


def by_bands(function: Callable[[Numbers], Numbers], picture: Numbers) -> Numbers:
    """What `function` makes of a picture (H, W, ...), each pixel on its own, made a band at a time."""
    return _joined(len(picture), ((rows, function(picture[rows])) for rows in bands(*picture.shape[:2])))


def array_of(image: Image.Image, change: Callable[[Image.Image], Image.Image] = lambda part: part) -> Numbers:
    """The samples of a Pillow picture, as `np.array` gives them, which takes three times their memory in passing.

    change: function of a part of it -> a Pillow picture of the same size, each pixel on its own: a conversion.
    """
    parts = bands(image.height, image.width)
    cut = ((rows, image.crop((0, rows.start, image.width, rows.stop))) for rows in parts)
    return _joined(image.height, ((rows, np.asarray(change(part))) for rows, part in cut))


def _joined(height: int, parts: Iterable[tuple[slice, Numbers]]) -> Numbers:
    """An array of `height` rows, of slices of rows and what belongs there; there is at least one."""
    whole = np.empty(0)
    for rows, part in parts:
        if rows.start == 0:
            whole = np.empty((height, *part.shape[1:]), part.dtype)
        whole[rows] = part
    return whole


def red_first(samples: Numbers) -> None:
    """OpenCV's order of colours, (H, W, 3 or 4), made RGB in place."""
    for rows in bands(*samples.shape[:2]):
        samples[rows, :, :3] = samples[rows, :, 2::-1].copy()


def hand_back() -> None:
    """Give memory that is no longer used back to the system: the C library of most Linuxes keeps much of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
