"""The panel of `twoface evaluate`: its options, and what they run. What it needs is imported inside."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from twoface.cli.options import Add, number
from twoface.core.errors import InputError


def panel_options(add: Add) -> None:
    add("--panel", metavar="DIR", type=Path, help="write a blind panel of fills: a page, sheets, and the key")
    add("--panel-fills", metavar="DIR", type=Path, help="only make --model's fills of a panel, to be mixed later")
    add("--panel-score", metavar="CSV", nargs="+", type=Path, help="say what ratings of a panel mean, with --key")
    add("--photos", metavar="DIR", type=Path, help="for a panel: a folder with a folder of photos for each person")
    add("--marked", metavar="FILE.json", type=Path, help="real things in front of these photos' faces, outlined")
    add("--tasks", metavar="DIR", type=Path, help="fill the same holes as the panel's fills in this folder")
    add("--models", metavar="FILE.onnx", nargs="+", type=Path, help="of --panel, default the network that ships")
    add("--fills", metavar="DIR", nargs="+", type=Path, help="mix these folders of --panel-fills instead of filling")
    add("--count", metavar="N", type=number(int, 1, 100), help="fills of a panel by each network (default 48)")
    add("--key", metavar="FILE.json", type=Path, help="default key.json beside the ratings")


def chosen(args: Namespace) -> bool:
    """Whether the arguments of `twoface evaluate` ask for a panel."""
    return bool(args.panel or args.panel_fills or args.panel_score)


def run(args: Namespace) -> int:
    from twoface.research.evaluation import rating

    if args.panel_score:
        print(rating.as_markdown(rating.score(args.panel_score, args.key or args.panel_score[0].parent / rating.KEY)))
        return 0
    if args.panel_fills:
        print(f"{_fill(args, args.panel_fills, _tasks(args), args.model)}: mix it with others by --panel DIR --fills")
        return 0
    if args.model and args.models:
        raise InputError("give --model or --models, one of them")
    folders = args.fills
    if not folders:
        tasks = _tasks(args)
        models = args.models or [args.model]
        folders = [args.panel / "fills" / f"{i} {m.stem if m else 'shipped'}" for i, m in enumerate(models, 1)]
        for folder, model in zip(folders, models, strict=True):
            _fill(args, folder, tasks, model)
    page = rating.mix(args.panel, folders, args.seed, args.force)
    print(f"{page}: open it, rate, save the ratings; {page.with_name(rating.KEY)} says which network made which")
    return 0


def _tasks(args: Namespace) -> list[dict[str, Any]]:
    from twoface.research.evaluation.panel import COUNT, draw_tasks, read_tasks

    if args.photos is None:
        raise InputError("a panel needs photos to fill: give --photos DIR")
    if args.tasks:
        return read_tasks(args.tasks)["tasks"]
    return draw_tasks(args.photos, args.marked, args.count or COUNT, args.seed)


def _fill(args: Namespace, folder: Path, tasks: list[dict[str, Any]], model: Path | None) -> Path:
    from twoface.research.evaluation.panel import make_fills

    return make_fills(folder, args.photos, tasks, model, progress=sys.stderr.isatty(), force=args.force)
