"""The discriminators of the thesis: of a picture, of a picture beside its reference, of the hole's patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from twoface.research.models.discriminators import Discriminators
from twoface.research.models.thesis_generators import SLOPE, start_as_keras
from twoface.research.models.together import BatchNorm, Dropout
from twoface.research.models.vgg import Trunk


class Judge(nn.Module):
    """One logit for each picture: encoders, one for the picture and perhaps one for the reference, then a classifier.

    forward(picture, reference, each as `Discriminators.look` gave it; without a second encoder the reference does not
    matter) -> logits (N, 1), weights (N, 1) of 1.
    """

    def __init__(self, encoders: list[nn.Module], classifier: nn.Module) -> None:
        super().__init__()
        self.encoders, self.classifier = nn.ModuleList(encoders), classifier

    def forward(self, picture: Tensor, reference: Tensor | None) -> tuple[Tensor, Tensor]:
        codes = [encoder(x) for encoder, x in zip(self.encoders, (picture, reference), strict=False)]
        logits = self.classifier(torch.cat(codes, dim=1).flatten(1)).float()
        return logits, torch.ones_like(logits)


class ThesisDiscriminators(Discriminators):
    """Judges by the term they give: `adv_global` sees the picture, `adv_local` the hole's patch alone.

    size, hole, trunk, signed: as in PatchGenerator.
    """

    def __init__(
        self, judges: dict[str, Judge], size: int, hole: int, trunk: nn.Module | None = None, signed: bool = False
    ) -> None:
        super().__init__(judges, paired=any(len(judge.encoders) > 1 for judge in judges.values()))
        start = (size - hole) // 2
        self.patch = slice(start, start + hole)
        self.trunk, self.signed = trunk, signed
        self.apply(start_as_keras)

    def view(self, name: str, picture: Tensor, mask: Tensor) -> Tensor:
        if name == "adv_local":
            picture = picture[..., self.patch, self.patch]
        if self.trunk is not None:
            return self.trunk(picture)
        return picture * 2 - 1 if self.signed else picture


def mnist(size: int, hole: int, vgg: nn.Module | None) -> ThesisDiscriminators:
    judge = Judge([_encoder(1, 64, 128)], nn.Linear(128 * (size // 4) ** 2, 1))
    return ThesisDiscriminators({"adv_global": judge}, size, hole, signed=True)


def mnist_two(size: int, hole: int, vgg: nn.Module | None) -> ThesisDiscriminators:
    judge = _pair(_encoder(1, 64, 128), _encoder(1, 64, 128), 128 * (size // 4) ** 2, 1024)
    return ThesisDiscriminators({"adv_global": judge}, size, hole, signed=True)


def faces_initial(size: int, hole: int, vgg: nn.Module | None) -> ThesisDiscriminators:
    judge = _pair(_encoder(3, 8, 16), _encoder(3, 8, 16), 16 * (size // 4) ** 2, 256)
    return ThesisDiscriminators({"adv_global": judge}, size, hole)


def faces_vgg(size: int, hole: int, vgg: nn.Module) -> ThesisDiscriminators:
    """VGG16's 4x4x512 of both pictures, 64 channels of each."""

    def encoder() -> nn.Module:
        return nn.Sequential(nn.Conv2d(512, 64, 1), nn.LeakyReLU(SLOPE))

    judge = _pair(encoder(), encoder(), 64 * (size // 32) ** 2, 128)
    return ThesisDiscriminators({"adv_global": judge}, size, hole, Trunk(vgg, "pool5"))


def faces_final(size: int, hole: int, vgg: nn.Module) -> ThesisDiscriminators:
    """Local: 4x4x256 of the patch. Global: 16x16x256 of the picture. Neither sees the reference."""
    local = nn.Sequential(*_block(256, 128), *_block(128, 64), nn.MaxPool2d(2))
    whole = nn.Sequential(*_block(256, 256), *_block(256, 128), nn.MaxPool2d(2), *_block(128, 64), nn.MaxPool2d(2))
    judges = {
        "adv_local": Judge([local], _dense(64 * (hole // 16) ** 2, 128)),
        "adv_global": Judge([whole], _dense(64 * (size // 32) ** 2, 128)),
    }
    return ThesisDiscriminators(judges, size, hole, Trunk(vgg, "pool3"))


def _pair(first: nn.Module, second: nn.Module, features: int, width: int) -> Judge:
    return Judge([first, second], _dense(2 * features, width))


def _dense(features: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, width), nn.LeakyReLU(SLOPE), nn.Linear(width, 1))


def _encoder(channels: int, first: int, second: int) -> nn.Module:
    layers = []
    for cin, cout in ((channels, first), (first, second)):
        layers += [nn.Conv2d(cin, cout, 5, 2, 2), nn.LeakyReLU(SLOPE), Dropout(0.3)]
    return nn.Sequential(*layers)


def _block(cin: int, cout: int) -> list[nn.Module]:
    return [nn.Conv2d(cin, cout, 3, padding=1), BatchNorm(cout), nn.LeakyReLU(SLOPE)]
