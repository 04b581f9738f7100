"""Photos on the command line: fill, client, batch. What a command needs is imported inside it."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twoface.cli.options import Add, Command, Commands, command, number, quality, require
from twoface.cli.search import NEEDED as SEARCH
from twoface.core.errors import InputError
from twoface.core.files import printable

if TYPE_CHECKING:
    from twoface.client import PhotoClient
    from twoface.client.remote import RemoteModel
    from twoface.core.arrays import Mask
    from twoface.core.fill_result import FillResult
    from twoface.core.images import Photo
    from twoface.core.network import Network

HOLES = (
    "auto: whatever is in front of the face, or closed eyes; or a part of the face: eyes, left-eye, right-eye, glasses,"
    " nose, mouth, mask, lower, forehead, left, right, face, or the square center; or a box X0,Y0,X1,Y1 in photo pixels"
)


def add_commands(commands: Commands) -> None:
    _fill_options(command(commands, "fill", fill, "fill a part of the face in a photo", FILL_EXAMPLES))
    client = commands.add_parser("client", help="have a `twoface serve` do it", epilog=CLIENT_EXAMPLES)
    client = client.add_subparsers(metavar="COMMAND", required=True)
    _client_fill_options(command(client, "fill", client_fill, "fill a part of the face in a photo", CLIENT_EXAMPLES))
    _client_faces_options(command(client, "faces", client_faces, "find the faces in a photo", CLIENT_EXAMPLES))
    _backend_options(command(client, "status", client_status, "is the server ready", CLIENT_EXAMPLES)[0])
    _batch_options(command(commands, "batch", batch, "fill the photos of a CSV file", BATCH_EXAMPLES))


def fill(args: Namespace) -> int:
    from twoface.core.files import write_aside
    from twoface.core.frame import Frame
    from twoface.core.images import output_format
    from twoface.core.inpainter import Inpainter
    from twoface.core.parts import parse_hole

    hole = None if args.hole is None else parse_hole(args.hole)
    face = None if args.face is None else Frame.parse(args.face)
    reference_face = [Frame.parse(text) for text in args.reference_face] or None
    if args.backend and args.model:
        raise InputError("a backend has a network of its own: leave --model or --backend out")
    if (args.api_key or args.ca) and not args.backend:
        raise InputError("--api-key and --ca are for a backend: give --backend URL too, or leave them out")
    if args.reference_from and (args.reference or args.reference_face):
        raise InputError("the reference is either given or found: leave --reference or --reference-from out")
    if args.same_photo and args.reference_from:
        raise InputError("--same-photo is for references that are given: copies that are found are left out")
    if args.tries > 1 and not args.reference_from:
        raise InputError("--try is for references that are found: give --reference-from, or leave it out")
    _check_outputs(args, *_crop_paths(args.crops, args.reference or args.reference_from))

    start = time.perf_counter()
    network = _backend(args) if args.backend else args.model
    photo, mask = _photo_and_mask(args)
    given = {"mask": mask, "hole": hole, "face": face, "feather": args.feather, "center_size": args.center_size}
    if args.reference_from:
        result, search = _fill_from(args, network, photo, given)
    else:
        references = {"references": args.reference, "reference_face": reference_face, "same_photo": args.same_photo}
        result, search = Inpainter.load(network, args.threads).fill(photo, **references, **given), None
    result.save(args.out, args.quality, args.force)
    seconds = time.perf_counter() - start
    told = result.report(output_format(args.out)) | ({"search": search} if search else {})
    if args.report:
        write_aside(args.report, (json.dumps(told, indent=1) + "\n").encode(), args.force)
    if args.crops:
        _write_crops(args.crops, result, args.force)

    print(f"result     {printable(args.out)}")
    print(f"time       {seconds:.2f} s in all, of which the network took {result.timing['network']:.2f} s")
    _tell(told)
    return 0


def _photo_and_mask(args: Namespace) -> tuple[Path | Photo, Path | Mask | None]:
    """-> what `Inpainter.fill` is given: paths, or a Photo and bool (H, W) where the mask is to be inverted."""
    if not args.invert_mask:
        return args.photo, args.mask
    from twoface.core.images import read_mask, read_photo

    if not args.mask:
        raise InputError("--invert-mask needs a --mask")
    photo = read_photo(args.photo)
    return photo, read_mask(args.mask, photo.size, invert=True, orientation=photo.orientation)


def _fill_from(
    args: Namespace, network: Path | Network | None, photo: Path | Photo, given: dict[str, Any]
) -> tuple[FillResult, dict[str, Any]]:
    require("search", *SEARCH)
    from twoface.search.collection import Collection
    from twoface.search.fill import fill_from

    return fill_from(Collection.open(args.reference_from, network, args.threads), photo, args.tries, **given)


def client_fill(args: Namespace) -> int:
    from twoface.core.files import write_aside
    from twoface.core.images import output_format

    _check_outputs(args)
    start = time.perf_counter()
    filled = _photo_client(args).fill(
        args.photo,
        mask=_inverted(args.mask) if args.invert_mask else args.mask,
        hole=args.hole,
        references=args.reference,
        face=args.face,
        reference_faces=args.reference_face,
        feather=args.feather,
        center_size=args.center_size,
        same_photo=args.same_photo,
        format=output_format(args.out).lower(),
        quality=args.quality,
    )
    write_aside(args.out, filled.picture, args.force)
    if args.report:
        write_aside(args.report, (json.dumps(filled.report, indent=1) + "\n").encode(), args.force)

    print(f"result     {printable(args.out)}")
    seconds, there = time.perf_counter() - start, filled.report["seconds"]["total"]
    print(f"time       {seconds:.2f} s in all, of which the fill itself took {there:.2f} s")
    _tell(filled.report)
    return 0


def _inverted(path: Path | None) -> bytes:
    """A mask's picture -> PNG of the opposite. None stays."""
    import numpy as np

    from twoface.core.images import Photo, encode_photo, read_mask

    if path is None:
        raise InputError("--invert-mask needs a --mask")
    mask = read_mask(path, None, invert=True)
    return encode_photo(Photo(np.repeat(mask[..., None], 3, axis=2) * np.uint8(255)), "PNG", generated=False)


