"""`twoface report`: runs, and searches, as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from twoface.core.errors import InputError
from twoface.core.files import write_aside
from twoface.research.report.chart import bar_chart, filter_numbers, history_chart, line_chart
from twoface.research.report.pictures import animation, spaced, still
from twoface.research.report.read import STUDY, VALIDATION, Run, read_run, read_study

MOST = 6  # runs on a page: so many colours can be told apart
STEPS = 4  # previews of a run
SPEED = ("samples_per_second", "waiting", "lr")  # what training rows tell besides the terms of the loss


def report(folders: Sequence[Path], out: Path, force: bool = False) -> Path:
    """Write the page of the runs and searches in `folders`.

    Raises InputError for a folder that is neither, more than MOST runs, or an `out` that cannot be written.
    """
    studies = {folder.resolve().name: read_study(folder) for folder in folders if (folder / STUDY).is_file()}
    runs = [read_run(folder) for folder in folders if not (folder / STUDY).is_file()]
    if len(runs) > MOST:
        raise InputError(f"{len(runs)} runs do not fit a page: give {MOST} at most")
    loader = PackageLoader("twoface.research.report", ".")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    names = distinct([run.name for run in runs])
    page = environment.get_template("page.html").render(
        title=" · ".join([*names, *studies]),
        runs=[_run(run, name) for run, name in zip(runs, names, strict=True)],
        figures=figures_table(runs),
        charts=_charts(runs, names),
        differing=differing([run.experiment for run in runs]),
        studies=[_study(name, study) for name, study in studies.items()],
    )
    return write_aside(out, page.encode(), force)


def distinct(names: Sequence[str]) -> list[str]:
    """The same names, those that come twice with a number."""
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def figures_table(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Rows of (name, a text for each run): the length, the last validation, what an evaluation left."""
    rows = [("samples seen", [f"{run.samples:,}" for run in runs])]
    lasts = [(run.validation[-1] if run.validation else {}) | run.figures for run in runs]
    speeds = [[row["samples_per_second"] for row in run.training if "samples_per_second" in row] for run in runs]
    rows.append(("samples a second, median", [f"{sorted(s)[len(s) // 2]:.1f}" if s else "" for s in speeds]))
    for key in dict.fromkeys(key for last in lasts for key in last if key != "samples"):
        rows.append((readable(key), [_number(last.get(key)) for last in lasts]))
    return rows


def differing(tables: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """The keys whose values are not the same in all tables: (dotted key, its value in each)."""
    flats = [flat(table) for table in tables]
    keys = dict.fromkeys(key for table in flats for key in table)
    rows = [(key, [json.dumps(table.get(key)) if key in table else "" for table in flats]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def flat(table: dict[str, Any] | list[Any], before: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}, "c": [{"d": 2}]} -> {"a.b": 1, "c[0].d": 2}; lists of plain values stay whole."""
    result: dict[str, Any] = {}
    entries: Iterable[tuple[Any, Any]] = table.items() if isinstance(table, dict) else enumerate(table)
    for key, value in entries:
        name = f"{before}[{key}]" if isinstance(table, list) else f"{before}.{key}" if before else key
        nested = isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict))
        result |= flat(value, name) if nested else {name: value}
    return result


def readable(key: str) -> str:
    return key.removeprefix(VALIDATION).replace("_", " ")


def _run(run: Run, name: str) -> dict[str, Any]:
    steps = spaced(sorted(run.previews), STEPS)
    return {
        "name": name,
        "steps": [(f"{samples:,}", still(run.previews[samples])) for samples in steps],
        "animation": animation([run.previews[samples] for samples in sorted(run.previews)]),
        "pictures": [(path.stem, still(path)) for path in run.pictures],
        "machine": run.machine,
        "config": _config(run.experiment),
    }


def _charts(runs: Sequence[Run], names: Sequence[str]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """Groups of charts, each chart of one figure over all runs."""
    training = [key for run in runs for row in run.training for key in row]
    validation = [key for run in runs for row in run.validation for key in row]
    groups = {
        "Validation": ([run.validation for run in runs], [k for k in validation if k != "samples"], False),
        "Loss terms, unweighted": (
            [run.training for run in runs], [k for k in training if k not in ("samples", *SPEED)], True
        ),
        "Speed and learning rate": ([run.training for run in runs], [k for k in training if k in SPEED], True),
    }  # fmt: skip
    result = []
    for title, (rows, keys, smooth) in groups.items():
        charts = [(readable(key), _chart(rows, names, key, smooth)) for key in dict.fromkeys(keys)]
        result.append((title, [(label, chart) for label, chart in charts if chart]))
    return [(title, charts) for title, charts in result if charts]


def _chart(rows_of_runs: Sequence[list[dict[str, Any]]], names: Sequence[str], key: str, smooth: bool) -> Markup | None:
    """The chart of one figure; None when no run has a number for it."""
    series = []
    for name, rows in zip(names, rows_of_runs, strict=True):
        told = [row for row in rows if key in row]
        series.append((name, [row["samples"] for row in told], [row[key] for row in told]) if told else None)
    if not any(xs for _, xs, _ in filter_numbers(series)):
        return None
    return Markup(line_chart(series, smooth))


def _study(name: str, study: dict[str, Any]) -> dict[str, Any]:
    trials = study["trials"]
    done = [trial for trial in trials if trial["value"] is not None]
    best = max if study["direction"] == "maximize" else min
    reached, so_far = [], None
    for trial in trials:
        if trial["state"] == "COMPLETE":
            so_far = trial["value"] if so_far is None else best(so_far, trial["value"])
        reached.append(so_far)
    states = [trial["state"] for trial in trials]
    return {
        "name": name,
        "study": study,
        "counts": {state.lower(): states.count(state) for state in dict.fromkeys(states)},
        "history": Markup(history_chart([t["value"] for t in trials], reached)) if so_far is not None else None,
        "importance": Markup(bar_chart(study["importance"])) if study["importance"] else None,
        "parameters": list(dict.fromkeys(key for trial in trials for key in trial["params"])),
        "top": sorted(done, key=lambda t: t["value"], reverse=study["direction"] == "maximize")[:10],
    }


def _config(experiment: dict[str, Any]) -> Markup:
    """The resolved experiment, a line for each key."""
    lines = (f"<b>{html.escape(key)}</b> = {html.escape(json.dumps(value))}" for key, value in flat(experiment).items())
    return Markup("\n".join(lines))


def _number(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value or ""
