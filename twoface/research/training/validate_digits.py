"""What a run on MNIST is watched by: how often a filled digit is still read as the one it was."""

from __future__ import annotations

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from twoface.core.masks import center_hole
from twoface.research.data.mnist import SIZE, Digits
from twoface.research.training.validate import grid, to_planes

BATCH = 500
PREVIEWS = 12


def figures(paired: bool) -> tuple[str, ...]:
    """The names of what `DigitValidation.scores` gives."""
    ends = ("_right", "_random", "_wrong") if paired else ("",)
    names = (f"{score}{end}" for end in ends for score in ("class_kept", "hole_psnr"))
    return (*names, "read_as_reference_wrong") if paired else tuple(names)


class DigitValidation:
    """The first `limit` digits, each with a reference of the same digit, of any digit and of another digit.

    best: the figure by which the best checkpoint is chosen.
    classifier: (N,1,28,28) in [0,1] -> logits (N,10). paired: False = no reference at all.
    """

    def __init__(
        self, digits: Digits, classifier: nn.Module, fabric: Fabric, hole: int, paired: bool, limit: int = 1000
    ) -> None:
        self.classifier, self.fabric = classifier, fabric
        self.best = "class_kept_right" if paired else "class_kept"
        rng, labels = np.random.default_rng(0), digits.labels
        places = np.arange(min(limit, len(digits)))
        self.labels = labels[places]
        self.target = to_planes(digits.pictures[places])
        self.mask = torch.from_numpy(center_hole(hole, SIZE)).float()[None, None]
        self.references = {"": np.full(len(places), -1)}
        if paired:
            others = {digit: np.flatnonzero(labels == digit) for digit in np.unique(labels)}
            wrong = [int(rng.choice([d for d in others if d != label])) for label in self.labels]
            self.references = {
                "right": np.array(
                    [rng.choice(others[d][others[d] != p]) for p, d in zip(places, self.labels, strict=True)]
                ),
                "random": np.array([rng.choice(np.delete(np.arange(len(digits)), p)) for p in places]),
                "wrong": np.array([rng.choice(others[d]) for d in wrong]),
            }
        black = np.zeros_like(digits.pictures[:1])
        pictures = np.concatenate([digits.pictures, black])  # place -1 is black
        self.shown = {name: to_planes(pictures[p]) for name, p in self.references.items()}
        self.shown_labels = {name: np.append(labels, -1)[p] for name, p in self.references.items()}

    def scores(self, generator: nn.Module) -> dict[str, float]:
        """For each kind of reference: the share of filled digits read as what they were, and the hole's PSNR (dB).

        With a wrong reference also the share read as the digit of the reference.
        """
        result = {}
        for name, reference in self.shown.items():
            composite, end = self.fill(generator, self.target, reference), f"_{name}" if name else ""
            read = self.read(composite)
            error = ((composite - self.target).square() * self.mask).sum((1, 2, 3)) / self.mask.sum()
            result[f"class_kept{end}"] = float((read == self.labels).mean())
            result[f"hole_psnr{end}"] = float((-10 * error.clamp_min(1e-4).log10()).mean())
            if name == "wrong":
                result["read_as_reference_wrong"] = float((read == self.shown_labels[name]).mean())
        return result

    def preview(self, generator: nn.Module) -> np.ndarray:
        """uint8 RGB picture, a row for each of a dozen digits: masked, reference, filled, true."""
        n, columns = slice(PREVIEWS), {"masked": (self.target * (1 - self.mask))[:PREVIEWS]}
        for name, reference in self.shown.items():
            if name:
                columns[name] = reference[n]
            columns["filled" + " " * len(columns)] = self.fill(generator, self.target[n], reference[n])
        return grid(columns | {"true": self.target[n]}, 3)

    @torch.no_grad()
    def fill(self, generator: nn.Module, target: Tensor, reference: Tensor) -> Tensor:
        """The composites of targets (N,1,28,28) with these references, on the CPU."""
        parts = []
        for picture, other in zip(target.split(BATCH), reference.split(BATCH), strict=True):
            mask = self.mask.expand(len(picture), -1, -1, -1)
            with self.fabric.autocast():
                out = generator(*map(self.fabric.to_device, (picture, mask, other)))
            parts.append(mask * out["fill"].float().cpu() + (1 - mask) * picture)
        return torch.cat(parts)

    @torch.no_grad()
    def read(self, pictures: Tensor) -> np.ndarray:
        """The digits that the classifier sees in pictures (N,1,28,28): int (N,)."""
        parts = [self.classifier(self.fabric.to_device(p)).argmax(1).cpu() for p in pictures.split(BATCH)]
        return torch.cat(parts).numpy()
