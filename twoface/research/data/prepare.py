"""Folders of identities -> aligned 160x160 crops in tar shards with an index, as `portraits` reads them.

Each identity is committed as one small tar in DST/parts; when all are there, the shards and, last, index.csv are put
together from them, always in the same order. So a run that was killed goes on where it stopped, and nothing is lost
or doubled.
"""

import csv
import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from tqdm import tqdm

from twoface.core.affine import apply
from twoface.core.arrays import Picture, Points, Shape
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.faces import Face
from twoface.core.files import PathLike, write_aside
from twoface.core.frame import SIZE, Frame
from twoface.core.images import read_photo
from twoface.core.mtcnn import Mtcnn
from twoface.core.workers import run_tasks
from twoface.research.data.containers import PICTURES, split_of
from twoface.research.data.portraits import CROP

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
COLUMNS = ("split", "shard", "path", "identity", "source", "scale", *(f"{p}_{axis}" for p in POINTS for axis in "xy"))
SHARD_BYTES = 24_000_000
WITH_MARGIN = Frame(SIZE / 2, SIZE / 2, CROP)  # of the 128 crop: what is stored
WEBP_QUALITY = 90
ROWS = "rows.json"  # in a part, beside its crops
ONE_THREAD = partial(Mtcnn, threads=1)  # a process each


