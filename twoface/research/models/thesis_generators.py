"""The five generators of the thesis: encoders, a decoder, and its patch put where the hole is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twoface.research.models.together import BatchNorm
from twoface.research.models.vgg import Trunk

SLOPE = 0.3  # of every leaky ReLU (Keras' own)


class PatchGenerator(nn.Module):
    """One encoder for the masked picture, perhaps one for the reference -> decoder -> the hole's pixels.

    size, hole: px, the side of the picture and of the hole, a square in its centre (a pixel nearer to the upper left
    corner where it cannot be in the middle). trunk: frozen first layers that both encoders stand on. signed: the
    network computes with [-1, 1], inputs and (tanh) outputs; callers give and get [0, 1] all the same.

    forward(image (N,C,S,S) in [0,1], mask (N,1,S,S), reference (N,C,S,S), black = none) -> {"fill": (N,C,S,S)}, the
    patch in the hole and 0 elsewhere. What `image` holds inside the hole does not matter. seen: what `look` gives for
    the masked picture and for the reference, where that is known already.
    """

    def __init__(
        self,
        size: int,
        hole: int,
        encoders: list[nn.Module],
        decoder: nn.Module,
        trunk: nn.Module | None = None,
        signed: bool = False,
    ) -> None:
        super().__init__()
        before = (size - hole) // 2
        self.border = (before, size - hole - before) * 2
        self.encoders, self.decoder, self.trunk = nn.ModuleList(encoders), decoder, trunk
        self.signed = signed
        self.apply(start_as_keras)

    def look(self, picture: Tensor) -> Tensor:
        """What an encoder is given of a picture: nothing that learns is in it."""
        if self.trunk is not None:
            return self.trunk(picture)
        return picture * 2 - 1 if self.signed else picture

    def forward(
        self, image: Tensor, mask: Tensor, reference: Tensor, seen: tuple[Tensor, ...] | None = None
    ) -> dict[str, Tensor]:
        if seen is None:
            pictures = (image * (1 - mask), reference)[: len(self.encoders)]
            with torch.no_grad():
                seen = tuple(self.look(picture) for picture in pictures)
        codes = [encoder(x) for encoder, x in zip(self.encoders, seen, strict=False)]
        patch = self.decoder(torch.cat(codes, dim=1)).float()
        patch = (torch.tanh(patch) + 1) / 2 if self.signed else torch.sigmoid(patch)
        return {"fill": F.pad(patch, self.border)}


class ChannelwiseLinear(nn.Module):
    """Each map's places are mixed by a matrix of its own (channel-wise fully connected: Pathak et al. 2016).

    (N, channels, side, side) -> the same shape; channels * side^4 weights.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, side * side, side * side))
        bound = (3 / (side * side)) ** 0.5  # the outputs' deviation is then that of the inputs
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.einsum("ncp,cpq->ncq", x.flatten(2), self.weight.to(x.dtype))
        return mixed.reshape(x.shape)


def mnist(size: int, hole: int, vgg: nn.Module | None, encoders: int = 1) -> PatchGenerator:
    """28x28 -> 7x7x128 of each picture -> 7x7. With two encoders it is the model of MNIST two-image."""
    decoder = nn.Sequential(*_up(128 * encoders, 128, 5), *_up(128, 64, 5), nn.ConvTranspose2d(64, 1, 5, padding=2))
    return PatchGenerator(size, hole, [_encoder(1, 64, 64, 128) for _ in range(encoders)], decoder, signed=True)


def faces_initial(size: int, hole: int, vgg: nn.Module | None) -> PatchGenerator:
    """128x128 -> 32x32x32 of each picture -> 32x32."""
    decoder = nn.Sequential(*_up(64, 32, 5), *_up(32, 16, 5), nn.ConvTranspose2d(16, 3, 5, padding=2))
    return PatchGenerator(size, hole, [_encoder(3, 16, 16, 32) for _ in range(2)], decoder)


def faces_vgg(size: int, hole: int, vgg: nn.Module) -> PatchGenerator:
    """128x128 -> VGG16's 16x16x512 of each picture, nothing of it learned -> 32x32."""
    decoder = nn.Sequential(
        *_up(1024, 256, 3), *_up(256, 32, 3), nn.Upsample(scale_factor=2), nn.ConvTranspose2d(32, 3, 3, padding=1)
    )
    return PatchGenerator(size, hole, [nn.Identity(), nn.Identity()], decoder, Trunk(vgg, "conv4_3"))


def faces_final(size: int, hole: int, vgg: nn.Module) -> PatchGenerator:
    """128x128 -> 8x8x512 of each picture -> channel-wise linear -> 32x32; 17.5 M parameters."""

    def encoder() -> nn.Module:
        return nn.Sequential(*_down(256, 512, 3, 1), *_down(512, 512, 3, 1), nn.MaxPool2d(2))

    decoder = nn.Sequential(
        ChannelwiseLinear(1024, size // 16),
        nn.ConvTranspose2d(1024, 512, 3, padding=1, bias=False),
        nn.ConvTranspose2d(512, 256, 3, padding=1),
        nn.Upsample(scale_factor=2),
        *_up(256, 128, 3),
        *_up(128, 64, 3),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(64, 3, 3, padding=1),
    )
    return PatchGenerator(size, hole, [encoder(), encoder()], decoder, Trunk(vgg, "pool3"))


def start_as_keras(layer: nn.Module) -> None:
    """Uniform weights by fan-in and fan-out (Glorot and Bengio 2010), biases 0.

    PyTorch's own start takes the fan of a transposed convolution from its outputs: the last one would begin with a
    deviation above 3, saturating tanh and sigmoid.
    """
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _encoder(channels: int, first: int, second: int, third: int) -> nn.Module:
    return nn.Sequential(*_down(channels, first, 5, 1), *_down(first, second, 5, 2), *_down(second, third, 3, 2))


def _down(cin: int, cout: int, kernel: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(cin, cout, kernel, stride, kernel // 2), BatchNorm(cout), nn.LeakyReLU(SLOPE)]


def _up(cin: int, cout: int, kernel: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(cin, cout, kernel, padding=kernel // 2), BatchNorm(cout), nn.LeakyReLU(SLOPE)]
