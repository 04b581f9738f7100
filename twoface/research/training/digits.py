"""Is a filled digit still read as what it was? A run on MNIST -> figures, a grid, every digit x every reference.

The reader is `twoface.research.models.digits`; the digits are the 10,000 of the test set, the hole is that of the run.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from twoface.core.errors import InputError
from twoface.core.files import check_output, write_aside
from twoface.research.data.mnist import Digits
from twoface.research.evaluation.grid import draw_grid
from twoface.research.models.digits import accuracy, digit_classifier
from twoface.research.training.trained import trained
from twoface.research.training.validate import to_bytes, to_planes
from twoface.research.training.validate_digits import DigitValidation

FILES = ("figures.json", "grid.png", "matrix.png")
NAMES = {
    "true": "the digit itself",
    "masked": "masked, the hole black",
    "mean_colour": "hole in the picture's mean colour",
    "mean_digit": "hole of the mean digit",
    "filled": "filled",
    "filled_right": "filled, reference of the same digit",
    "filled_random": "filled, reference of a random digit",
    "filled_wrong": "filled, reference of another digit",
}


def evaluate_digits(run: Path, data: Path, out: Path | None = None, force: bool = False) -> dict[str, float]:
    """Score a run on MNIST's test set; writes figures.json, grid.png and (with references) matrix.png into `out`.

    out: default the run's own folder.
    Returns the shares of digits read as what they are, by kind of fill; prints them as a table.
    Raises InputError when the run is not of MNIST, or `out` holds such files (without `force`).
    """
    experiment, generator, about = trained(run)
    if experiment.data.kind != "mnist":
        raise InputError(f"{run} was trained on faces: export it, then evaluate --model FILE.onnx")
    out = out or run
    out.mkdir(parents=True, exist_ok=True)
    files = {name: check_output(out / name, force) for name in FILES}
    paired = bool(experiment.data.shares[2])
    classifier, digits = digit_classifier(), Digits.load(data, "test")
    fabric = Fabric(accelerator="cpu", devices=1)
    watch = DigitValidation(digits, classifier, fabric, experiment.data.hole, paired, limit=len(digits))

    pictures = _baselines(watch, Digits.load(data, "train")) | _fills(watch, generator)
    kept = {name: watch.read(picture) == watch.labels for name, picture in pictures.items()}
    figures = {f"kept_{name}": float(right.mean()) for name, right in kept.items()}
    if paired:
        read = watch.read(pictures["filled_wrong"])
        figures["read_as_the_wrong_reference"] = float((read == watch.shown_labels["wrong"]).mean())
    figures |= {"digits": len(digits), "samples": int(about["samples"]), "reader": accuracy(classifier, digits)}

    write_aside(files["figures.json"], (json.dumps(figures, indent=1) + "\n").encode(), force)
    write_aside(files["grid.png"], _png(watch.preview(generator)), force)
    if paired:
        write_aside(files["matrix.png"], _png(matrix(watch, digits, generator)), force)
    print(as_markdown(figures))
    return figures


def as_markdown(figures: dict[str, float]) -> str:
    lines = [f"{figures['digits']} digits of the test set, {figures['samples']} samples seen", ""]
    lines += ["| | read as what it was |", "|---|---|"]
    lines += [f"| {NAMES[k[5:]]} | {value:.2%} |" for k, value in figures.items() if k.startswith("kept_")]
    if "read_as_the_wrong_reference" in figures:
        share = figures["read_as_the_wrong_reference"]
        lines += ["", f"With another digit's reference {share:.2%} are read as that digit."]
    return "\n".join(lines) + "\n"


def matrix(watch: DigitValidation, digits: Digits, generator: nn.Module, seed: int = 0) -> np.ndarray:
    """Every masked digit (rows) filled with a reference of every digit (columns): uint8 RGB; the references on top."""
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(np.flatnonzero(digits.labels == digit), 2, replace=False) for digit in range(10)]
    targets, references = (to_planes(digits.pictures[list(places)]) for places in zip(*drawn, strict=True))
    black = to_bytes(torch.zeros_like(targets[:1]))[0]
    rows = [{"masked": black} | {str(i): picture for i, picture in enumerate(to_bytes(references))}]
    for target in targets:
        filled = watch.fill(generator, target.expand(10, -1, -1, -1), references)
        masked = to_bytes((target * (1 - watch.mask[0]))[None])[0]
        rows.append({"masked": masked} | {str(i): picture for i, picture in enumerate(to_bytes(filled))})
    return draw_grid(rows, 3)


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()


def _baselines(watch: DigitValidation, train: Digits) -> dict[str, Tensor]:
    target, mask = watch.target, watch.mask
    masked = target * (1 - mask)
    colour = masked.sum((1, 2, 3), keepdim=True) / (1 - mask).sum()
    digit = to_planes(train.pictures.mean(0, keepdims=True)).float()
    means = {"mean_colour": masked + mask * colour, "mean_digit": masked + mask * digit}
    return {"true": target, "masked": masked} | means


def _fills(watch: DigitValidation, generator: nn.Module) -> dict[str, Tensor]:
    return {
        f"filled_{name}" if name else "filled": watch.fill(generator, watch.target, reference)
        for name, reference in watch.shown.items()
    }
