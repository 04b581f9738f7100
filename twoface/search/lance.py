"""The rows of an index in a directory of LanceDB tables."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np

from twoface.core.arrays import Matrix, Vector
from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.files import write_aside
from twoface.core.identity import LENGTH
from twoface.search.face_space import KINDS, WHOLE
from twoface.search.rows import FIGURES, LISTS, FaceRow, Found, PhotoRow, columns_of, row_of
from twoface.search.sums import SHOWN, Sums

Told = TypeVar("Told")

RECORD, COPY = "index.json", "index.copy.json"
TABLES = ("faces.lance", "photos.lance")
PAUSES = (0.05, 0.3, 1.0)  # seconds before a reader asks again that met a `forget`
ANEW = "'twoface index build --anew FOLDER...' makes it again from the photos, without those that were forgotten"
PEOPLE, PEOPLE_COPY = "people.json", "people.copy.json"
FLAT = 10_000  # rows below which every embedding is compared
GROWN = 4  # times as many faces as when the search structure was built: it is built anew
BUILT = "built.txt"  # the number of faces then
READERS = timedelta(hours=1)  # how long a version that a reader may still use is kept
AT_MOST = 2_000  # paths in one condition
REFINED = 100  # of the nearest by their short codes, those whose whole embeddings are compared
ABOUT = {**LISTS, **dict.fromkeys(FIGURES, 1)}  # what LanceDB keeps in one column: each column read costs time
KEPT = ["path", "face", "identity", "about"]


def damaged_files(place: str | Path) -> list[str]:
    """What is damaged in the files of a directory, in words -> list; none of a server. Reads all; hold `writing`."""
    return Sums(Path(place), TABLES, (BUILT,)).problems(whole=True) if os.path.isdir(place) else []


class LanceStore:
    """The tables `faces` and `photos` of a LanceDB directory; any number of readers, one writer at a time.

    A photo counts as indexed once it stands in `photos`, which is written after its faces: what a killed writer left
    half done is removed by `clean`, and the photo is looked at again. `twoface.search.sums` tells what is damaged.
    """

    def __init__(self, folder: str | Path, create: bool = False, anew: bool = False) -> None:
        """Raises InputError when there is no index at `folder` (or, with `create`, something else)."""
        self.folder = self.place = Path(folder)
        self._sums, self._touched = Sums(self.folder, TABLES, (BUILT,)), False
        names = set(os.listdir(self.folder)) if self.folder.is_dir() else set()
        known = bool(names & {RECORD, COPY})
        if not known and not set(TABLES) <= names:
            if not create:
                raise InputError(f"there is no index at {folder}: make one with 'twoface index build'", code="no_index")
            _check_new(self.folder)
        elif anew:
            with self.writing():
                self._remove_tables()
        else:
            self._check()
        with _lance_errors(self.folder):
            self._open(create and (anew or not known))

    def _open(self, create: bool) -> None:
        import lancedb  # takes two seconds

        database = lancedb.connect(str(self.folder))
        if create:
            self._faces = database.create_table("faces", schema=_face_schema(), exist_ok=True)
            self._photos = database.create_table("photos", schema=_photo_schema(), exist_ok=True)
        else:
            self._faces, self._photos = database.open_table("faces"), database.open_table("photos")

    def empty(self) -> None:
        """Remove all photos and faces, whatever the columns that they had; hold `writing`."""
        self._remove_tables()
        with _lance_errors(self.folder):
            self._open(create=True)

    def _remove_tables(self) -> None:
        self._sums.begin(anew=True)
        self._touched = True
        for name in TABLES:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / BUILT).unlink(missing_ok=True)

    def _check(self) -> None:
        """Raises TwoFaceError when files are missing or cut, unless a writer has just removed them."""
        problems = self._sums.problems(whole=False)
        if problems:
            time.sleep(PAUSES[0])
            problems = self._sums.problems(whole=False)
        problems += [f"{name} is missing" for name in TABLES if not (self.folder / name).is_dir()]
        if problems:
            more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
            raise TwoFaceError(f"the index at {self.folder} is damaged ({', '.join(problems[:SHOWN])}{more}): {ANEW}")

    def reach(self) -> None:
        """Raises Unavailable while the directory is away."""
        if not self.folder.is_dir():
            raise Unavailable("the index's folder is away: ask again when it is back", code="backend_away")

    def untouched(self) -> bool:
        """Has nothing ever been written to it?"""
        return self._faces.version == self._photos.version == 1

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write. Raises Unavailable when another process has it."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / ".writing", timeout=0)
        try:
            held = lock.acquire()
        except Timeout:
            raise Unavailable(f"another process is writing to {self.folder}: wait for it", code="busy") from None
        except OSError as error:
            raise TwoFaceError(f"cannot write to {self.folder}: {error.strerror}") from error
        with held:
            yield
            if self._touched:
                self._sums.finish()
                self._touched = False

    def mend(self) -> None:
        """Have lost checksums written anew at the end of `writing`."""
        if not self._sums.readable:
            self._touch()

    def _touch(self) -> None:
        """Call it before anything is written."""
        if not self._touched:
            self._sums.begin()
            self._touched = True

    def photos(self) -> dict[str, PhotoRow]:
        """All photos -> {path: PhotoRow}."""
        rows = self._read(lambda: self._photos.to_arrow().to_pylist())
        return {row["path"]: PhotoRow(**row) for row in rows}

    def _read(self, ask: Callable[[], Told]) -> Told:
        """What `ask` gives of the latest version; asked again when a `forget` has just removed that."""
        with _lance_errors(self.folder):
            for pause in (*PAUSES, None):
                try:
                    self._faces.checkout_latest()
                    self._photos.checkout_latest()
                    return ask()
                except (RuntimeError, ValueError, OSError):
                    if pause is None:
                        raise
                    time.sleep(pause)
        raise AssertionError("the last pause is None")

    def clean(self) -> int:
        """Remove faces whose photo was not finished -> how many paths."""
        finished = self.photos().keys()
        with _lance_errors(self.folder):
            started = self._faces.search().select(["path"]).to_arrow()["path"].unique().to_pylist()
        lost = [path for path in started if path not in finished]
        self.drop(lost)
        return len(lost)

    def put(self, photos: Sequence[PhotoRow], faces: Sequence[FaceRow]) -> None:
        """Add photos (PhotoRow) and all their faces (FaceRow); none of these photos may be there (`drop`)."""
        import pyarrow as pa

        self._touch()
        with _lance_errors(self.folder):
            if faces:
                self._faces.add(_face_table(faces))
            self._photos.add(pa.Table.from_pylist([asdict(photo) for photo in photos], _photo_schema()))
        os.sync()  # LanceDB leaves that to the system

    def drop(self, paths: Sequence[str]) -> int:
        """Remove photos and their faces -> how many photos there were."""
        if not paths:
            return 0
        self._touch()
        with _lance_errors(self.folder):
            before = self._photos.count_rows()
            for table in (self._photos, self._faces):
                for part in _parts(paths):
                    table.delete(_one_of("path", part))
            return before - self._photos.count_rows()

    def tidy(self, really: bool = False) -> None:
        """Join small files, bring the search structure up to date, and remove old versions.

        really: all of them and at once, so that nothing removed can be found on the disk; a reader that is just
        searching an old version must then look again.
        """
        from lancedb.index import BTree, IvfRq

        self._touch()
        with _lance_errors(self.folder):
            count, built = self._faces.count_rows(), self.folder / BUILT
            if count >= max(FLAT, GROWN * _number(built)):
                for kind in KINDS:
                    self._faces.create_index(kind, config=IvfRq(distance_type="cosine", num_bits=1))
                self._faces.create_index("path", config=BTree())
                write_aside(built, str(count).encode(), force=True)
            for table in (self._faces, self._photos):
                table.optimize(cleanup_older_than=READERS)
                if really:
                    _rewrite(table)
                    table.checkout_latest()
        os.sync()

    def nearest(self, vector: Vector, count: int, kind: str = WHOLE) -> list[Found]:
        """The `count` faces that as one of `KINDS` are nearest to an embedding -> list of Found, the nearest first."""

        def ask() -> list[dict[str, Any]]:
            query: Any = self._faces.search(np.asarray(vector, np.float32), vector_column_name=kind)
            query = query.distance_type("cosine").minimum_nprobes(50).maximum_nprobes(400)
            query = query.refine_factor(max(2, -(-REFINED // count)))
            return query.select([*KEPT, "_distance"]).limit(count).to_arrow().to_pylist()

        return [Found(_row(row), 1 - row["_distance"]) for row in self._read(ask)]

    def faces(self, column: str, values: Iterable[str], vectors: bool = False) -> list[FaceRow]:
        """The faces whose `path` or `identity` is one of `values` -> list of FaceRow, with `vectors` if asked."""
        columns = [*KEPT, *KINDS] if vectors else KEPT

        def ask() -> list[dict[str, Any]]:
            queries = [self._faces.search().where(_one_of(column, part)).select(columns) for part in _parts(values)]
            return [row for query in queries for row in query.limit(None).to_arrow().to_pylist()]

        return [_row(row) for row in self._read(ask)]

    def counts(self) -> dict[str, int]:
        """-> {"photos", "faces", "bytes"}."""

        def ask() -> dict[str, int]:
            size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
            return {"photos": self._photos.count_rows(), "faces": self._faces.count_rows(), "bytes": size}

        return self._read(ask)

    def __len__(self) -> int:
        """The number of faces."""
        return self._read(self._faces.count_rows)

    def vectors(self, kind: str = WHOLE) -> Iterator[tuple[list[str], list[int], Matrix]]:
        """All faces' places and embeddings as one of `KINDS`, in parts -> iterator of (paths, faces, (N, 128))."""
        with _lance_errors(self.folder):
            self._faces.checkout_latest()
            for batch in self._faces.search().select(["path", "face", kind]).limit(None).to_batches():
                flat = batch.column(kind).flatten().to_numpy(zero_copy_only=False).astype(np.float32)
                yield batch.column("path").to_pylist(), batch.column("face").to_pylist(), flat.reshape(-1, LENGTH)

    def record(self) -> list[str]:
        """What `set_record` kept, and its copy -> list of texts, "" for what is not there."""
        return [_text(self.folder / name) for name in (RECORD, COPY)]

    def set_record(self, text: str) -> None:
        for name in (COPY, RECORD):
            write_aside(self.folder / name, (text + "\n").encode(), force=True)

    def people(self) -> list[str]:
        """What `set_people` kept, and its copy -> list of texts, "" for what is not there."""
        return [_text(self.folder / name) for name in (PEOPLE, PEOPLE_COPY)]

    def set_people(self, text: str) -> None:
        for name in (PEOPLE_COPY, PEOPLE):
            write_aside(self.folder / name, text.encode(), force=True)


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.exists() else ""


