"""MNIST: its four idx.gz files, from a folder or from the network. No torch here."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twoface.core.arrays import Indices, Numbers, Planes
from twoface.core.errors import InputError
from twoface.research.data.download import download

SIZE = 28  # px
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
FILES = {  # SHA-256 of the content: the compressed files differ from mirror to mirror
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
VALIDATION_SHARE = 0.1
SPLIT_SEED = 0


@dataclass(frozen=True)
class Digits:
    """pictures: uint8 (N, 28, 28, 1), white on black; labels: int (N,), 0..9."""

    pictures: Planes
    labels: Indices

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, places: slice | Indices) -> Digits:
        return Digits(self.pictures[places], self.labels[places])

    @classmethod
    def load(cls, folder: str | Path, split: str) -> Digits:
        """split: "train" (nine tenths of the 60,000), "validation" (the other tenth) or "test" (the 10,000).

        What the folder lacks is downloaded into it, unless it holds other things and nothing of MNIST.
        Raises InputError for such a folder, an unknown split or a file that is not MNIST's, Unavailable without a
        network.
        """
        if split not in ("train", "validation", "test"):
            raise InputError(f"MNIST has no split {split!r}: use train, validation or test")
        kind = "t10k" if split == "test" else "train"
        pictures = _content(Path(folder), f"{kind}-images-idx3-ubyte")[16:]
        labels = _content(Path(folder), f"{kind}-labels-idx1-ubyte")[8:]
        everything = cls(pictures.reshape(-1, SIZE, SIZE, 1), labels.astype(int))
        if split == "test":
            return everything
        shuffled = np.random.default_rng(SPLIT_SEED).permutation(len(everything))
        count = round(len(everything) * VALIDATION_SHARE)
        return everything[np.sort(shuffled[:count] if split == "validation" else shuffled[count:])]


def _content(folder: Path, name: str) -> Numbers:
    path = folder / f"{name}.gz"
    if not path.is_file():
        there = {entry.name.partition(".")[0] for entry in folder.iterdir()} if folder.is_dir() else set()
        if there and not there & FILES.keys():
            raise InputError(f"{folder} holds other things and nothing of MNIST: give its folder, or a new one")
        download([f"{mirror}{name}.gz" for mirror in MIRRORS], path, "")
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged ({error}): delete it, and it is downloaded again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != FILES[name]:
        raise InputError(f"{path} is not MNIST's file (SHA-256 of its content {found}): delete it and try again")
    return np.frombuffer(content, np.uint8)
