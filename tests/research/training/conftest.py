import csv
import io
import tarfile

import cv2
import numpy as np
import pytest
from small import SmallFaceNet, SmallVGG

from twoface.research.training.tasks import Frozen

PEOPLE = {"train": (3, 3, 2, 1), "val": (2, 2)}  # pictures of each person


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A tiny folder in the form of `twoface data prepare`: smooth random pictures, one colour for each person."""
    folder, rng, rows = tmp_path_factory.mktemp("prepared"), np.random.default_rng(0), []
    for split, counts in PEOPLE.items():
        with tarfile.open(folder / f"{split}-00.tar", "w") as tar:
            for person, count in enumerate(counts):
                colour = rng.uniform(40, 200, 3)
                for i in range(count):
                    coarse = (colour + rng.normal(0, 25, (6, 6, 3))).clip(0, 255).astype(np.uint8)
                    data = cv2.imencode(".webp", cv2.resize(coarse, (160, 160), interpolation=cv2.INTER_CUBIC))[
                        1
                    ].tobytes()
                    info = tarfile.TarInfo(f"{split}{person}/{i:03d}.webp")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
                    rows.append((split, f"{split}-00.tar", info.name, f"{split}{person}", "lfw"))
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("split", "shard", "path", "identity", "source"), *rows])
    return folder


@pytest.fixture(scope="session")
def make_frozen():
    return lambda: Frozen(SmallVGG(), SmallFaceNet())


@pytest.fixture
def frozen(make_frozen):
    return make_frozen()
