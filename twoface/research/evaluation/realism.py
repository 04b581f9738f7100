"""How real fills look as a crowd: KID, the distance between what VGG16 sees in filled holes and in true ones.

KID (Binkowski et al. 2018) is the squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, here in its
unbiased form for paired samples (Gretton et al. 2012, lemma 6): fill and truth of one photo are never compared with
each other, so that what both have around the hole does not count. 0 is as real as the truth; it may be below 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from twoface.core.arrays import Mask, Matrix, Picture, Vector

if TYPE_CHECKING:
    from twoface.research.models.vgg import VGG16

LAYER = "pool5"
SEEN = 96  # pixels a side of what the network sees
AROUND = 8  # pixels round the hole's box that it sees too, for the seam


class HoleFeatures:
    """VGG16's last layer over the box round a hole, the mean over its places. Needs torch and the weights vgg16-edges.

    The values are divided by the layer's deviation over faces: the kernel's 1 is meant for values of about 1.
    Raises as `twoface.research.models.pretrained.weights`.
    """

    def __init__(self, network: VGG16 | None = None) -> None:
        """network: a `twoface.research.models.vgg.VGG16`, default that of the cached weights, fetched when missing."""
        from twoface.research.models.pretrained import weights
        from twoface.research.models.vgg import VGG16, Trunk

        self._scale = Trunk.SCALE[LAYER]
        self._network = network or VGG16(weights("vgg16-edges"))

    def __call__(self, pictures: NDArray[np.uint8], holes: NDArray[np.bool_]) -> Matrix:
        """pictures: uint8 (N, H, W, 3) RGB; holes: bool (N, H, W) -> float64 (N, 512)."""
        import torch

        views = [_around(*each) for each in zip(pictures, holes, strict=True)]
        with torch.no_grad():
            seen = self._network(torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255, (LAYER,))[0]
        return seen.mean((2, 3)).double().numpy() / self._scale


def _around(picture: Picture, hole: Mask) -> Picture:
    x, y, width, height = cv2.boundingRect(hole.view(np.uint8))
    part = (slice(max(y - AROUND, 0), y + height + AROUND), slice(max(x - AROUND, 0), x + width + AROUND))
    return cv2.resize(picture[part], (SEEN, SEEN), interpolation=cv2.INTER_CUBIC)


def discrepancies(fills: Matrix, truths: Matrix) -> Matrix:
    """Features (N, D) of fills and of the true pictures, in one order -> (N, N): the mean off its diagonal is KID.

    In units of the truths' root mean square: the kernel asks for features of about 1, and VGG's are of any size.
    """
    unit = np.sqrt((truths**2).mean())
    fills, truths = fills / unit, truths / unit

    def kernel(a: Matrix, b: Matrix) -> Matrix:
        return (a @ b.T / a.shape[1] + 1) ** 3

    crossed = kernel(fills, truths)
    found = kernel(fills, fills) + kernel(truths, truths) - crossed - crossed.T
    np.fill_diagonal(found, 0)
    return found


def kid(found: Matrix) -> float:
    """KID of what `discrepancies` gave, of two pictures or more."""
    return float(found.sum() / (len(found) * (len(found) - 1)))


def resampled_kid(found: Matrix, samples: int = 10_000, seed: int = 0) -> Vector:
    """KID of `samples` bootstrap resamplings of the pictures -> (S,). The same seed draws the same pictures.

    A picture drawn twice is not compared with itself, which would call every resampling less real than it is; a
    resampling of one picture alone, as of three pictures some are, is left out.
    """
    count = len(found)
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), samples).astype(np.float64)
    times = times[(times > 0).sum(1) > 1]
    compared = count**2 - (times**2).sum(1)
    return np.einsum("si,si->s", times @ found, times) / compared
