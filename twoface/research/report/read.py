"""What a run, or a search of hyper-parameters, left in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twoface.core.errors import InputError

VALIDATION = "val_"  # what the names of validation's figures begin with
STUDY = "study.json"


@dataclass(frozen=True)
class Run:
    """A training run.

    experiment: the resolved table. machine: what it ran on, {} when unknown. training, validation: the rows of
    stats.jsonl, each {"samples": ..., name: value}, in the order of samples. figures: of figures.json. previews: by
    samples seen. pictures: other pictures of the folder.
    """

    name: str
    folder: Path
    experiment: dict[str, Any]
    machine: dict[str, Any]
    training: list[dict[str, Any]]
    validation: list[dict[str, Any]]
    figures: dict[str, float]
    previews: dict[int, Path] = field(default_factory=dict)
    pictures: tuple[Path, ...] = ()

    @property
    def samples(self) -> int:
        return max((row["samples"] for row in (*self.training[-1:], *self.validation[-1:])), default=0)


def read_run(folder: Path) -> Run:
    """Raises InputError for a folder without experiment.json and stats.jsonl, or with what cannot be read in them."""
    for name in ("experiment.json", "stats.jsonl"):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} not found: give the folder of a training run or of a search")
    rows = _rows(folder / "stats.jsonl")
    validates = [any(key.startswith(VALIDATION) for key in row) for row in rows]
    return Run(
        name=folder.resolve().name,
        folder=folder,
        experiment=_json(folder / "experiment.json"),
        machine=_json(folder / "machine.json"),
        training=_in_order([row for row, is_validation in zip(rows, validates, strict=True) if not is_validation]),
        validation=_in_order([row for row, is_validation in zip(rows, validates, strict=True) if is_validation]),
        figures=_json(folder / "figures.json"),
        previews={int(path.stem): path for path in sorted((folder / "previews").glob("[0-9]*.png"))},
        pictures=tuple(sorted(folder.glob("*.png"))),
    )


def read_study(folder: Path) -> dict[str, Any]:
    """The table that `twoface.research.tune` writes after every trial."""
    return _json(folder / STUDY)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): restore it") from error


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows; a last line that a killed run left unfinished is not one."""
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): restore it") from error


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A run that was resumed from an older save tells a stretch twice: the later telling counts."""
    kept: list[dict[str, Any]] = []
    for row in rows:
        while kept and kept[-1]["samples"] >= row["samples"]:
            kept.pop()
        kept.append(row)
    return kept
