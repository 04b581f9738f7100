"""One turn of the discriminators and one of the generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from twoface.errors import TwoFaceError
from twoface.models.facenet import INPUT as FACENET_INPUT
from twoface.training import losses
from twoface.training.config import TrainConfig
from twoface.training.curriculum import Stage

FACE_VIEW = slice(6, 122)  # the part of the 128 frame that FaceNet sees


class Diverged(TwoFaceError):
    """A term of an objective, or the gradient, is no longer a number; the network it belongs to was not stepped."""


@dataclass(frozen=True)
class Batch:
    """target, reference: float (N,3,128,128) in [0,1]; mask (N,1,128,128); embedding: FaceNet of the truth, (N,512)."""

    target: Tensor
    mask: Tensor
    reference: Tensor
    embedding: Tensor


@dataclass
class Networks:
    """What a step works on. `generator` and `discriminators` are wrapped by Fabric; `vgg` and `facenet` are frozen."""

    generator: nn.Module
    discriminators: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    vgg: nn.Module
    facenet: nn.Module


def train_step(
    fabric: Fabric, nets: Networks, batch: Batch, stage: Stage, config: TrainConfig, step: int
) -> dict[str, Tensor]:
    """Each network one turn. Returns the terms, unweighted, detached."""
    for group in nets.generator_optimizer.param_groups:
        group["lr"] = stage.lr
    fields = nets.generator(batch.target, batch.mask, batch.reference)
    composite = batch.mask * fields["fill"] + (1 - batch.mask) * batch.target
    corners = window_corners(batch.mask, config.window)

    logs = {}
    if stage.discriminate:
        logs |= discriminator_turn(fabric, nets, batch, composite.detach(), corners, config, step)
    return logs | generator_turn(fabric, nets, batch, fields, composite, corners, stage, config)


def generator_turn(
    fabric: Fabric,
    nets: Networks,
    batch: Batch,
    fields: dict[str, Tensor],
    composite: Tensor,
    corners: Tensor,
    stage: Stage,
    config: TrainConfig,
) -> dict[str, Tensor]:
    terms = {"rec": losses.rec(fields["fill"], batch.target, batch.mask)}
    # Without a reference there is no likeness to learn, only a FaceNet to fool.
    shown = batch.reference.amax((1, 2, 3)) > 0
    with fabric.autocast():
        if stage.perceptual:
            fake, real = (_window(x, corners, config.window) for x in (composite, batch.target))
            with torch.no_grad():
                wanted = nets.vgg(real)
            terms["perceptual"] = losses.perceptual(nets.vgg(fake), wanted)
        if stage.identity and shown.any():
            embedding = nets.facenet(face_view(composite[shown]))
            terms["identity"] = losses.identity(embedding, batch.embedding[shown])
        if stage.adv_local or stage.adv_global:
            nets.discriminators.requires_grad_(False)
            raw = nets.discriminators.module
            local, whole = judge(raw, composite, batch.mask, batch.reference, corners, config.window)
            terms["adv_local"], terms["adv_global"] = losses.adversarial(*local), losses.adversarial(*whole)
            nets.discriminators.requires_grad_(True)
    if stage.transfer and shown.any():
        terms["transfer"] = losses.transfer(fields["weight"][shown], batch.mask[shown])
    if stage.smooth:
        terms["smooth"] = losses.smooth(*(fields[name] for name in ("flow", "gain", "offset", "weight")))
    total = sum(getattr(stage, name) * value for name, value in terms.items())
    nets.generator_optimizer.zero_grad()
    fabric.backward(total)
    norm = fabric.clip_gradients(
        nets.generator, nets.generator_optimizer, max_norm=config.clip, error_if_nonfinite=False
    )
    for name, value in {**terms, "gradient": norm}.items():
        if not torch.isfinite(value):
            raise Diverged(f"{name} became {float(value.detach())}")
    nets.generator_optimizer.step()
    return {name: value.detach() for name, value in (terms | {"total": total}).items()}


def discriminator_turn(
    fabric: Fabric, nets: Networks, batch: Batch, composite: Tensor, corners: Tensor, config: TrainConfig, step: int
) -> dict[str, Tensor]:
    # Real and fake in one pass: a wrapped network wants one forward for each backward.
    pictures = torch.cat([batch.target, composite])
    mask, reference = batch.mask.repeat(2, 1, 1, 1), batch.reference.repeat(2, 1, 1, 1)
    terms = []
    for logits, weights in judge(nets.discriminators, pictures, mask, reference, corners.repeat(2, 1), config.window):
        real, fake = logits.chunk(2)
        terms.append(losses.discriminator(real, fake, weights.chunk(2)[0]))
    total = sum(terms)
    if config.r1 and step % config.r1_every == 0:
        total = total + config.r1_every * config.r1 / 2 * _r1(nets, batch, corners, config.window)
    if not torch.isfinite(total):  # in the warm-up no term of the generator's would tell
        raise Diverged(f"discriminator became {float(total.detach())}")
    nets.discriminator_optimizer.zero_grad()
    fabric.backward(total)
    nets.discriminator_optimizer.step()
    return {"discriminator_local": terms[0].detach(), "discriminator_global": terms[1].detach()}


def judge(
    discriminators: nn.Module, picture: Tensor, mask: Tensor, reference: Tensor, corners: Tensor, window: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Logits and weights of the window at the hole, and of the whole picture at half size."""
    trio = (picture, mask, reference)
    return discriminators(tuple(_window(x, corners, window) for x in trio), tuple(F.avg_pool2d(x, 2) for x in trio))


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


def face_view(picture: Tensor) -> Tensor:
    """(N,3,128,128) -> what FaceNet sees of it, (N,3,160,160)."""
    return F.interpolate(picture[..., FACE_VIEW, FACE_VIEW], FACENET_INPUT, mode="bilinear", align_corners=False)


def _window(x: Tensor, corners: Tensor, side: int) -> Tensor:
    parts = [one[:, y : y + side, x0 : x0 + side] for one, (y, x0) in zip(x, corners.tolist(), strict=True)]
    return torch.stack(parts).contiguous(memory_format=torch.channels_last)


def _r1(nets: Networks, batch: Batch, corners: Tensor, window: int) -> Tensor:
    """Mean squared gradient of the local judge's logits at real windows, in full precision."""
    real, mask, reference = (_window(x, corners, window) for x in (batch.target, batch.mask, batch.reference))
    real.requires_grad_(True)
    logits, weights = nets.discriminators.module.local_judge(real, mask, reference)
    (gradient,) = torch.autograd.grad((logits * weights).sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()