def _number(path: Path) -> int:
    """0 for what is no number: the search structure is then built anew."""
    text = _text(path)
    return int(text) if text.isdecimal() else 0


def _rewrite(table: Any) -> None:
    """Rewrite every file that holds a removed row, and remove the old ones with all older versions."""
    dataset = table.to_lance()  # LanceDB itself leaves a removed row on the disk until a tenth of its file is removed
    dataset.optimize.compact_files(materialize_deletions=True, materialize_deletions_threshold=0.0)
    dataset.optimize.optimize_indices()
    dataset.cleanup_old_versions(timedelta(0), delete_unverified=True)


def _check_new(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = (name for name in os.listdir(folder) if not name.startswith("."))
        stranger = next((name for name in names if name not in TABLES), None)
    except OSError as error:
        raise InputError(f"cannot make an index at {folder}: {error.strerror}") from error
    if stranger:
        raise InputError(f"{folder} holds other things ({stranger}): give an empty folder, or a new one, for the index")


@contextlib.contextmanager
def _lance_errors(folder: Path) -> Iterator[None]:
    """LanceDB tells everything by RuntimeError, ValueError and OSError."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        line = re.sub(r",? *\S*\.rs:\d+(:\d+)?", "", line)[:200]  # where in LanceDB's source
        raise TwoFaceError(f"the index at {folder} cannot be used ({line}): if it is damaged, {ANEW}") from error


def _face_schema() -> Any:
    import pyarrow as pa

    kinds = {"path": pa.string(), "face": pa.int32(), "identity": pa.string()}
    kinds |= dict.fromkeys(KINDS, pa.list_(pa.float16(), LENGTH)) | {
        "about": pa.list_(pa.float32(), sum(ABOUT.values()))
    }
    return pa.schema(list(kinds.items()))


def _photo_schema() -> Any:
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64()}
    return pa.schema([(name, kinds[kind]) for name, kind in get_type_hints(PhotoRow).items()])


def _face_table(faces: Sequence[FaceRow]) -> Any:
    import pyarrow as pa

    kept = [columns_of(face) for face in faces]
    about = np.array([np.hstack([row[name] for name in ABOUT]) for row in kept], np.float32)
    vectors = np.stack([face.kept for face in faces], 1).astype(np.float16)  # (K, N, 128)
    columns = [[row[name] for row in kept] for name in ("path", "face", "identity")]
    columns += [pa.FixedSizeListArray.from_arrays(pa.array(a.reshape(-1)), a.shape[1]) for a in (*vectors, about)]
    return pa.Table.from_arrays([pa.array(c) if isinstance(c, list) else c for c in columns], schema=_face_schema())


def _row(row: dict[str, Any]) -> FaceRow:
    values, about = {name: row[name] for name in ("path", "face", "identity")}, iter(row["about"])
    for name, length in ABOUT.items():
        some = tuple(islice(about, length))
        values[name] = some if name in LISTS else some[0]
    vectors = np.array([row[kind] for kind in KINDS], np.float32) if WHOLE in row else None
    return row_of(values, vectors)


def _parts(values: Iterable[str]) -> list[list[str]]:
    values = list(values)
    return [values[i : i + AT_MOST] for i in range(0, len(values), AT_MOST)]


def _one_of(column: str, values: list[str]) -> str:
    """An SQL condition."""
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})"
