"""Faces with holes and the meshes that they have behind them: what the see-through network learns from. No torch."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from twoface.core.arrays import Meshes
from twoface.core.frame import SIZE
from twoface.core.mesh import moved
from twoface.research.data.portraits import Augmentation, Portraits, moved_frame, recoloured, stored
from twoface.research.data.random_holes import random_hole


class MeshSamples:
    """An endless, random-access list: sample `i` depends on (seed, i) alone.

    A sample is a dict of `target`: uint8 (128, 128, 3) RGB; `mask`: uint8 (128, 128), 1 = hole, empty in `whole_share`
    of them; `points`: float32 (478, 3), the mesh in the target's pixels.
    """

    def __init__(
        self,
        portraits: Portraits,
        meshes: Meshes,
        seed: int,
        length: int,
        augmentation: Augmentation,
        whole_share: float = 0.12,
    ) -> None:
        self.portraits, self.meshes, self.seed, self.length = portraits, meshes, seed, length
        self.augmentation, self.whole_share = augmentation, whole_share

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, index))
        crop, points = stored(self.portraits, self.meshes, int(rng.integers(len(self.portraits))), rng.random() < 0.5)
        how = self.augmentation
        move = moved_frame(rng, how)
        view = cv2.warpAffine(crop, move, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        points = moved(points, move)
        hole = np.zeros((SIZE, SIZE), bool) if rng.random() < self.whole_share else random_hole(rng, points)
        return {
            "target": recoloured(rng, view, how),
            "mask": hole.astype(np.uint8),
            "points": points.astype(np.float32),
        }
