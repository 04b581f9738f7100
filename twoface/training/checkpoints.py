"""Save and resume: `state.pt` is all that a run needs to go on, `generator.safetensors` the averaged generator.

The checkpoint before the last is kept as `state.previous.pt`.
"""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import torch
from safetensors.torch import save as to_bytes
from torch import nn

from twoface.errors import InputError, TwoFaceError
from twoface.files import write_aside

LAST, PREVIOUS = "state.pt", "state.previous.pt"
DAMAGES = (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError)  # what torch.load raises


def save(folder: Path, state: dict, averaged: nn.Module) -> None:
    """Write both files aside, then rename, so that a crash or a full disk leaves the ones before.

    state: nested dicts and lists of tensors, numbers and strings (`torch.load(weights_only=True)` reads it).
    Raises TwoFaceError when the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()  # in memory first: torch's and safetensors' own writers do not say that a disk is full
    torch.save(state, content)
    fresh = write_aside(folder / "state.new.pt", content.getbuffer(), force=True)
    if (folder / LAST).exists():
        (folder / LAST).replace(folder / PREVIOUS)
    fresh.replace(folder / LAST)
    weights = {name: tensor.contiguous() for name, tensor in averaged.state_dict().items()}
    metadata = {"samples": str(state["samples"]), "experiment": json.dumps(state["experiment"])}
    write_aside(folder / "generator.safetensors", to_bytes(weights, metadata), force=True)


def load(folder: Path) -> dict:
    """The state that `save` wrote last.

    Raises InputError when there is none, TwoFaceError when it is damaged, which tells of the one before.
    """
    path, previous = folder / LAST, folder / PREVIOUS
    if not path.is_file():
        found = f"; an older one is there: rename {previous} to {LAST} to go on from it" if previous.exists() else ""
        raise InputError(f"{path} not found: nothing to resume; leave out --resume to start anew{found}")
    try:
        return _read(path)
    except DAMAGES as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TwoFaceError(f"{path} is damaged ({reason}): {_way_on(previous)}") from error


def forget_after(stats: Path, samples: int) -> None:
    """Take out of stats.jsonl what a run that was killed had reported after its last checkpoint."""
    if stats.exists():
        rows = [line for line in stats.read_text().splitlines() if json.loads(line)["samples"] <= samples]
        write_aside(stats, "".join(f"{row}\n" for row in rows).encode(), force=True)


def _read(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def _way_on(previous: Path) -> str:
    try:
        samples = _read(previous)["samples"]
    except DAMAGES:
        return "restore it or start anew"
    return f"the one before is good, of {samples} samples: rename {previous.name} to {LAST} to go on from it"
