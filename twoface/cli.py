"""The command line: a function for each command and, below, its options. What a command needs is imported inside it."""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path

import twoface
from twoface.errors import InputError, TwoFaceError
from twoface.search.cli import NEEDED as SEARCH
from twoface.search.cli import index_commands


def main(argv=None):
    """Run a command -> exit code: 0 done, 2 bad input, 1 failure, 130 interrupted. An error is one line on stderr."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except InputError as error:
        return _fail(error, 2)
    except (TwoFaceError, OSError) as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)


def fill(args):
    from twoface.engine import Inpainter
    from twoface.faces import parse_frame
    from twoface.files import write_aside
    from twoface.masks import parse_hole

    hole = parse_hole(args.hole) if args.hole else None
    face = parse_frame(args.face) if args.face else None
    reference_face = [parse_frame(text) for text in args.reference_face] or None
    if args.backend and args.model:
        raise InputError("a backend has a network of its own: leave --model or --backend out")
    if args.reference_from and (args.reference or args.reference_face):
        raise InputError("the reference is either given or found: leave --reference or --reference-from out")
    _check_outputs(args, *_crop_paths(args.crops, args.reference or args.reference_from))

    start = time.perf_counter()
    network = _backend(args) if args.backend else args.model
    given = {"mask": args.mask, "hole": hole, "face": face, "feather": args.feather, "center_size": args.center_size}
    if args.reference_from:
        result, search = _fill_from(args, network, given)
    else:
        references = {"references": args.reference, "reference_face": reference_face}
        result, search = Inpainter.load(network, args.threads).fill(args.photo, **references, **given), None
    result.save(args.out, args.quality, args.force)
    seconds = time.perf_counter() - start
    if args.report:
        told = result.report() | ({"search": search} if search else {})
        write_aside(args.report, (json.dumps(told, indent=1) + "\n").encode(), args.force)
    if args.crops:
        _write_crops(args.crops, result, args.force)

    print(f"result     {args.out}")
    print(f"time       {seconds:.2f} s in all, of which the network took {result.timing['network']:.2f} s")
    _tell(result.report())
    return 0


def _fill_from(args, network, given):
    _require("search", *SEARCH)
    from twoface.search.collection import Collection
    from twoface.search.fill import fill_from

    return fill_from(Collection.open(args.reference_from, network, args.threads), args.photo, args.tries, **given)


def client_fill(args):
    from twoface.faces import parse_frame
    from twoface.files import write_aside
    from twoface.images import output_format

    _check_outputs(args)
    start = time.perf_counter()
    filled = _photo_client(args).fill(
        args.photo,
        mask=args.mask,
        hole=args.hole,
        references=args.reference,
        face=args.face,
        reference_faces=[parse_frame(text) for text in args.reference_face],
        feather=args.feather,
        center_size=args.center_size,
        format=output_format(args.out).lower(),
        quality=args.quality,
    )
    write_aside(args.out, filled.picture, args.force)
    if args.report:
        write_aside(args.report, (json.dumps(filled.report, indent=1) + "\n").encode(), args.force)

    print(f"result     {args.out}")
    seconds, there = time.perf_counter() - start, filled.report["seconds"]["total"]
    print(f"time       {seconds:.2f} s in all, of which the fill itself took {there:.2f} s")
    _tell(filled.report)
    return 0


def client_faces(args):
    print(json.dumps(_photo_client(args).faces(args.photo), indent=1))
    return 0


def client_status(args):
    model = _backend(args)
    ready = model.ready()
    print(f"{args.backend} is {'ready' if ready else 'away, or not ready'}")
    for name, value in sorted((model.metadata if ready else {}).items()):
        print(f"{name}: {value}")
    return 0 if ready else 1


def batch(args):
    from twoface.batch import RESULTS, Options, run_batch

    options = Options(args.model, args.feather, args.center_size, args.quality)
    made = run_batch(args.jobs, args.out, args.workers, options, args.force)
    print(f"{made.done} done, {made.skipped} done before, {made.failed} failed: see {args.out / RESULTS}")
    return 1 if made.failed else 0


def evaluate(args):
    _require("evaluate", "skimage")
    if args.digits:
        _require("train", "torch", "lightning", "safetensors")
        from twoface.evaluation.digits import evaluate_digits

        evaluate_digits(args.digits, args.data, args.out, args.cache, args.force)
        return 0
    from twoface.evaluation.evaluate import evaluate as score

    score(
        args.data,
        out=args.out or Path("out/evaluation"),
        split=args.split,
        model=args.model,
        hole=args.hole,
        center_size=args.center_size,
        source=args.source,
        seed=args.seed,
        progress=sys.stderr.isatty(),
        force=args.force,
    )
    return 0


def prepare(args):
    from twoface.data.prepare import prepare as cut

    made = cut(args.source, args.destination, args.workers, args.val_fraction, args.seed, args.min_face)
    print(f"{made.crops} crops in {args.destination}: {made.train_people} people in train, {made.val_people} in val")
    print(f"{made.skipped} pictures skipped: see {args.destination / 'skipped.csv'}")
    return 0


def train(args):
    _require("train", "torch", "lightning", "tensorboard", "safetensors", "h5py")
    from twoface.training.config import load_experiment

    experiment = load_experiment(args.experiment, args.settings)
    from twoface.training.loop import train as run  # takes seconds, and the file may be wrong

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
    )
    return 0


def export(args):
    _require("train", "torch", "onnx", "onnxscript", "safetensors")
    from twoface.export import export as write

    made = write(args.training, args.out, args.force, data=args.data_note, license=args.license)
    size, samples, difference = made["bytes"] / 1e6, made["samples"], made["largest_difference"]
    print(f"{made['path']}: {size:.1f} MB, {samples} samples seen, within {difference:.4f} of PyTorch")
    return 0


def tune(args):
    _require("train", "torch", "lightning", "tensorboard", "safetensors", "optuna", "tomlkit")
    from twoface.training.loop import train as run
    from twoface.tune import tune as search

    def trial(experiment, folder, watch):
        return run(experiment, args.data, folder, precision=args.precision, cache=args.cache, watch=watch)

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
    )
    print(f"{len(told['trials'])} trials in {out / 'study.json'}; twoface report {out} shows them")
    if told["best"] is not None:
        print(f"the best is trial {told['best']}: twoface train {out / 'best.toml'} trains it in full")
    return 0


def report(args):
    _require("train", "jinja2")
    from twoface.report.page import report as write

    path = write(args.folders, args.out or args.folders[0] / "report.html", args.force)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, nothing else is needed to look at it")
    return 0


def weights(args):
    _require("train", "torch", "safetensors", "h5py", "tensorboard")
    from twoface.models.pretrained import WEIGHTS, cached, fetch, known
    from twoface.models.pretrained import weights as get

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


def _verify(name, path, data):
    from twoface.evaluation.verify import verify

    if not name.startswith("facenet"):
        raise InputError(f"--verify compares faces: {name} is not a FaceNet")
    f = verify(path, data, original=name == "facenet-casia", progress=sys.stderr.isatty())
    print(f"  {f['accuracy']:.1%} of {f['pairs']} pairs of val judged right (+- {f['deviation']:.1%}, ten folds):")
    print(f"  the same person from a cosine of {f['threshold']:.3f} on")
    print(f"  mean cosine {f['same']:.3f} for one person, {f['different']:.3f} for two")
    if "largest_difference" in f:
        print(f"  within {f['largest_difference']:.1e} in cosine of the original graph run by OpenCV")


def web(args):
    _require("web", "fastapi", "uvicorn")
    from twoface.web.server import serve as run
    from twoface.web.settings import Settings

    settings = Settings(
        host=args.host,
        port=args.port,
        auth=args.auth,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        backend=args.backend,
        backend_key=args.backend_key,
        workers=args.workers,
    )
    run(settings, args.open)
    return 0


def serve(args):
    _require("serve", "fastapi_offline", "uvicorn", "simdjson", "orjson", "prometheus_client", "grpc", "tritonclient")
    from twoface.service.settings import Settings

    settings = Settings(
        model=args.model,
        host=args.host,
        port=args.port,
        grpc_port=None if args.no_grpc else args.grpc_port,
        api_keys=args.api_key,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        cors=tuple(args.cors),
        device=args.device,
        threads=args.threads,
        batch_size=args.batch_size,
        batch_wait=args.batch_wait_ms / 1000,
        queue=args.queue,
        rows=args.rows,
        timeout=args.timeout,
        drain=args.drain,
        photo_workers=args.photo_workers,
        index=args.index,
    )
    if args.index:
        _require("search", *SEARCH)
    if args.replicas:
        _require("scale", "ray")
        from twoface.service.scale import serve_replicas

        serve_replicas(settings, *args.replicas)
    else:
        from twoface.service.server import serve as run

        run(settings)
    return 0


def _require(extra, *modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise TwoFaceError(f"this command needs {', '.join(missing)}: run pip install 'twoface[{extra}]'")


def _backend(args):
    _require("client", "httpx", "grpc", "tritonclient")
    from twoface.client import connect, read_key

    return connect(args.backend, read_key(args.api_key) if args.api_key else None, args.timeout, args.ca)


def _photo_client(args):
    _require("client", "httpx", "grpc", "tritonclient")
    from twoface.client import PhotoClient, read_key

    return PhotoClient(args.backend, read_key(args.api_key) if args.api_key else None, args.timeout, args.ca)


def _check_outputs(args, *others):
    """Before the work: that the result has a name that can be written, and that nothing is in the way."""
    from twoface.files import check_output
    from twoface.images import output_format

    output_format(args.out)
    for path in (args.out, args.report, *others):
        if path:
            check_output(path, args.force)


def _tell(report):
    """Print the figures and the warnings of a fill's report."""
    print("\n".join(_identity(report)))
    for warning in report["warnings"]:
        print(f"twoface: warning: {warning}", file=sys.stderr)


