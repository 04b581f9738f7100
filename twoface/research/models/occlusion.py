"""What covers a face: a small U-Net (Ronneberger et al. 2015) that marks in an aligned crop what is not this face."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from twoface.research.models.blocks import NormedResBlock

BLOCKS = (1, 2, 2, 2)  # residual blocks on the way down, at 64, 32, 16 and 8 px


class Occlusion(nn.Module):
    """forward(image (N,3,128,128) in [0,1]) -> {"logits", "covered": (N,1,128,128)}: the probability of each pixel to
    show something in front of the face.

    It works at half the size and below; the last convolution gives four pixels for each (Shi et al. 2016).
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 96)) -> None:
        super().__init__()
        pairs = list(zip(widths, widths[1:], strict=False))
        self.stem = nn.Conv2d(3, widths[0], 5, stride=2, padding=2)
        self.down = nn.ModuleList(
            nn.Sequential(*(NormedResBlock(width) for _ in range(count)))
            for width, count in zip(widths, BLOCKS, strict=True)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairs)
        self.widen = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs)
        self.up = nn.ModuleList(NormedResBlock(fine) for fine, _ in pairs)
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x, skipped = self.stem(image - 0.5), []
        for level, blocks in enumerate(self.down):
            x = blocks(x)
            if level < len(self.shrink):
                skipped.append(x)
                x = self.shrink[level](x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](skipped[level] + F.interpolate(self.widen[level](x), scale_factor=2.0))
        logits = F.pixel_shuffle(self.head(F.leaky_relu(x, 0.1)).float(), 2)
        return {"logits": logits, "covered": logits.sigmoid()}
