"""Large pictures a band of rows at a time, so that nothing of their size is made in passing."""

import numpy as np

PIXELS = 2_000_000  # of a band


def bands(height, width):
    """Slices of rows that make up a picture, each of about `PIXELS`."""
    rows = max(1, PIXELS // width)
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def array_of(image):
    """The samples of a Pillow picture, as `np.array` gives them, which takes three times their memory in passing."""
    first = np.asarray(image.crop((0, 0, 1, 1)))
    samples = np.empty((image.height, image.width, *first.shape[2:]), first.dtype)
    for rows in bands(image.height, image.width):
        samples[rows] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
    return samples
