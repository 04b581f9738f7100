"""What judges a fill: one network at two places, locally a window at the hole, globally the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PatchDiscriminator(nn.Module):
    """Logits for places of a picture and one for the whole of it (PatchGAN, Isola et al. 2017).

    forward(picture (N,3,S,S) in [0,1], mask (N,1,S,S), reference (N,3,S,S), black = none) -> logits (N, K) and their
    weights (N, K), which add up to 1 in each row: half for the whole, half for the places, as much of it to each as it
    has of the hole - outside it a fill is real, and nothing is to be learnt (as in LaMa, Suvorov et al. 2022). Sees the
    reference too, so that it can ask whether both show one person; S is a multiple of 8.
    """

    def __init__(self, width: int = 32):
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

    def forward(self, picture: Tensor, mask: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(torch.cat([picture * 2 - 1, mask, reference * 2 - 1], dim=1))
        logits = torch.cat([self.places(x).flatten(1), self.one(self.whole(x).mean((2, 3)))], dim=1)
        hole = F.adaptive_avg_pool2d(mask, x.shape[-2:]).flatten(1)
        places = hole / hole.sum(1, keepdim=True).clamp_min(1e-6)
        return logits.float(), torch.cat([places, torch.ones_like(places[:, :1])], dim=1) / 2


class Discriminators(nn.Module):
    """The local and the global judge as one module, so that one optimiser and one wrapper serve both."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.local_judge = PatchDiscriminator(width)
        self.global_judge = PatchDiscriminator(width)

    def forward(
        self, window: tuple[Tensor, Tensor, Tensor], whole: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Each a (picture, mask, reference) as PatchDiscriminator takes them -> what it gives, of both."""
        return self.local_judge(*window), self.global_judge(*whole)
