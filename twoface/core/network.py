"""The exported fill network: its file, its metadata, one call. `docs/architecture.md` describes the contract."""

import os
from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import onnxruntime

from twoface.core.arrays import Batch, Fields, Mask, Picture
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import PathLike
from twoface.core.frame import SIZE

REQUIRED_METADATA = {
    "twoface.format": "3",
    "twoface.size": str(SIZE),
    "twoface.field_size": "32",
    "twoface.range": "0..1",
    "twoface.mask": "1=hole",
}
INPUT_DEPTHS = {"image": 3, "mask": 1, "reference": 3, "trust": 1}  # all (N, depth, 128, 128)
OUTPUT_SHAPES = {
    "fill": (3, SIZE, SIZE),
    "synthesis": (3, SIZE, SIZE),
    "flow": (2, 32, 32),
    "gain": (3, 32, 32),
    "offset": (3, SIZE, SIZE),
    "weight": (1, 32, 32),
}
INT8_OF = "twoface.int8_of"  # metadata of a file with 8-bit convolutions: the SHA-256 of that it was made of
LIT = 80  # of 0..255: a face whose lighter parts are darker than this is lifted to it for the network
MIRRORED_FLOW = np.array([-1, 1], np.float32)[:, None, None]  # what the mirror image's flow (dx, dy) is times

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def shipped(device: str = "cpu") -> Path:
    """The network that ships with the package: for a processor with 8-bit convolutions, which it runs in half the time.

    device: as of `open_session`.
    """
    name = "twoface-int8.onnx" if device == "cpu" else "twoface.onnx"
    return Path(str(resources.files("twoface"))) / "weights" / name