def _identity(report):
    """Lines that say in plain words what the figures mean."""
    if report["reference_used"] is None:
        return ["identity   no reference was given, so nobody's likeness was sought"]
    figures, used = report["identity"], report["references"][report["reference_used"]]
    verdict = "no sign of two people" if figures["same_person"] else "perhaps two people"
    return [
        f"reference  {used['name']}, {report['reference_why']}",
        f"identity   {figures['similarity_result_reference']:.2f} between result and reference (1 is the most alike),",
        f"           {figures['similarity_visible_reference']:.2f} between the visible part and reference: {verdict}",
        f"           (a sign would be below {figures['threshold']:.2f}; with such a hole"
        f" {figures['strangers_warned']:.0%} of strangers are noticed)",
    ]


def _crop_paths(folder, references):
    """What `_write_crops` will write, or the folder that it will make."""
    if folder is None or not folder.is_dir():
        return [folder]
    return [folder / f"{name}.png" for name in ("masked", "filled", "mask", *(["reference"] if references else []))]


def _write_crops(folder, result, force):
    import numpy as np

    from twoface.files import write_aside
    from twoface.images import Photo, encode_photo

    white = np.repeat(result.mask_crop[..., None], 3, axis=2) * np.uint8(255)
    crops = {"masked": result.masked_crop, "filled": result.crop, "mask": white, "reference": result.reference_crop}
    folder.mkdir(exist_ok=True)
    for name, pixels in crops.items():
        if pixels is not None:
            write_aside(folder / f"{name}.png", encode_photo(Photo(pixels), "PNG", generated=name == "filled"), force)


