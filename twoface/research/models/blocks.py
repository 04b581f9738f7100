"""Building blocks: residual blocks, cross-attention. Those of the generator do without normalisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def start_at_zero(layer: nn.Module) -> None:
    """Set a convolution's weights and biases to 0, in place."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


class ResBlock(nn.Module):
    """x + conv(act(conv(act(x)))), (N, C, H, W) -> the same; starts as the identity (last convolution zero)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        start_at_zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(activate(self.first(activate(x))))


class BinomialFilter(nn.Module):
    """3x3, 1-2-1 each way, not learned: takes away what alternates from pixel to pixel; (N, C, H, W) -> the same.

    A pixel shuffle makes neighbours by different weights, and checkerboard artefacts where these differ (Odena et al.
    2016, "Deconvolution and Checkerboard Artifacts"); filtered like this it cannot (Sugawara et al. 2018).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([0.25, 0.5, 0.25])
        self.kernel = (row[:, None] * row).repeat(channels, 1, 1, 1)  # no buffer: several processes would exchange it

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel.to(x), padding=1, groups=len(self.kernel))


class SharpBinomialFilter(nn.Module):
    """5x5, -1 4 10 4 -1 each way, not learned: takes away what alternates as `BinomialFilter` does, and little else.

    (N, C, H, W) -> the same; the border is repeated. It is 2f - f(f), the binomial filter f sharpened (Kaiser and
    Hamming 1977), for pictures, whose detail is to stay.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([-1.0, 4, 10, 4, -1]) / 16
        self.kernel = (row[:, None] * row).repeat(channels, 1, 1, 1)  # no buffer, as above

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
        return F.conv2d(padded, self.kernel.to(x), groups=len(self.kernel))


class NormedResBlock(nn.Module):
    """x + norm(conv(act(norm(conv(act(x)))))), (N, C, H, W) -> the same (He et al. 2016), for small networks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norm_first, self.norm_second = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm_first(self.first(F.leaky_relu(x, 0.1)))
        return x + self.norm_second(self.second(F.leaky_relu(y, 0.1)))


class CrossAttention(nn.Module):
    """Every place of `x` looks up the places of `reference` that it needs (Vaswani et al. 2017, with heads).

    x, reference: (N, C, H, W), of any two sizes -> (N, C, H, W), added to x. Starts as the identity.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        start_at_zero(self.out)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        q, k, v = (self._split(t) for t in (self.query(x), self.key(reference), self.value(reference)))
        mixed = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1) @ v  # (N, heads, H*W, C/heads)
        return x + self.out(mixed.transpose(-1, -2).reshape(x.shape))

    def _split(self, t: Tensor) -> Tensor:
        n, c, h, w = t.shape
        return t.reshape(n, self.heads, c // self.heads, h * w).transpose(-1, -2)
