"""What a search of hyper-parameters varies, and by which figure it judges: a TOML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from twoface.core.errors import InputError
from twoface.research.training.table import path_steps, read_table

DIRECTIONS = ("maximize", "minimize")
Distribution = CategoricalDistribution | FloatDistribution | IntDistribution


@dataclass(frozen=True)
class Space:
    """metric: a figure of validation's; direction: maximize or minimize it. fixed: assignments that every trial makes,
    such as "train.samples=4000". parameters: what varies, by its path in the experiment."""

    metric: str
    direction: Literal["maximize", "minimize"]
    fixed: tuple[str, ...]
    parameters: dict[str, Distribution]


def load_space(path: Path) -> Space:
    """Read a space file.

        metric = "cosine_truth_right"
        direction = "maximize"
        set = ["train.samples=4000", "train.validate_every=1000"]

        [parameters]
        "stages[0].lr" = { low = 1e-5, high = 1e-2, log = true }
        "train.batch" = { choices = [16, 32] }
        "model.depth" = { low = 2, high = 5 }   # whole numbers give whole numbers

    Raises InputError for a file that is missing or says something else.
    """
    table = read_table(path, "a space file such as experiments/spaces/mnist_two.toml")
    unknown = table.keys() - {"metric", "direction", "set", "parameters"}
    if unknown:
        raise InputError(f"{path}: unknown key {min(unknown)!r}: there are metric, direction, set and parameters")
    if table.get("direction") not in DIRECTIONS or not isinstance(table.get("metric"), str):
        raise InputError(f"{path}: say metric, a figure of validation, and direction: {' or '.join(DIRECTIONS)}")
    if not table.get("parameters"):
        raise InputError(f"{path}: [parameters] is empty: say what varies")
    parameters = {name: _distribution(entry, f"{path}: {name}") for name, entry in table["parameters"].items()}
    for name in parameters:
        path_steps(name)
    return Space(table["metric"], table["direction"], tuple(table.get("set", ())), parameters)


def example(space: Space) -> dict[str, Any]:
    """One value of each parameter, to try an experiment with before the search begins."""
    return {
        name: d.choices[0] if isinstance(d, CategoricalDistribution) else d.low for name, d in space.parameters.items()
    }


def _distribution(entry: Any, where: str) -> Distribution:
    if isinstance(entry, dict) and entry.keys() == {"choices"}:
        return CategoricalDistribution(entry["choices"])
    if not isinstance(entry, dict) or not {"low", "high"} <= entry.keys() <= {"low", "high", "log", "step"}:
        raise InputError(f"{where}: give {{ low, high }} with log or step if need be, or {{ choices }}, not {entry!r}")
    whole = isinstance(entry["low"], int) and isinstance(entry["high"], int)
    try:
        return IntDistribution(**entry) if whole else FloatDistribution(**entry)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: {error}") from error
