"""VGG16's first layers, frozen: the features of the perceptual loss."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

LAYERS = (2, 2, 1)  # convolutions of each block that are used


class VGG16Features(nn.Module):
    """Activations conv1_2, conv2_2 and conv3_1 of VGG16 (Simonyan and Zisserman 2014), frozen, normalisation inside.

    forward(picture (N, 3, H, W) RGB in [0, 1]) -> list of (N, 64, H, W), (N, 128, H/2, W/2), (N, 256, H/4, W/4).
    """

    def __init__(self, path: Path):
        """path: what `twoface.models.pretrained.weights("vgg16-edges")` gives."""
        super().__init__()
        tensors = load_file(path)
        self.blocks = nn.ModuleList()
        for block, count in enumerate(LAYERS, 1):
            layers = []
            for i in range(1, count + 1):
                weight, bias = (tensors[f"conv{block}_{i}.{kind}"] for kind in ("weight", "bias"))
                layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                layer.weight.data, layer.bias.data = weight, bias
                layers += [layer, nn.ReLU()]
            self.blocks.append(nn.Sequential(*layers))
        self.register_buffer("mean", tensors["mean"][None, :, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> VGG16Features:
        return super().train(False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        x, features = picture - self.mean, []
        for i, block in enumerate(self.blocks):
            x = block(F.max_pool2d(x, 2) if i else x)
            features.append(x)
        return features
