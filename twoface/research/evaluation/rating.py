"""A blind panel: fills of several networks mixed into one page and sheets, and what the ratings say.

Whoever rates sees a number, the fill and the photo; which network made which is in key.json alone.
"""

import base64
import csv
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from twoface.core.arrays import Picture
from twoface.core.errors import InputError
from twoface.core.files import PathLike, check_output, write_aside
from twoface.research.evaluation.metrics import bootstrap_interval
from twoface.research.evaluation.panel import COVERED, SHOWN, read_json, read_tasks

Entry: TypeAlias = tuple[bytes, bytes, str]  # of the panel: fill and photo as PNG, what the photo is
PAGE, KEY, RATINGS = "panel.html", "key.json", "ratings.csv"
SCALE = (1, 2, 3, 4, 5)
COLUMNS, ROWS = 2, 3  # pairs of pictures on a sheet
GAP, HEADER = 8, 26  # pixels of a sheet


def mix(out: PathLike, folders: Sequence[PathLike], seed: int = 0, force: bool = False) -> Path:
    """Mix the fills of `folders`, each as `panel.make_fills` left it, in random order -> the page's path.

    `out`, made when missing, gets panel.html (offline, ratings are saved from it as ratings.csv), sheet-NN.png with the
    same pictures, an empty ratings.csv to fill by hand, and key.json. seed: of the order.
    Raises InputError when the folders hold other tasks than each other, or `out` holds such files (without `force`).
    """
    out = Path(out)
    known = [read_tasks(folder) for folder in folders]
    tasks = known[0]["tasks"]
    for folder, other in zip(folders, known, strict=True):
        if other["tasks"] != tasks:
            raise InputError(f"{folder} and {folders[0]} fill different holes: make one with --tasks of the other")
    names = [Path(folder).resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise InputError(f"the folders {', '.join(names)} must have different names, to tell the networks apart")
    out.mkdir(parents=True, exist_ok=True)
    for name in (PAGE, KEY, RATINGS):
        check_output(out / name, force)
    places = [(model, task) for model in range(len(folders)) for task in range(len(tasks))]
    order = np.random.default_rng(seed).permutation(len(places))
    shown = [_entry(Path(folders[model]), task, tasks[task]) for model, task in (places[i] for i in order)]
    key: dict[str, Any] = {
        "seed": seed,
        "models": names,
        "networks": [one["model"] for one in known],
        "entries": {
            str(number): {"model": places[i][0], "task": places[i][1], "hole": tasks[places[i][1]]["hole"]}
            for number, i in enumerate(order.tolist(), 1)
        },
    }
    for number in range(0, len(shown), COLUMNS * ROWS):
        sheet = _sheet(shown[number : number + COLUMNS * ROWS], number + 1)
        write_aside(out / f"sheet-{number // (COLUMNS * ROWS) + 1:02}.png", _png(sheet), force)
    write_aside(out / RATINGS, ("number,rating\n" + "".join(f"{n},\n" for n in key["entries"])).encode(), force)
    write_aside(out / KEY, (json.dumps(key, indent=1) + "\n").encode(), force)
    return write_aside(out / PAGE, _page(shown).encode(), force)


def score(ratings: Sequence[PathLike], key: PathLike) -> dict[str, Any]:
    """Join ratings with the key -> {"models", "rated", "means": {hole or "all": ...}, "differences": {...}}.

    ratings: files with the columns number and rating, 1..5, one for each person who rated; an empty rating is none.
    means: for each hole a list with {"n", "mean", "low", "high"} of each model; differences: the same of each later
    model minus the first, over the tasks rated under both. The intervals are bootstrap ones over tasks (95 %).
    Raises InputError when a file cannot be used.
    """
    known = _read_key(key)
    given = [_read_ratings(path, known["entries"]) for path in ratings]
    models = known["models"]
    holes: dict[str, set[int]] = {}
    tasks: dict[int, dict[int, float]] = {}
    for number, entry in known["entries"].items():
        values = [one[number] for one in given if number in one]
        if values:
            tasks.setdefault(entry["task"], {})[entry["model"]] = float(np.mean(values))
            holes.setdefault(entry["hole"], set()).add(entry["task"])
    if not tasks:
        raise InputError("nothing is rated: give ratings of 1 to 5")
    holes = dict(sorted(holes.items())) | {"all": set(tasks)}
    means, differences = {}, {}
    for hole, members in holes.items():
        rated = [tasks[task] for task in sorted(members)]
        means[hole] = [_mean([one[m] for one in rated if m in one]) for m in range(len(models))]
        differences[hole] = [
            _mean([one[m] - one[0] for one in rated if m in one and 0 in one]) for m in range(1, len(models))
        ]
    return {"models": models, "rated": sum(map(len, tasks.values())), "means": means, "differences": differences}


def as_markdown(report: Mapping[str, Any]) -> str:
    """What `score` gave as a table."""
    models = report["models"]
    titles = [*models, *(f"{name} - {models[0]}" for name in models[1:])]
    lines = [f"{report['rated']} fills rated, 1 to 5; mean and 95 % bootstrap interval over tasks", ""]
    lines += ["| hole | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for hole, means in report["means"].items():
        cells = [_cell(mean, "") for mean in means] + [_cell(mean, "+") for mean in report["differences"][hole]]
        lines.append(f"| {hole} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _entry(folder: Path, number: int, task: Mapping[str, Any]) -> Entry:
    """(fill, photo, what the photo is), as PNG bytes."""
    pictures = []
    for kind in ("fill", "photo"):
        path = folder / f"{number:02}-{kind}.png"
        if not path.is_file():
            raise InputError(f"{path} is missing: make the fills of {folder} again")
        pictures.append(path.read_bytes())
    fill, photo = pictures
    return fill, photo, "the covered photo" if task["hole"] == COVERED else "the true photo"


def _page(shown: Sequence[Entry]) -> str:
    items = [[base64.b64encode(fill).decode(), base64.b64encode(photo).decode(), what] for fill, photo, what in shown]
    template = (resources.files("twoface.research.evaluation") / "panel.html").read_text("utf-8")
    return template.replace("[/* items */]", json.dumps(items))


def _sheet(shown: Sequence[Entry], first: int) -> Picture:
    """Numbered pairs, fill and photo, as one picture -> uint8 RGB."""
    width, height = 2 * SHOWN + GAP, SHOWN + HEADER
    sheet = Image.new("RGB", (COLUMNS * (width + 3 * GAP), -(-len(shown) // COLUMNS) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for i, (fill, photo, what) in enumerate(shown):
        x, y = i % COLUMNS * (width + 3 * GAP) + GAP, i // COLUMNS * height
        draw.text((x, y + 2), f"{first + i}", "black", font)
        draw.text((x + SHOWN + GAP, y + 2), what, "gray", font)
        for k, blob in enumerate((fill, photo)):
            decoded: Any = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR)  # None where it is no PNG
            pixels = decoded[:, :, ::-1]
            sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)), (x + k * (SHOWN + GAP), y + HEADER))
    return np.asarray(sheet)


def _read_key(path: PathLike) -> dict[str, Any]:
    known = read_json(path)
    if not {"models", "entries"} <= known.keys():
        raise InputError(f"{path} is not the key of a panel: give the {KEY} that was written with it")
    return known


def _read_ratings(path: PathLike, entries: Mapping[str, Any]) -> dict[str, int]:
    """{number: rating} of a CSV file."""
    try:
        rows = list(csv.DictReader(Path(path).read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    found = {}
    for row in rows:
        number, rating = (row.get("number") or "").strip(), (row.get("rating") or "").strip()
        if number not in entries:
            raise InputError(f"{path}: the panel has no number {number!r}: give the key that goes with these ratings")
        if rating:
            if rating not in map(str, SCALE):
                raise InputError(f"{path}: the rating of {number} is {rating!r}: give a whole number from 1 to 5")
            found[number] = int(rating)
    return found


def _mean(values: Sequence[float]) -> dict[str, Any]:
    """{"n", "mean", "low", "high"} of ratings; no mean of none, no interval of less than two."""
    low, high = bootstrap_interval(values) if len(values) > 1 else (None, None)
    return {"n": len(values), "mean": float(np.mean(values)) if values else None, "low": low, "high": high}


def _cell(mean: Mapping[str, Any], sign: str) -> str:
    if mean["mean"] is None:
        return ""
    interval = "" if mean["low"] is None else f" [{mean['low']:{sign}.2f}, {mean['high']:{sign}.2f}]"
    return f"{mean['mean']:{sign}.2f}{interval} ({mean['n']})"


def _png(pixels: Picture) -> bytes:
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()
