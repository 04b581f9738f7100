"""Folders of photos -> an index: which photos are new, changed or gone, and the processes that look at them."""

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from twoface.errors import InputError, TwoFaceError
from twoface.faces import FaceDetector, align, crop, frame_of, scale_of
from twoface.identity import face_view
from twoface.images import read_photo
from twoface.search.describe import eyes_open, mouth_open, pose, sharpness
from twoface.search.facenet import BatchEmbedder
from twoface.search.people import People
from twoface.search.people import bring_up as bring_up_people
from twoface.search.space import FaceSpace, space_version
from twoface.search.store import FaceRow, PhotoRow, open_store
from twoface.workers import run_tasks

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif")
TASK = 16  # photos that a process looks at together
COMMIT_PHOTOS, COMMIT_SECONDS = 512, 20.0  # what is written at once; a kill -9 loses no more than that


@dataclass
class Settings:
    """What an index remembers besides faces.

    folders: those that `update` looks through. people: each photo's folder is named after the person in it. space:
    `space_version` of the embeddings. forgotten: SHA-256 of paths and "identity/NAME" that are
    left out for ever; a name cannot be read back from it.
    """

    folders: list = field(default_factory=list)
    people: bool = False
    space: str = ""
    forgotten: list = field(default_factory=list)


@dataclass
class Summary:
    """What a change of an index did: photos looked at, faces in them, photos removed, and {path: error}.

    seconds: the time that took.
    """

    photos: int = 0
    faces: int = 0
    removed: int = 0
    errors: dict = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class IndexEmbedder:
    """Views -> what an index keeps of them."""

    embedder: BatchEmbedder
    space: FaceSpace

    def embed(self, views):
        return self.space.index(self.embedder.embed(views))


def networks():
    """What a process looks at photos with -> a detector and an embedder."""
    return FaceDetector(1), IndexEmbedder(BatchEmbedder(1), FaceSpace.load())


def build(folders, place, people=False, workers=2, progress=True, load=networks):
    """Make an index of folders, or go on with one that was interrupted -> Summary.

    place: a directory, or a server's address as of `open_store`. people: see `Settings`. load: picklable, as
    `networks`; each of the `workers` processes calls it once.
    Raises InputError for a folder that is missing and for an index of another version, Unavailable when another process
    writes.
    """
    store = open_store(place, create=True)
    with store.writing():
        settings = read_settings(store)
        if not len(store):
            settings.space = space_version()
        check_space(settings)
        settings.people = settings.people or people
        settings.folders = sorted({*settings.folders, *map(_folder, folders)})
        write_settings(store, settings)
        return _bring_up(store, settings, list(map(_folder, folders)), partial(_setup, load), workers, progress, False)


def update(place, workers=2, progress=True, load=networks):
    """Look through the folders of an index again: new, changed and vanished photos -> Summary. As `build`.

    All photos are looked at again when the index is of another version (`Settings.space`).
    """
    store = open_store(place)
    with store.writing():
        settings = read_settings(store)
        for folder in settings.folders:
            _folder(folder)  # a disk that is not there is no reason to remove its photos
        if settings.space != space_version():
            store.drop(list(store.photos()))
            settings.space = space_version()
            write_settings(store, settings)
        return _bring_up(store, settings, settings.folders, partial(_setup, load), workers, progress, True)


def remove(paths, place):
    """Take photos, or all photos of a folder, out of an index; their folder is no longer looked through -> Summary."""
    store = open_store(place)
    with store.writing():
        settings, known = read_settings(store), store.photos()
        names = [os.path.abspath(path) for path in paths]
        chosen = [path for path in known if any(path == n or path.startswith(n.rstrip("/") + "/") for n in names)]
        if not chosen and not set(names) & set(settings.folders):
            raise InputError(f"nothing of {', '.join(map(str, paths))} is in the index", code="not_indexed")
        settings.folders = [folder for folder in settings.folders if folder not in names]
        write_settings(store, settings)
        summary = Summary(removed=store.drop(chosen))
        bring_up_people(store)
        store.tidy()
        return summary


def forget(what, place):
    """Remove a photo (its path) or a person (an identity) for good, and never index it again -> Summary.

    The store is rewritten, so that nothing of the removed rows stays on the disk.
    """
    store = open_store(place)
    with store.writing():
        settings = read_settings(store)
        path = os.path.abspath(what)
        paths = [path] if path in store.photos() else sorted(_photos_of(store, what))
        marks = [path] if paths == [path] else [f"identity/{what}", *paths]
        if not paths:
            raise InputError(f"neither a photo nor a person called '{what}' is in the index", code="not_indexed")
        settings.forgotten = sorted({*settings.forgotten, *map(_mark, marks)})
        write_settings(store, settings)
        summary = Summary(removed=store.drop(paths))
        bring_up_people(store)
        store.tidy(really=True)
        return summary


def _photos_of(store, who):
    """The photos of a person by the folder's name, or by a name that a user gave -> set of paths."""
    people = People.read(store)
    named = [one for one in people.people.values() if one.name == str(who)] if people else []
    return {row.path for row in store.faces("identity", [str(who)])} | {path for one in named for path, _ in one.faces}


def verify(place):
    """Read everything and compare it -> list of problems, in words."""
    store = open_store(place)
    known, found, problems = store.photos(), {}, []
    for paths, numbers, vectors in store.vectors():
        lengths = np.linalg.norm(vectors, axis=1)
        for path, number, length in zip(paths, numbers, lengths.tolist(), strict=True):
            found.setdefault(path, []).append(number)
            if not abs(length - 1) < 1e-3:
                problems.append(f"{path}: face {number} has a damaged embedding")
    for path, row in known.items():
        if sorted(found.pop(path, [])) != list(range(row.faces)):
            problems.append(f"{path}: its faces are not all there, or doubled")
    problems += [f"{path}: not finished; 'twoface index update' does" for path in found]
    return problems


