"""VGG16's first layers, frozen: the features of the perceptual loss."""

from __future__ import annotations

from pathlib import Path

import h5py
import torch
from torch import Tensor, nn
from torch.nn import functional as F

MEAN = (122.67892, 116.66877, 104.00699)  # RGB on the 0..255 scale, as the weights were trained with (Caffe)
LAYERS = (("block1", 2), ("block2", 2), ("block3", 3))  # up to conv3_3


class VGG16Features(nn.Module):
    """Activations conv1_2, conv2_2 and conv3_1 of VGG16 (Simonyan and Zisserman 2014), frozen, normalisation inside.

    forward(picture (N, 3, H, W) RGB in [0, 1]) -> list of (N, 64, H, W), (N, 128, H/2, W/2), (N, 256, H/4, W/4).
    """

    def __init__(self, path: Path):
        """path: the Keras file that `twoface.models.pretrained.vgg16_weights` fetches."""
        super().__init__()
        self.blocks = nn.ModuleList()
        with h5py.File(path) as file:
            for (block, count), used in zip(LAYERS, (2, 2, 1), strict=True):
                layers = []
                for i in range(min(count, used)):
                    group = file[f"{block}/layers/conv2d{f'_{i}' if i else ''}/vars"]
                    kernel = torch.from_numpy(group["0"][:]).permute(3, 2, 0, 1)  # HWIO -> OIHW
                    if block == "block1" and i == 0:
                        kernel = kernel.flip(1)  # trained on BGR
                    layer = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
                    layer.weight.data = kernel.contiguous()
                    layer.bias.data = torch.from_numpy(group["1"][:])
                    layers += [layer, nn.ReLU()]
                self.blocks.append(nn.Sequential(*layers))
        self.register_buffer("mean", torch.tensor(MEAN)[None, :, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> VGG16Features:
        return super().train(False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        x, features = picture * 255 - self.mean, []
        for i, block in enumerate(self.blocks):
            x = block(F.max_pool2d(x, 2) if i else x)
            features.append(x)
        return features
