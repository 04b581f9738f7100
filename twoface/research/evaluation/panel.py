"""The fills that people judge: drawn once as tasks, then made by each network through `twoface.Inpainter`.

A task is {"hole", "photo", "reference", "polygons", "view"}: the hole's name ("strokes" for a brush, "covered" for
something real in front of the face), both photos' paths below the folder of photos, the hole's outlines and the square
shown, (x0, y0, x1, y1, degrees), in photo pixels. Holes are outlines in the photo, so that every network and every
version of the code fills the same pixels. `twoface.research.evaluation.rating` mixes the fills and joins the ratings.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from tqdm import tqdm

from twoface.core.affine import apply, invert
from twoface.core.arrays import Mask, Numbers, Picture, Shape
from twoface.core.errors import InputError
from twoface.core.faces import choose, rounded
from twoface.core.files import PathLike, check_output, write_aside
from twoface.core.frame import Frame
from twoface.core.holes import share_inside
from twoface.core.images import read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.masks import grow
from twoface.core.mesh import Mesher
from twoface.core.mtcnn import Mtcnn
from twoface.core.network import shipped
from twoface.core.parts import named_hole
from twoface.research.data.containers import PICTURES
from twoface.research.data.prepare import Detector

Task: TypeAlias = dict[str, Any]  # see above
HOLES = ("eyes", "mouth", "nose", "lower", "center", "strokes")
COVERED = "covered"
COUNT = 48
SHOWN = 320  # pixels a side of each picture
ROOM, WIDER = 1.2, 1.75  # the square shown, in sides of the crop frame; of real things, which go on beside the face
GROWN = 2  # crop pixels by which the outline of a real thing is widened, as a person with a brush would
LEAST = 0.02  # of the frame that a real thing must cover
SMALLEST = 60  # photo pixels a side of a frame: smaller faces show nothing to judge
TASKS = "tasks.json"


def draw_tasks(
    photos: PathLike,
    marked: PathLike | None = None,
    count: int = COUNT,
    seed: int = 0,
    detector: Detector | None = None,
    mesher: Mesher | None = None,
) -> list[Task]:
    """Draw what is filled -> list of tasks, the holes in turn, so that the first N are as mixed as all.

    photos: a folder with a folder of photos for each person. marked: a JSON file such as benchmarks/occluders.json, or
    None: its "covered" photos with a reference are every fourth task, its "clean" ones (default: all that are not
    "covered") are the others. Covers with "beside" do not touch the face and are left out. seed: the only source of
    chance. detector, mesher: as `Mtcnn` and `Mesher`.
    Raises InputError when a file is not of this kind or there are too few photos.
    """
    rng = np.random.default_rng(seed)
    known: dict[str, Any] = {"covered": [], "clean": None} | ({} if marked is None else read_json(marked))
    detector, mesher = detector or Mtcnn(), mesher or Mesher()
    covered = _covered_tasks(Path(photos), known["covered"], detector, rng)
    holes = [*HOLES[:3], COVERED, *HOLES[3:], COVERED] if known["covered"] else HOLES
    sources = {COVERED: covered} | _drawn_sources(Path(photos), known, detector, mesher, rng)
    tasks = []
    for i in range(count):
        task = next(sources[holes[i % len(holes)]], None)
        if task is None:
            raise InputError(f"{photos} has too few photos for {count} fills: ask for {i} (--count), or add photos")
        tasks.append(task)
    return tasks


def task_mask(task: Mapping[str, Any], shape: Shape) -> Mask:
    """The hole of a task as a mask -> bool (H, W). shape: of the photo."""
    mask = np.zeros(shape[:2], np.uint8)
    for polygon in task["polygons"]:
        cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
    return mask.view(bool)


def make_fills(
    out: PathLike,
    photos: PathLike,
    tasks: Sequence[Task],
    model: PathLike | None = None,
    inpainter: Inpainter | None = None,
    progress: bool = True,
    force: bool = False,
) -> Path:
    """Fill each task and keep what is shown of it -> the folder `out`, made when missing.

    It gets NN-fill.png and NN-photo.png, both SHOWN pixels a side, and tasks.json with the tasks and the network.
    model: an ONNX file, default the one that ships. inpainter: in place of the one that loads it.
    Raises InputError when a photo cannot be filled, or `out` holds such files (without `force`).
    """
    out, photos = Path(out), Path(photos)
    model = shipped() if model is None else Path(model)
    inpainter = inpainter or Inpainter.load(model)
    out.mkdir(parents=True, exist_ok=True)
    check_output(out / TASKS, force)
    for number, task in enumerate(tqdm(tasks, "filling", unit="photo", disable=not progress)):
        photo = read_photo(photos / task["photo"])
        mask = task_mask(task, photo.pixels.shape)
        try:
            filled = inpainter.fill(photo, mask=mask, reference=photos / task["reference"]).photo
        except InputError as error:
            raise InputError(f"task {number} ({task['hole']} of {task['photo']}): {error}") from error
        for kind, picture in (("fill", filled), ("photo", photo)):
            write_aside(out / f"{number:02}-{kind}.png", _png(shown(picture.pixels, Frame.of(task["view"]))), force)
    about = {"file": model.name, "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    lines = ",\n".join(map(json.dumps, tasks))
    write_aside(out / TASKS, f'{{"model": {json.dumps(about)}, "tasks": [\n{lines}\n]}}\n'.encode(), force)
    return out


def read_tasks(path: PathLike) -> dict[str, Any]:
    """What `make_fills` left in a folder, or its tasks.json -> {"model", "tasks"}. Raises InputError for another."""
    path = Path(path)
    known = read_json(path / TASKS if path.is_dir() else path)
    if not {"model", "tasks"} <= known.keys():
        raise InputError(f"{path} has no tasks: give a folder that `twoface evaluate --panel-fills` made")
    return known


def read_json(path: PathLike) -> dict[str, Any]:
    """A file's JSON object. Raises InputError for anything else."""
    try:
        known = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(known, dict):
        raise InputError(f"{path} holds no JSON object")
    return known


