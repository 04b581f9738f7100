"""What a run on faces is watched by: the same pairs and holes each time, and whether the right reference helps."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from twoface.core.files import write_aside
from twoface.core.frame import SIZE
from twoface.core.masks import center_hole
from twoface.core.mesh import fitted
from twoface.research.data.portraits import MARGIN, Portraits, in_crop, registered
from twoface.research.evaluation.grid import draw_grid
from twoface.research.evaluation.metrics import whole_ssim
from twoface.research.evaluation.pairs import fixed_pairs
from twoface.research.training.step import face_view

REFERENCES = ("right", "none", "wrong")
SCORES = ("hole_psnr", "ssim", "cosine_truth", "cosine_reference")
FIGURES = (*(f"{score}_{name}" for name in REFERENCES for score in SCORES), "right_minus_none")
BATCH = 16  # pairs
PREVIEWS = 12


class Validation:
    """Fixed pairs of a split, at most `limit` people, with a centre hole of `hole` px.


    meshes: of the portraits, for a generator that takes registered references and their trust; None for one of the
    thesis, which takes them as they are. The target's mesh is what is known of it outside the hole, and inside the
    reference's, fitted to that. best: the figure by which the best checkpoint is chosen.
    """

    best = "cosine_truth_right"

    def __init__(
        self,
        portraits: Portraits,
        meshes: np.ndarray | None,
        facenet: nn.Module,
        fabric: Fabric,
        hole: int = 64,
        limit: int = 160,
    ) -> None:
        pairs = fixed_pairs(portraits)
        self.fabric, self.facenet = fabric, facenet
        target, right, wrong = (places[:limit] for places in (pairs.target, pairs.reference, pairs.impostor))
        self.target = _frames(portraits, target)
        hidden = center_hole(hole, SIZE)
        self.right: tuple[Tensor, ...]
        self.wrong: tuple[Tensor, ...]
        self.mask = torch.from_numpy(hidden).float()[None, None]
        if meshes is None:
            self.right, self.wrong = ((_frames(portraits, places),) for places in (right, wrong))
        else:
            self.right, self.wrong = (_registered(portraits, meshes, target, x, hidden) for x in (right, wrong))
        self.none = tuple(map(torch.zeros_like, self.right))
        self.truth, self.known = self._embed(self.target), self._embed(_frames(portraits, right))

    def scores(self, generator: nn.Module) -> dict[str, float]:
        """With the right reference, none, and a wrong one: hole PSNR (dB), SSIM of the whole picture, and the cosines

        to the truth and to the right reference.
        """
        result = {}
        for name, reference in zip(REFERENCES, (self.right, self.none, self.wrong), strict=True):
            composite = self._fill(generator, reference)["composite"]
            error = ((composite - self.target).square() * self.mask).sum((1, 2, 3)) / (3 * self.mask.sum())
            embedding = self._embed(composite)
            result[f"hole_psnr_{name}"] = float((-10 * error.log10()).mean())
            result[f"ssim_{name}"] = float(np.mean(list(map(whole_ssim, to_bytes(self.target), to_bytes(composite)))))
            result[f"cosine_truth_{name}"] = float((embedding * self.truth).sum(1).mean())
            result[f"cosine_reference_{name}"] = float((embedding * self.known).sum(1).mean())
        return result | {"right_minus_none": result["cosine_truth_right"] - result["cosine_truth_none"]}

    def preview(self, generator: nn.Module) -> np.ndarray:
        """uint8 RGB picture, a row for each pair: masked, reference, filled, true, and how it came about."""
        n = slice(PREVIEWS)
        right = self._fill(generator, tuple(x[n] for x in self.right))
        columns = {
            "masked": self.target[n] * (1 - self.mask),
            "reference": self.right[0][n],
            "filled": right["composite"],
            "true": self.target[n],
            "no reference": self._fill(generator, tuple(x[n] for x in self.none))["composite"],
        }
        if "weight" in right:
            weight = torch.nn.functional.interpolate(right["weight"], (SIZE, SIZE)).expand(-1, 3, -1, -1)
            columns |= {"synthesis": right["synthesis"], "mixing weight": weight}
        return grid(columns, 1)

    @torch.no_grad()
    def _fill(self, generator: nn.Module, reference: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """reference: pictures (N,3,128,128), and their trust (N,1,128,128) where the generator takes one."""
        parts = []
        known = (self.target[: len(reference[0])], *reference)
        for target, *ref in zip(*(x.split(BATCH) for x in known), strict=True):
            mask = self.mask.expand(len(target), -1, -1, -1)
            with self.fabric.autocast():
                moved = [
                    self.fabric.to_device(x.contiguous(memory_format=torch.channels_last)) for x in (target, mask, *ref)
                ]
                out = generator(*moved)
            out = {name: value.float().cpu() for name, value in out.items()}
            parts.append(out | {"composite": mask * out["fill"] + (1 - mask) * target})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    @torch.no_grad()
    def _embed(self, pictures: Tensor) -> Tensor:
        with self.fabric.autocast():
            return torch.cat(
                [self.facenet(self.fabric.to_device(face_view(p))).float().cpu() for p in pictures.split(BATCH)]
            )


def _frames(portraits: Portraits, places: np.ndarray) -> Tensor:
    frame = slice(MARGIN, MARGIN + SIZE)
    return torch.from_numpy(portraits.crops[places][:, frame, frame].copy()).permute(0, 3, 1, 2).float() / 255


def _registered(
    portraits: Portraits, meshes: np.ndarray, targets: np.ndarray, references: np.ndarray, hidden: np.ndarray
) -> tuple[Tensor, Tensor]:
    """References registered to targets -> pictures (N,3,128,128) and trust (N,1,128,128)."""
    views, trusts = [], []
    for target, reference in zip(targets, references, strict=True):
        truth, known = meshes[target].astype(np.float64), in_crop(meshes[reference])
        x, y = truth[:, :2].round().astype(int).clip(0, SIZE - 1).T
        estimate = fitted(known, truth, (~hidden[y, x]).astype(float))
        view, trust = registered(portraits.crops[reference], estimate, known)
        views.append(view)
        trusts.append(trust)
    pictures = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
    return pictures, torch.from_numpy(np.stack(trusts))[:, None]


def embed_all(portraits: Portraits, facenet: nn.Module, fabric: Fabric, cache: Path | None, name: str) -> Tensor:
    """FaceNet embeddings of all crops, as they are, (N, 512) in float32; kept in `cache` when given, by its name."""
    key = zlib.crc32("\n".join([name, *portraits.paths]).encode())
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


def to_bytes(pictures: Tensor) -> np.ndarray:
    """(N, 3 or 1, H, W) in [0, 1] -> uint8 (N, H, W, 3)."""
    values = (pictures.permute(0, 2, 3, 1).numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return np.broadcast_to(values, (*values.shape[:3], 3))


def to_planes(pictures: np.ndarray) -> Tensor:
    """uint8 (N, H, W, C) -> float (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).float() / 255


def grid(columns: dict[str, Tensor], scale: int) -> np.ndarray:
    """Labelled columns of pictures, as `to_bytes` takes them -> one picture, uint8 RGB."""
    pictures = {label: to_bytes(column) for label, column in columns.items()}
    count = len(next(iter(pictures.values())))
    return draw_grid([{label: column[i] for label, column in pictures.items()} for i in range(count)], scale)


def write_picture(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[:, :, ::-1])
