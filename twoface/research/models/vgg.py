"""VGG16's convolutions, frozen: the features of the perceptual loss and the first layers of the thesis' networks."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

BLOCKS = (2, 2, 3, 3, 3)  # convolutions of each block; behind each block a pooling layer halves the picture
PERCEPTUAL = ("conv1_2", "conv2_2", "conv3_1")
LAYERS = [
    name
    for block, count in enumerate(BLOCKS, 1)
    for name in [*(f"conv{block}_{i}" for i in range(1, count + 1)), f"pool{block}"]
]


class VGG16(nn.Module):
    """VGG16 without its dense layers (Simonyan and Zisserman 2014), frozen, normalisation inside, always in eval mode.

    forward(picture (N, 3, H, W) RGB in [0, 1], names of LAYERS, in their order) -> the activations of these, behind
    the ReLU: conv2_2 (N, 128, H/2, W/2), pool3 (N, 256, H/8, W/8), conv4_3 (N, 512, H/8, W/8), pool5
    (N, 512, H/32, W/32). Nothing behind the last of them is computed. No weight is a parameter, or saved with a run.
    """

    mean: Tensor

    def __init__(self, path: Path) -> None:
        """path: what `twoface.research.models.pretrained.weights("vgg16-edges")` gives."""
        super().__init__()
        for name, tensor in load_file(path).items():
            self.register_buffer(name.replace(".", "_"), tensor, persistent=False)
        self.eval()

    def train(self, mode: bool = True) -> VGG16:
        return super().train(False)

    def forward(self, picture: Tensor, names: tuple[str, ...] = PERCEPTUAL) -> list[Tensor]:
        x, found = picture - self.mean[None, :, None, None], []
        for name in LAYERS[: LAYERS.index(names[-1]) + 1]:
            if name.startswith("pool"):
                x = F.max_pool2d(x, 2)
            else:
                weight, bias = getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias")
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
            if name in names:
                found.append(x)
        return found


class Trunk(nn.Module):
    """VGG16 up to one layer, as the first part of a network that learns.

    forward(picture (N, 3, H, W) in [0, 1]) -> that layer's activations, divided by about their deviation over faces, so
    that a fresh layer behind it starts from values near 1.
    """

    SCALE = {"pool3": 17.0, "conv4_3": 3.6, "pool5": 13.0}

    def __init__(self, vgg: nn.Module, layer: str) -> None:
        super().__init__()
        self.vgg, self.layer = vgg, layer

    def forward(self, picture: Tensor) -> Tensor:
        return self.vgg(picture, (self.layer,))[0] / self.SCALE[self.layer]
