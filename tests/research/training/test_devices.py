"""Two processes on the CPU train as one does: the same global batch, the same weights within float error."""

import gzip
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from devices import run

from twoface.research.data import mnist

SCRIPT = Path(__file__).with_name("devices.py")


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder that looks like MNIST: 1,000 noisy bars. Its hashes are taken for MNIST's, by the scripts too."""
    rng, folder = np.random.default_rng(0), tmp_path / "digits"
    folder.mkdir()
    labels = np.arange(1000) % 10
    pictures = rng.integers(0, 60, (1000, 28, 28)) + 190 * (np.arange(28)[None, :, None] // 3 == labels[:, None, None])
    contents = {"images-idx3": pictures, "labels-idx1": labels}
    for name, values in contents.items():
        header = struct.pack(">4i", 0, 1000, 28, 28) if name.startswith("images") else struct.pack(">2i", 0, 1000)
        (folder / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))
    hashes = {name: mnist.hashlib.sha256(gzip.decompress((folder / f"{name}.gz").read_bytes())).hexdigest()
              for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")}  # fmt: skip
    (folder / "sitecustomize.py").write_text(f"from twoface.research.data import mnist\nmnist.FILES |= {hashes}\n")
    monkeypatch.setattr(mnist, "FILES", mnist.FILES | hashes)
    return folder


def start(kind, data, out, devices, nodes, **environment):
    paths = os.pathsep.join([str(SCRIPT.parent), str(data)])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, str(SCRIPT), kind, str(data), str(out), str(devices), str(nodes)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed


def assert_same(one, two):
    first, second = (torch.load(folder / "state.pt", weights_only=True) for folder in (one, two))
    assert first["samples"] == second["samples"] == 16
    for part in ("generator", "averaged", "judges"):
        for name, tensor in first[part].items():
            assert torch.allclose(tensor, second[part][name], rtol=1e-5, atol=1e-5), (part, name)
    for part in ("g_opt", "d_opt"):  # the gradients, in Adam's mean of them
        means = [[slot["exp_avg"] for slot in state[part]["state"].values()] for state in (first, second)]
        largest = max(float(mean.abs().max()) for mean in means[0])
        for i, (one_s, two_s) in enumerate(zip(*means, strict=True)):
            assert (one_s - two_s).abs().max() <= 1e-3 * one_s.abs().max() + 1e-5 * largest, (part, i)
    rows = [[json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()] for folder in (one, two)]
    for a, b in zip(*rows, strict=True):
        assert a.keys() == b.keys()
        for name in a.keys() - {"samples_per_second", "waiting"}:
            assert a[name] == pytest.approx(b[name], rel=1e-3, abs=1e-4, nan_ok=True), name
    machines = [json.loads((folder / "machine.json").read_text()) for folder in (one, two)]
    assert [machine["processes"] for machine in machines] == [1, 2]


@pytest.mark.slow
def test_two_processes_are_one(digits, tmp_path):
    """With batch normalisation and dropout; the losses of our own network are those of the test below."""
    two = start("digits", digits, tmp_path / "two", 2, 1)
    run("digits", digits, tmp_path / "one")
    finish(two)
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_two_nodes_are_one(prepared, tmp_path):
    """What docs/running.md says of several machines, with both on this one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    nodes = start("ours", prepared, tmp_path / "two", 1, 2, **meeting)
    run("ours", prepared, tmp_path / "one")
    finish(nodes)
    assert_same(tmp_path / "one", tmp_path / "two")