def _fail(error, code):
    print("twoface:", " ".join(str(error).split()), file=sys.stderr)
    return code


# Options.

FILL_EXAMPLES = """examples:
  twoface fill me.jpg --reference me-last-year.jpg --hole eyes -o filled.jpg
  twoface fill me.jpg --reference a.jpg --reference b.jpg --mask scratch.png -o filled.png
  twoface fill me.jpg --hole 310,220,420,300 --face 200,100,520,420 -o filled.webp

The mask is a picture of the photo's size, white (128 and above) where it is to be filled. --face is a square that
you choose: then nothing has to be found in it, so a face that is covered altogether works too. Face and eyes should
lie in it as in a portrait: the eyes at .375 and .625 of its width and .46 of its height. Outside the hole and its
feather the photo stays as it is, bit for bit (in a .png). Without a reference the network invents a face."""

CLIENT_EXAMPLES = """examples, with a `twoface serve` running elsewhere:
  twoface client status --backend http://192.168.1.5:8000 --api-key key.txt
  twoface client faces me.jpg
  twoface client fill me.jpg --reference me-last-year.jpg --hole eyes -o filled.jpg

The photos go there, unlike with `twoface fill --backend URL`, which sends 128x128 crops only."""

BATCH_EXAMPLES = """example of JOBS.csv (paths are relative to it; what is empty has its default; boxes need quotes):
  photo,mask,hole,face,reference,reference_face,out
  a.jpg,,eyes,,a1.jpg;a2.jpg,,
  b.jpg,b-mask.png,,"40,30,240,230",b1.jpg,,filled/b.png

then:
  twoface batch JOBS.csv -o results --workers 2

results/results.csv has a line for each row: what happened, in how many seconds, and the identity figures. A bad row
is reported and the rest goes on. Run it again, and it does what is missing or failed. Exit code 1 if a row failed."""

