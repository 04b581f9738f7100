import gzip
import hashlib
import struct

import numpy as np
import pytest

from twoface.data import mnist
from twoface.data.mnist import Digits
from twoface.errors import InputError, Unavailable


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small data set in MNIST's format, known by its own SHA-256."""
    rng, known = np.random.default_rng(0), {}
    for kind, count in (("train", 60), ("t10k", 10)):
        pictures, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)
        for name, content in (
            (f"{kind}-images-idx3-ubyte", struct.pack(">4i", 2051, count, 28, 28) + pictures.tobytes()),
            (f"{kind}-labels-idx1-ubyte", struct.pack(">2i", 2049, count) + labels.tobytes()),
        ):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
            known[name] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(mnist, "FILES", known)
    return tmp_path


def test_splits_are_apart_and_complete(folder):
    train, validation, test = (Digits.load(folder, split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (54, 6, 10)
    assert train.pictures.shape == (54, 28, 28, 1) and train.pictures.dtype == np.uint8
    rows = {picture.tobytes() for picture in [*train.pictures, *validation.pictures]}
    assert len(rows) == 60
    assert test.labels.tolist() == list(range(10))


def test_pictures_keep_their_labels(folder):
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        first = file.read()[16 : 16 + 28 * 28]
    for split in ("train", "validation"):
        digits = Digits.load(folder, split)
        for picture, label in zip(digits.pictures, digits.labels, strict=True):
            if picture.tobytes() == first:
                assert label == 0
                return
    pytest.fail("the first picture is in neither split")


def test_another_file_is_refused(folder):
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(InputError, match="not MNIST's file"):
        Digits.load(folder, "test")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="damaged"):
        Digits.load(folder, "test")


def test_unknown_split(folder):
    with pytest.raises(InputError, match="train, validation or test"):
        Digits.load(folder, "val")


def test_offline_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    with pytest.raises(Unavailable, match="try again with a network"):
        Digits.load(tmp_path, "train")


def test_what_is_missing_is_downloaded(folder, monkeypatch):
    missing = folder / "t10k-labels-idx1-ubyte.gz"
    aside = missing.rename(folder / "served")
    asked = []

    def download(urls, path, sha256):
        asked.extend(urls)
        return aside.rename(path)

    monkeypatch.setattr(mnist, "download", download)
    assert len(Digits.load(folder, "test")) == 10
    assert asked == [f"{mirror}{missing.name}" for mirror in mnist.MIRRORS]
