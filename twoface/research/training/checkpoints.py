"""Save and resume: `state.pt` is all that a run needs to go on, `generator.safetensors` the averaged generator.

The checkpoint before the last is kept as `state.previous.pt`.
"""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import write_aside

LAST, PREVIOUS, WEIGHTS, BEST = "state.pt", "state.previous.pt", "generator.safetensors", "best"
LEFT = ("stats.jsonl", "previews/*.png", "events.out.tfevents.*", f"{BEST}/{WEIGHTS}")
DAMAGES = (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError)  # what torch.load raises


def save(folder: Path, state: dict[str, Any], averaged: nn.Module) -> None:
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
    _write_weights(folder, averaged, state["samples"], state["experiment"])


def save_best(
    folder: Path, averaged: nn.Module, samples: int, experiment: dict[str, Any], figure: str, value: float
) -> bool:
    """Write the generator into `folder`/best when it is better than what lies there -> whether it was.

    figure: the name of what it is judged by; value: the more the better.
    """
    path = folder / BEST / WEIGHTS
    if path.is_file():
        with safe_open(path, "pt") as file:
            if not value > float(file.metadata()["value"]):
                return False
    path.parent.mkdir(exist_ok=True)
    _write_weights(path.parent, averaged, samples, experiment, figure=figure, value=repr(value))
    return True


def begin(folder: Path) -> None:
    """Make a folder ready for a new run: what a run left that ended before its first checkpoint is removed.

    Raises InputError when there is a checkpoint.
    """
    if (folder / LAST).exists():
        raise InputError(f"{folder} holds a run already: give --resume to go on with it, or another --out")
    if (folder / PREVIOUS).exists():
        advice = f"rename {PREVIOUS} there to {LAST} and give --resume, or give another --out"
        raise InputError(f"{folder} holds an older checkpoint of a run: {advice}")
    for pattern in LEFT:
        for path in folder.glob(pattern):
            path.unlink()


def load(folder: Path) -> dict[str, Any]:
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


def _write_weights(folder: Path, averaged: nn.Module, samples: int, experiment: dict[str, Any], **about: str) -> None:
    weights = {name: tensor.contiguous() for name, tensor in averaged.state_dict().items()}
    metadata = {"samples": str(samples), "experiment": json.dumps(experiment), **about}
    write_aside(folder / WEIGHTS, to_bytes(weights, metadata), force=True)


def _read(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)


def _way_on(previous: Path) -> str:
    try:
        samples = _read(previous)["samples"]
    except DAMAGES:
        return "restore it or start anew"
    return f"the one before is good, of {samples} samples: rename {previous.name} to {LAST} to go on from it"