def shown(pixels: Picture, view: Frame) -> Picture:
    """What is shown of a photo -> uint8 (SHOWN, SHOWN, 3)."""
    return view.crop(pixels, SHOWN)


def _drawn_sources(
    photos: Path, known: Mapping[str, Any], detector: Detector, mesher: Mesher, rng: np.random.Generator
) -> dict[str, Iterator[Task]]:
    """{hole: an endless or exhausted iterator of tasks}, all drawing from the same people in turn."""
    clean = known["clean"]
    covered = {entry["photo"] for entry in known["covered"]}
    people: dict[str, list[str]] = {}
    for path in sorted(p for p in photos.glob("*/*") if p.suffix.lower() in PICTURES):
        name = path.relative_to(photos).as_posix()
        if name in clean if clean is not None else name not in covered:
            people.setdefault(path.parent.name, []).append(name)
    pairs = _pairs([names for names in people.values() if len(names) > 1], rng)
    frames: dict[str, Frame | None] = {}

    def tasks(hole: str) -> Iterator[Task]:
        for photo, reference in pairs:
            frame = _frame(photos, photo, detector, frames)
            if frame is not None and _frame(photos, reference, detector, frames) is not None:
                mesh = mesher.find(read_photo(photos / photo).pixels, frame).moved(frame.transform())
                drawn = _strokes(rng) if hole == "strokes" else named_hole(hole, mesh.points)
                outlines = [apply(invert(frame.transform()), outline) for outline in _outlines(drawn)]
                yield _task(hole, photo, reference, outlines, frame, ROOM)

    return {hole: tasks(hole) for hole in HOLES}


def _pairs(people: Sequence[list[str]], rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """(photo, reference) of everyone in random order, then of everyone again with other photos, ten times at most."""
    for _ in range(10):
        for person in rng.permutation(len(people)):
            photo, reference = rng.choice(people[person], 2, replace=False).tolist()
            yield photo, reference


def _frame(photos: Path, name: str, detector: Detector, known: dict[str, Frame | None]) -> Frame | None:
    """That of a photo's largest face; None where there is none, or it is small."""
    if name not in known:
        faces = detector.detect(read_photo(photos / name).pixels)
        frame = choose(faces).frame if faces else None
        known[name] = None if frame is None or frame.side < SMALLEST else frame
    return known[name]


def _task(hole: str, photo: str, reference: str, outlines: Iterable[Numbers], frame: Frame, room: float) -> Task:
    """outlines: of the hole, (N, 2) each, in photo pixels; room: the side of the square shown by the frame's."""
    polygons = [np.round(outline, 1).tolist() for outline in outlines]
    view = rounded(dataclasses.replace(frame, side=room * frame.side).numbers)
    return {"hole": hole, "photo": photo, "reference": reference, "polygons": polygons, "view": view}


def _outlines(mask: Mask) -> list[Numbers]:
    """Of a mask, bool (H, W) -> (N, 2) each, in its pixels."""
    found, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [outline[:, 0] for outline in found]


def _strokes(rng: np.random.Generator) -> Mask:
    """Three strokes of a brush over the face, each with a bend -> bool (128, 128)."""
    canvas = np.zeros((128, 128), np.uint8)
    for _ in range(3):
        points = rng.uniform((28, 36), (100, 108), (3, 2)).round().astype(np.int32)
        cv2.polylines(canvas, [points], False, 1, int(rng.integers(5, 11)))
    return canvas.view(bool)


def _covered_tasks(
    photos: Path, entries: Iterable[Mapping[str, Any]], detector: Detector, rng: np.random.Generator
) -> Iterator[Task]:
    """The marked photos with a reference, in random order, what covers their face as the hole, all of it."""
    entries = [entry for entry in entries if entry["reference"] and not_beside(entry["covers"])]
    for i in rng.permutation(len(entries)):
        entry = entries[i]
        pixels = read_photo(photos / entry["photo"]).pixels
        polygons = [cover["polygon"] for cover in not_beside(entry["covers"])]
        mask = task_mask({"polygons": polygons}, pixels.shape)
        faces = detector.detect(pixels)
        if not faces or _frame(photos, entry["reference"], detector, {}) is None:
            continue
        frame = choose(faces, mask).frame
        in_frame = share_inside(mask, frame) * mask.sum() / frame.side**2
        if in_frame >= LEAST and frame.side >= SMALLEST:
            outlines = _outlines(grow(mask, GROWN * frame.detail))
            yield _task(COVERED, entry["photo"], entry["reference"], outlines, frame, WIDER)


def not_beside(covers: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The marked covers that touch the face; those with "beside" only lie next to it."""
    return [cover for cover in covers if not cover.get("beside")]


def _png(pixels: Picture) -> bytes:
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()
