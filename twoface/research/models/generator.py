"""Our generator: move what the reference shows, synthesise the rest."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twoface.core.frame import SIZE
from twoface.research.models.blocks import (
    BinomialFilter,
    CrossAttention,
    ResBlock,
    SharpBinomialFilter,
    activate,
    start_at_zero,
)

FIELD = 32  # cells, the side of the fields: one for each 4x4 pixels
FLOW_LIMIT = 8.0  # px, how far what the registration left can be moved
GAIN_LIMIT = 0.35  # log, how far contrast can be raised or lowered: .7 to 1.4
CORRECTION_LIMIT = 0.25  # of the range 0..1, how far the moved reference can be corrected at full resolution
LEAST_TRUST = 0.3  # below it a place of the reference has the less weight, down to none


class TransferGenerator(nn.Module):
    """Transfer and synthesis.

    The reference shows the same person, so most of a hole can be moved instead of invented. A U-net sees the
    masked picture, the mask, the registered reference (`twoface.core.register`) and its trust at full resolution, and
    attends to features of the reference at 16x16 for what is not in place. It predicts smooth fields of 32x32 cells - a
    residual warp of the reference, a colour gain and offset, a mixing weight - and a synthesised picture:

        fill = weight * (gain * reference(p + flow) + offset) + (1 - weight) * synthesis

    Then it looks at what that gives, and adds a correction of 128x128 pixels to the offset: smooth fields cannot draw a
    lip or an eyelid that lies otherwise than in the reference.
    The fields and the offset apply to the reference photo at any resolution (`twoface.core.blend`).
    The warp follows Spatial Transformers (Jaderberg et al. 2015); moving by flow instead of generating,
    Appearance Flow (Zhou et al. 2016); a mask that mixes both, Hao et al. 2018 and GFR-Net (Li et al. 2018).

    widths: channels at 64, 32, 16 and 8 px. transfer: False leaves synthesis alone (weight 0 everywhere).

    forward(image (N,3,128,128) in [0,1], mask (N,1,128,128) of 0 and 1, reference (N,3,128,128) in [0,1], all
    zero = none, trust (N,1,128,128) in [0,1]) -> dict of `fill`, `synthesis`, `offset` (N,3,128,128), `flow`
    (N,2,32,32) px, `gain` (N,3,32,32), `weight` (N,1,32,32). What `image` holds inside the hole does not matter.
    """

    STARTS_AS_NOTHING = ("correct.",)  # layers that older weights lack; new ones change nothing

    def __init__(self, widths: tuple[int, int, int, int] = (48, 96, 160, 192), transfer: bool = True) -> None:
        super().__init__()
        w64, w32, w16, w8 = widths
        self.transfer = transfer
        self.stem = nn.Conv2d(9, w64, 5, stride=2, padding=2)
        self.down32 = nn.Conv2d(w64, w32, 3, stride=2, padding=1)
        self.encode32 = nn.Sequential(ResBlock(w32), ResBlock(w32))
        self.down16 = nn.Conv2d(w32, w16, 3, stride=2, padding=1)
        self.encode16 = nn.Sequential(ResBlock(w16), ResBlock(w16))
        self.down8 = nn.Conv2d(w16, w8, 3, stride=2, padding=1)
        self.encode8 = nn.Sequential(ResBlock(w8), ResBlock(w8))

        self.reference_stem = nn.Sequential(
            nn.Conv2d(4, w64, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(w64, w64, 3, stride=2, padding=1),
            ResBlock(w64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(w64, w16, 3, stride=2, padding=1),
            ResBlock(w16),
        )
        self.place_query = nn.Parameter(torch.zeros(1, w16, 16, 16))
        self.place_key = nn.Parameter(torch.zeros(1, w16, 16, 16))
        self.attend = CrossAttention(w16)

        self.up16 = nn.Conv2d(w8, w16, 3, padding=1)
        self.decode16 = nn.Sequential(ResBlock(w16), ResBlock(w16))
        self.up32 = nn.Conv2d(w16, w32, 3, padding=1)
        self.decode32 = nn.Sequential(ResBlock(w32), ResBlock(w32))
        self.fields = nn.Conv2d(w32, 9, 3, padding=1)
        self.up64 = nn.Conv2d(w32, 4 * w64, 3, padding=1)
        self.smooth64 = BinomialFilter(w64)
        self.decode64 = ResBlock(w64)
        self.up128 = nn.Conv2d(w64, 4 * 16, 3, padding=1)
        self.picture = nn.Conv2d(16, 3, 3, padding=1)
        self.smooth128 = SharpBinomialFilter(3)
        self.correct = nn.Sequential(
            nn.Conv2d(w64 + 4 * 8, w64, 3, padding=1),
            ResBlock(w64),
            ResBlock(w64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(w64, 4 * 16, 3, padding=1),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(16, 3, 3, padding=1),
        )
        start_at_zero(self.correct[-1])
        nn.init.normal_(self.place_query, std=0.02)
        nn.init.normal_(self.place_key, std=0.02)
        start_at_zero(self.fields)
        assert self.fields.bias is not None
        with torch.no_grad():
            self.fields.bias[8] = 1.0  # the mixing weight starts in favour of the reference

    def forward(self, image: Tensor, mask: Tensor, reference: Tensor, trust: Tensor) -> dict[str, Tensor]:
        known = image * (1 - mask)
        present = (reference.flatten(1).amax(1) > 0).to(image.dtype)[:, None, None, None]  # (N, 1, 1, 1)
        shown = torch.cat([reference - 0.5 * present, trust * present], dim=1)
        x = torch.cat([known - 0.5, mask, shown[:, :3], present.expand_as(mask), shown[:, 3:]], dim=1)
        x64 = self.stem(x)
        x32 = self.encode32(self.down32(activate(x64)))
        x16 = self.encode16(self.down16(activate(x32)))
        x8 = self.encode8(self.down8(activate(x16)))

        source = self.reference_stem(shown)
        y16 = x16 + _double(self.up16(activate(x8)))
        looked_up = self.attend(y16 + self.place_query, source + self.place_key)
        y16 = self.decode16(torch.where(present > 0, looked_up, y16 + self.place_query))
        y32 = self.decode32(x32 + _double(self.up32(activate(y16))))
        fields = self.fields(activate(y32)).float()
        y64 = self.decode64(x64 + self.smooth64(F.pixel_shuffle(self.up64(activate(y32)), 2)))
        y128 = F.pixel_shuffle(self.up128(activate(y64)), 2)
        synthesis = torch.sigmoid(self.smooth128(self.picture(activate(y128)).float()))

        flow = FLOW_LIMIT * torch.tanh(fields[:, 0:2] / 4)
        gain = torch.exp(GAIN_LIMIT * torch.tanh(fields[:, 2:5]))
        offset = torch.tanh(fields[:, 5:8] / 2)
        weight = torch.sigmoid(fields[:, 8:9]) * _trusted(trust) * present * float(self.transfer)
        offset = enlarged(offset)
        mixed, share = transfer(reference, synthesis, flow, gain, offset, weight), enlarged(weight)
        seen = torch.cat([mixed.clamp(0, 1) - 0.5, known - 0.5, mask, share], dim=1)
        corrected = self.correct(torch.cat([F.pixel_unshuffle(seen, 2), activate(y64)], dim=1)).float()
        correction = CORRECTION_LIMIT * torch.tanh(self.smooth128(corrected))
        fill, offset = (mixed + share * correction).clamp(0, 1), offset + correction
        return {"fill": fill, "synthesis": synthesis, "flow": flow, "gain": gain, "offset": offset, "weight": weight}


def transfer(
    reference: Tensor, synthesis: Tensor, flow: Tensor, gain: Tensor, offset: Tensor, weight: Tensor
) -> Tensor:
    """weight * (gain * reference(p + flow) + offset) + (1 - weight) * synthesis, not clipped.

    Shapes as in TransferGenerator; the fields of 32x32 cells are enlarged bilinearly.
    """
    flow, gain, weight = enlarged(torch.cat([flow, gain, weight], 1)).split([2, 3, 1], dim=1)
    moved = weight * (gain * warp(reference, flow) + offset)
    return moved + (1 - weight) * synthesis


def enlarged(field: Tensor) -> Tensor:
    """(N,C,32,32) -> (N,C,128,128), bilinear with half-pixel centres."""
    return F.interpolate(field, scale_factor=SIZE // FIELD, mode="bilinear", align_corners=False)


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """picture(p + flow(p)), bilinear, clamped at the border. picture (N,C,H,W); flow (N,2,H,W), (dx, dy) in px."""
    height, width = picture.shape[-2:]
    ys = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    xs = torch.arange(width, dtype=flow.dtype, device=flow.device)[None, :]
    grid = torch.stack([(xs + flow[:, 0]) * (2 / (width - 1)) - 1, (ys + flow[:, 1]) * (2 / (height - 1)) - 1], dim=-1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _trusted(trust: Tensor) -> Tensor:
    """Trust (N,1,128,128) -> how much of the reference may be used, (N,1,32,32): what it hides cannot be moved."""
    return (F.adaptive_avg_pool2d(trust, FIELD) / LEAST_TRUST).clamp(0, 1)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