EVALUATE_EXAMPLES = """examples:
  twoface evaluate --data faces --split val --hole center --out out/evaluation
  twoface evaluate --digits runs/mnist_two --data mnist

Everyone of the split with two pictures gives one pair, always the same by the seed. Writes evaluation.json,
evaluation.md and grid.png."""

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

WEB_EXAMPLES = """examples:
  twoface web --open
  twoface web --backend grpc://gpu-machine:8001 --backend-key key.txt
  twoface web --host 0.0.0.0 --auth passwords.txt --tls-cert cert.pem --tls-key key.pem

With --backend only crops of 128x128 pixels leave this machine, and only to that server. Any other address than
127.0.0.1 needs a password, and browsers log in over HTTPS alone: give a certificate, or put a TLS proxy in front."""

SERVE_EXAMPLES = """examples:
  twoface serve
  twoface serve --model versions --host 0.0.0.0 --api-key keys.txt --tls-cert cert.pem --tls-key key.pem
  twoface serve --replicas 1:4 --api-key keys.txt

then, here:
  curl -s http://127.0.0.1:8000/examples/tfserving.json -o body.json
  curl -s --data-binary @body.json http://127.0.0.1:8000/v1/models/two_face_model:predict

HTTP speaks TensorFlow Serving's REST, the Open Inference Protocol and the photo API (http://127.0.0.1:8000/docs),
gRPC the Open Inference Protocol. versions/ holds 1/model.onnx, 2/model.onnx, ...: the highest answers, and what is
put there while it runs is taken in. Ctrl-C or SIGTERM: what was accepted is still answered."""


