"""What a run of the see-through network is watched by: how far its points lie from the mesh of the whole face."""

from __future__ import annotations

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn

from twoface.core.frame import SIZE
from twoface.core.parts import named_hole
from twoface.research.data.portraits import MARGIN, Portraits
from twoface.research.training.validate import grid, to_bytes, to_planes

HOLES = ("center", "eyes", "lower", "mouth")
FIGURES = (*(f"error_{name}" for name in (*HOLES, "whole")), "minus_error_center")
BATCH = 32
PREVIEWS = 12


class MeshValidation:
    """The first picture of at most `limit` people of a split, under fixed holes and without one.

    meshes: float (N, 478, 3), of the portraits, in the pixels of their 128 frames. best: the figure by which the best
    checkpoint is chosen, the more the better.
    """

    best = "minus_error_center"

    def __init__(self, portraits: Portraits, meshes: np.ndarray, fabric: Fabric, limit: int = 160) -> None:
        places = np.unique(portraits.identity, return_index=True)[1][:limit]
        frame = slice(MARGIN, MARGIN + SIZE)
        pictures = torch.from_numpy(portraits.crops[places][:, frame, frame].copy())
        self.fabric, self.target = fabric, pictures.permute(0, 3, 1, 2).float() / 255
        self.points = torch.from_numpy(np.asarray(meshes[places], np.float32))
        holes = {name: np.stack([named_hole(name, mesh) for mesh in self.points.numpy()]) for name in HOLES}
        self.masks = {name: torch.from_numpy(masks).float()[:, None] for name, masks in holes.items()}
        self.masks["whole"] = torch.zeros(len(places), 1, SIZE, SIZE)

    def scores(self, network: nn.Module) -> dict[str, float]:
        """Mean distance, in pixels of the 128 frame, of the points inside each hole; without one, of all."""
        result = {}
        for name, mask in self.masks.items():
            distance = (self._points(network, mask) - self.points)[..., :2].norm(dim=-1)
            x, y = self.points[..., :2].round().long().clamp(0, SIZE - 1).unbind(-1)
            inside = (
                mask[:, 0][torch.arange(len(mask))[:, None], y, x] > 0
                if name != "whole"
                else torch.ones_like(distance, dtype=torch.bool)
            )
            result[f"error_{name}"] = float(distance[inside].mean())
        return result | {"minus_error_center": -result["error_center"]}

    def preview(self, network: nn.Module) -> np.ndarray:
        """uint8 RGB picture, a row for each face: masked, with the points found, with those of the whole face."""
        mask, n = self.masks["center"], slice(PREVIEWS)
        masked = self.target[n] * (1 - mask[n])
        columns = {
            "masked": masked,
            "found": _dotted(masked, self._points(network, mask)[n]),
            "whole face": _dotted(self.target[n], self.points[n]),
        }
        return grid(columns, 1)

    @torch.no_grad()
    def _points(self, network: nn.Module, mask: torch.Tensor) -> torch.Tensor:
        parts = []
        for target, hole in zip(self.target.split(BATCH), mask.split(BATCH), strict=True):
            with self.fabric.autocast():
                pair = (target.contiguous(memory_format=torch.channels_last), hole)
                parts.append(network(*map(self.fabric.to_device, pair))["points"].float().cpu())
        return torch.cat(parts)


def _dotted(pictures: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    result = to_bytes(pictures).copy()
    for picture, mesh in zip(result, points.numpy(), strict=True):
        x, y = mesh[:, :2].round().astype(int).clip(0, SIZE - 1).T
        picture[y, x] = (0, 255, 0)
    return to_planes(result)
