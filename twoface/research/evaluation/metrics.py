"""Scores of one filled picture, and how sure a mean of them is. Pictures are uint8 (H, W, 3) RGB."""

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import bootstrap
from skimage.metrics import structural_similarity

from twoface.core.arrays import Mask, Picture


def hole_psnr(truth: Picture, picture: Picture, hole: Mask) -> float:
    """Peak signal-to-noise ratio over the hole's pixels and all three channels, in dB; inf where they are equal.

    hole: bool (H, W), True = hole. The peak is 255.
    """
    error = np.mean((truth[hole].astype(np.float64) - picture[hole]) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def whole_ssim(truth: Picture, picture: Picture) -> float:
    """Structural similarity of the whole picture, -1..1: scikit-image's default 7x7 window, mean of the channels.

    Known pixels count too, so an empty hole does not give 0. H and W must be 7 or more.
    """
    return float(structural_similarity(truth, picture, channel_axis=2, data_range=255))


def bootstrap_interval(
    values: ArrayLike, samples: int = 10_000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of `values` (N,), two or more -> (low, high).

    Give it differences pair by pair and the interval is a paired one.
    """
    found = bootstrap(
        (np.asarray(values, np.float64),),
        np.mean,
        n_resamples=samples,
        confidence_level=level,
        method="percentile",
        rng=seed,
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def hole_detail(truth: Picture, picture: Picture, mask: Mask) -> float:
    """How much fine detail the hole shows, 1 for as much as the truth: above it rougher, below it blurred.

    The ratio of the deviations of what a gaussian blur of 1.5 pixels removes, over the hole's pixels. truth, picture:
    uint8 (H, W, 3); mask: bool (H, W). It says nothing of whether the detail is right.
    """

    def fine(pixels: Picture) -> float:
        pixels = pixels.astype(np.float64)
        return (pixels - cv2.GaussianBlur(pixels, (0, 0), 1.5))[mask].std()

    return float(fine(picture) / max(fine(truth), 1e-9))
