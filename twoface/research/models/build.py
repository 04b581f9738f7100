"""Name -> the networks that learn, in plain dicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from twoface.core.errors import InputError
from twoface.research.models import thesis_discriminators, thesis_generators
from twoface.research.models.discriminators import Discriminators, PatchDiscriminators
from twoface.research.models.generator import TransferGenerator
from twoface.research.models.occlusion import Occlusion
from twoface.research.models.see_through import SeeThrough

Maker = Callable[..., nn.Module]
OURS: dict[str, Maker] = {
    "transfer": lambda widths: TransferGenerator(widths, transfer=True),
    "synthesis": lambda widths: TransferGenerator(widths, transfer=False),
}
THESIS: dict[str, tuple[Maker, Callable[..., Discriminators]]] = {  # size, hole, vgg -> generator, discriminators
    "mnist": (thesis_generators.mnist, thesis_discriminators.mnist),
    "mnist_two": (partial(thesis_generators.mnist, encoders=2), thesis_discriminators.mnist_two),
    "faces_initial": (thesis_generators.faces_initial, thesis_discriminators.faces_initial),
    "faces_vgg": (thesis_generators.faces_vgg, thesis_discriminators.faces_vgg),
    "faces_final": (thesis_generators.faces_final, thesis_discriminators.faces_final),
}
HELPERS: dict[str, Maker] = {"see_through": SeeThrough, "occlusion": Occlusion}  # that look at faces and fill nothing
NEED_VGG = ("faces_vgg", "faces_final")


def build_generator(
    name: str, widths: tuple[int, ...] = (), size: int = 128, hole: int = 0, vgg: nn.Module | None = None
) -> nn.Module:
    """widths: of ours. size, hole: px, and vgg: a VGG16, of the thesis' models; vgg only of those in NEED_VGG.

    Raises InputError for a name that nobody registered.
    """
    _check(name)
    if name in OURS | HELPERS:
        return (OURS | HELPERS)[name](widths)
    return THESIS[name][0](size, hole, vgg)


def build_discriminators(
    name: str, window: int = 72, size: int = 128, hole: int = 0, vgg: nn.Module | None = None
) -> Discriminators:
    """The judges of that generator; window: px, of ours; the rest and the error as in `build_generator`."""
    _check(name)
    return PatchDiscriminators(window) if name in OURS | HELPERS else THESIS[name][1](size, hole, vgg)


def _check(name: str) -> None:
    if name not in OURS | THESIS | HELPERS:
        raise InputError(f"no model is called {name!r}: choose of {', '.join(sorted(OURS | THESIS | HELPERS))}")
