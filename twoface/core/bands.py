"""Large pictures a band of rows at a time, so that nothing of their size is made in passing."""

import ctypes
import sys

import numpy as np

PIXELS = 500_000  # of a band


def bands(height, width):
    """Slices of rows that make up a picture, each of about `PIXELS`."""
    rows = max(1, PIXELS // width)
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def widened(rows, by, height):
    """Rows, a slice, with as many as `by` more above and below, inside a picture of `height`."""
    return slice(max(0, rows.start - by), min(height, rows.stop + by))


def by_bands(function, picture):
    """What `function` makes of a picture (H, W, ...), each pixel on its own, made a band at a time."""
    whole = None
    for rows in bands(*picture.shape[:2]):
        part = function(picture[rows])
        if whole is None:
            whole = np.empty((len(picture), *part.shape[1:]), part.dtype)
        whole[rows] = part
    return whole


def array_of(image, change=lambda part: part):
    """The samples of a Pillow picture, as `np.array` gives them, which takes three times their memory in passing.

    change: function of a part of it -> a Pillow picture of the same size, each pixel on its own: a conversion.
    """
    samples = None
    for rows in bands(image.height, image.width):
        part = np.asarray(change(image.crop((0, rows.start, image.width, rows.stop))))
        if samples is None:
            samples = np.empty((image.height, *part.shape[1:]), part.dtype)
        samples[rows] = part
    return samples


def red_first(samples):
    """OpenCV's order of colours, (H, W, 3 or 4), made RGB in place."""
    for rows in bands(*samples.shape[:2]):
        samples[rows, :, :3] = samples[rows, :, 2::-1].copy()


def hand_back():
    """Give memory that is no longer used back to the system: the C library of most Linuxes keeps much of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
