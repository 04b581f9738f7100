import gzip

import numpy as np
import pytest

from twoface.core.errors import InputError, Unavailable
from twoface.research.data import mnist
from twoface.research.data.mnist import Digits


def test_splits_are_apart_and_complete(digits):
    train, validation, test = (Digits.load(digits, split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (70, 30, 40)
    assert train.pictures.shape == (70, 28, 28, 1) and train.pictures.dtype == np.uint8
    rows = {picture.tobytes() for picture in [*train.pictures, *validation.pictures]}
    assert len(rows) == 100
    assert test.labels.tolist() == 4 * list(range(10))


def test_pictures_keep_their_labels(digits):
    with gzip.open(digits / "train-images-idx3-ubyte.gz") as file:
        first = file.read()[16 : 16 + 28 * 28]
    for split in ("train", "validation"):
        loaded = Digits.load(digits, split)
        for picture, label in zip(loaded.pictures, loaded.labels, strict=True):
            if picture.tobytes() == first:
                assert label == 0
                return
    pytest.fail("the first picture is in neither split")


def test_another_file_is_refused(digits):
    path = digits / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(InputError, match="not MNIST's file"):
        Digits.load(digits, "test")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="damaged"):
        Digits.load(digits, "test")


def test_a_folder_of_other_things_is_named_and_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "download", lambda *_: pytest.fail("it was downloaded"))
    (tmp_path / "index.csv").touch()
    with pytest.raises(InputError, match=f"{tmp_path} holds other things and nothing of MNIST"):
        Digits.load(tmp_path, "train")
    assert [path.name for path in tmp_path.iterdir()] == ["index.csv"]


def test_unknown_split(digits):
    with pytest.raises(InputError, match="train, validation or test"):
        Digits.load(digits, "val")


def test_offline_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    with pytest.raises(Unavailable, match="try again with a network"):
        Digits.load(tmp_path, "train")


def test_what_is_missing_is_downloaded(digits, monkeypatch):
    missing = digits / "t10k-labels-idx1-ubyte.gz"
    aside = missing.rename(digits / "served")
    asked = []

    def download(urls, path, sha256):
        asked.extend(urls)
        return aside.rename(path)

    monkeypatch.setattr(mnist, "download", download)
    assert len(Digits.load(digits, "test")) == 40
    assert asked == [f"{mirror}{missing.name}" for mirror in mnist.MIRRORS]
