"""What a run of the occlusion network is watched by: drawn things and real glasses on pictures kept apart."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn

from twoface.research.data.occluders import UNKNOWN
from twoface.research.data.occlusion_samples import OcclusionSamples
from twoface.research.training.validate import grid, to_bytes, to_planes

FIGURES = ("iou", "found", "false_finds", "iou_minus_false")
BATCH = 32
PREVIEWS = 24
COVERED = 0.5  # probability
FEWEST = 40  # pixels: less is nothing


class OcclusionValidation:
    """The first `limit` samples of `samples`, always the same. best: as of `MeshValidation`."""

    best = "iou_minus_false"

    def __init__(self, samples: OcclusionSamples, fabric: Fabric, limit: int = 384) -> None:
        drawn = [samples[i] for i in range(min(limit, len(samples)))]
        self.fabric = fabric
        self.target = to_planes(np.stack([each["target"] for each in drawn]))
        self.covered = torch.from_numpy(np.stack([each["covered"] for each in drawn]))

    def scores(self, network: nn.Module) -> dict[str, float]:
        """Mean intersection over union where something covers the face, the share of these that overlap by .3 and more
        (found), and of the others the share with more than `FEWEST` marked pixels."""
        known = self.covered != UNKNOWN
        marked, truth = (self.marks(network) > COVERED) & known, (self.covered == 1) & known
        both, either = ((marked & truth).sum((1, 2)), (marked | truth).sum((1, 2)))
        has = truth.sum((1, 2)) >= FEWEST
        overlap = both[has] / either[has].clamp_min(1)
        empty = truth.sum((1, 2)) == 0
        scores = {
            "iou": float(overlap.mean()),
            "found": float((overlap >= 0.3).float().mean()),
            "false_finds": float((marked[empty].sum((1, 2)) > FEWEST).float().mean()),
        }
        return scores | {"iou_minus_false": scores["iou"] - scores["false_finds"]}

    def preview(self, network: nn.Module) -> np.ndarray:
        """uint8 RGB picture, a row for each: the picture, what was found in it (red) and what is there (green)."""
        n = slice(PREVIEWS)
        found = (self.marks(network)[n] > COVERED).numpy()
        columns = {
            "picture": self.target[n],
            "found": _outlined(self.target[n], found, (255, 0, 0)),
            "there": _outlined(self.target[n], (self.covered[n] == 1).numpy(), (0, 255, 0)),
        }
        return grid(columns, 1)

    @torch.no_grad()
    def marks(self, network: nn.Module) -> torch.Tensor:
        """The probability of each pixel of each sample to be covered, (N, 128, 128)."""
        return covered_in(network, self.target, self.fabric)


@torch.no_grad()
def covered_in(network: nn.Module, pictures: torch.Tensor, fabric: Fabric) -> torch.Tensor:
    """Pictures (N, 3, 128, 128) in [0, 1] -> the probability of each pixel to be covered, (N, 128, 128), on the CPU."""
    parts = []
    for some in pictures.split(BATCH):
        with fabric.autocast():
            given = fabric.to_device(some.contiguous(memory_format=torch.channels_last))
            parts.append(network(given)["covered"].float().cpu()[:, 0])
    return torch.cat(parts)


def _outlined(pictures: torch.Tensor, masks: np.ndarray, colour: tuple[int, int, int]) -> torch.Tensor:
    result = to_bytes(pictures).copy()
    for picture, mask in zip(result, masks, strict=True):
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colour, 1)
    return to_planes(result)
