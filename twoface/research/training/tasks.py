"""What an experiment trains on: the frozen networks it needs, its samples as batches, its validation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from twoface.core.errors import InputError
from twoface.core.frame import SIZE
from twoface.research.data.found import Found
from twoface.research.data.hands import Hands
from twoface.research.data.mesh_samples import MeshSamples
from twoface.research.data.meshes import meshes_of
from twoface.research.data.mnist import SIZE as DIGIT_SIZE
from twoface.research.data.mnist import Digits
from twoface.research.data.occlusion_samples import OcclusionSamples
from twoface.research.data.parsing import Parsed
from twoface.research.data.portraits import MARGIN, PortraitPairs, Portraits
from twoface.research.data.triples import Roles, Triples
from twoface.research.models.build import HELPERS, NEED_VGG, OURS, build_discriminators, build_generator
from twoface.research.models.digits import digit_classifier
from twoface.research.models.discriminators import Discriminators
from twoface.research.models.facenet import FaceNet
from twoface.research.models.pretrained import weights
from twoface.research.models.thesis_generators import PatchGenerator
from twoface.research.models.vgg import VGG16
from twoface.research.training import validate, validate_digits, validate_meshes, validate_occlusion
from twoface.research.training.config import Experiment
from twoface.research.training.features import Features
from twoface.research.training.step import JUDGES, Batch, Seen
from twoface.research.training.validate import Validation, embed_all
from twoface.research.training.validate_digits import DigitValidation
from twoface.research.training.validate_meshes import MeshValidation
from twoface.research.training.validate_occlusion import OcclusionValidation

SETS = {"see_through": "meshes", "occlusion": "occluders"}  # what a helper learns from
TERMS = {"mesh": "see_through", "occlusion": "occlusion"}  # of one model alone

Network = TypeVar("Network", bound=nn.Module)


class Samples(Protocol):
    """Draws by number: arrays and numbers by name, which a DataLoader stacks."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Frozen:
    """The networks that only look on, None where an experiment has no use for one; tests put small ones in their place.

    digits: what reads the filled digits of MNIST.
    """

    vgg: nn.Module | None = None
    facenet: nn.Module | None = None
    digits: nn.Module | None = None

    @classmethod
    def load(cls, experiment: Experiment) -> Frozen:
        if experiment.data.kind == "mnist":
            return cls(digits=digit_classifier())
        vgg = experiment.model.name in NEED_VGG or any(stage.perceptual for stage in experiment.stages)
        model = experiment.model
        if model.name in HELPERS:
            return cls()
        return cls(VGG16(weights(model.vgg16)) if vgg else None, FaceNet(weights(model.facenet)))

    def to(self, fabric: Fabric) -> Frozen:
        """The same on the run's device, channels last."""
        nets = (self.vgg, self.facenet, self.digits)
        return Frozen(*(net and fabric.to_device(_channels_last(net)) for net in nets))


def build_networks(experiment: Experiment, vgg: nn.Module | None) -> tuple[nn.Module, Discriminators]:
    """The generator and the discriminators of an experiment, in channels last."""
    data = experiment.data
    size = DIGIT_SIZE if data.kind == "mnist" else SIZE
    generator = build_generator(experiment.model.name, experiment.model.widths, size, data.hole, vgg)
    judges = build_discriminators(experiment.model.name, experiment.train.window, size, data.hole, vgg)
    return _channels_last(generator), _channels_last(judges)


def _channels_last(net: Network) -> Network:
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it


def check(experiment: Experiment, judges: Discriminators) -> None:
    """Raises InputError when the parts of an experiment do not go together."""
    name, kind = experiment.model.name, experiment.data.kind
    if (kind == "mnist") != name.startswith("mnist"):
        raise InputError(
            f"{experiment.name}: the model {name} is not for {kind} data: change [model] name or [data] kind"
        )
    sets = "pairs" if name in OURS else SETS.get(name, "triples")
    if experiment.data.sets != sets:
        raise InputError(f"{experiment.name}: [data] sets must be {sets} for {name}")
    for i, stage in enumerate(experiment.stages):
        weighed = {term for term in JUDGES if getattr(stage, term)} | set(stage.discriminate)
        lacking = weighed - set(judges.judges)
        if name not in OURS:
            lacking |= {term for term in ("transfer", "synthesis", "smooth") if getattr(stage, term)}
        if name in HELPERS:
            lacking |= {term for term in ("rec", "chroma", "perceptual", "identity", *JUDGES) if getattr(stage, term)}
        lacking |= {term for term, model in TERMS.items() if model != name and getattr(stage, term)}
        if kind == "mnist":
            lacking |= {term for term in ("chroma", "perceptual", "identity") if getattr(stage, term)}
        if lacking:
            raise InputError(
                f"{experiment.name}: stages[{i}]: {name} has no {', '.join(sorted(lacking))}: leave it out"
            )


def figures(experiment: Experiment) -> tuple[str, ...]:
    """The names of the figures that validation gives."""
    if experiment.data.kind == "mnist":
        return validate_digits.figures(bool(experiment.data.shares[2]))
    own = {"meshes": validate_meshes.FIGURES, "occluders": validate_occlusion.FIGURES}
    return own.get(experiment.data.sets, validate.FIGURES)


