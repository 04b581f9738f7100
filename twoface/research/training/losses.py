"""The terms of the objective: tensors in, a scalar out. Pure, but for asking other processes for their counts.

Where several processes share a batch, the mean over processes of what these give is the term of the whole batch.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch import Tensor
from torch.nn import functional as F

from twoface.research.models.together import over_processes

DICE = 60.0  # px, added to both sides of Dice's fraction: so little marked in vain hardly counts


def l1_hole(fill: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference in the hole. fill, target (N,C,H,W); mask (N,1,H,W), 1 = hole."""
    return ((fill - target).abs() * mask).sum() / (fill.shape[1] * over_processes(mask.sum())).clamp_min(1)


def chroma(fill: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference in the hole of what colours have beside their brightness. Shapes as `l1_hole`.

    A grey nose or a green cheek is a small error in RGB, and the first that is seen.
    """
    return l1_hole(fill - fill.mean(1, keepdim=True), target - target.mean(1, keepdim=True), mask)


def mse(fill: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of the composite and the target, over all values of the picture. Shapes as `l1_hole`."""
    return ((fill - target) * mask).square().mean()


def perceptual(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean over layers of the features' L1 distance, each relative to the layer's own size (Johnson et al. 2016)."""
    terms = [
        F.l1_loss(f.float(), r.float()) / over_processes(r.float().abs().mean()).clamp_min(1e-6)
        for f, r in zip(fake, real, strict=True)
    ]
    return reduce(add, terms) / len(terms)


def cosine(fake: Tensor, wanted: Tensor) -> Tensor:
    """1 - cosine of unit embeddings (N, D), mean: 0 for the same direction, 2 for opposite ones."""
    return _mean(1 - (fake * wanted).sum(1))


def l2(fake: Tensor, wanted: Tensor) -> Tensor:
    """Euclidean distance of embeddings (N, D), mean."""
    return _mean(torch.linalg.vector_norm(fake - wanted + 1e-8, dim=1))  # its gradient at 0 is not a number


def adversarial(fake_logits: Tensor, weights: Tensor) -> Tensor:
    """The generator's non-saturating loss (Goodfellow et al. 2014): BCE of the logits against "real".

    logits, weights (N, K), each row of weights adding up to 1.
    """
    return (F.softplus(-fake_logits) * weights).sum(1).mean()


def discriminator(real_logits: Tensor, fake_logits: Tensor, weights: Tensor) -> Tensor:
    """BCE(real, 1) + BCE(fake, 0); weights as for `adversarial`."""
    return ((F.softplus(-real_logits) + F.softplus(fake_logits)) * weights).sum(1).mean()


def transfer(weight: Tensor, trusted: Tensor) -> Tensor:
    """What the mixing weight leaves to the synthesis, 1 - weight, on average where the reference can be trusted.

    L1 prefers a blurred mean to the reference's detail that is half a pixel off; this is the counterweight.
    weight (N,1,h,w); trusted (N,1,H,W), the hole times the trust; of samples that have a reference.
    """
    height, width = weight.shape[-2:]
    hole = F.adaptive_avg_pool2d(trusted, (height, width))
    return ((1 - weight) * hole).sum() / over_processes(hole.sum()).clamp_min(1e-6)


def synthesis(picture: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy in the hole of the synthesis and the truth, less what it is at best, of samples with a reference.

    Where the reference weighs nearly all, the synthesis is free to be anything: without this term it became a pattern
    of black and white that mended the fill at 128 pixels and showed at the photo's resolution. The gradient of a
    cross-entropy does not vanish there.
    picture, target (N,3,H,W) in [0, 1]; mask (N,1,H,W), 1 = hole.
    """
    entropy = F.binary_cross_entropy(picture, target, reduction="none")
    least = F.binary_cross_entropy(target, target, reduction="none")
    return ((entropy - least) * mask).sum() / (picture.shape[1] * over_processes(mask.sum())).clamp_min(1)


def smooth(flow: Tensor, gain: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """Total variation of the fields (N,C,h,w), the flow in units of 8 px: mean absolute difference of neighbours."""
    fields = ((flow, 8.0), (gain, 1.0), (offset, 1.0), (weight, 1.0))
    terms = [(field.diff(dim=2).abs().mean() + field.diff(dim=3).abs().mean()) / unit for field, unit in fields]
    return reduce(add, terms)


def mesh(points: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of meshes (N,478,3) in pixels, depth by three tenths: it is the vaguer."""
    difference = (points - wanted).abs().mean((0, 1))
    return (difference * difference.new_tensor((0.5, 0.5, 0.3))).sum()


def occlusion(logits: Tensor, covered: Tensor) -> Tensor:
    """Cross-entropy of each pixel, and 1 - Dice of each picture (Milletari et al. 2016), where the truth is known.

    logits: (N,1,H,W). covered: (N,H,W), 1 = in front of the face, 0 = not, anything else: nobody knows.
    """
    logits, known = logits[:, 0].float(), (covered <= 1).float()
    truth = covered.float() * known
    entropy = F.binary_cross_entropy_with_logits(logits, truth, weight=known, reduction="sum")
    marked = logits.sigmoid() * known
    both, either = 2 * (marked * truth).sum((1, 2)), marked.sum((1, 2)) + truth.sum((1, 2))
    return 4 * entropy / known.sum().clamp_min(1) + (1 - (both + DICE) / (either + DICE)).mean()


def _mean(values: Tensor) -> Tensor:
    """values (N,), N perhaps another, or 0, in another process."""
    return values.sum() / over_processes(values.new_tensor(float(len(values)))).clamp_min(1e-6)


REC = {"l1_hole": l1_hole, "mse": mse}
IDENTITY = {"cosine_truth": cosine, "l2_reference": l2}
