"""A small classifier of MNIST's digits, which tells whether a filled digit is still what it was."""

from __future__ import annotations

from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from twoface.research.data.mnist import Digits

EPOCHS, BATCH, LR = 1, 128, 3e-3


class DigitClassifier(nn.Module):
    """forward(digit (N,1,28,28) in [0,1]) -> logits (N,10)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10)),
        )

    def forward(self, digit: Tensor) -> Tensor:
        return self.layers(digit)


def digit_classifier() -> DigitClassifier:
    """The classifier that ships, the same for every run, in eval mode and frozen. `fitting.digits` made it."""
    classifier = DigitClassifier()
    classifier.load_state_dict(load((resources.files("twoface") / "weights" / "digits.safetensors").read_bytes()))
    return classifier.eval().requires_grad_(False)


def train_classifier(classifier: nn.Module, digits: Digits, epochs: int = EPOCHS, seed: int = 0) -> None:
    """Cross-entropy and Adam, its rate up and down again once (Smith and Topin 2018)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pictures, labels = torch.tensor(digits.pictures).permute(0, 3, 1, 2), torch.from_numpy(digits.labels)
        steps = epochs * -(-len(digits) // BATCH)
        optimizer = torch.optim.Adam(classifier.parameters(), LR)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, steps)
        classifier.train()
        for _ in range(epochs):
            for places in torch.randperm(len(digits)).split(BATCH):
                loss = F.cross_entropy(classifier(pictures[places].float() / 255), labels[places])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()


@torch.no_grad()
def accuracy(classifier: nn.Module, digits: Digits) -> float:
    """The share of digits that the classifier reads right."""
    pictures, labels = torch.tensor(digits.pictures).permute(0, 3, 1, 2), torch.from_numpy(digits.labels)
    right = [
        (classifier.eval()(p.float() / 255).argmax(1) == y).float()
        for p, y in zip(pictures.split(500), labels.split(500), strict=True)
    ]
    return float(torch.cat(right).mean())