@dataclass
class Task:
    """samples: draws by number. validation: `scores(generator)` and `preview(generator)`.

    embeddings: FaceNet's of every picture, float (N, 512), and which picture of a sample counts ("target_index" or
    "reference_index"). features: of pictures that never change.
    """

    samples: Samples
    validation: Validation | DigitValidation | MeshValidation | OcclusionValidation
    fabric: Fabric
    embeddings: Tensor | None = None
    embedded: str = "target_index"
    features: Features | None = None

    def batch(self, drawn: dict[str, Tensor]) -> Batch:
        """Samples as the DataLoader stacks them -> tensors on the device."""

        def picture(name: str) -> Tensor:
            return drawn[name].permute(0, 3, 1, 2).float() / 255  # channels last in memory

        target = picture("target")
        if "covered" in drawn:
            target, covered = map(self.fabric.to_device, (target, drawn["covered"]))
            return Batch(target, target[:, :1], target, target, covered=covered)
        mask = drawn["mask"][:, None].float()
        if "points" in drawn:
            target, mask, points = map(self.fabric.to_device, (target, mask, drawn["points"]))
            return Batch(target, mask, target, target, points=points)
        reference = picture("reference")
        real = picture("real") if "real" in drawn else target
        embedding = None if self.embeddings is None else self.embeddings[drawn[self.embedded]]
        places = [drawn[f"{kind}_index"].numpy() for kind in ("target", "real", "reference")] if self.features else []
        trust = drawn["trust"][:, None].float() / 255 if "trust" in drawn else None
        target, mask, reference, real = map(self.fabric.to_device, (target, mask, reference, real))
        embedding, trust = (x if x is None else self.fabric.to_device(x) for x in (embedding, trust))
        return Batch(
            target, mask, reference, real, embedding, self.features.of(*places) if self.features else Seen(), trust
        )


def open_task(
    experiment: Experiment,
    data: Path,
    cache: Path | None,
    frozen: Frozen,
    generator: nn.Module,
    judges: Discriminators,
    fabric: Fabric,
) -> Task:
    """Read the experiment's data; frozen, generator and judges on the device already.

    Raises InputError for data that cannot be used.
    """
    about, seed, length = experiment.data, experiment.seed, experiment.train.samples
    if about.kind == "mnist":
        digits = Digits.load(data, "train")
        roles = Roles.draw(digits.labels, about.shares, seed)
        assert frozen.digits is not None  # as of `Frozen.load`
        reading = DigitValidation(
            Digits.load(data, "validation"), frozen.digits, fabric, about.hole, bool(about.shares[2])
        )
        return Task(Triples(digits.pictures, roles, about.hole, seed, length), reading, fabric)

    portraits = Portraits.load(data, about.split, cache)
    seen = Portraits.load(data, about.validation_split, cache)
    if about.sets == "occluders":
        return _occluders(experiment, portraits, cache, fabric)
    if about.sets == "meshes":
        meshes = meshes_of(portraits, cache)
        helper: Any = generator  # a SeeThrough
        helper.set_space(meshes)
        watching = MeshValidation(seen, meshes_of(seen, cache), fabric)
        return Task(MeshSamples(portraits, meshes, seed, length, about.augmentation), watching, fabric)
    assert frozen.facenet is not None  # as of `Frozen.load`
    pairs = about.sets == "pairs"
    validation = Validation(seen, meshes_of(seen, cache) if pairs else None, frozen.facenet, fabric, about.hole)
    likeness = any(stage.identity for stage in experiment.stages)
    embeddings = embed_all(portraits, frozen.facenet, fabric, cache, experiment.model.facenet) if likeness else None
    compared = "target_index" if experiment.losses.identity == "cosine_truth" else "reference_index"
    if pairs:
        meshes = meshes_of(portraits, cache)
        how = (about.augmentation, about.single_share, about.drop_reference, about.first_fills)
        return Task(PortraitPairs(portraits, meshes, seed, length, *how), validation, fabric, embeddings, compared)
    frames = portraits.crops[:, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
    triples = Triples(frames, Roles.draw(portraits.identity, about.shares, seed), about.hole, seed, length)
    name = experiment.model.name
    seen_by = f"{name} {experiment.model.vgg16}"
    features = None
    if name in NEED_VGG:
        assert isinstance(generator, PatchGenerator)
        features = Features(seen_by, triples, generator, judges, fabric, cache)
    return Task(triples, validation, fabric, embeddings, compared, features)


def _occluders(experiment: Experiment, portraits: Portraits, cache: Path | None, fabric: Fabric) -> Task:
    """Drawn things over the pictures with known parts, and over the crops of the split that are known to be bare."""
    about, seed = experiment.data, experiment.seed
    if not about.parsed:
        raise InputError(f"{experiment.name}: say where the pictures with parts are: --set data.parsed=PATH")
    meshes = meshes_of(portraits, cache)
    found = Found.load(about.found, portraits) if about.found else None
    hands = Hands.load(about.hands, portraits) if about.hands else None
    how = (about.augmentation, portraits, meshes)
    watching = OcclusionSamples(Parsed.load(about.parsed, "val", cache), seed + 1, len(portraits), *how)
    samples = OcclusionSamples(
        Parsed.load(about.parsed, "train", cache), seed, experiment.train.samples, *how, found=found, hands=hands
    )
    return Task(samples, OcclusionValidation(watching, fabric), fabric)