def open_session(
    path: PathLike | Traversable, threads: int | None = None, device: str = "cpu", keep: bool = True
) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session; threads: within one operator, default at most 2. device: "cpu" or "cuda".

    keep: the memory of a run for the next one, which is quicker; of inputs of many sizes it would grow with each.
    Raises TwoFaceError when this ONNX Runtime cannot use that device; it does not fall back to another.
    """
    provider = _PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise TwoFaceError(
            f"no GPU can be used: this ONNX Runtime has no {provider}, which the package onnxruntime-gpu brings; or use"
            " the CPU",
            code="no_gpu",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or min(2, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = keep
    options.log_severity_level = 4 if device == "cpu" else 3  # what fails is raised; of a GPU it says more
    # Threads that spin while they wait take the processor from whoever shares it: twice the work on a busy machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    if session.get_providers()[0] != provider:  # it warns and goes on with the processor
        raise TwoFaceError(
            f"no GPU was found: ONNX Runtime could not start {provider} (its message is above); or use the CPU",
            code="no_gpu",
        )
    return session


@runtime_checkable
class Network(Protocol):
    """What fills crops, as `FillModel` does: that, or the network of a `twoface serve`."""

    def run(self, image: Batch, mask: Batch, reference: Batch, trust: Batch | None = None) -> Fields: ...


class FillModel:
    """The fill network on ONNX Runtime; `metadata` holds the file's `twoface.*` entries.

    path: an exported ONNX file; default `shipped`.
    threads, device: as `open_session`.
    Raises InputError when the file is missing, not ONNX, or not a network of this contract.
    """

    def __init__(self, path: PathLike | None = None, threads: int | None = None, device: str = "cpu") -> None:
        path = shipped(device) if path is None else path
        if not os.path.isfile(path):
            raise InputError(f"no network at {path}: give an ONNX file that 'twoface export' wrote")
        try:
            self._session = open_session(path, threads, device)
        except _LOAD_ERRORS as error:
            raise InputError(f"{path} is not a readable ONNX file: give one that 'twoface export' wrote") from error
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        for key, value in REQUIRED_METADATA.items():
            found = self.metadata.get(key, "nothing")
            if key == "twoface.format" and found in ("1", "2"):
                raise InputError(
                    f"{path} is a network of an earlier version (format {found}), and this one runs format {value}:"
                    " train on from its weights, and export that"
                )
            if found != value:
                raise InputError(f"{path} says {found} for {key}, not {value}: give a file that 'twoface export' wrote")
        names = {i.name for i in self._session.get_inputs()}
        missing = {*INPUT_DEPTHS} - names | OUTPUT_SHAPES.keys() - {o.name for o in self._session.get_outputs()}
        if missing:
            raise InputError(f"{path} lacks {', '.join(sorted(missing))}: give a file that 'twoface export' wrote")

    def run(self, image: Batch, mask: Batch, reference: Batch, trust: Batch | None = None) -> Fields:
        """Fill the holes of N crops -> dict of float32 arrays, named and shaped as `OUTPUT_SHAPES` with N before.

        image, reference: float32 (N, 3, 128, 128) in [0, 1]; the reference is registered to the image
        (`twoface.core.register`), and an all-zero one means none.
        mask: float32 (N, 1, 128, 128) of exactly 0 and 1, 1 = hole.
        trust: float32 (N, 1, 128, 128) in [0, 1], of the registration; default 1 everywhere.
        Raises InputError for a hole beyond what the file fills, ValueError for other inputs, TwoFaceError when the
        network fails or answers something not finite.
        """
        trust = np.ones_like(mask) if trust is None else trust
        inputs = dict(zip(INPUT_DEPTHS, (image, mask, reference, trust), strict=True))
        for name, array in inputs.items():
            shape = (len(image), INPUT_DEPTHS[name], SIZE, SIZE)
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(f"{name} must be float32 {shape}, not {array.dtype} {array.shape}")
            if not (array.min() >= 0 and array.max() <= 1):  # written so that NaN fails too
                raise ValueError(f"{name} must lie in [0, 1]")
        if not np.isin(mask, (0, 1)).all():
            raise ValueError("mask must hold only 0 and 1")
        self._check_hole(mask)
        try:
            outputs = dict(zip(OUTPUT_SHAPES, self._session.run(list(OUTPUT_SHAPES), inputs), strict=True))
        except _RUN_ERRORS as error:
            raise TwoFaceError(f"the network failed: {str(error).splitlines()[0]}") from error
        return checked(outputs, len(image), "export it again")

    def _check_hole(self, mask: Batch) -> None:
        if "twoface.hole" in self.metadata:  # a network of the thesis: docs/experiments.md
            x0, y0, x1, y1 = map(int, self.metadata["twoface.hole"].split(","))
            if mask.sum() > mask[:, :, y0:y1, x0:x1].sum():
                raise InputError(
                    f"this network fills nothing outside {x0},{y0},{x1},{y1} of the 128x128 crop, and the hole goes"
                    f" beyond: try the hole center with a center size of {x1 - x0 - 8}, or another network"
                )


def both_ways(network: Network, image: Batch, mask: Batch, reference: Batch, trust: Batch) -> Fields:
    """The mean of what a network answers and of what it answers mirrored; arguments and result as of `FillModel.run`.

    Errors that differ from side to side, noise above all, partly cancel (test-time augmentation, Krizhevsky et al.
    2012).
    """
    given = [np.concatenate([batch, batch[..., ::-1]]) for batch in (image, mask, reference, trust)]
    mean: Fields = {}
    for name, found in network.run(*given).items():
        straight, mirrored = np.split(found, 2)
        mirrored = mirrored[..., ::-1]
        mean[name] = (straight + (mirrored * MIRRORED_FLOW if name == "flow" else mirrored)) * np.float32(0.5)
    return mean


def planes(crop: Picture, unknown: Mask) -> tuple[Batch, Batch]:
    """A crop and its hole as networks take them: (1, 3, 128, 128) in [0, 1] and (1, 1, 128, 128), float32.

    crop: (128, 128, 3), uint8 or float32 of 0..255; unknown: bool (128, 128), what of it is not known.
    """
    image = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    return image, unknown[None, None].astype(np.float32)


def no_reference(count: int = 1) -> tuple[Batch, Batch]:
    """What `FillModel.run` takes of a reference and its trust where there is none."""
    return np.zeros((count, 3, SIZE, SIZE), np.float32), np.zeros((count, 1, SIZE, SIZE), np.float32)


def asked(
    run: Callable[[Batch, Batch, Batch, Batch], Fields], crop: Picture, unknown: Mask, reference: Batch, trust: Batch
) -> Fields:
    """What a network answers of one crop -> {name: (C, h, w)}, named as `OUTPUT_SHAPES`.

    run: as of `FillModel.run`, which a dark crop is shown brightened, its hole black. crop, unknown: as of `planes`.
    reference, trust: as `run` takes them.
    """
    factor = _lift(crop, unknown)
    image, mask = planes(np.where(unknown[..., None], 0, crop), unknown)
    fields = run(np.minimum(image * np.float32(factor), 1), mask, reference, trust)
    return lowered({name: field[0] for name, field in fields.items()}, factor)


def _lift(crop: Picture, unknown: Mask) -> float:
    """By how much a dark photo is brightened for the network, which learned from daylight -> float, 1 or more."""
    middle = np.zeros_like(unknown)
    middle[24:112, 24:104] = True
    known = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[middle & ~unknown]
    return max(1.0, LIT / max(float(np.percentile(known, 75)), 1)) if known.size else 1.0


def lowered(fields: Fields, factor: float) -> Fields:
    """The network's outputs for a photo that was brightened by `factor`, {name: (C, h, w)} -> those for the photo."""
    lit = ("fill", "synthesis", "gain", "offset")
    return {name: field / np.float32(factor) if name in lit else field for name, field in fields.items()}


def checked(outputs: Fields, rows: int, advice: str) -> Fields:
    """The outputs, {name: array}, if they are what `FillModel.run` promises. Raises TwoFaceError, `advice` its end."""
    for name, shape in OUTPUT_SHAPES.items():
        array = outputs[name]
        if array.shape != (rows, *shape) or array.dtype != np.float32:
            raise TwoFaceError(f"the network's {name} is {array.dtype} {array.shape}: {advice}")
        if not np.isfinite(array).all():
            raise TwoFaceError(f"the network's {name} is not finite: {advice}")
    return outputs


_RUN_ERRORS = (
    onnxruntime.capi.onnxruntime_pybind11_state.Fail,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument,
    onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException,
)
_LOAD_ERRORS = (
    *_RUN_ERRORS,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph,
    onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented,
)
