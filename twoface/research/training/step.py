"""One turn of the discriminators and one of the generator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from twoface.core.errors import TwoFaceError
from twoface.research.models.discriminators import hole_window
from twoface.research.models.facenet import INPUT as FACENET_INPUT
from twoface.research.models.together import over_processes
from twoface.research.training import losses
from twoface.research.training.config import LossConfig, TrainConfig
from twoface.research.training.curriculum import Stage

FACE_VIEW = slice(6, 122)  # the part of the 128 frame that FaceNet sees
JUDGES = ("adv_local", "adv_global")
FIELDS = ("flow", "gain", "offset", "weight")  # of our generator, what `smooth` and `transfer` are about


class Diverged(TwoFaceError):
    """A term of an objective, or the gradient, is no longer a number; the network it belongs to was not stepped."""


@dataclass(frozen=True)
class Seen:
    """What frozen layers say of pictures that never change, known beforehand. Empty: to be computed.

    generator: `look` of the masked picture and of the reference; real, reference: `Discriminators.look` of these.
    """

    generator: tuple[Tensor, ...] = ()
    real: dict[str, Tensor] = field(default_factory=dict)
    reference: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """target, real, reference: float (N,C,S,S) in [0,1]; mask (N,1,S,S), 1 = hole.

    real: what the discriminators are shown as real, the target itself or another picture of the same identity.
    embedding: FaceNet's (N,512) of what the fill is to look like, the target or the reference; None without FaceNet.
    trust: (N,1,S,S) in [0,1], of a registered reference; None where references are taken as they are.
    covered: (N,S,S), what is in front of the face, as `losses.occlusion` takes it; None where that is not learned.
    points: (N,478,3), the mesh of the whole face in the picture's pixels; None where none is learned.
    """

    target: Tensor
    mask: Tensor
    reference: Tensor
    real: Tensor
    embedding: Tensor | None = None
    seen: Seen = Seen()
    trust: Tensor | None = None
    points: Tensor | None = None
    covered: Tensor | None = None

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What the generator is given."""
        if self.covered is not None:
            return (self.target,)
        if self.points is not None:
            return self.target, self.mask
        extra = [x for x in (self.trust, self.seen.generator or None) if x is not None]
        return (self.target, self.mask, self.reference, *extra)


@dataclass
class Networks:
    """What a step works on. `generator` and `discriminators` are wrapped by Fabric; `vgg` and `facenet` are frozen."""

    generator: nn.Module
    discriminators: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    vgg: nn.Module | None
    facenet: nn.Module | None


def train_step(
    fabric: Fabric,
    nets: Networks,
    batch: Batch,
    stage: Stage,
    config: TrainConfig,
    step: int,
    forms: LossConfig | None = None,
) -> dict[str, Tensor]:
    """Each network one turn. Returns the terms, unweighted, detached. forms: which form `rec` and `identity` have."""
    _set_rate(nets.generator_optimizer, stage.lr)
    _set_rate(nets.discriminator_optimizer, stage.discriminator_lr)
    fields = nets.generator(*batch.inputs)
    if batch.covered is not None:  # nobody judges these two
        return _descend(fabric, nets, {"occlusion": losses.occlusion(fields["logits"], batch.covered)}, stage, config)
    if batch.points is not None:
        return _descend(fabric, nets, {"mesh": losses.mesh(fields["points"], batch.points)}, stage, config)
    composite = batch.mask * fields["fill"] + (1 - batch.mask) * batch.target

    # What the judges' frozen layers say of the composite serves both turns.
    weighted = tuple(name for name in JUDGES if getattr(stage, name))
    judges: Any = nets.discriminators.module  # the Discriminators inside Fabric's wrapper
    unweighted = tuple(name for name in stage.discriminate if name not in weighted)
    with fabric.autocast():
        fake = judges.look(weighted, composite, batch.mask) | judges.look(unweighted, composite.detach(), batch.mask)
        reference = batch.seen.reference
        if judges.paired and not reference:
            with torch.no_grad():
                reference = judges.look(tuple(fake), batch.reference, batch.mask)

    logs: dict[str, Tensor] = {}
    if stage.discriminate:
        fake_detached = {name: fake[name].detach() for name in stage.discriminate}
        logs |= discriminator_turn(fabric, nets, batch, fake_detached, reference, stage, config, step)
    fake_weighted = {name: fake[name] for name in weighted}
    return logs | generator_turn(
        fabric, nets, batch, fields, composite, fake_weighted, reference, stage, config, forms or LossConfig()
    )


