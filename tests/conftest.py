"""Fixtures of the stand-ins in `fakes`."""

from pathlib import Path

import pytest
from fakes import FakeDetector, FakeEmbedder, write_network

from twoface.engine import Inpainter
from twoface.model import FillModel


@pytest.fixture
def network(tmp_path):
    """Make a FillModel of constant fields: network(weight=..., ...)."""
    return lambda **fields: FillModel(write_network(tmp_path / "constant.onnx", **fields), threads=1)


@pytest.fixture
def inpainter(network):
    """Make an Inpainter of stand-ins: inpainter(*faces, **fields of the network)."""
    return lambda *faces, **fields: Inpainter(network(**fields), FakeDetector(*faces), FakeEmbedder())


@pytest.fixture(scope="session")
def samples():
    return Path(__file__).parent.parent / "samples"
