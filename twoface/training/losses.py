"""The terms of the objective: tensors in, a scalar out. Pure."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def rec(fill: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference in the hole. fill, target (N,3,H,W); mask (N,1,H,W), 1 = hole."""
    return ((fill - target).abs() * mask).sum() / (3 * mask.sum()).clamp_min(1)


def perceptual(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean over layers of the features' L1 distance, each relative to the layer's own size (Johnson et al. 2016)."""
    terms = [
        F.l1_loss(f.float(), r.float()) / r.float().abs().mean().clamp_min(1e-6)
        for f, r in zip(fake, real, strict=True)
    ]
    return sum(terms) / len(terms)


def identity(fake: Tensor, truth: Tensor) -> Tensor:
    """1 - cosine of unit embeddings (N, D), mean: 0 for the same direction, 2 for opposite ones."""
    return (1 - (fake * truth).sum(1)).mean()


def adversarial(fake_logits: Tensor, weights: Tensor) -> Tensor:
    """The generator's non-saturating loss (Goodfellow et al. 2014): BCE of the logits against "real".

    logits, weights (N, K), each row of weights adding up to 1.
    """
    return (F.softplus(-fake_logits) * weights).sum(1).mean()


def discriminator(real_logits: Tensor, fake_logits: Tensor, weights: Tensor) -> Tensor:
    """BCE(real, 1) + BCE(fake, 0); weights as for `adversarial`."""
    return ((F.softplus(-real_logits) + F.softplus(fake_logits)) * weights).sum(1).mean()


def transfer(weight: Tensor, mask: Tensor) -> Tensor:
    """What the mixing weight leaves to the synthesis, 1 - weight, on average in the hole.

    L1 prefers a blurred mean to the reference's detail that is half a pixel off; this is the counterweight.
    weight (N,1,h,w), mask (N,1,H,W), of samples that have a reference.
    """
    hole = F.adaptive_avg_pool2d(mask, weight.shape[-2:])
    return ((1 - weight) * hole).sum() / hole.sum().clamp_min(1e-6)


def smooth(flow: Tensor, gain: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """Total variation of the fields (N,C,h,w), the flow in units of 8 px: mean absolute difference of neighbours."""
    total = 0.0
    for field, unit in ((flow, 8.0), (gain, 1.0), (offset, 1.0), (weight, 1.0)):
        total = total + (field.diff(dim=2).abs().mean() + field.diff(dim=3).abs().mean()) / unit
    return total
