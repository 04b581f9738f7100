"""What an experiment file may say: defaults here, each with its unit; a TOML file names only what differs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from twoface.core.errors import InputError
from twoface.research.data.portraits import Augmentation
from twoface.research.training.curriculum import Stage
from twoface.research.training.table import apply, read_table


@dataclass(frozen=True)
class ModelConfig:
    name: str = "transfer"  # a name of twoface.research.models.build
    widths: tuple[int, ...] = (48, 96, 160, 192)  # of all but the thesis' models: channels at 64, 32, 16 and 8 px
    vgg16: str = "vgg16-edges"  # the frozen networks, by their names in `twoface weights`
    facenet: str = "facenet-casia"


@dataclass(frozen=True)
class DataConfig:
    """The last four lines are of pairs alone; triples take the pictures as they are."""

    kind: Literal["portraits", "mnist"] = "portraits"
    # any two pictures of a person; masked, real, reference from sets apart; single pictures with their meshes;
    # things drawn over faces
    sets: Literal["pairs", "triples", "meshes", "occluders"] = "pairs"
    parsed: str = ""  # of occluders: pictures with masks of their parts (`twoface.research.data.parsing`)
    found: str = (
        ""  # and what really covers the crops of `split`, as `twoface.research.data.found` writes it; else none is used
    )
    hands: str = ""  # and hands in them, as `twoface.research.data.hands` writes it; else all are drawn
    shares: tuple[float, float, float] = (0.4, 0.4, 0.2)  # of triples: masked, real, reference pictures (0 = none)
    hole: int = 64  # px, the side of the centre square: the hole of triples and of validation
    split: str = "train"
    validation_split: str = "val"
    single_share: float = 0.12  # share of samples from people with one picture, who have no reference
    drop_reference: float = 0.1  # share of the others that lose theirs
    first_fills: bool = False  # a target's mesh is found in a first fill of its hole, as `twoface fill` does
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class LossConfig:
    """Which form of a term, by its name in `twoface.research.training.losses`; the stages give the weights."""

    rec: Literal["l1_hole", "mse"] = "l1_hole"
    identity: Literal["cosine_truth", "l2_reference"] = "cosine_truth"


@dataclass(frozen=True)
class TrainConfig:
    samples: int = 200_000  # the run's length
    batch: int = 16  # samples of all processes together
    betas: tuple[float, float] = (0.5, 0.99)  # Adam
    clip: float = 1.0  # the gradient's largest norm, 0 = any
    ema: float = 0.999  # weight of the old in the averaged generator, each step; 0 = no average
    window: int = 72  # px, the side of what the perceptual term and our local discriminator see round the hole
    r1: float = 0.5  # gradient penalty of the local discriminator on real pictures (Mescheder et al. 2018), 0 = none
    r1_every: int = 16  # steps
    log_every: int = 50  # steps
    validate_every: int = 5_000  # samples
    save_every_minutes: float = 5.0


@dataclass(frozen=True)
class Experiment:
    name: str = "transfer"
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    stages: tuple[Stage, ...] = (Stage(),)


WORDS = {"learning_rate": "lr", "batch_size": "batch", "steps": "samples", "epochs": "samples"}  # of other houses
LEAST = {  # of a number, by its name; 0 where nothing is said
    **dict.fromkeys(("samples", "batch", "window", "r1_every", "log_every", "validate_every", "hole"), 1),
    **dict.fromkeys(("ramp", "start", "seed"), 0),
}


def load_experiment(path: str | Path, settings: Iterable[str] = ()) -> Experiment:
    """Read an experiment file, changed by settings such as "train.batch=32" (`twoface.research.training.table`).

    Raises InputError for a file that is missing or not TOML, an unknown key (naming the nearest) or a value of
    the wrong type.
    """
    return parse_experiment(apply(read_table(Path(path)), settings), str(path))


def parse_experiment(table: dict[str, Any], where: str = "experiment") -> Experiment:
    """A parsed table -> Experiment, each stage completed with what the one before it says."""
    table = dict(table)
    stages = table.pop("stages", [{}])
    merged: dict[str, Any] = {}
    parsed = []
    for i, stage in enumerate(stages):
        merged = {**merged, "ramp": 0, **stage}
        parsed.append(_build(Stage, merged, f"{where}: stages[{i}]"))
    starts = [stage.start for stage in parsed]
    if starts != sorted(set(starts)) or starts[:1] != [0]:
        raise InputError(f"{where}: stages must start at 0 and come in order, not at {starts}")
    return _build(Experiment, {**table, "stages": tuple(parsed)}, where)


def to_table(experiment: Experiment) -> dict[str, Any]:
    """Plain dicts, lists, strings and numbers: what lies beside every checkpoint."""
    return asdict(experiment)


def _build(kind: type, table: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for key, value in table.items():
        if key not in hints:
            raise InputError(f"{where}: unknown key {key!r}; did you mean {_nearest(key, hints)!r}?")
        values[key] = _at_least(key, _value(hints[key], value, f"{where}: {key}"), f"{where}: {key}")
    return kind(**values)


def _nearest(key: str, here: Iterable[str]) -> str:
    """The key that was meant: one of this section, or else its place in another."""
    meant = WORDS.get(key, key)
    close = difflib.get_close_matches(meant, here, 1)
    elsewhere = _places(Experiment)
    if not close and meant in elsewhere:
        return elsewhere[meant]
    return (close or difflib.get_close_matches(meant, here, 1, 0.0))[0]


def _places(kind: type, prefix: str = "") -> dict[str, str]:
    """Every key of an experiment -> where it stands, such as "stages[N].lr"."""
    places: dict[str, str] = {}
    for key, hint in get_type_hints(kind).items():
        inner = Stage if key == "stages" else hint
        below = f"{prefix}{key}[N]." if key == "stages" else f"{prefix}{key}."
        places |= _places(inner, below) if is_dataclass(inner) else {key: prefix + key}
    return places


def _at_least(key: str, value: Any, where: str) -> Any:
    numbers = value if isinstance(value, tuple) else (value,)
    least = 1 if key == "widths" else LEAST.get(key, 0)
    for number in numbers:
        if isinstance(number, int | float) and not isinstance(number, bool) and not number >= least:
            raise InputError(f"{where} must be {least} or more, not {number}")
        if key in ("betas", "ema") and number >= 1:
            raise InputError(f"{where} must be below 1, not {number}")
    return value


def _value(hint: type, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return value if isinstance(value, hint) else _build(hint, value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise InputError(f"{where} must be {' or '.join(get_args(hint))}, not {value!r}")
        return value
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        return _values(get_args(hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, get_origin(hint) or hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where} must be {getattr(hint, '__name__', hint)}, not {value!r}")
    return value


def _values(kinds: tuple[Any, ...], values: Sequence[Any], where: str) -> tuple[Any, ...]:
    """The elements of a tuple[kind, ...] or a tuple[kind, kind]."""
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(values)
    if len(values) != len(kinds):
        raise InputError(f"{where} must hold {len(kinds)} values, not {len(values)}")
    return tuple(_value(kind, v, f"{where}[{i}]") for i, (kind, v) in enumerate(zip(kinds, values, strict=True)))