def client_faces(args: Namespace) -> int:
    print(json.dumps(_photo_client(args).faces(args.photo), indent=1))
    return 0


def client_status(args: Namespace) -> int:
    model = _backend(args)
    ready = model.ready()
    print(f"{args.backend} is {'ready' if ready else 'not reachable, or not ready'}")
    for name, value in sorted((model.metadata if ready else {}).items()):
        print(f"{name}: {value}")
    return 0 if ready else 1


def batch(args: Namespace) -> int:
    from twoface.core.batch import FAIL, Options, plan_batch, run_batch
    from twoface.core.parts import parse_hole

    if args.hole is not None:
        parse_hole(args.hole)
    options = Options(args.model, args.feather, args.center_size, args.quality, args.hole, args.same_photo)
    if args.dry_run:
        steps = plan_batch(args.jobs, args.out, options, args.force)
        for step in steps:
            print(printable(f"{step.action:4} row {step.row}: {step.photo} -> {step.out or '?'}: {step.why}"))
        return 1 if any(step.action == FAIL for step in steps) else 0
    made = run_batch(args.jobs, args.out, args.workers, options, args.force)
    warned = f" ({made.warned} with warnings)" if made.warned else ""
    print(f"{made.done} done{warned}, {made.skipped} done before, {made.failed} failed: see {printable(made.log)}")
    return 1 if made.failed else 0


def _backend(args: Namespace) -> RemoteModel:
    require("client", "httpx", "grpc", "tritonclient")
    from twoface.client import connect, read_key

    return connect(args.backend, read_key(args.api_key) if args.api_key else None, args.timeout, args.ca)


def _photo_client(args: Namespace) -> PhotoClient:
    require("client", "httpx", "grpc", "tritonclient")
    from twoface.client import PhotoClient, read_key

    return PhotoClient(args.backend, read_key(args.api_key) if args.api_key else None, args.timeout, args.ca)


def _check_outputs(args: Namespace, *others: Path | None) -> None:
    """Before the work: that the result has a name that can be written, and that nothing is in the way."""
    from twoface.core.files import check_output
    from twoface.core.images import output_format

    output_format(args.out)
    paths = [path for path in (args.out, args.report, *others) if path]
    for path in paths:
        check_output(path, args.force)
    given = [Path(path) for path in (args.photo, args.mask, *args.reference) if path]
    beside = {path.resolve() for path in paths[1:]}
    if len(beside) < len(paths) - 1 or beside & {path.resolve() for path in (args.out, *given)}:
        raise InputError(f"what is written beside {printable(args.out)} needs names of its own")


