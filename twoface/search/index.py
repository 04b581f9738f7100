"""Folders of photos -> an index: which photos are new, changed or gone, and the processes that look at them."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from twoface.core.arrays import Picture, Pictures
from twoface.core.choice import sharpness
from twoface.core.detect import FaceDetector
from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.faces import Face
from twoface.core.frame import SIZE
from twoface.core.identity import Embedder
from twoface.core.images import read_photo
from twoface.core.mesh import MeshNetwork
from twoface.core.workers import run_tasks
from twoface.search.describe import described
from twoface.search.face_space import KINDS, WHOLE, FaceSpace, IndexEmbedder, kind_views, space_version
from twoface.search.lance import damaged_files
from twoface.search.people import People
from twoface.search.people import bring_up as bring_up_people
from twoface.search.people import damaged as people_damaged
from twoface.search.people import mend as mend_people
from twoface.search.people import renew as renew_people
from twoface.search.rank import calibration_for, probability, verdict
from twoface.search.record import (
    Record,
    copies_differ,
    copy_damaged,
    read_record,
    restore_record,
    write_record,
)
from twoface.search.rows import FaceRow, PhotoRow
from twoface.search.store import Store, open_store

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".avif")
THUMBNAILS = ("@eadir", "#recycle", "$recycle.bin", "thumbnails", "thumbs")  # of file servers and photo programs
TASK = 16  # photos that a process looks at together
Networks = tuple[FaceDetector, IndexEmbedder, MeshNetwork]
Load = Callable[[], Networks]
Stamped = tuple[str, int, int]  # a photo: path, size, mtime_ns
Seen = tuple[PhotoRow, list[FaceRow]]
Look = Callable[[list[Stamped]], list[Seen]]
COMMIT_PHOTOS, COMMIT_SECONDS = 512, 20.0  # what is written at once; a kill -9 loses no more than that
OLD = "the index was made by another version of Two-Face: 'twoface index update' looks at its photos again"
ALIKE = 50  # forgotten faces that are searched among the others, and as many found of each


@dataclass
class Summary:
    """What a change of an index did: photos looked at, faces in them, photos removed, and {path: error}.

    copies: photos left out or removed because their files are copies of forgotten photos. alike: photos that stay, of
    very likely the person who was forgotten. seconds: the time that took.
    """

    photos: int = 0
    faces: int = 0
    removed: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    copies: list[str] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)
    seconds: float = 0.0


def networks() -> Networks:
    """What a process looks at photos with."""
    return FaceDetector(1), IndexEmbedder(Embedder(1), FaceSpace.load()), MeshNetwork(1)


def build(
    folders: Iterable[str | Path],
    place: str | Path,
    people: bool = False,
    workers: int = 2,
    progress: bool = True,
    load: Load = networks,
    anew: bool = False,
) -> Summary:
    """Make an index of folders, or go on with one that was interrupted -> Summary.

    place: a directory, or a server's address as of `open_store`. people: see `Record`. load: picklable, as
    `networks`; each of the `workers` processes calls it once. anew: for a damaged index, look at all its photos again,
    keeping what it remembers.
    Raises InputError for a folder that is missing and for an index of another version, Unavailable when another process
    writes, TwoFaceError for a damaged index.
    """
    given = [_folder(folder) for folder in folders]
    store = open_store(place, create=True, anew=anew)
    with store.writing():
        record, restored = restore_record(store)
        if restored and progress:
            tqdm.write(f"{place}: what the index remembers was damaged, and is taken from its copy")
        if not len(store):
            record.space = space_version()
        check_space(record)
        record.people = record.people or people
        record.folders = sorted({*record.folders, *given})
        write_record(store, record)
        store.mend()
        mend_people(store)
        _finish(store, record)
        looked = record.folders if anew else given
        return _bring_up(store, record, looked, partial(_setup, load), workers, progress)


def update(
    place: str | Path, workers: int = 2, progress: bool = True, load: Load = networks, really: bool = False
) -> Summary:
    """Look through the folders of an index again: new, changed and vanished photos -> Summary. As `build`.

    All photos are looked at again when the index is of another version (`Record.space`). really: remove also the
    photos of folders that are missing or hold far fewer than they did, as when a disk is not mounted.
    """
    with _changing(place) as (store, record, _):
        vanished = partial(_vanished, really=really)
        return _bring_up(store, record, record.folders, partial(_setup, load), workers, progress, vanished)


def remove(paths: Iterable[str | Path], place: str | Path) -> Summary:
    """Take photos, or all photos of a folder, out of an index; their folder is no longer looked through -> Summary."""
    with _changing(place) as (store, record, _):
        lost = store.clean()  # of a `remove` that was interrupted
        names = {name for path in paths for name in (os.path.abspath(path), os.path.realpath(path))}
        chosen = [path for name in names for path in _below(name, store.photos())]
        if not chosen and not lost and not names & set(record.folders):
            raise InputError(f"nothing of {', '.join(map(str, paths))} is in the index", code="not_indexed")
        record.folders = [folder for folder in record.folders if folder not in names]
        write_record(store, record)
        summary = Summary(removed=store.drop(sorted(set(chosen))) + lost)
        bring_up_people(store)
        store.tidy()
        return summary


def forget(what: str | Path, place: str | Path) -> Summary:
    """Remove a photo (its path) or a person (an identity) for good, and never index it again -> Summary.

    Copies of the photos' files go with them. The store is rewritten, so that nothing of the removed rows stays on the
    disk; where that is interrupted, the next use of the index goes on with it.
    """
    what = str(what)
    if not _utf8(what):
        raise InputError("neither a photo nor a person has a name that is not UTF-8", code="not_indexed")
    with _changing(place) as (store, record, removed):
        known, path = store.photos(), os.path.realpath(what)
        paths = [path] if path in known else sorted(_photos_of(store, what))
        marks = [] if path in known else [f"identity/{what}"]
        if not paths and {_mark(path), *map(_mark, marks)} & set(record.forgotten):
            return Summary(removed=removed)  # before, or just now
        if not paths:
            raise InputError(f"neither a photo nor a person called '{what}' is in the index", code="not_indexed")
        contents = {content for p in paths if (content := _content(p, known[p].size))}
        sizes = {known[p].size for p in paths}
        others = [p for p, row in known.items() if row.size in sizes and p not in paths]
        copies = [p for p in others if _content(p, known[p].size) in contents]
        alike = _alike(store, paths, copies) if record.space == space_version() else []
        summary = Summary(copies=copies, alike=alike)
        record.forgotten = sorted({*record.forgotten, *map(_mark, [*marks, *paths, *copies])})
        record.copies = sorted({*record.copies, *contents})
        record.unfinished = True
        write_record(store, record)
        summary.removed = removed + _finish(store, record)
        return summary


def _photos_of(store: Store, who: str) -> set[str]:
    """The photos of a person by the folder's name, or by a name that a user gave -> set of paths."""
    people = People.read(store)
    named = [one for one in people.people.values() if one.name == str(who)] if people else []
    return {row.path for row in store.faces("identity", [str(who)])} | {path for one in named for path, _ in one.faces}


