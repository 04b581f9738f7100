"""An exported network -> the same with 8-bit convolutions: half the time on a processor, next to the same answers."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from twoface.core.arrays import Batch, Fields
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import check_output, write_aside
from twoface.core.frame import SIZE
from twoface.core.mesh import Mesher, MeshNetwork
from twoface.core.network import INT8_OF, FillModel, no_reference, open_session, planes
from twoface.core.parts import named_hole
from twoface.core.reference import registered
from twoface.research.data.mesh_samples import MeshSamples
from twoface.research.data.portraits import FRAME, MARGIN, Augmentation, Portraits
from twoface.research.evaluation.pairs import fixed_pairs
from twoface.research.export import MESH, half_weights

HOLES = ("center", "eyes", "lower")
PICTURES = 16  # channels: a convolution that takes or gives fewer sees or makes a picture, and stays in floating point
OFF = Augmentation(
    rotation=25.0, rotated_share=0.5, scale=0.18, shift=9.0
)  # frames, as of experiments/see_through.toml

Inputs = dict[str, Batch]


@dataclass(frozen=True)
class Kind:
    """Networks that are quantized alike: what is compared, in words, and how large its mean difference may be."""

    words: str
    parity: float


FILLS = Kind("fills differ by {:.1f} of 255 levels", 4.0)
MESHES = Kind("points differ by {:.2f} crop pixels", 0.2)


class MeshModel:
    """An exported see-through network, run as `FillModel` runs those that fill."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def run(self, **inputs: Batch) -> Fields:
        """image, mask: as of `twoface.core.network.planes` -> {"points": (1, 478, 3)}, crop pixels."""
        return {"points": self._session.run(None, inputs)[0]}


def quantize(source: Path, output: Path, data: Path, pairs: int = 48, force: bool = False) -> dict[str, Any]:
    """Write a network that `twoface export` wrote, one that fills or the see-through network, with 8-bit convolutions
    (static, each output channel its own scale).

    The weights use 7 of their 8 bits: processors without VNNI would overflow otherwise.
    data: as of `twoface train`; so many pairs of its training people, each with a hole, with the reference and without
    one, tell the range of every activation (Jacob et al. 2018); for the see-through network the first of each, twice.
    Returns {"path", "bytes", "difference"}, the last in words: of the answers for these, the mean in the holes.
    Raises InputError when `source` is no such network, or 8-bit already, the data cannot be used or `output` exists
    (without `force`); TwoFaceError when its answers are others.
    """
    check_output(output, force)
    mesh = _sees_through(source)
    kind, network = (MESHES, MeshModel(source)) if mesh else (FILLS, FillModel(source))
    if INT8_OF in network.metadata:
        raise InputError(f"{source} has 8-bit convolutions already: give the file that it was made of")
    known = list((_faces if mesh else _inputs)(Portraits.load(data, "train"), pairs))
    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(source), str(plain), skip_symbolic_shape=True)
        quantize_static(
            str(plain),
            str(made),
            _Reader(known),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_of_pictures(onnx.load(plain)),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        model = half_weights(onnx.load(made)) if mesh else onnx.load(made)
        about = network.metadata | {INT8_OF: hashlib.sha256(source.read_bytes()).hexdigest()}
        onnx.helper.set_model_props(model, about)
        content = model.SerializeToString()
        made.write_bytes(content)
        difference = mean_difference(network, MeshModel(made) if mesh else FillModel(made), known)
    words = kind.words.format(difference)
    if difference > kind.parity:
        raise TwoFaceError(f"{words}, at most {kind.parity:g} is allowed: give more pairs")
    write_aside(output, content, force=force)
    return {"path": str(output), "bytes": len(content), "difference": words}


def _sees_through(source: Path) -> bool:
    """Whether a file holds the see-through network; what is no ONNX file is left to `FillModel` to refuse."""
    try:
        return any(entry.key == MESH for entry in onnx.load(source).metadata_props)
    except (OSError, DecodeError):
        return False


def mean_difference(one: FillModel | MeshModel, other: FillModel | MeshModel, known: list[Inputs]) -> float:
    """Of two networks' answers -> levels of 255 in the holes, or crop pixels."""
    apart = []
    for inputs in known:
        first, second = (network.run(**inputs) for network in (one, other))
        if "points" in first:
            apart.append(np.linalg.norm((first["points"] - second["points"])[..., :2], axis=-1).mean())
        else:
            apart.append(np.abs(first["fill"] - second["fill"])[:, :, inputs["mask"][0, 0] == 1].mean() * 255)
    return float(np.mean(apart))


def _inputs(portraits: Portraits, count: int) -> Iterator[Inputs]:
    pairs, mesher = fixed_pairs(portraits), Mesher(1)
    for number, row in enumerate(np.unique(np.linspace(0, len(pairs) - 1, count).astype(int))):
        target, reference = pairs.target[row], pairs.reference[row]
        mesh, other = (mesher.find(portraits.crops[place], FRAME).points for place in (target, reference))
        points = mesh - (MARGIN, MARGIN, 0)
        hole = named_hole(HOLES[number % len(HOLES)], points)
        crop = portraits.crops[target][MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
        image, mask = planes(np.where(hole[..., None], np.uint8(0), crop), hole)
        laid = registered(points, hole, portraits.crops[reference], other)
        for shown, trust in (laid.planes(), no_reference()):
            yield {"image": image, "mask": mask, "reference": shown, "trust": trust}


def _faces(portraits: Portraits, count: int) -> Iterator[Inputs]:
    """What the see-through network learns from: holes of every kind, or none, in frames that are off."""
    places = np.unique(np.linspace(0, len(portraits) - 1, count).astype(int))
    network = MeshNetwork(1)
    few = replace(
        portraits,
        crops=portraits.crops[places],
        identity=portraits.identity[places],
        paths=[portraits.paths[place] for place in places],
    )
    meshes = np.stack([network.find(crop, FRAME).moved(FRAME.transform()).points for crop in few.crops])
    samples = MeshSamples(few, meshes, seed=0, length=2 * len(few), augmentation=OFF)
    for number in range(len(samples)):  # which is random access without end
        sample = samples[number]
        hole = sample["mask"].view(bool)
        image, mask = planes(np.where(hole[..., None], np.uint8(0), sample["target"]), hole)
        yield {"image": image, "mask": mask}


def _of_pictures(model: onnx.ModelProto) -> list[str]:
    """The names of the convolutions that stay in floating point."""
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [node.name for node in convolutions if min(shapes[node.input[1]][:2]) < PICTURES]


class _Reader(CalibrationDataReader):
    def __init__(self, known: list[Inputs]) -> None:
        self._left = iter(known)

    def get_next(self) -> Inputs | None:
        return next(self._left, None)
