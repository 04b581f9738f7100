"""Fixtures of the stand-ins in `fakes`; and what lets tests run beside each other on a busy machine."""

import os
from pathlib import Path

# Each process of the tests, and each that it starts, keeps to one core. The libraries read these when they are loaded.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OPENCV_FOR_THREADS_NUM"] = "1"

import httpx
import pytest
from fakes import FakeDetector, FakeEmbedder, FakeMesher, FakeOcclusion, write_digits, write_network

from twoface.core.inpainter import Inpainter
from twoface.core.network import FillModel

for phase in ("connect", "read", "write", "pool"):  # of calls that name no timeout: 5 s are too few
    setattr(httpx.get.__kwdefaults__["timeout"], phase, 60.0)


@pytest.fixture(scope="session", autouse=True)
def unsynced():
    """Nobody waits for the disk: what that is for, a power cut, no test can tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.sync", lambda: None)
        patch.setattr("os.fsync", lambda file: None)
        yield


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
    from twoface.research.data import mnist

    monkeypatch.setattr(mnist, "FILES", write_digits(tmp_path / "digits", {"train": 100, "t10k": 40}))
    monkeypatch.setattr(mnist, "VALIDATION_SHARE", 0.3)
    return tmp_path / "digits"