def pictures(folder, leave_out=()):
    """The pictures in a folder and below -> (list of (path, size, mtime_ns) by name, how many links were passed over).

    Hidden files and folders are left out, and links: what they lead to is indexed where it is, once.
    """
    found, links, waiting = [], 0, [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.path in leave_out:
                    continue
                if entry.is_symlink():
                    links += 1
                elif entry.is_dir():
                    waiting.append(entry.path)
                elif entry.name.lower().endswith(PICTURES):
                    about = entry.stat()
                    found.append((entry.path, about.st_size, about.st_mtime_ns))
    return sorted(found), links


def check_space(settings):
    """Raises InputError when the embeddings of an index are of another version than ours."""
    if settings.space != space_version():
        text = "the index was made by another version of Two-Face: 'twoface index update' looks at its photos again"
        raise InputError(text, code="old_index")


def read_settings(store):
    text = store.setting()
    return Settings(**json.loads(text)) if text else Settings()


def write_settings(store, settings):
    store.set_setting(json.dumps(asdict(settings), indent=1))


def _bring_up(store, settings, folders, setup, workers, progress, gone):
    """Look at what is new or changed in the folders; with `gone`, remove what is no longer there."""
    start = time.perf_counter()
    store.clean()
    known, there, left_out = store.photos(), {}, set(settings.forgotten)
    for folder in folders:
        found, links = pictures(folder)
        there |= {path: (size, mtime) for path, size, mtime in found if not _forgotten(left_out, path)}
        if links and progress:
            tqdm.write(f"{folder}: {links} links passed over")
    changed = [p for p, stamp in there.items() if p in known and (known[p].size, known[p].mtime_ns) != stamp]
    new = [path for path in there if path not in known]
    vanished = [path for path in known if path not in there] if gone else []
    summary = Summary(removed=store.drop([*vanished, *changed]) - len(changed))
    photos = [(path, *there[path]) for path in sorted([*new, *changed])]
    _look(store, photos, partial(setup, settings.people), workers, progress, summary)
    if summary.photos or summary.removed:
        bring_up_people(store)
        store.tidy()
    summary.seconds = time.perf_counter() - start
    return summary


def _look(store, photos, setup, workers, progress, summary):
    """Look at photos in `workers` processes and write what they found, some at a time."""
    if not photos:
        return
    waiting, written = [], time.monotonic()

    def commit():
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


def _outcomes(setup, photos, workers):
    """Lists of (PhotoRow, its FaceRows). Photos that a process died of are tried once more, each alone."""
    tasks = [photos[i : i + TASK] for i in range(0, len(photos), TASK)]
    lost = []
    for index, outcome in run_tasks(setup, tasks, workers):
        if isinstance(outcome, Exception):
            lost += tasks[index]
        else:
            yield outcome
    for index, outcome in run_tasks(setup, [[photo] for photo in lost], workers):
        failed = isinstance(outcome, Exception)
        yield [(PhotoRow(*lost[index], error=str(outcome)), [])] if failed else outcome


def _setup(load, people):
    """In a worker: list of (path, size, mtime_ns) -> list of (PhotoRow, list of FaceRow)."""
    cv2.setNumThreads(1)
    detector, embedder = load()

    def look(photos):
        seen = [(photo, *_faces(detector, photo[0])) for photo in photos]
        views = [view for _, faces, _ in seen for _, view in faces]
        vectors = iter(embedder.embed(np.stack(views)) if views else [])
        rows = []
        for photo, faces, error in seen:
            identity = Path(photo[0]).parent.name if people else ""
            kept = [
                FaceRow(path=photo[0], face=i, identity=identity if i == 0 else "", vector=next(vectors), **facts)
                for i, (facts, _) in enumerate(faces)
            ]
            rows.append((PhotoRow(*photo, faces=len(kept), error=error), kept))
        return rows

    return look


def _faces(detector, path):
    """-> list of (a face's facts, its view), "" or why the photo cannot be used."""
    try:
        pixels = read_photo(path).pixels
        return [_facts(pixels, face) for face in detector.detect(pixels)], ""
    except (TwoFaceError, OSError) as error:
        return [], str(error)


def _facts(pixels, face):
    transform = align(face.landmarks)
    aligned = crop(pixels, transform)
    yaw, pitch, roll = pose(face.landmarks)
    facts = {
        "frame": frame_of(transform),
        "box": face.box,
        "landmarks": tuple(np.ravel(face.landmarks).tolist()),
        "score": face.score,
        "size": 128 / scale_of(transform),
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "sharpness": sharpness(aligned),
        "eyes_open": eyes_open(aligned),
        "mouth_open": mouth_open(aligned),
    }
    return facts, face_view(pixels, transform)


def _folder(folder):
    path = os.path.realpath(folder)
    if not os.path.isdir(path):
        raise InputError(f"{folder} is not a folder: give folders of photos", code="no_folder")
    return path


def _forgotten(marks, path):
    """Only a person who was forgotten by name has a mark of the folder's name."""
    return bool(marks) and (_mark(path) in marks or _mark(f"identity/{Path(path).parent.name}") in marks)


def _mark(text):
    return hashlib.sha256(text.encode()).hexdigest()
