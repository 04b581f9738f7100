import csv
import io
import tarfile

import cv2
import numpy as np
import pytest
import torch

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


class SmallVGG(torch.nn.Module):
    """Layers of VGG16's shapes and no more: the pooled picture, its colours mixed at random."""

    SHAPES = {"conv3_1": (4, 256), "pool3": (8, 256), "conv4_3": (8, 512), "pool5": (32, 512)}

    def __init__(self):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        for name, (_, channels) in self.SHAPES.items():
            self.register_buffer(name, torch.randn(channels, 3, 1, 1, generator=rng), persistent=False)

    def forward(self, picture, names=("conv3_1",)):
        f = torch.nn.functional
        return [f.conv2d(f.avg_pool2d(picture, self.SHAPES[name][0]), getattr(self, name)).relu() for name in names]


class SmallFaceNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("head", torch.randn(3 * 64, 16, generator=torch.Generator().manual_seed(0)))

    def forward(self, face):
        features = torch.nn.functional.adaptive_avg_pool2d(face, 8).flatten(1) - 0.5
        return torch.nn.functional.normalize(features @ self.head, dim=1)


@pytest.fixture(scope="session")
def make_frozen():
    return lambda: Frozen(SmallVGG(), SmallFaceNet())


@pytest.fixture
def frozen(make_frozen):
    return make_frozen()
