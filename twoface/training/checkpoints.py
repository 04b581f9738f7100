"""Save and resume: `state.pt` is all that a run needs to go on, `generator.safetensors` the averaged generator."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from twoface.errors import InputError, TwoFaceError
from twoface.files import write_aside


def save(folder: Path, state: dict, averaged: nn.Module) -> None:
    """Write both files aside, then rename, so that a crash or a full disk leaves the ones before.

    state: nested dicts and lists of tensors, numbers and strings (`torch.load(weights_only=True)` reads it).
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_aside(folder / "state.pt", lambda path: torch.save(state, path), force=True)
    weights = {name: tensor.contiguous() for name, tensor in averaged.state_dict().items()}
    metadata = {"samples": str(state["samples"]), "experiment": json.dumps(state["experiment"])}
    write_aside(folder / "generator.safetensors", lambda path: save_file(weights, path, metadata), force=True)


def load(folder: Path) -> dict:
    """The state that `save` wrote. Raises InputError when there is none, TwoFaceError when it is damaged."""
    path = folder / "state.pt"
    if not path.is_file():
        raise InputError(f"{path} not found: nothing to resume; leave out --resume to start anew")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError) as error:
        raise TwoFaceError(f"{path} is damaged ({str(error).splitlines()[0]}): restore it or start anew") from error


def load_generator(folder: Path, generator: nn.Module) -> None:
    """Put `generator.safetensors` of a run into a generator of the same shape."""
    path = folder / "generator.safetensors"
    if not path.is_file():
        raise InputError(f"{path} not found: give the folder of a training run")
    generator.load_state_dict(load_file(path))
