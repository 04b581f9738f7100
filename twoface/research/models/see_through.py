"""The mesh of a face with a hole in it: a small network, distilled from MediaPipe's on whole faces."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from twoface.core.mesh import POINTS, template_mesh
from twoface.research.models.blocks import NormedResBlock

CODES = 96  # principal components: they give meshes back to some thousandths of a pixel


class SeeThrough(nn.Module):
    """Masked crop and its hole -> the whole mesh, where it shows and where it does not.

    A small residual network predicts a code; the mesh is the mean mesh and the code's share of the principal components
    of the training meshes (`set_space`), so it is always a face's (as the shape models of Blanz and Vetter 1999).

    forward(image (N,3,128,128) in [0,1], mask (N,1,128,128) of 0 and 1) -> {"points": (N,478,3)}, crop pixels. What
    `image` holds inside the hole does not matter.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 192), codes: int = CODES) -> None:
        super().__init__()
        w64, w32, w16, w8 = widths
        self.trunk = nn.Sequential(
            nn.Conv2d(4, w64, 5, stride=2, padding=2),
            NormedResBlock(w64),
            nn.Conv2d(w64, w32, 3, stride=2, padding=1),
            NormedResBlock(w32),
            NormedResBlock(w32),
            nn.Conv2d(w32, w16, 3, stride=2, padding=1),
            NormedResBlock(w16),
            NormedResBlock(w16),
            nn.Conv2d(w16, w8, 3, stride=2, padding=1),
            NormedResBlock(w8),
            NormedResBlock(w8),
            nn.LeakyReLU(0.1),
            nn.Conv2d(w8, 64, 1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(64 * 64, 512),
            nn.LeakyReLU(0.1),
            nn.Linear(512, codes),
        )
        self.register_buffer("mean", torch.from_numpy(template_mesh()).float().reshape(1, -1))
        self.register_buffer("basis", torch.zeros(codes, POINTS * 3))

    def set_space(self, meshes: np.ndarray) -> None:
        """Take mean and principal components from meshes (N, 478, 3), in place."""
        flat = torch.from_numpy(np.asarray(meshes, np.float32)).reshape(len(meshes), -1)
        mean = flat.mean(0, keepdim=True)
        codes = min(len(self.basis), *flat.shape)
        _, spread, components = torch.pca_lowrank(flat - mean, codes, center=False, niter=4)
        self.mean.copy_(mean)
        self.basis.zero_()
        self.basis[:codes] = components.T * (spread[:, None] / len(flat) ** 0.5)

    def forward(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        code = self.trunk(torch.cat([(image - 0.5) * (1 - mask), mask], dim=1)).float()
        return {"points": (self.mean + code @ self.basis).reshape(-1, POINTS, 3)}
