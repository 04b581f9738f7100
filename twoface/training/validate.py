"""What a run is watched by: the same pairs and holes each time, and whether the right reference beats none."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from twoface.data.portraits import MARGIN, SIZE, Portraits
from twoface.evaluation.pairs import fixed_pairs
from twoface.files import write_aside
from twoface.masks import named_hole
from twoface.training.step import face_view

CENTER = 64  # px, the side of the validation's hole
PREVIEWS = 12


class Validation:
    """Fixed pairs of a split, at most `limit` people, with a centre hole of 64x64."""

    def __init__(self, portraits: Portraits, facenet: nn.Module, fabric: Fabric, limit: int = 160):
        pairs = fixed_pairs(portraits)
        self.fabric, self.facenet = fabric, facenet
        self.target, self.right, self.wrong = (
            _frames(portraits, places[:limit]) for places in (pairs.target, pairs.reference, pairs.stranger)
        )
        self.mask = torch.from_numpy(named_hole("center", SIZE, CENTER)).float()[None, None]
        self.truth = self._embed(self.target)

    def scores(self, generator: nn.Module) -> dict[str, float]:
        """Hole PSNR (dB) and cosine to the truth with the right reference, none, and a stranger's."""
        result = {}
        for name, reference in (("right", self.right), ("none", torch.zeros_like(self.right)), ("wrong", self.wrong)):
            composite = self._fill(generator, reference)["composite"]
            error = ((composite - self.target).square() * self.mask).sum((1, 2, 3)) / (3 * self.mask.sum())
            result[f"hole_psnr_{name}"] = float((-10 * error.log10()).mean())
            result[f"cosine_truth_{name}"] = float((self._embed(composite) * self.truth).sum(1).mean())
        return result | {"right_minus_none": result["cosine_truth_right"] - result["cosine_truth_none"]}

    def preview(self, generator: nn.Module) -> np.ndarray:
        """uint8 RGB picture; rows: target, masked, reference, filled, filled without reference, synthesis, weight."""
        n = slice(PREVIEWS)
        right = self._fill(generator, self.right[n])
        none = self._fill(generator, torch.zeros_like(self.right[n]))
        target, mask = self.target[n], self.mask
        weight = torch.nn.functional.interpolate(right["weight"], (SIZE, SIZE)).expand(-1, 3, -1, -1)
        rows = [
            target,
            target * (1 - mask),
            self.right[n],
            right["composite"],
            none["composite"],
            right["synthesis"],
            weight,
        ]
        picture = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
        return (picture.permute(1, 2, 0).numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8)

    @torch.no_grad()
    def _fill(self, generator: nn.Module, reference: Tensor) -> dict[str, Tensor]:
        parts = []
        for target, ref in zip(self.target[: len(reference)].split(16), reference.split(16), strict=True):
            mask = self.mask.expand(len(target), -1, -1, -1)
            with self.fabric.autocast():
                moved = [
                    self.fabric.to_device(x.contiguous(memory_format=torch.channels_last)) for x in (target, mask, ref)
                ]
                out = generator(*moved)
            out = {name: value.float().cpu() for name, value in out.items()}
            parts.append(out | {"composite": mask * out["fill"] + (1 - mask) * target})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    @torch.no_grad()
    def _embed(self, pictures: Tensor) -> Tensor:
        with self.fabric.autocast():
            return torch.cat(
                [self.facenet(self.fabric.to_device(face_view(p))).float().cpu() for p in pictures.split(16)]
            )


def _frames(portraits: Portraits, places: np.ndarray) -> Tensor:
    frame = slice(MARGIN, MARGIN + SIZE)
    return torch.from_numpy(portraits.crops[places][:, frame, frame].copy()).permute(0, 3, 1, 2).float() / 255


def embed_all(portraits: Portraits, facenet: nn.Module, fabric: Fabric, cache: Path | None) -> Tensor:
    """FaceNet embeddings of all crops, as they are, (N, 512) in float32; kept in `cache` when given."""
    key = zlib.crc32("\n".join(portraits.paths).encode())
    path = cache / f"embeddings-{len(portraits)}-{key:08x}.npy" if cache else None
    if path and path.exists():
        return torch.from_numpy(np.load(path))
    parts = []
    with torch.no_grad(), fabric.autocast():
        for start in range(0, len(portraits), 32):
            frames = _frames(portraits, np.arange(start, min(start + 32, len(portraits))))
            view = face_view(frames).contiguous(memory_format=torch.channels_last)
            parts.append(facenet(fabric.to_device(view)).float().cpu())
    embeddings = torch.cat(parts)
    if path:
        write_aside(path, lambda aside: np.save(aside, embeddings.numpy()), force=True)
    return embeddings


def write_picture(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[:, :, ::-1])