def generator_turn(
    fabric: Fabric,
    nets: Networks,
    batch: Batch,
    fields: dict[str, Tensor],
    composite: Tensor,
    fake: dict[str, Tensor],
    reference: dict[str, Tensor],
    stage: Stage,
    config: TrainConfig,
    forms: LossConfig,
) -> dict[str, Tensor]:
    """fake, reference: what the judges that have a say are given of the composite and of the reference."""
    terms = {}
    # Without a reference there is no likeness to learn, only a FaceNet to fool.
    shown = batch.reference.amax((1, 2, 3)) > 0
    anyone = bool(over_processes(shown.sum().float()) > 0)  # a process without one must not stay away from a sum
    if stage.rec:
        terms["rec"] = losses.REC[forms.rec](fields["fill"], batch.target, batch.mask)
    if stage.chroma:
        terms["chroma"] = losses.chroma(fields["fill"], batch.target, batch.mask)
    with fabric.autocast():
        if stage.perceptual:
            assert nets.vgg is not None  # `Frozen.load` sees to what the stages ask for
            windows = (hole_window(x, batch.mask, config.window) for x in (composite, batch.target))
            terms["perceptual"] = _perceptual(nets.vgg, *windows)
        if stage.identity and anyone:
            assert nets.facenet is not None and batch.embedding is not None
            embedding = nets.facenet(face_view(composite[shown]))
            terms["identity"] = losses.IDENTITY[forms.identity](embedding, batch.embedding[shown])
        if fake:
            nets.discriminators.requires_grad_(False)
            judges: Any = nets.discriminators.module
            (judged,) = judges(reference, fake)
            terms |= {name: losses.adversarial(*verdict) for name, verdict in judged.items()}
            nets.discriminators.requires_grad_(True)
    if stage.transfer and anyone:
        assert batch.trust is not None  # of registered references, which `transfer` is for
        terms["transfer"] = losses.transfer(fields["weight"][shown], (batch.mask * batch.trust)[shown])
    if stage.synthesis and anyone:
        drawn, wanted, hole = (x[shown] for x in (fields["synthesis"], batch.target, batch.mask))
        terms["synthesis"] = losses.synthesis(drawn, wanted, hole)
    if stage.smooth:
        terms["smooth"] = losses.smooth(*(fields[name] for name in FIELDS))
    if not terms:  # a warm-up of judges alone
        return {}
    return _descend(fabric, nets, terms, stage, config)


def _descend(
    fabric: Fabric, nets: Networks, terms: dict[str, Tensor], stage: Stage, config: TrainConfig
) -> dict[str, Tensor]:
    """A step of the generator down its weighted terms -> the terms, the total and the gradient's norm, detached."""
    total: Tensor = reduce(add, (getattr(stage, name) * value for name, value in terms.items()))
    nets.generator_optimizer.zero_grad()
    fabric.backward(total)
    norm = fabric.clip_gradients(
        nets.generator, nets.generator_optimizer, max_norm=config.clip or float("inf"), error_if_nonfinite=False
    )
    assert norm is not None  # strategies that clip by themselves give none, and are not used
    for name, value in {**terms, "gradient": norm}.items():
        _check(name, value)
    nets.generator_optimizer.step()
    return {name: value.detach() for name, value in (terms | {"total": total}).items()}


def discriminator_turn(
    fabric: Fabric,
    nets: Networks,
    batch: Batch,
    fake: dict[str, Tensor],
    reference: dict[str, Tensor],
    stage: Stage,
    config: TrainConfig,
    step: int,
) -> dict[str, Tensor]:
    """fake: what the learning judges are given of the composite, detached; reference as in `generator_turn`."""
    names = tuple(fake)
    real = {name: view for name, view in batch.seen.real.items() if name in names}
    if not real:
        with torch.no_grad(), fabric.autocast():
            judges: Any = nets.discriminators.module
            real = judges.look(names, batch.real, batch.mask)
    of_real, of_fake = nets.discriminators(reference, real, fake)
    terms = {name: losses.discriminator(of_real[name][0], of_fake[name][0], of_real[name][1]) for name in names}
    total = stage.discriminator_weight * reduce(add, terms.values())
    if config.r1 and step % config.r1_every == 0 and "adv_local" in names:
        total = total + config.r1_every * config.r1 / 2 * _r1(nets, real["adv_local"], reference)
    _check("discriminator", total)  # in the warm-up no term of the generator's would tell
    nets.discriminator_optimizer.zero_grad()
    fabric.backward(total)
    nets.discriminator_optimizer.step()
    return {f"discriminator_{name.removeprefix('adv_')}": value.detach() for name, value in terms.items()}


def face_view(picture: Tensor) -> Tensor:
    """(N,3,128,128) -> what FaceNet sees of it, (N,3,160,160)."""
    return F.interpolate(picture[..., FACE_VIEW, FACE_VIEW], FACENET_INPUT, mode="bilinear", align_corners=False)


def _perceptual(vgg: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = vgg(real)
    return losses.perceptual(vgg(fake), wanted)


def _r1(nets: Networks, real: Tensor, reference: dict[str, Tensor]) -> Tensor:
    """Mean squared gradient of the local judge's logits by the colours it sees of real pictures, in full precision."""
    real = real.detach().float().requires_grad_(True)
    judges: Any = nets.discriminators.module
    ((verdict,),) = [one.values() for one in judges(reference, {"adv_local": real})]
    logits, weights = verdict
    (gradient,) = torch.autograd.grad((logits * weights).sum(), real, create_graph=True)
    return gradient[:, :3].square().sum((1, 2, 3)).mean()


def _check(name: str, value: Tensor) -> None:
    """All processes stop together."""
    everyones = float(over_processes(value.detach()))
    if not math.isfinite(everyones):
        raise Diverged(f"{name} became {everyones}")


def _set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
