"""Does a FaceNet in PyTorch tell the same person from two, and does it say what the original graph says?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from twoface.core.errors import InputError
from twoface.research.data.portraits import Portraits
from twoface.research.evaluation.pairs import fixed_pairs
from twoface.research.models.facenet import FaceNet
from twoface.research.models.facenet_graph import BatchEmbedder, embedding_view

FOLDS = 10
BATCH = 16  # faces
COMPARED = 64  # faces that the original graph looks at too


def verify(
    weights: Path, data: Path, split: str = "val", original: bool = True, progress: bool = True
) -> dict[str, Any]:
    """Everyone's fixed pair against their impostor pair -> {"pairs", "accuracy", "deviation", "threshold", ...}.

    accuracy: mean over ten folds of the people, each judged by the threshold that suits the other nine (the protocol
    of LFW); deviation: of the folds. threshold: the mean of the ten cosines. same, different: mean cosines.
    largest_difference: 1 - cosine between this network and the original graph, the worst of 64 faces;
    only with `original`, as only facenet-casia is that graph.
    Raises InputError when data or split cannot be used.
    """
    portraits = Portraits.load(data, split)
    pairs = fixed_pairs(portraits)
    if len(pairs) < FOLDS:
        raise InputError(f"{len(pairs)} people have two pictures, {FOLDS} are needed: give a larger split")
    network = FaceNet(weights)
    first, second, impostor = (
        _embed(network, portraits, places, progress) for places in (pairs.target, pairs.reference, pairs.impostor)
    )
    figures = ten_folds((first * second).sum(1), (first * impostor).sum(1))
    if original:
        views = np.stack([embedding_view(portraits.crops[i]) for i in pairs.target[:COMPARED]])
        figures["largest_difference"] = float(1 - (BatchEmbedder().embed(views) * first[:COMPARED]).sum(1).min())
    return {"pairs": 2 * len(pairs)} | figures


def ten_folds(same: np.ndarray, different: np.ndarray) -> dict[str, Any]:
    """Cosines (P,) of P same-person pairs and of P two-people pairs -> accuracy, its deviation, threshold, means."""
    fold = np.arange(len(same)) % FOLDS
    accuracies, chosen = [], []
    for k in range(FOLDS):
        threshold = best_threshold(same[fold != k], different[fold != k])
        right = np.concatenate([same[fold == k] >= threshold, different[fold == k] < threshold])
        accuracies.append(right.mean())
        chosen.append(threshold)
    return {
        "accuracy": float(np.mean(accuracies)),
        "deviation": float(np.std(accuracies)),
        "threshold": float(np.mean(chosen)),
        "same": float(same.mean()),
        "different": float(different.mean()),
    }


def best_threshold(same: np.ndarray, different: np.ndarray) -> float:
    """The cosine at or above which to say "the same" that judges most pairs right, halfway to the next one below."""
    at = np.sort(np.concatenate([same, different]))
    middles = np.concatenate([[at[0]], (at[1:] + at[:-1]) / 2])
    right = [(same >= t).sum() + (different < t).sum() for t in middles]
    return float(middles[int(np.argmax(right))])


@torch.no_grad()
def _embed(network: FaceNet, portraits: Portraits, places: np.ndarray, progress: bool) -> np.ndarray:
    parts = []
    for start in tqdm(range(0, len(places), BATCH), "embedding", unit="batch", disable=not progress):
        views = np.stack([embedding_view(portraits.crops[i]) for i in places[start : start + BATCH]])
        parts.append(network(torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255).numpy())
    return np.concatenate(parts)
