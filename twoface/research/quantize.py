"""An exported network -> the same with 8-bit convolutions: half the time on a processor, next to the same fills."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from twoface.core.arrays import Batch
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import check_output, write_aside
from twoface.core.frame import SIZE
from twoface.core.mesh import Mesher
from twoface.core.network import INT8_OF, FillModel, no_reference, planes
from twoface.core.parts import named_hole
from twoface.core.reference import registered
from twoface.research.data.portraits import FRAME, MARGIN, Portraits
from twoface.research.evaluation.pairs import fixed_pairs

HOLES = ("center", "eyes", "lower")
PICTURES = 16  # channels: a convolution that takes or gives fewer sees or makes a picture, and stays in floating point
PARITY = 4.0  # largest mean difference in the holes, in levels of 255

Inputs = dict[str, Batch]


def quantize(source: Path, output: Path, data: Path, pairs: int = 48, force: bool = False) -> dict[str, Any]:
    """Write a network that `twoface export` wrote with 8-bit convolutions (static, each output channel its own scale).

    The weights use 7 of their 8 bits: processors without VNNI would overflow otherwise.
    data: as of `twoface train`; so many pairs of its training people, each with a hole, with the reference and without
    one, tell the range of every activation (Jacob et al. 2018).
    Returns {"path", "bytes", "difference"}: of fills of these pairs, the mean in the holes, in levels of 255.
    Raises InputError when `source` is no network that fills, or 8-bit already, the data cannot be used or `output`
    exists (without `force`); TwoFaceError when its fills are others.
    """
    check_output(output, force)
    network = FillModel(source)
    if INT8_OF in network.metadata:
        raise InputError(f"{source} has 8-bit convolutions already: give the file that it was made of")
    known = list(_inputs(Portraits.load(data, "train"), pairs))
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
        model = onnx.load(made)
        about = network.metadata | {INT8_OF: hashlib.sha256(source.read_bytes()).hexdigest()}
        onnx.helper.set_model_props(model, about)
        content = model.SerializeToString()
        made.write_bytes(content)
        difference = mean_difference(network, FillModel(made), known)
    if difference > PARITY:
        raise TwoFaceError(f"fills differ by {difference:.1f} levels (at most {PARITY:g} are allowed): give more pairs")
    write_aside(output, content, force=force)
    return {"path": str(output), "bytes": len(content), "difference": difference}


def mean_difference(one: FillModel, other: FillModel, known: list[Inputs]) -> float:
    """Of two networks' fills in the holes -> levels of 255."""
    apart = []
    for inputs in known:
        fills = [network.run(**inputs)["fill"] for network in (one, other)]
        apart.append(np.abs(fills[0] - fills[1])[:, :, inputs["mask"][0, 0] == 1].mean() * 255)
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
