"""A small folder of prepared data, and a network that returns its reference."""

import csv
import io
import tarfile

import cv2
import numpy as np
import pytest
from fakes import FakeEmbedder, write_network

from twoface.core.network import REQUIRED_METADATA

PEOPLE = {"a": ("lfw", 3), "b": ("lfw", 2), "c": ("lfw", 4), "d": ("lfw", 1), "e": ("celeb", 2)}


def picture(*seed):
    """A smooth random uint8 (160, 160, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(small, (160, 160), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(name="picture")
def picture_fixture():
    return picture


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Prepared data of five people; four of them, three in lfw, have two pictures or more."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    with tarfile.open(folder / "val-00.tar", "w") as tar:
        for person, (name, (source, count)) in enumerate(PEOPLE.items()):
            for number in range(count):
                crop = cv2.addWeighted(picture(person), 0.7, picture(person, number), 0.3, 0)
                blob = cv2.imencode(".png", crop)[1].tobytes()
                info = tarfile.TarInfo(f"{name}/{number:03}.png")
                info.size = len(blob)
                tar.addfile(info, io.BytesIO(blob))
                rows.append(
                    {"split": "val", "shard": "val-00.tar", "path": info.name, "identity": name, "source": source}
                )
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    """A network of the contract whose fill is the reference."""
    metadata = REQUIRED_METADATA | {"twoface.name": "returns its reference"}
    return write_network(tmp_path_factory.mktemp("model") / "tiny.onnx", weight=1.0, metadata=metadata)


@pytest.fixture
def fake_embedder():
    return FakeEmbedder()
