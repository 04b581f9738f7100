"""Fixtures of the stand-ins in `fakes`."""

from pathlib import Path

import pytest
from fakes import FakeDetector, FakeEmbedder, FakeMesher, FakeOcclusion, write_digits, write_network

from twoface.engine import Inpainter
from twoface.model import FillModel


@pytest.fixture
def network(tmp_path):
    """Make a FillModel of constant fields: network(weight=..., ...)."""
    return lambda **fields: FillModel(write_network(tmp_path / "constant.onnx", **fields), threads=1)


@pytest.fixture
def inpainter(network):
    """Make an Inpainter of stand-ins: inpainter(*faces, **fields of the network)."""
    stand_ins = FakeEmbedder(), FakeMesher(), FakeOcclusion()
    return lambda *faces, **fields: Inpainter(network(**fields), FakeDetector(*faces), *stand_ins)


@pytest.fixture(scope="session")
def samples():
    return Path(__file__).parent.parent / "samples"


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder of a few random digits in MNIST's format, a third of train for validation."""
    from twoface.data import mnist

    monkeypatch.setattr(mnist, "FILES", write_digits(tmp_path / "digits", {"train": 100, "t10k": 40}))
    monkeypatch.setattr(mnist, "VALIDATION_SHARE", 0.3)
    return tmp_path / "digits"
