"""FaceNet 20180408-102900 (Inception-ResNet v1, 512-d) in PyTorch, frozen: the identity loss needs its gradient."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

INPUT = 160  # px
BLOCK35, BLOCK17, BLOCK8, LAST = 0.17, 0.10, 0.20, 1.0  # what a residual block adds, scaled by


class FaceNet(nn.Module):
    """A face -> its unit embedding (Schroff et al. 2015; David Sandberg's network, batch norms folded in).

    forward(face (N, 3, 160, 160) RGB in [0, 1]) -> (N, 512), unit length. Its normalisation is inside: prewhitening
    (zero mean, unit deviation of each picture) or the fixed scale that VGGFace2's weights were trained with. Always in
    eval mode; has no trainable parameter. Layers are looked up by the names of the original graph.
    """

    def __init__(self, path: Path) -> None:
        """path: what `twoface.research.models.pretrained.weights("facenet-casia")` gives."""
        super().__init__()
        tensors = load_file(path)

        def conv(name: str, stride: int = 1, valid: bool = False) -> _Conv:
            return _Conv(tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride, valid)

        def chain(*names: str, last_stride: int = 1) -> nn.Sequential:
            *inner, last = names
            return nn.Sequential(*map(conv, inner), conv(last, last_stride, valid=last_stride > 1))

        def residual(name: str, scale: float, *branches: tuple[str, ...], relu: bool = True) -> _Residual:
            inside: list[nn.Module] = [chain(*(f"{name}/{layer}" for layer in branch)) for branch in branches]
            return _Residual(inside, conv(f"{name}/Conv2d_1x1"), scale, relu)

        def block35(name: str) -> _Residual:
            b1, b2 = "Branch_1/Conv2d_0", "Branch_2/Conv2d_0"
            second, third = (b1 + "a_1x1", b1 + "b_3x3"), (b2 + "a_1x1", b2 + "b_3x3", b2 + "c_3x3")
            return residual(name, BLOCK35, ("Branch_0/Conv2d_1x1",), second, third)

        def block17(name: str) -> _Residual:
            b1 = "Branch_1/Conv2d_0"
            return residual(name, BLOCK17, ("Branch_0/Conv2d_1x1",), (b1 + "a_1x1", b1 + "b_1x7", b1 + "c_7x1"))

        def block8(name: str, scale: float = BLOCK8, relu: bool = True) -> _Residual:
            b1 = "Branch_1/Conv2d_0"
            branches = ("Branch_0/Conv2d_1x1",), (b1 + "a_1x1", b1 + "b_1x3", b1 + "c_3x1")
            return residual(name, scale, *branches, relu=relu)

        self.trunk = nn.Sequential(
            conv("Conv2d_1a_3x3", 2, valid=True),
            conv("Conv2d_2a_3x3", valid=True),
            conv("Conv2d_2b_3x3"),
            nn.MaxPool2d(3, 2),
            conv("Conv2d_3b_1x1"),
            conv("Conv2d_4a_3x3", valid=True),
            conv("Conv2d_4b_3x3", 2, valid=True),
            *(block35(f"Repeat/block35_{i}") for i in range(1, 6)),
            _Branches(
                chain("Mixed_6a/Branch_0/Conv2d_1a_3x3", last_stride=2),
                chain(*(f"Mixed_6a/Branch_1/Conv2d_{n}" for n in ("0a_1x1", "0b_3x3", "1a_3x3")), last_stride=2),
                nn.MaxPool2d(3, 2),
            ),
            *(block17(f"Repeat_1/block17_{i}") for i in range(1, 11)),
            _Branches(
                chain(*(f"Mixed_7a/Branch_0/Conv2d_{n}" for n in ("0a_1x1", "1a_3x3")), last_stride=2),
                chain(*(f"Mixed_7a/Branch_1/Conv2d_{n}" for n in ("0a_1x1", "1a_3x3")), last_stride=2),
                chain(*(f"Mixed_7a/Branch_2/Conv2d_{n}" for n in ("0a_1x1", "0b_3x3", "1a_3x3")), last_stride=2),
                nn.MaxPool2d(3, 2),
            ),
            *(block8(f"Repeat_2/block8_{i}") for i in range(1, 6)),
            block8("Block8", LAST, relu=False),
        )
        self.register_buffer("head", tensors["head"])
        self.register_buffer("head_bias", tensors["head_bias"])
        self.prewhiten = bool(tensors["prewhiten"])
        self.eval()

    def train(self, mode: bool = True) -> FaceNet:
        return super().train(False)

    def forward(self, face: Tensor) -> Tensor:
        x = face * 255
        mean: Tensor | float = 127.5
        deviation: Tensor | float = 128.0
        if self.prewhiten:
            mean = x.mean((1, 2, 3), keepdim=True)
            deviation = x.std((1, 2, 3), keepdim=True, correction=0).clamp_min(x.shape[1:].numel() ** -0.5)
        x = self.trunk((x - mean) / deviation)
        return F.normalize(x.mean((2, 3)).float() @ self.head + self.head_bias, dim=1)


class _Conv(nn.Module):
    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, valid: bool) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.stride = stride
        self.padding = (0, 0) if valid else (weight.shape[2] // 2, weight.shape[3] // 2)
        self.linear = False

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        return x if self.linear else F.relu(x)


class _Branches(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class _Residual(nn.Module):
    def __init__(self, branches: list[nn.Module], up: _Conv, scale: float, relu: bool) -> None:
        super().__init__()
        self.branches, self.up, self.scale, self.relu = _Branches(*branches), up, scale, relu
        self.up.linear = True

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.up(self.branches(x))
        return F.relu(x) if self.relu else x
