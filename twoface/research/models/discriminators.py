"""What judges a fill. Ours: one network at two places, locally a window at the hole, globally the picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Discriminators(nn.Module, ABC):
    """The judges of an experiment as one module, so that one optimiser and one wrapper serve all.

    judges: by the name of the term that each gives to the objective, `adv_local` and `adv_global`.
    paired: they look at the reference as well.

    A picture is first looked at by what learns nothing (`look`: a crop, a smaller size, frozen layers), once for both
    turns, then judged by what learns (`forward`).
    """

    def __init__(self, judges: Mapping[str, nn.Module], paired: bool) -> None:
        super().__init__()
        self.judges, self.paired = nn.ModuleDict(dict(judges)), paired

    def look(self, names: tuple[str, ...], picture: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """picture (N,C,S,S) in [0,1], mask (N,1,S,S) of its hole -> what each named judge is given of it."""
        return {name: self.view(name, picture, mask) for name in names}

    @abstractmethod
    def view(self, name: str, picture: Tensor, mask: Tensor) -> Tensor:
        """What one judge is given of a picture: a crop, a smaller size, features."""

    def forward(
        self, reference: dict[str, Tensor], *pictures: dict[str, Tensor]
    ) -> list[dict[str, tuple[Tensor, Tensor]]]:
        """What `look` gave -> for each of the pictures {name: (logits, weights)}, both (N, K).

        Each row of weights adds up to 1. Several pictures in one call, since a wrapped network wants one forward for
        each backward; they do not see each other, so batch normalisation keeps real and generated apart.
        """
        return [{name: self.judges[name](view, reference.get(name)) for name, view in one.items()} for one in pictures]


class PatchDiscriminator(nn.Module):
    """Logits for places of a picture and one for the whole of it (PatchGAN, Isola et al. 2017).

    forward(picture, reference: (N,4,S,S), colours in [0,1] and the mask; a black reference = none) -> logits (N, K) and
    their weights (N, K), which add up to 1 in each row: half for the whole, half for the places, as much of it to each
    as it has of the hole - outside it a fill is real, and nothing is to be learnt (as in LaMa, Suvorov et al. 2022).
    Sees the reference too, so that it can ask whether both show one person; S is a multiple of 8.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()

        def down(cin: int, cout: int) -> list[nn.Module]:
            return [nn.Conv2d(cin, cout, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]

        self.trunk = nn.Sequential(
            *down(7, width),
            *down(width, 2 * width),
            *down(2 * width, 4 * width),
            nn.Conv2d(4 * width, 8 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.places = nn.Conv2d(8 * width, 1, 1)
        self.whole = nn.Sequential(nn.Conv2d(8 * width, 8 * width, 3, stride=2, padding=1), nn.LeakyReLU(0.2))
        self.one = nn.Linear(8 * width, 1)

    def forward(self, picture: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        (colours, mask), other = picture.split([3, 1], dim=1), reference[:, :3]
        x = self.trunk(torch.cat([colours * 2 - 1, mask, other * 2 - 1], dim=1))
        logits = torch.cat([self.places(x).flatten(1), self.one(self.whole(x).mean((2, 3)))], dim=1)
        hole = F.adaptive_avg_pool2d(mask, x.shape[-2:]).flatten(1)
        places = hole / hole.sum(1, keepdim=True).clamp_min(1e-6)
        return logits.float(), torch.cat([places, torch.ones_like(places[:, :1])], dim=1) / 2


class PatchDiscriminators(Discriminators):
    """Ours: `adv_local` sees a window of `window` px at the hole, `adv_global` the picture at half its size."""

    def __init__(self, window: int = 72, width: int = 32) -> None:
        super().__init__({name: PatchDiscriminator(width) for name in ("adv_local", "adv_global")}, paired=True)
        self.window = window

    def view(self, name: str, picture: Tensor, mask: Tensor) -> Tensor:
        both = torch.cat([picture, mask], dim=1)
        return hole_window(both, mask, self.window) if name == "adv_local" else F.avg_pool2d(both, 2)


def hole_window(picture: Tensor, mask: Tensor, side: int) -> Tensor:
    """The square of `side` px round the hole's box of each picture, inside the frame: (N,C,S,S) -> (N,C,side,side)."""
    corners = zip(picture, window_corners(mask, side).tolist(), strict=True)
    parts = [one[:, y : y + side, x : x + side] for one, (y, x) in corners]
    return torch.stack(parts).contiguous(memory_format=torch.channels_last)


def window_corners(mask: Tensor, window: int) -> Tensor:
    """Where the window of each picture starts, int (N, 2) as (y, x): centred on the hole's box, inside the frame."""
    hole, size = mask[:, 0] > 0, mask.shape[-1]
    corners = []
    for axis in (2, 1):  # rows touched, then columns
        touched = hole.any(axis)
        first = touched.int().argmax(1)
        last = size - 1 - touched.flip(1).int().argmax(1)
        corners.append(((first + last + 1 - window) // 2).clamp(0, size - window))
    return torch.stack(corners, 1)
