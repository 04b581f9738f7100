"""An experiment's table as its file says it, and what a command line (`--set`) or a search changes in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twoface.core.errors import InputError

PART = re.compile(r"([A-Za-z_]\w*)((?:\[\d+\])*)")


def read_table(path: Path, kind: str = "an experiment file such as experiments/transfer.toml") -> dict[str, Any]:
    """A TOML file's table. Raises InputError for a file that is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: give {kind}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error


def parse_assignment(text: str) -> tuple[str, Any]:
    """ "stages[1].identity=0.2" -> ("stages[1].identity", 0.2); the value is TOML.

    Raises InputError when there is no `=` or the value is not TOML.
    """
    path, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: give section.key=value, such as train.batch=32")
    try:
        return path.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"""--set {text}: {value!r} is no TOML value; a word needs quotes, as in --set '{path}="{value}"'"""
        ) from error


def set_value(table: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a path such as "train.batch" or "stages[1].identity"; tables on the way are made, lists are not.

    The names are checked when the table becomes an Experiment, as those of a file are. What a stage does not say it
    has from the one before, so a value set in a stage holds on until a stage that says another.
    Raises InputError for a path that is none, or a place that a list does not have.
    """
    steps = path_steps(path)
    for i, step in enumerate(steps):
        last = i + 1 == len(steps)
        if isinstance(step, int) and not (isinstance(table, list) and step < len(table)):
            held = f"holds {len(table)}, counted from 0" if isinstance(table, list) else "is not a list here"
            raise InputError(f"{path}: there is no [{step}]: {steps[i - 1]} {held}")
        if isinstance(step, str) and not isinstance(table, dict):
            raise InputError(f"{path}: {steps[i - 1]} is a value or a list, not a section with a {step!r}")
        if last:
            table[step] = value
        else:
            table = table.setdefault(step, {}) if isinstance(step, str) else table[step]


def path_steps(path: str) -> list[str | int]:
    """ "stages[1].lr" -> ["stages", 1, "lr"]. Raises InputError for what is no path."""
    steps: list[str | int] = []
    for part in path.split("."):
        match = PART.fullmatch(part)
        if not match:
            raise InputError(f"{path!r} is no place in an experiment: write section.key or stages[0].key")
        steps += [match[1], *map(int, re.findall(r"\d+", match[2]))]
    return steps


def apply(table: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A table with assignments such as "train.batch=32" made in it (the table itself is changed and returned)."""
    for text in assignments:
        set_value(table, *parse_assignment(text))
    return table
