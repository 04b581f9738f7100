"""Pictures in a folder, a tar or a zip file, read one after the other; nothing is unpacked onto the disk."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from twoface.core.errors import InputError

INDEX = "index.csv"
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif"}
SPLITS = ("train", "val")
VAL_FRACTION = 0.05  # of the people, where nobody says who is in val
DAMAGES = (tarfile.ReadError, zipfile.BadZipFile, EOFError, zlib.error, OSError, RuntimeError)


def entries(container: Path, wanted: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """The files in a folder, a tar (compressed or not) or a zip file: their paths inside it, and what they hold.

    wanted: the paths to read, all when None; in the order in which they lie there.
    Raises InputError when it is none of the three, or damaged.
    """
    with _readable(container):
        for name, read in _files(container):
            if wanted is None or name in wanted:
                yield name, read()


def names(container: Path) -> list[str]:
    """The paths of the files inside. Raises as `entries`."""
    with _readable(container):
        return [name for name, _ in _files(container)]


def _files(container: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Path and reader of each file; the reader is good until the next is asked for."""
    if container.is_dir():
        for file in sorted(path for path in container.rglob("*") if path.is_file()):
            yield file.relative_to(container).as_posix(), file.read_bytes
    elif container.is_file() and zipfile.is_zipfile(container):
        with zipfile.ZipFile(container) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield info.filename, partial(archive.read, info)
    elif container.is_file() and tarfile.is_tarfile(container):
        with tarfile.open(container) as archive:
            for member in archive:
                if member.isfile() and (content := archive.extractfile(member)):
                    yield member.name, content.read
    else:
        raise InputError(f"{container} not found: give a folder, a tar or a zip file with pictures in it")


@contextmanager
def _readable(container: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGES as error:
        raise InputError(f"{container} is damaged ({error}): fetch or prepare it again") from error


def read_index(data: Path) -> list[dict[str, Any]]:
    """What pictures there are -> rows of split, shard, path, identity and source.

    From the index.csv in `data`: a picture lies in its shard, a tar or zip file beside the index, or, where the shard
    is empty, in `data` itself. Without an index: everything at IDENTITY/PICTURE in `data`; below a folder train or
    val it is of that split, else the person's name decides (`split_of`).
    Raises InputError when there is neither.
    """
    inside = names(data)
    if INDEX in inside:
        text = dict(entries(data, {INDEX}))[INDEX].decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))
    rows = [row for row in map(_row, sorted(inside)) if row]
    if not rows:
        raise InputError(f"{data} holds neither {INDEX} nor pictures at IDENTITY/PICTURE: see `twoface data prepare`")
    source = data.name.partition(".")[0]
    return [row | {"source": source} for row in rows]


def _row(name: str) -> dict[str, Any] | None:
    """None for what is not a picture of someone."""
    path = PurePosixPath(name)
    if path.suffix.lower() not in PICTURES or len(path.parts) < 2 or any(p.startswith((".", "__")) for p in path.parts):
        return None
    identity = path.parts[-2]
    told = [part for part in path.parts[:-2] if part in SPLITS]
    return {
        "split": told[-1] if told else split_of(identity, 0, VAL_FRACTION),
        "shard": "",
        "path": name,
        "identity": identity,
    }


def split_of(identity: str, seed: int, val_fraction: float) -> str:
    """train or val, for ever the same for a name and seed, whatever other people there are."""
    digest = hashlib.sha256(f"{seed}:{identity}".encode()).digest()
    return "val" if int.from_bytes(digest[:8]) / 2**64 < val_fraction else "train"