def _tell(report: dict[str, Any]) -> None:
    """Print the figures and the warnings of a fill's report."""
    from twoface.core.outlook import Outlook

    if report["faces"]["found"] > 1:
        print(f"face       {_which(report['faces'], '--face')}")
    if found := report["found"]:
        stays = "; what of it lies beside the face stays (a --mask over all of it takes it away)"
        rest = stays if found["goes_on"] else ""
        print(f"found      {found['what']}, {found['share']:.0%} of the face's frame{rest}")
    print("\n".join(_identity(report)))
    print(f"picture    {Outlook(**report['outlook']).text}")
    for warning in report["warnings"]:
        print(f"twoface: warning: {printable(warning)}", file=sys.stderr)


def _identity(report: dict[str, Any]) -> list[str]:
    """Lines that say in plain words what the figures mean."""
    from twoface.core.verdict import Verdict

    found = Verdict(**report["verdict"])
    if report["reference_used"] is None:
        return [f"identity   {found.text}"]
    figures, used = report["identity"], report["references"][report["reference_used"]]
    several = [f"           face {_which(used['faces'], '--reference-face')}"] if used["faces"]["found"] > 1 else []
    return [
        f"reference  {printable(used['name'])}, {report['reference_why']}",
        *several,
        f"identity   {found.text}: {figures['similarity_result_reference']:.2f} between result and reference,",
        f"           {figures['similarity_visible_reference']:.2f} between the visible part and reference, where two"
        f" people would be below {figures['threshold']:.2f};",
        f"           (with such a hole that alone finds {figures['strangers_warned']:.0%} of wrong references)",
    ]


def _which(faces: dict[str, Any], option: str) -> str:
    """Which face of how many, and why, of a report; and the option that takes another."""
    from twoface.core.faces import WHY

    another = f" (another: {option})" if faces["found"] > 1 else ""
    return f"{faces['taken']} of {faces['found']}, {WHY[faces['why']]}{another}"


def _crop_paths(folder: Path | None, references: object) -> list[Path | None]:
    """What `_write_crops` will write, or the folder that it will make."""
    if folder is None or not folder.is_dir():
        return [folder]
    return [folder / f"{name}.png" for name in ("masked", "filled", "mask", *(["reference"] if references else []))]


def _write_crops(folder: Path, result: FillResult, force: bool) -> None:
    import numpy as np

    from twoface.core.files import write_aside
    from twoface.core.images import Photo, encode_photo

    white = np.repeat(result.mask_crop[..., None], 3, axis=2) * np.uint8(255)
    crops = {"masked": result.masked_crop, "filled": result.crop, "mask": white, "reference": result.reference_crop}
    folder.mkdir(exist_ok=True)
    for name, pixels in crops.items():
        if pixels is not None:
            write_aside(folder / f"{name}.png", encode_photo(Photo(pixels), "PNG", generated=name == "filled"), force)


# Options.

FILL_EXAMPLES = """examples:
  twoface fill me.jpg --reference me-last-year.jpg --hole eyes -o filled.jpg
  twoface fill me.jpg --reference a.jpg --reference b.jpg --mask scratch.png -o filled.png
  twoface fill me.jpg --hole 310,220,420,300 --face 200,100,520,420 -o filled.webp

The mask is a picture of the photo's size, white (128 and above) where it is to be filled; or
strokes on a transparent layer, or a copy of the photo with the hole erased. --face is a square that
you choose: then nothing has to be found in it, so a face that is covered altogether works too. Face and eyes should
lie in it as in a portrait: the eyes at .375 and .625 of its width and .46 of its height. Outside the hole and its
feather the photo stays as it is, bit for bit (in a .png or .tif). Without a reference the network invents a face.
Of a group photo the face that the mask touches is filled, else the largest; of a group reference the face most like it
is used. --report lists all faces as --face and --reference-face take them."""

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

The CSV may be of any spreadsheet: commas, semicolons or tabs, UTF-8, UTF-16 or Windows-1252, columns in any order. Only
the column photo is needed, with --hole for rows that name no hole. JOBS.jsonl has an object with the same keys in each
line: {"photo": "a.jpg", "hole": "eyes", "reference": ["a1.jpg", "a2.jpg"], "face": [40, 30, 240, 230]}

