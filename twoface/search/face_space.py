"""The space in which an index compares faces: FaceNet's, moved and stretched so that people differ and photos do not.

Where the photos of one person spread, a difference says little: the directions are divided by that spread (within-class
covariance normalisation, Hatch et al. 2006). And a FaceNet embedding of a face with a hole lies elsewhere than one of
the whole face: for each kind of hole a linear map, fitted by ridge regression, says where the whole face would lie.
`twoface.research.fitting.face_space` fitted both on people of the train split, and measures what they bring.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources

import numpy as np

from twoface.core.identity import calibrated_holes, hide
from twoface.search.facenet import embedding_view

FILE = resources.files("twoface") / "weights" / "search.npz"
FACTS = b"mesh"  # what tells pose and expression of an index's faces


@dataclass(frozen=True)
class FaceSpace:
    """mean (512,) of whole faces; stretch (512, 512); for each measured hole its map: (1024,), (1024, 512)."""

    mean: np.ndarray
    stretch: np.ndarray
    maps: dict

    @classmethod
    @cache
    def load(cls):
        """The one that was measured, from `FILE`."""
        with np.load(FILE) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files}
        mean, stretch = arrays.pop("mean"), arrays.pop("stretch")
        holes = {name.partition("/")[2] for name in arrays}
        return cls(mean, stretch, {hole: (arrays[f"center/{hole}"], arrays[f"weights/{hole}"]) for hole in holes})

    def index(self, whole):
        """Embeddings (N, 512) of whole faces -> what an index keeps of them, unit (N, 512)."""
        return unit((whole - self.mean) @ self.stretch)

    def holed(self, hidden, filled, hole):
        """Faces with a hole -> about where `index` would have put them whole, unit (N, 512).

        hidden, filled: embeddings (N, 512) of a face with its hole closed smoothly (`twoface.core.identity.hide`), and
        filled by the network without a reference. hole: bool (128, 128).
        """
        center, weights = self.maps[nearest_hole(hole, self.maps)]
        return unit((np.concatenate([hidden, filled], 1) - center) @ weights)


@cache
def space_version():
    """The first digits of the SHA-256 of `FILE` and `FACTS`: faces of two versions cannot be compared."""
    return sha256(FILE.read_bytes() + FACTS).hexdigest()[:12]


def holed_views(crops, hole, network):
    """What `FaceSpace.holed` takes embeddings of: each crop, uint8 (128, 128, 3), its hole closed, and filled.

    hole: bool (128, 128); network: what has a `run` as `twoface.core.network.FillModel`. -> list of views, two for each
    crop, uint8 (160, 160, 3).
    """
    views = []
    for aligned in crops:
        masked = np.where(hole[..., None], np.uint8(0), aligned)
        picture = np.ascontiguousarray(masked.transpose(2, 0, 1)[None], np.float32) / 255
        fill = network.run(picture, hole[None, None].astype(np.float32), np.zeros_like(picture))["fill"][0]
        filled = np.rint(fill.transpose(1, 2, 0) * 255).astype(np.uint8)
        views += [embedding_view(hide(masked, hole)), embedding_view(np.where(hole[..., None], filled, masked))]
    return views


def nearest_hole(hole, names):
    """Which of the calibrated holes called `names` differs in the fewest pixels from `hole`, bool (128, 128)."""
    holes = calibrated_holes()
    return min(names, key=lambda name: np.count_nonzero(holes[name] ^ hole))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