class _Parser(argparse.ArgumentParser):
    """No abbreviations, the examples' line breaks kept, and an error of one line."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message):
        self.exit(2, f"twoface: {message} (see {self.prog} --help)\n")


def _number(kind, least, most=None):
    """An argparse type: an int or float from `least` to `most`."""

    def parse(text):
        value = kind(text)
        if not least <= value < float("inf") or (most is not None and value > most):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, not {text}")
        return value

    parse.__name__ = "whole number" if kind is int else "number"  # argparse's word for it
    return parse


def _replicas(text):
    """A count, or a range "1:4" -> (fewest, most)."""
    fewest, colon, most = text.partition(":")
    number = _number(int, 1, 1000)
    fewest, most = number(fewest), number(most if colon else fewest)
    if most < fewest:
        raise argparse.ArgumentTypeError(f"{text}: the second number is below the first")
    return fewest, most


def _parser():
    parser = _Parser(prog="twoface", description=twoface.__doc__, epilog="Start with: twoface fill --help")
    parser.add_argument("--version", action="version", version=f"twoface {twoface.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _fill_options(_command(commands, "fill", fill, "fill a part of the face in a photo", FILL_EXAMPLES))
    client = commands.add_parser("client", help="have a `twoface serve` do it", epilog=CLIENT_EXAMPLES)
    client = client.add_subparsers(metavar="COMMAND", required=True)
    _client_fill_options(_command(client, "fill", client_fill, "fill a part of the face in a photo", CLIENT_EXAMPLES))
    _client_faces_options(_command(client, "faces", client_faces, "find the faces in a photo", CLIENT_EXAMPLES))
    _backend_options(_command(client, "status", client_status, "is the server ready", CLIENT_EXAMPLES)[0])
    _batch_options(_command(commands, "batch", batch, "fill the photos of a CSV file", BATCH_EXAMPLES))
    _evaluate_options(_command(commands, "evaluate", evaluate, "score a network on held-out people", EVALUATE_EXAMPLES))
    index_commands(commands, _command, _number)
    data = commands.add_parser("data", help="make training data").add_subparsers(metavar="COMMAND", required=True)
    _prepare_options(_command(data, "prepare", prepare, "cut faces out of folders of photos", PREPARE_EXAMPLES))
    _train_options(_command(commands, "train", train, "train a network (needs twoface[train])", TRAIN_EXAMPLES))
    _export_options(_command(commands, "export", export, "write a trained network as ONNX", EXPORT_EXAMPLES))
    _tune_options(_command(commands, "tune", tune, "search for better hyper-parameters", TUNE_EXAMPLES))
    _report_options(_command(commands, "report", report, "show runs as one HTML page", REPORT_EXAMPLES))
    _weights_options(_command(commands, "weights", weights, "fetch the pre-trained networks", WEIGHTS_EXAMPLES))
    _web_options(_command(commands, "web", web, "fill photos in the browser (needs twoface[web])", WEB_EXAMPLES))
    _serve_options(_command(commands, "serve", serve, "answer over HTTP and gRPC", SERVE_EXAMPLES))
    return parser


def _command(commands, name, run, summary, examples):
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=examples)
    parser.set_defaults(run=run)
    return parser.add_argument, parser


def _fill_options(command):
    add, _ = command
    _photo_options(command)
    add("--reference-from", metavar="INDEX", help="find the reference in an index (see `twoface index`)")
    tried = "fill with the N best that are found, and keep the result most like the person (default 1)"
    add("--try", dest="tries", metavar="N", type=_number(int, 1, 50), default=1, help=tried)
    add("--crops", metavar="DIR", type=Path, help="write the network's 128x128 view: masked, reference, filled, mask")
    add("--threads", metavar="N", type=_number(int, 1), help="of the processor (default: 2 at most)")
    _shared_options(add)
    _backend_options(add, None)


def _client_fill_options(command):
    _photo_options(command)
    _result_options(command[0])
    _backend_options(command[0])


def _client_faces_options(command):
    command[0]("photo", metavar="PHOTO", type=Path, help="JPEG, PNG, WebP, HEIC or AVIF")
    _backend_options(command[0])


def _backend_options(add, default="http://127.0.0.1:8000"):
    told = f"default {default}" if default else "its network fills, the rest is done here"
    add("--backend", metavar="URL", default=default, help=f"a `twoface serve`, http, https, grpc or grpcs ({told})")
    add("--api-key", metavar="FILE", type=Path, help="whose first line is a key of the backend")
    add("--ca", metavar="FILE.pem", type=Path, help="certificates to trust instead of the system's")
    add("--timeout", metavar="S", type=_number(float, 0.001), default=60, help="for the backend's answer (60)")


def _photo_options(command):
    """A photo and what is to be done with it."""
    add, parser = command
    add("photo", metavar="PHOTO", type=Path, help="JPEG, PNG, WebP, HEIC or AVIF, of any size")
    add("-o", "--out", metavar="OUT", type=Path, required=True, help="the result: .jpg, .png or .webp")
    several = "another photo of the same person; of several, each after its own --reference, the most alike is used"
    add("--reference", metavar="REF", type=Path, action="append", default=[], help=several)
    hole = parser.add_mutually_exclusive_group(required=True)
    hole.add_argument("--mask", metavar="MASK", type=Path, help="a picture of PHOTO's size, white where to fill")
    names = "center, eyes, nose, mouth, lower, left or right of the face, or a box X0,Y0,X1,Y1 in photo pixels"
    hole.add_argument("--hole", metavar="HOLE", help=names)
    box = "X0,Y0,X1,Y1[,DEGREES]"
    add("--face", metavar=box, help="the face as a square in photo pixels, turned clockwise (default: found by itself)")
    add("--reference-face", metavar=box, action="append", default=[], help="the same in the reference, once for each")
    add("--report", metavar="FILE.json", type=Path, help="write what was done, with all figures")


def _batch_options(command):
    add, _ = command
    add("jobs", metavar="JOBS.csv", type=Path, help="a line for each photo")
    add("-o", "--out", metavar="DIR", type=Path, required=True, help="where the results go; made if need be")
    add("--workers", metavar="N", type=_number(int, 1), default=1, help="processes (default 1), about 0.5 GB each")
    _shared_options(add)


def _shared_options(add):
    _result_options(add)
    add("--model", metavar="FILE.onnx", type=Path, help="another network than the one that ships")


def _result_options(add):
    add("--feather", metavar="PX", type=_number(float, 0), help="width of the soft seam, photo pixels")
    add("--center-size", metavar="PX", type=_number(int, 1, 128), default=64,
        help="side of the hole 'center', of the 128 pixels that the network sees (default 64)")  # fmt: skip
    add("--quality", metavar="Q", type=_number(int, 1, 100), default=95, help="of .jpg and .webp (default 95)")
    add("--force", action="store_true", help="overwrite what exists")


def _evaluate_options(command):
    add, _ = command
    add("--data", metavar="DIR", type=Path, required=True, help="a folder made by `twoface data prepare`, or MNIST's")
    add("--digits", metavar="RUN", type=Path, help="score a run on MNIST instead: of what follows, --out alone counts")
    add("--cache", metavar="DIR", type=Path, help="where the digit classifier is kept")
    add("--split", default="val", help="of the data (default val)")
    add("--model", metavar="FILE.onnx", type=Path, help="another network than the one that ships")
    add("--hole", default="center", help="center, eyes, nose, mouth, lower, left or right (default center)")
    add("--center-size", metavar="PX", type=_number(int, 1, 128), default=64, help="side of the hole 'center' (64)")
    add("--source", default="lfw", help="the collection whose people are taken, or 'all' (default lfw)")
    add("--seed", type=int, default=0, help="draws the pairs (default 0)")
    add("--out", metavar="DIR", type=Path, help="default out/evaluation, or the run's own folder")
    add("--force", action="store_true", help="overwrite what exists")


def _prepare_options(command):
    add, _ = command
    add("source", metavar="SRC", type=Path, help="a folder with a folder of pictures for each person")
    add("destination", metavar="DST", type=Path, help="a new folder")
    add("--workers", metavar="N", type=_number(int, 1), default=2, help="processes (default 2)")
    add("--val-fraction", metavar="F", type=_number(float, 0, 1), default=0.05, help="of the people (default 0.05)")
    add("--seed", type=int, default=0, help="draws the people of val (default 0)")
    add("--min-face", metavar="PX", type=_number(int, 1), default=40, help="skip smaller faces (default 40)")


def _train_options(command):
    add, _ = command
    add("experiment", metavar="EXPERIMENT.toml", type=Path, help="what differs from the defaults")
    add("--data", metavar="DIR", type=Path, required=True, help="a folder made by `twoface data prepare`, or MNIST's")
    add("--out", metavar="DIR", type=Path, help="the run's folder (default runs/ and the experiment's name)")
    add("--cache", metavar="DIR", type=Path, help="keep decoded crops here for the next run, 77 kB each")
    add("--resume", action="store_true", help="go on with the run in the folder")
    add("--max-minutes", metavar="M", type=_number(float, 0.01), help="stop, saved, after so long")
    add("--max-steps", metavar="N", type=_number(int, 1), help="stop, saved, after so many steps")
    add("--devices", metavar="N", type=_number(int, 1), default=1, help="GPUs, or processes on CPUs (default 1)")
    add("--nodes", metavar="N", type=_number(int, 1), default=1, help="machines with so many devices each (default 1)")
    _precision_option(add)
    _set_option(add)


def _export_options(command):
    add, _ = command
    add("training", metavar="RUN", type=Path, help="the folder of a training run")
    add("-o", "--out", metavar="FILE.onnx", type=Path, required=True, help="the file to write")
    add("--data-note", metavar="TEXT", default="", help="what it was trained on, for the file's metadata")
    add("--license", metavar="TEXT", default="research use only", help="for the metadata (default research use only)")
    add("--force", action="store_true", help="overwrite what exists")


def _tune_options(command):
    add, _ = command
    add("experiment", metavar="EXPERIMENT.toml", type=Path, help="what the search starts from")
    add("--space", metavar="SPACE.toml", type=Path, required=True, help="what varies, and what it is judged by")
    add("--data", metavar="DIR", type=Path, required=True, help="as for `twoface train`")
    add("--trials", metavar="N", type=_number(int, 1), default=20, help="of the study in all (default 20)")
    add("--out", metavar="DIR", type=Path, help="the search's folder (default runs/ and both names)")
    add("--storage", metavar="URL", help="a database that SQLAlchemy can reach (default study.db in the folder)")
    add("--cache", metavar="DIR", type=Path, help="keep decoded pictures here for the next trial")
    add("--seed", type=int, default=0, help="draws the parameters (default 0)")
    _precision_option(add)
    _set_option(add)


def _precision_option(add):
    precisions = ("32-true", "bf16-mixed", "16-mixed")
    add("--precision", choices=precisions, default="bf16-mixed", help="of Lightning Fabric (default bf16-mixed)")


def _set_option(add):
    change = "change the experiment, such as train.batch=32 or stages[1].identity=0.2 (a TOML value); repeatable"
    add("--set", dest="settings", metavar="KEY=VALUE", action="append", default=[], help=change)


def _report_options(command):
    add, _ = command
    add("folders", metavar="RUN", nargs="+", type=Path, help="the folder of a training run or of a search")
    add("-o", "--out", metavar="FILE.html", type=Path, help="default report.html in the first folder")
    add("--force", action="store_true", help="overwrite what exists")


def _weights_options(command):
    add, _ = command
    add("names", metavar="NAME", nargs="*", help="such as vgg16-edges or facenet-casia; none: list them")
    add("--from", dest="file", metavar="FILE", type=Path, help="the original file, instead of fetching it")
    add("--verify", metavar="DIR", type=Path, help="tell people apart in the val split of this prepared data")


def _web_options(command):
    add, _ = command
    add("--open", action="store_true", help="open the page in the browser")
    add("--host", metavar="ADDRESS", default="127.0.0.1", help="default 127.0.0.1; any other needs --auth")
    add("--port", metavar="N", type=_number(int, 0, 65535), default=8000, help="default 8000; 0: any free")
    add("--auth", metavar="FILE", type=Path, help="passwords, one a line, of 16 letters and more: ask for one")
    add("--tls-cert", metavar="FILE.pem", type=Path, help="certificate chain, for HTTPS")
    add("--tls-key", metavar="FILE.pem", type=Path, help="its private key")
    add("--backend", metavar="URL", help="a `twoface serve` that fills: http://, https://, grpc:// or grpcs://HOST:PORT")
    add("--backend-key", metavar="FILE", type=Path, help="a file with its API key")
    add("--workers", metavar="N", type=_number(int, 1), default=1, help="processes (default 1), about 1 GB each")


def _serve_options(command):
    add, parser = command
    add("--model", metavar="PATH", type=Path, help="an ONNX file, or a folder of versions (default: what ships)")
    add("--host", metavar="ADDRESS", default="127.0.0.1", help="default 127.0.0.1; any other needs --api-key")
    add("--port", metavar="N", type=_number(int, 0, 65535), default=8000, help="of HTTP (default 8000; 0: any free)")
    add("--grpc-port", metavar="N", type=_number(int, 0, 65535), default=8001, help="of gRPC (default 8001)")
    add("--no-grpc", action="store_true", help="HTTP only")
    add("--api-key", metavar="FILE", type=Path, help="keys, one a line, read again when the file changes")
    add("--tls-cert", metavar="FILE.pem", type=Path, help="certificate chain, for HTTPS and gRPC")
    add("--tls-key", metavar="FILE.pem", type=Path, help="its private key")
    add("--cors", metavar="ORIGIN", action="append", default=[], help="pages from there may ask (default none)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="of the network (default cpu)")
    add("--threads", metavar="N", type=_number(int, 1), help="of the processor (default: all that there are)")
    add("--batch-size", metavar="N", type=_number(int, 1), default=4, help="crops that go together (default 4)")
    wait = "how long a crop waits for others (default 0: those go together that wait anyway)"
    add("--batch-wait-ms", metavar="MS", type=_number(float, 0), default=0, help=wait)
    add("--queue", metavar="N", type=_number(int, 1), default=64, help="crops that may wait (default 64)")
    add("--rows", metavar="N", type=_number(int, 1, 256), default=16, help="crops in one request (default 16)")
    add("--timeout", metavar="S", type=_number(float, 0.001), default=60, help="the longest a request may take (60)")
    add("--drain", metavar="S", type=_number(float, 0), default=30, help="at the end, to finish what runs (30)")
    add("--photo-workers", metavar="N", type=_number(int, 0), default=1,
        help="processes of the photo API (default 1), about 0.5 GB each")  # fmt: skip
    add("--index", metavar="INDEX", help="of faces (see `twoface index`): adds POST /v1/references")
    add("--replicas", metavar="N[:MAX]", type=_replicas, help="as many servers on Ray Serve (needs twoface[scale])")