results/results.csv (of a JOBS.jsonl: results.jsonl) is a log that is only added to; of the lines for one result the
last counts. It tells what happened, with the warnings, the seconds and the identity figures. A bad row is reported and
the rest goes on. Run it again, and it does what is missing, what failed, and what changed: the content of a photo, mask
or reference, the row, the options, the network. Files that it did not make stay. Exit code 1 if a row failed."""


def _fill_options(command: Command) -> None:
    add, _ = command
    _photo_options(command)
    add("--reference-from", metavar="INDEX", help="find the reference in an index (see `twoface index`)")
    tried = "fill with the N best that are found, and keep the result most like the person (default 1)"
    add("--try", dest="tries", metavar="N", type=number(int, 1, 50), default=1, help=tried)
    add("--crops", metavar="DIR", type=Path, help="write the network's 128x128 view: masked, reference, filled, mask")
    add("--threads", metavar="N", type=number(int, 1), help="number of CPU threads (default: at most 2)")
    _shared_options(add)
    _backend_options(add, None)


def _client_fill_options(command: Command) -> None:
    _photo_options(command)
    _result_options(command[0])
    _backend_options(command[0])


def _client_faces_options(command: Command) -> None:
    command[0]("photo", metavar="PHOTO", type=Path, help="JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF")
    _backend_options(command[0])


def _backend_options(add: Add, default: str | None = "http://127.0.0.1:8000") -> None:
    told = f"default {default}" if default else "its network fills, the rest is done here"
    add("--backend", metavar="URL", default=default, help=f"a `twoface serve`, http, https, grpc or grpcs ({told})")
    add("--api-key", metavar="FILE", type=Path, help="whose first line is a key of the backend")
    add("--ca", metavar="FILE.pem", type=Path, help="certificates to trust instead of the system's")
    add("--timeout", metavar="S", type=number(float, 0.001), default=60, help="for the backend's answer (60)")


def _photo_options(command: Command) -> None:
    """A photo and what is to be done with it."""
    add, parser = command
    add("photo", metavar="PHOTO", type=Path, help="JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF")
    add("-o", "--out", metavar="OUT", type=Path, required=True, help="the result: .jpg, .png, .webp or .tif")
    several = (
        "another photo of the same person; of several, each after its own --reference, the best for the hole is used"
    )
    add("--reference", metavar="REF", type=Path, action="append", default=[], help=several)
    hole = parser.add_mutually_exclusive_group(required=True)
    hole.add_argument("--mask", metavar="MASK", type=Path, help="a picture of PHOTO's size, white where to fill")
    hole.add_argument("--hole", metavar="HOLE", help=HOLES)
    box = "X0,Y0,X1,Y1[,DEGREES]"
    add("--invert-mask", action="store_true", help="the mask is black where to fill")
    add("--face", metavar=box, help="the face as a square in photo pixels, turned clockwise (default: found by itself)")
    add("--reference-face", metavar=box, action="append", default=[], help="the same in the reference, once for each")
    add("--report", metavar="FILE.json", type=Path, help="write what was done, with all figures")


def _batch_options(command: Command) -> None:
    add, _ = command
    add("jobs", metavar="JOBS.csv", type=Path, help="a line for each photo; or JSON Lines, called .jsonl")
    add("-o", "--out", metavar="DIR", type=Path, required=True, help="where the results go; made if need be")
    add("--hole", metavar="HOLE", help="what is filled where a row names neither mask nor hole")
    add("--dry-run", action="store_true", help="say of each row what would be done and why, and do nothing")
    needs = "processes (default 1); 0.5 GB of memory each, 0.8 to 1.3 GB for photos of 50 megapixels"
    add("--workers", metavar="N", type=number(int, 1), default=1, help=needs)
    _shared_options(add)


def _shared_options(add: Add) -> None:
    _result_options(add)
    add("--model", metavar="FILE.onnx", type=Path, help="another network than the one that ships")


def _result_options(add: Add) -> None:
    add("--feather", metavar="PX", type=number(float, 0), help="width of the soft seam, photo pixels")
    add("--center-size", metavar="PX", type=number(int, 1, 128), default=64,
        help="side of the hole 'center', of the 128 pixels that the network sees (default 64)")  # fmt: skip
    add("--quality", metavar="Q", type=quality, default=None,
        help="of .jpg and .webp, 1 to 100; keep: that of a JPEG given, else 95 (default)")  # fmt: skip
    add("--same-photo", action="store_true", help="use a reference although it is the photo itself or a copy of it")
    add("--force", action="store_true", help="overwrite what exists")
