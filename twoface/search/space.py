"""The space in which an index compares faces: FaceNet's, moved and stretched so that people differ and photos do not.

A FaceNet embedding of a face with a hole lies elsewhere than one of a whole face, all of them by much the same step: so
each kind of hole has a mean of its own to be taken away. And where the photos of one person spread, a difference says
little: the directions are divided by that spread (within-class covariance normalisation, Hatch et al. 2006).
`benchmarks/search_holes.py` measured both on people of the train split, and says what they bring.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources

import numpy as np

from twoface.identity import calibrated_holes

KINDS = ("first", "second")
FILE = resources.files("twoface") / "weights" / "search.npz"


@dataclass(frozen=True)
class FaceSpace:
    """mean (512,) of whole faces; stretch (512, 512); for each measured hole the means (512,) of what `first` and
    `second` are given.
    """

    mean: np.ndarray
    stretch: np.ndarray
    first_means: dict
    second_means: dict

    @classmethod
    @cache
    def load(cls):
        """The one that was measured, from `FILE`."""
        with np.load(FILE) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files}
        means = [{k.partition("/")[2]: v for k, v in arrays.items() if k.startswith(f"{kind}/")} for kind in KINDS]
        return cls(arrays["mean"], arrays["stretch"], *means)

    def save(self, path):
        """Write what `load` reads."""
        arrays = {f"first/{k}": v for k, v in self.first_means.items()}
        arrays |= {f"second/{k}": v for k, v in self.second_means.items()}
        np.savez_compressed(path, mean=self.mean, stretch=self.stretch.astype(np.float16), **arrays)

    def index(self, whole):
        """Embeddings (N, 512) of whole faces -> what an index keeps of them, unit (N, 512)."""
        return unit((whole - self.mean) @ self.stretch)

    def first(self, hidden, filled, hole):
        """What is searched in the index -> unit (N, 512).

        hidden, filled: embeddings (N, 512) of a face with its hole closed smoothly (`twoface.identity.hide`), and
        filled by the network without a reference. hole: bool (128, 128).
        """
        return unit((unit(hidden + filled) - self.first_means[nearest_hole(hole, self.first_means)]) @ self.stretch)

    def second(self, filled, hole):
        """What two faces are compared by when the same hole has been filled in both -> unit (N, 512)."""
        return unit((filled - self.second_means[nearest_hole(hole, self.second_means)]) @ self.stretch)


@cache
def space_version():
    """The first digits of the SHA-256 of `FILE`: faces of two versions cannot be compared."""
    return sha256(FILE.read_bytes()).hexdigest()[:12]


def nearest_hole(hole, names):
    """Which of the calibrated holes called `names` differs in the fewest pixels from `hole`, bool (128, 128)."""
    holes = calibrated_holes()
    return min(names, key=lambda name: np.count_nonzero(holes[name] ^ hole))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def stretch_of(embeddings, person, floor=0.3):
    """The matrix (512, 512) that evens out how the photos of one person spread.

    embeddings (N, 512), person (N,): of whole faces. floor: what is added to each direction's variance, as a share of
    the mean one, so that directions that were seen too little are not blown up.
    """
    count = np.bincount(person)
    sums = np.zeros((len(count), embeddings.shape[1]))
    np.add.at(sums, person, embeddings)
    several = count[person] > 1
    apart = (embeddings - (sums / np.maximum(count, 1)[:, None])[person])[several]
    values, vectors = np.linalg.eigh(apart.T @ apart / (several.sum() - (count > 1).sum()))
    return (vectors / np.sqrt(values + floor * values.mean())) @ vectors.T