class Detector(Protocol):
    """Finds faces, as `Mtcnn` does."""

    def detect(self, pixels: Picture) -> list[Face]: ...


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made: how many crops, pictures skipped, and people with a crop in each split."""

    crops: int
    skipped: int
    train_people: int
    val_people: int


def prepare(
    source: PathLike,
    destination: PathLike,
    workers: int = 2,
    val_fraction: float = 0.05,
    seed: int = 0,
    min_face: float = 40,
    detector: Callable[[], Detector] = ONE_THREAD,
) -> Prepared:
    """Cut the faces of SRC/IDENTITY/*.jpg (or SRC/train/IDENTITY/*.jpg, as VGGFace2 has them) into DST.

    Of several faces in a picture the one nearest to its centre is taken, as is usual for these sets: their pictures
    were cut around the person they are filed under. What fails is named in DST/skipped.csv (path, reason).
    An identity goes to val or train as a whole, by a hash of its name and `seed`.

    val_fraction: the share of people in val, 0..1. min_face: pixels; smaller faces (shorter side of the detector's
    box) are skipped. detector: picklable () -> an object with `Mtcnn.detect`.
    Raises InputError for a SRC without pictures, a DST that holds something else, and options that differ from those
    of the run that is continued; TwoFaceError when a worker process died.
    """
    source, destination = Path(source), Path(destination)
    if not 0 <= val_fraction <= 1:
        raise InputError(f"the val fraction must be 0 to 1, not {val_fraction}")
    identities = find_identities(source)
    parts = _open_parts(destination, {"source": str(source.resolve()), "min_face": min_face})
    if not (destination / "index.csv").exists():
        _make_parts(source, parts, identities, workers, min_face, detector)
        splits: dict[str, list[str]] = {"train": [], "val": []}
        for name in sorted(identities):
            splits[split_of(name, seed, val_fraction)].append(name)
        _assemble(destination, parts, splits, source.resolve().name)
    shutil.rmtree(parts)
    return _summary(destination)


def find_identities(source: Path) -> dict[str, list[Path]]:
    """The identity folders in or one below `source` -> {folder name: its pictures, sorted}.

    Folders of one name under two splits are the same person.
    """
    if not source.is_dir():
        raise InputError(f"{source} is not a folder: give a folder that has a folder of pictures for each person")
    identities: dict[str, list[Path]] = {}
    for folder in _folders(source):
        for holder in [folder] if _pictures(folder) else _folders(folder):
            if pictures := _pictures(holder):
                identities.setdefault(holder.name, []).extend(pictures)
    if not identities:
        raise InputError(f"no pictures in {source}: they should be at SRC/IDENTITY/*.jpg or SRC/train/IDENTITY/*.jpg")
    return identities


def central_face(faces: Sequence[Face], shape: Shape, min_face: float) -> Face:
    """The face whose box is nearest to the centre of a picture of `shape` (H, W), among those large enough.

    Raises InputError when there is none.
    """
    if not faces:
        raise InputError("no face found")
    large = [face for face in faces if _shorter_side(face) >= min_face]
    if not large:
        raise InputError(f"the largest face has {max(map(_shorter_side, faces)):.0f} pixels, less than {min_face}")
    center = np.array([shape[1], shape[0]]) / 2
    return min(large, key=lambda face: np.hypot(*(np.reshape(face.box, (2, 2)).mean(0) - center)))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir())


def _pictures(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    return sorted(path for path in files if not path.name.startswith("."))


def _shorter_side(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return min(x1 - x0, y1 - y0)


def _open_parts(destination: Path, settings: dict[str, Any]) -> Path:
    """DST/parts, new or of a run with the same settings."""
    parts = destination / "parts"
    stamp = parts / "settings.json"
    if stamp.exists():
        before = json.loads(stamp.read_text(encoding="utf-8"))
        if before != settings:
            raise InputError(f"{destination} was begun with {before}, not {settings}: use those, or another folder")
        return parts
    if (destination / "index.csv").exists():
        raise InputError(f"{destination} is prepared already: choose another folder")
    if destination.exists() and any(path != parts for path in destination.iterdir()):
        raise InputError(f"{destination} holds something else: choose another folder, or an empty one")
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {parts}: {error.strerror}") from error
    write_aside(stamp, json.dumps(settings).encode())
    return parts


def _make_parts(
    source: Path,
    parts: Path,
    identities: Mapping[str, list[Path]],
    workers: int,
    min_face: float,
    detector: Callable[[], Detector],
) -> None:
    tasks = [(name, identities[name]) for name in sorted(identities) if not _part(parts, name).exists()]
    setup = partial(_setup, source, parts, min_face, detector)
    failures = []
    total = sum(map(len, identities.values()))
    done = total - sum(len(pictures) for _, pictures in tasks)
    with tqdm(total=total, initial=done, unit=" pictures", disable=None) as bar:
        for index, outcome in run_tasks(setup, tasks, workers):
            name, pictures = tasks[index]
            if isinstance(outcome, InputError | OSError):
                raise outcome  # its part cannot be written, so neither can the others
            if isinstance(outcome, TwoFaceError):
                failures.append(f"{name}: {outcome}")
            bar.update(len(pictures))
    if failures:
        raise TwoFaceError(f"{len(failures)} identities are not done; run again to go on. The first, {failures[0]}")


def _part(parts: Path, identity: str) -> Path:
    return parts / f"{identity}.tar"


def _setup(
    source: Path, parts: Path, min_face: float, detector: Callable[[], Detector]
) -> Callable[[tuple[str, list[Path]]], None]:
    """What a worker process loads -> its function of one task, (identity, pictures)."""
    cv2.setNumThreads(1)
    faces = detector()

    def work(task: tuple[str, list[Path]]) -> None:
        name, pictures = task
        rows: dict[str, list[list[str]]] = {"crops": [], "skipped": []}
        files: dict[str, bytes] = {}
        for path in pictures:
            try:
                data, scale, landmarks = _cut(path, faces, min_face)
            except InputError as error:
                rows["skipped"].append([path.relative_to(source).as_posix(), str(error)])
                continue
            member = f"{name}/{len(files):03d}.webp"
            files[member] = data
            rows["crops"].append([member, f"{scale:.3f}", *(f"{value:.1f}" for value in landmarks.ravel())])
        write_aside(_part(parts, name), _tar({**files, ROWS: json.dumps(rows).encode()}), force=True)

    return work


def _cut(path: Path, faces: Detector, min_face: float) -> tuple[bytes, float, Points]:
    """A picture's central face -> (WebP bytes, photo-to-crop scale, landmarks (5, 2) in crop pixels)."""
    pixels = read_photo(path).pixels
    face = central_face(faces.detect(pixels), pixels.shape[:2], min_face)
    frame = face.frame.inner(WITH_MARGIN)
    picture = frame.crop(pixels, CROP)
    _, data = cv2.imencode(".webp", picture[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    return data.tobytes(), CROP / frame.side, apply(frame.transform(CROP), face.landmarks)


def _assemble(destination: Path, parts: Path, splits: Mapping[str, list[str]], source: str) -> None:
    """Parts -> shards, skipped.csv and, when all else is on the disk, index.csv."""
    for stale in (*destination.glob("train-*.tar"), *destination.glob("val-*.tar")):
        stale.unlink()  # of a run that was killed here, perhaps with another split
    index: list[list[str]] = []
    skipped: list[list[str]] = []
    for split, names in splits.items():
        files: dict[str, bytes] = {}
        size = number = 0
        for name in tqdm(names, desc=split, unit=" people", disable=None):
            crops, rows = _read_part(_part(parts, name))
            skipped.extend(rows["skipped"])
            for member, *values in rows["crops"]:
                taken = 1024 + len(crops[member])  # its header and, at most, its padding
                if files and size + taken > SHARD_BYTES:
                    write_aside(destination / f"{split}-{number:02d}.tar", _tar(files))
                    files, size, number = {}, 0, number + 1
                files[member] = crops[member]
                size += taken
                index.append([split, f"{split}-{number:02d}.tar", member, name, source, *values])
        if files:
            write_aside(destination / f"{split}-{number:02d}.tar", _tar(files))
    write_aside(destination / "skipped.csv", _csv([("path", "reason"), *skipped]), force=True)
    if not index:
        raise InputError(f"no face was found in any of {len(skipped)} pictures: {destination}/skipped.csv says why")
    write_aside(destination / "index.csv", _csv([COLUMNS, *index]), force=True)


def _summary(destination: Path) -> Prepared:
    with open(destination / "index.csv", newline="", encoding="utf-8") as file:
        index = list(csv.DictReader(file))
    with open(destination / "skipped.csv", newline="", encoding="utf-8") as file:
        skipped = list(csv.DictReader(file))
    people = Counter(split for split, _ in {(row["split"], row["identity"]) for row in index})
    return Prepared(len(index), len(skipped), people["train"], people["val"])


def _tar(files: Mapping[str, bytes]) -> bytes:
    """{name: bytes} -> a tar, the same bytes whenever and by whomever it is made."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _read_part(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    with tarfile.open(path) as tar:
        files = {member.name: content.read() for member in tar if (content := tar.extractfile(member))}
    return files, json.loads(files.pop(ROWS))


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
