"""The curriculum (Bengio et al. 2009) as data: which loss weighs how much after how many samples. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import get_type_hints


@dataclass(frozen=True)
class Stage:
    """Loss weights and learning rates from a number of samples on. A term of weight 0 is not computed."""

    start: int = 0  # samples seen when the stage begins
    ramp: int = 0  # samples over which the numbers move from those of the stage before to these, linearly
    lr: float = 3e-4  # the generator's learning rate (Adam)
    discriminator_lr: float = 2e-4
    discriminator_weight: float = 1.0  # of each discriminator's own loss
    discriminate: tuple[str, ...] = ()  # which learn, whether or not they weigh anything yet (warm-up): adv_local, ...
    rec: float = 1.0  # the fill against the truth (`losses.rec` says how)
    chroma: float = 0.0  # the fill's colours, apart from their brightness, against the truth's
    perceptual: float = 0.0  # VGG16 features of the hole's window
    identity: float = 0.0  # FaceNet embeddings (`losses.identity` says of what), where there is a reference
    adv_local: float = 0.0
    adv_global: float = 0.0
    transfer: float = 0.0  # what the mixing weight leaves to the synthesis where the reference is trusted
    synthesis: float = 0.0  # the synthesis alone against the truth, where there is a reference
    mesh: float = 0.0  # the see-through network's points against those of the whole face
    occlusion: float = 0.0  # what the occlusion network marks against what was drawn over the face
    smooth: float = 0.0  # total variation of the fields


def stage_at(stages: tuple[Stage, ...], samples: int) -> Stage:
    """The stage in force after `samples` samples, its ramp applied. stages: in order, the first from 0."""
    place = bisect_right([stage.start for stage in stages], samples) - 1
    now = stages[place]
    if place == 0 or now.ramp == 0:
        return now
    t = min(1.0, (samples - now.start) / now.ramp)
    before = stages[place - 1]
    moving = [name for name, kind in get_type_hints(Stage).items() if kind is float]
    return replace(now, **{n: getattr(before, n) + t * (getattr(now, n) - getattr(before, n)) for n in moving})