def verify(place: str | Path) -> list[str]:
    """Read everything and compare it -> list of problems, in words. Raises InputError where there is no index, and
    Unavailable while another process writes."""
    try:
        store = open_store(place)
        settle(store)
        with store.writing():
            problems = damaged_files(place)
            if copy_damaged(store):
                problems.append("index.copy.json is damaged or missing: 'twoface index update' writes it anew")
            if people_damaged(store):
                problems.append(
                    "its people are damaged (people.json, people.copy.json): 'twoface index update' takes them from"
                    " their copy; where both are, 'twoface index people --clear' starts them anew"
                )
            if read_record(store).space != space_version():
                return [*problems, OLD]
            try:
                return problems + _row_problems(store)
            except TwoFaceError as error:
                return [*problems, str(error)]
    except (InputError, Unavailable):
        raise
    except TwoFaceError as error:
        return [str(error), *damaged_files(place)]


def settle(store: Store) -> Record:
    """Go on with a `forget` that was interrupted -> Record."""
    record = read_record(store)
    if record.unfinished:
        try:
            with store.writing():
                record = read_record(store)
                _finish(store, record)
        except Unavailable as error:  # who writes has gone on with it already, or is the `forget` itself
            if error.code != "busy":
                raise
    return record


def pictures(folder: str) -> tuple[list[tuple[str, int, int]], int, dict[str, str]]:
    """The pictures in a folder and below -> (list of (path, size, mtime_ns) by name, links passed over, {path: error}).

    Hidden files and folders and those of thumbnails are left out, and links: what they lead to is indexed where it is,
    once. error: why a file or folder cannot be looked at.
    """
    found, links, errors, waiting = [], 0, {}, [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or _of_thumbnails(entry.name):
                        continue
                    picture = entry.name.lower().endswith(PICTURES)
                    if entry.is_symlink():
                        links += 1
                    elif (picture or entry.is_dir()) and not _utf8(entry.path):
                        errors[_shown(entry.path)] = "its name is not UTF-8: rename it"
                    elif entry.is_dir():
                        waiting.append(entry.path)
                    elif picture:
                        about = entry.stat()
                        found.append((entry.path, about.st_size, about.st_mtime_ns))
        except OSError as error:
            errors[place] = f"cannot be looked through ({error.strerror}): its photos stay as they were"
    return sorted(found), links, errors


def check_space(record: Record) -> None:
    """Raises InputError when the embeddings of an index are of another version than ours."""
    if record.space != space_version():
        raise InputError(OLD, code="old_index")


@contextlib.contextmanager
def _changing(place: str | Path) -> Iterator[tuple[Store, Record, int]]:
    """-> store, record, how many photos a `forget` that was interrupted still had to remove."""
    store = open_store(place)
    with store.writing():
        record = read_record(store)
        store.mend()
        if copies_differ(store):
            write_record(store, record)
        mend_people(store)
        yield store, record, _finish(store, record)


def _finish(store: Store, record: Record) -> int:
    """Remove from the disk what is to be forgotten -> how many photos that were."""
    if not record.unfinished:
        return 0
    store.clean()
    marks = set(record.forgotten)
    removed = store.drop([path for path in store.photos() if _forgotten(marks, path)])
    bring_up_people(store)
    store.tidy(really=True)
    record.unfinished = False
    write_record(store, record)
    return removed


def _bring_up(
    store: Store,
    record: Record,
    folders: list[str],
    setup: Callable[[bool], Look],
    workers: int,
    progress: bool,
    vanished: Callable[..., tuple[list[str], dict[str, str]]] | None = None,
) -> Summary:
    """Look at what is new or changed in the folders; with `vanished`, as `_vanished`, remove what is gone."""
    start = time.perf_counter()
    store.clean()
    known, marks, summary = store.photos(), set(record.forgotten), Summary()
    there: dict[str, tuple[int, int]] = {}
    for folder in folders:
        found, links, errors = pictures(folder)
        there |= {path: (size, mtime) for path, size, mtime in found if not _forgotten(marks, path)}
        summary.errors |= errors
        if links and progress:
            tqdm.write(f"{folder}: {links} links passed over")
    gone, doubts = vanished(folders, known, there, summary.errors) if vanished else ([], {})
    summary.errors |= doubts
    old = record.space != space_version()
    if old and summary.errors:
        place, why = next(iter(summary.errors.items()))
        text = f"the index is of another version and all its photos must be looked at again, but {place}: {why}"
        raise InputError(text, code="old_index")
    if old:
        summary.removed = len(gone)
        renew_people(store, {path for path, row in known.items() if there.get(path) == (row.size, row.mtime_ns)})
        store.empty()
        record.space, known, gone = space_version(), {}, []
        write_record(store, record)
    summary.copies = _leave_out_copies(there, known, set(record.copies))
    changed = [p for p, stamp in there.items() if p in known and (known[p].size, known[p].mtime_ns) != stamp]
    new = [path for path in there if path not in known]
    summary.removed += store.drop([*gone, *changed]) - len(changed)
    photos = [(path, *there[path]) for path in sorted([*new, *changed])]
    _look(store, photos, partial(setup, record.people), workers, progress, summary)
    if summary.photos or summary.removed:
        bring_up_people(store)
        store.tidy()
    summary.seconds = time.perf_counter() - start
    return summary


def _vanished(
    folders: list[str],
    known: dict[str, PhotoRow],
    there: dict[str, tuple[int, int]],
    errors: Collection[str],
    really: bool,
) -> tuple[list[str], dict[str, str]]:
    """Which known photos are gone -> list, and {folder: why its photos that are not there stay all the same}."""
    gone, doubts = {path for path in known if path not in there}, {}
    for place in errors:
        if not (really and place in folders and not os.path.isdir(place)):
            gone.difference_update(_below(place, gone))
    for folder in [] if really else folders:
        held, lost, now = (_below(folder, paths) for paths in (known, gone, there))
        if lost and 2 * len(now) < len(held):
            doubts[folder] = f"it held {len(held)} photos and holds {len(now)}: the others stay in the index"
            gone.difference_update(lost)
    for folder in [] if really else {os.path.dirname(path) for path in gone}:
        if os.path.isdir(folder) and not os.listdir(folder):
            lost = _below(folder, gone)
            doubts[folder] = f"it is empty: its {len(lost)} photos stay in the index"
            gone.difference_update(lost)
    advice = ". Is its disk there? 'twoface index update --really' removes them"
    return sorted(gone), {folder: why + advice for folder, why in doubts.items()}


def _leave_out_copies(there: dict[str, tuple[int, int]], known: dict[str, PhotoRow], contents: set[str]) -> list[str]:
    """Take files that are copies of forgotten photos' out of `there` -> their paths."""
    sizes = {int(content.partition(":")[0]) for content in contents}
    asked = [path for path, (size, _) in there.items() if size in sizes and path not in known]
    copies = [path for path in asked if _content(path, there[path][0]) in contents]
    for path in copies:
        del there[path]
    return copies


def _content(path: str, size: int) -> str | None:
    """What `Record.copies` keeps of a file, or None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return f"{size}:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return None


def _alike(store: Store, paths: list[str], copies: list[str]) -> list[str]:
    """Photos besides these that show very likely somebody who is in the first of `paths` as the largest face."""
    count, known, alike = len(store), calibration_for(np.zeros((SIZE, SIZE), bool)), set()
    rows = [row for row in store.faces("path", paths, vectors=True) if row.face == 0][:ALIKE]
    near = (found for row in rows for found in store.nearest(row.kept[KINDS.index(WHOLE)], ALIKE))
    for found in near:
        chance = probability(known.log_odds(found.similarity, found.similarity, count))
        if verdict(chance) == "same":
            alike.add(found.row.path)
    return sorted(alike - {*paths, *copies})


def _row_problems(store: Store) -> list[str]:
    known = store.photos()
    found: dict[str, list[int]] = {}
    damaged: dict[tuple[str, int], str] = {}
    for kind in KINDS:
        for paths, numbers, vectors in store.vectors(kind):
            lengths = np.linalg.norm(vectors, axis=1)
            for path, number, length in zip(paths, numbers, lengths.tolist(), strict=True):
                if kind == WHOLE:
                    found.setdefault(path, []).append(number)
                if not abs(length - 1) < 1e-3:
                    damaged[path, number] = f"{path}: face {number} has a damaged embedding"
    problems = list(damaged.values())
    for path, row in known.items():
        if sorted(found.pop(path, [])) != list(range(row.faces)):
            problems.append(f"{path}: its faces are not all there, or doubled")
    return problems + [f"{path}: not finished; 'twoface index update' does" for path in found]


def _look(
    store: Store, photos: list[Stamped], setup: Callable[[], Look], workers: int, progress: bool, summary: Summary
) -> None:
    """Look at photos in `workers` processes and write what they found, some at a time."""
    if not photos:
        return
    waiting: list[Seen] = []
    written = time.monotonic()

    def commit() -> None:
        store.put([row for row, _ in waiting], [face for _, faces in waiting for face in faces])
        summary.photos += len(waiting)
        summary.faces += sum(row.faces for row, _ in waiting)
        summary.errors |= {row.path: row.error for row, _ in waiting if row.error}
        waiting.clear()

    with tqdm(total=len(photos), unit=" photos", disable=None if progress else True) as bar:
        for outcome in _outcomes(setup, photos, workers):
            waiting += outcome
            bar.update(len(outcome))
            if len(waiting) >= COMMIT_PHOTOS or time.monotonic() - written > COMMIT_SECONDS:
                commit()
                written = time.monotonic()
        commit()


def _outcomes(setup: Callable[[], Look], photos: list[Stamped], workers: int) -> Iterator[list[Seen]]:
    """Lists of (PhotoRow, its FaceRows). Photos that a process died of are tried once more, each alone."""
    tasks = [photos[i : i + TASK] for i in range(0, len(photos), TASK)]
    lost = []
    for index, outcome in run_tasks(setup, tasks, workers):
        if isinstance(outcome, Exception):
            lost += tasks[index]
        else:
            yield outcome
    for index, outcome in run_tasks(setup, [[photo] for photo in lost], workers):
        path, size, mtime_ns = lost[index]
        failed = isinstance(outcome, Exception)
        yield [(PhotoRow(path, size, mtime_ns, error=str(outcome)), [])] if failed else outcome


def _setup(load: Load, people: bool) -> Look:
    """In a worker: list of (path, size, mtime_ns) -> list of (PhotoRow, list of FaceRow)."""
    cv2.setNumThreads(1)
    detector, embedder, mesher = load()

    def look(photos: list[Stamped]) -> list[Seen]:
        seen = [(photo, *_faces(detector, mesher, photo[0])) for photo in photos]
        views = [view for _, faces, _ in seen for _, view in faces]
        vectors = iter(embedder.embed(views))
        rows = []
        for photo, faces, error in seen:
            identity = Path(photo[0]).parent.name if people else ""
            kept = [
                FaceRow(path=photo[0], face=i, identity=identity if i == 0 else "", vectors=next(vectors), **facts)
                for i, (facts, _) in enumerate(faces)
            ]
            rows.append((PhotoRow(*photo, faces=len(kept), error=error), kept))
        return rows

    return look


def _faces(detector: Any, mesher: Any, path: str) -> tuple[list[tuple[dict[str, Any], Pictures]], str]:
    """-> list of (a face's facts, its views as of `kind_views`), "" or why the photo cannot be used."""
    try:
        pixels = read_photo(path).pixels
        return [_facts(pixels, face, mesher) for face in detector.detect(pixels)], ""
    except (TwoFaceError, OSError) as error:
        return [], str(error)


def _facts(pixels: Picture, face: Face, mesher: Any) -> tuple[dict[str, Any], Pictures]:
    frame = face.frame
    facts = {
        "frame": frame,
        "box": face.box,
        "landmarks": tuple(np.asarray(face.landmarks).ravel().tolist()),
        "score": face.score,
        "size": frame.side,
        "sharpness": sharpness(frame.crop(pixels)),
    }
    mesh = mesher.find(pixels, frame)
    return facts | described(mesh), kind_views(pixels, frame, mesh.moved(frame.transform()).points)


def _folder(folder: str | Path) -> str:
    path = os.path.realpath(folder)
    if not os.path.isdir(path):
        raise InputError(f"{folder} is not a folder: give folders of photos", code="no_folder")
    if not _utf8(path):
        raise InputError(f"{_shown(path)}: the folder's name is not UTF-8: rename it", code="no_folder")
    return path


def _below(place: str, paths: Iterable[str]) -> list[str]:
    """Those of `paths` that are `place`, or lie below it."""
    start = place.rstrip("/") + "/"
    return [path for path in paths if path == place or path.startswith(start)]


def _of_thumbnails(name: str) -> bool:
    return name.lower() in THUMBNAILS or name.lower().endswith(".lrdata")


def _utf8(path: str) -> bool:
    return path == _shown(path)


def _shown(path: str) -> str:
    """A name with what is not UTF-8 in it spelled out."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _forgotten(marks: set[str], path: str) -> bool:
    """Only a person who was forgotten by name has a mark of the folder's name."""
    return bool(marks) and (_mark(path) in marks or _mark(f"identity/{Path(path).parent.name}") in marks)


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
