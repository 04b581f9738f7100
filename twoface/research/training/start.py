"""Where a run's generator starts: from other weights, a run's or an exported file's (fine-tuning)."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from twoface.core.errors import InputError
from twoface.core.network import INT8_OF
from twoface.research.training.trained import trained

HALF = ".fp16"  # how `twoface.research.export` names what it stored in half precision
PREFIX = "generator."


def start_from(generator: nn.Module, source: Path) -> None:
    """Give a generator the weights of a run's folder or of a file that `twoface export` wrote.

    What the source did not have yet starts with no say: a convolution with more input channels than the source's gets
    zeros for the last ones, and the layers that the generator names in `STARTS_AS_NOTHING` stay as they are.
    Raises InputError when the source cannot be read, or its network is another.
    """
    found = trained(source)[1].state_dict() if source.is_dir() else _of_onnx(source)
    later = getattr(generator, "STARTS_AS_NOTHING", ())
    own = {k: v for k, v in generator.state_dict().items() if k in found or not k.startswith(later)}
    other = [name for name in own if name not in found or not _fits(own[name], found[name])]
    if other:
        raise InputError(f"{source} holds another network ({other[0]} differs): give one of the same model and widths")
    generator.load_state_dict({name: _widened(found[name].to(own[name]), own[name]) for name in own}, strict=False)


def _of_onnx(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path} not found: give a run's folder or a file that `twoface export` wrote")
    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise InputError(f"{path} is not an ONNX file: give a run's folder or what `twoface export` wrote") from error
    if any(entry.key == INT8_OF for entry in model.metadata_props):
        raise InputError(f"{path} has 8-bit weights, too rough to train on from: give the file that it was made of")
    named = {i.name.removesuffix(HALF): numpy_helper.to_array(i) for i in model.graph.initializer}
    own = {name.removeprefix(PREFIX): value for name, value in named.items() if name.startswith(PREFIX)}
    return {name: torch.from_numpy(value.copy()) for name, value in own.items()}


def _fits(own: Tensor, found: Tensor) -> bool:
    same = own.shape == found.shape
    return same or (own.dim() == found.dim() == 4 and _but_inputs(own) == _but_inputs(found) and _more(own, found))


def _but_inputs(weight: Tensor) -> tuple[int, ...]:
    return (weight.shape[0], *weight.shape[2:])


def _more(own: Tensor, found: Tensor) -> bool:
    return own.shape[1] > found.shape[1]


def _widened(found: Tensor, own: Tensor) -> Tensor:
    if found.shape == own.shape:
        return found
    result = torch.zeros_like(own)
    result[:, : found.shape[1]] = found
    return result
