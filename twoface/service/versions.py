"""The model files that are to be served, found again and again: a file, or a folder with a folder for each version."""

import os
from dataclasses import dataclass
from pathlib import Path

from twoface.core.network import shipped


@dataclass(frozen=True)
class Found:
    """A model file as it is now; one that was written anew differs."""

    path: Path
    stamp: tuple[int, int, int]


def find_versions(model: Path | None, device: str = "cpu") -> dict[int, Found]:
    """What `--model` names -> {version: Found}; a plain file is version 1.

    model: an ONNX file; or a folder with folders named 1, 2, ..., each with one .onnx file, as TensorFlow Serving
    and Triton have them; or None, the file that ships for this device. A folder without a file yet is passed over.
    """
    if model is None:
        model = shipped(device)
    if not model.is_dir():
        found = _look(model)
        return {1: found} if found else {}
    folders = (entry for entry in model.iterdir() if entry.name.isdecimal() and entry.is_dir())
    versions = {int(folder.name): _look(*sorted(folder.glob("*.onnx"))[:1]) for folder in folders}
    return {version: found for version, found in versions.items() if found}


def find_labels(model: Path | None) -> dict[str, int]:
    """Names for versions -> {label: version}: links in the folder, such as `stable` to the folder `2`."""
    if model is None or not model.is_dir():
        return {}
    links = {entry.name: entry.readlink().name for entry in model.iterdir() if entry.is_symlink()}
    return {name: int(to) for name, to in links.items() if to.isdecimal() and not name.isdecimal()}


def _look(path: Path | None = None) -> Found | None:
    if path is None:
        return None
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return Found(path, (status.st_mtime_ns, status.st_size, status.st_ino))
