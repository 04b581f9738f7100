"""The same rows on a PostgreSQL server with pgvector, for collections that outgrow a machine or have many writers."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from twoface.core.arrays import Matrix, Vector
from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.identity import LENGTH
from twoface.search.face_space import KINDS, WHOLE
from twoface.search.rows import COLUMNS, FIGURES, LISTS, FaceRow, Found, PhotoRow, columns_of, row_of

if TYPE_CHECKING:
    import psycopg

_VECTORS = ", ".join(f'"{kind}" vector({LENGTH})' for kind in KINDS)
_NEAREST = "".join(
    f'CREATE INDEX IF NOT EXISTS twoface_nearest_{kind} ON twoface_faces USING hnsw ("{kind}" vector_cosine_ops);\n'
    for kind in KINDS
)
SCHEMA = f"""
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS twoface_photos (
    path text PRIMARY KEY, size bigint, mtime_ns bigint, faces int, error text);
CREATE TABLE IF NOT EXISTS twoface_faces (
    path text REFERENCES twoface_photos ON DELETE CASCADE, face int, identity text, {_VECTORS},
    {", ".join(f"{name} real[]" for name in LISTS)},
    {", ".join(f"{name} real" for name in FIGURES)},
    PRIMARY KEY (path, face));
CREATE INDEX IF NOT EXISTS twoface_identity ON twoface_faces (identity);
{_NEAREST}
CREATE TABLE IF NOT EXISTS twoface_setting (one bool PRIMARY KEY DEFAULT true CHECK (one), text text);
CREATE TABLE IF NOT EXISTS twoface_people (one bool PRIMARY KEY DEFAULT true CHECK (one), text text);
"""
DROP = "DROP TABLE IF EXISTS twoface_faces, twoface_photos"
AWAY = "the index's server is away: ask again when it is back"
WRITING = 0x2FACE  # the number of the advisory lock that a writer holds


class PostgresStore:
    """Tables `twoface_*` of a database, with the calls of `LanceStore`; photos and their faces are one transaction."""

    def __init__(self, address: str, create: bool = False, anew: bool = False) -> None:
        """address: postgresql://USER@HOST/DATABASE. Raises as `open_store`."""
        import psycopg

        self._errors, self._lost = psycopg.Error, psycopg.OperationalError
        self._address, self._writing, self.place = address, False, "this database"
        self._connection = self._connect()
        with self._told():
            if anew:
                self._connection.execute(DROP)
            if create:
                self._connection.execute(SCHEMA)
            elif not self._value("SELECT to_regclass('twoface_photos')"):
                text = "there is no index in this database: make one with 'twoface index build'"
                raise InputError(text, code="no_index")
            self._register()

    def _connect(self) -> "psycopg.Connection[Any]":
        import psycopg

        try:
            return psycopg.connect(self._address, autocommit=True)
        except psycopg.Error as error:
            text = f"the index's server cannot be reached ({' '.join(str(error).split())}): is it running?"
            raise Unavailable(text, code="backend_away") from error

    def _register(self) -> None:
        from pgvector.psycopg import register_vector

        register_vector(self._connection)

    def reach(self) -> None:
        """Connect again where the server has closed the connection. Raises Unavailable while it is away."""
        if self._writing:  # the right to write went with the connection
            return
        try:
            self._connection.execute("SELECT 1")
        except self._lost:
            self._connection.close()
            try:
                self._connection = self._connect()
            except Unavailable as error:  # whose text names the server, which callers of ours need not know
                raise Unavailable(AWAY, code="backend_away") from error
            self._register()

    def untouched(self) -> bool:
        """Has nothing ever been written to it?"""
        return not self.photos()

    def mend(self) -> None:
        """The server keeps checksums of its own, if it was told to."""

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write. Raises Unavailable when another process has it."""
        self.reach()
        with self._told():
            if not self._value("SELECT pg_try_advisory_lock(%s)", [WRITING]):
                raise Unavailable("another process is writing to this index: wait for it", code="busy")
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
            if not self._connection.closed:  # a closed one holds nothing
                self._connection.execute("SELECT pg_advisory_unlock(%s)", [WRITING])

    def photos(self) -> dict[str, PhotoRow]:
        """All photos -> {path: PhotoRow}."""
        with self._told():
            rows = self._connection.execute("SELECT path, size, mtime_ns, faces, error FROM twoface_photos").fetchall()
        return {row[0]: PhotoRow(*row) for row in rows}

    def empty(self) -> None:
        """Remove all photos and faces, whatever the columns that they had."""
        with self._told(), self._connection.transaction():
            self._connection.execute(DROP)
            self._connection.execute(SCHEMA)

    def clean(self) -> int:
        """Nothing is ever half done here."""
        return 0

    def put(self, photos: Sequence[PhotoRow], faces: Sequence[FaceRow]) -> None:
        """Add photos (PhotoRow) and all their faces (FaceRow); none of these photos may be there (`drop`)."""
        names = ", ".join([*COLUMNS, *(f'"{kind}"' for kind in KINDS)])
        marks = ", ".join(["%s"] * (len(COLUMNS) + len(KINDS)))
        with self._told(), self._connection.transaction(), self._connection.cursor() as cursor:
            columns = [f.name for f in fields(PhotoRow)]
            cursor.executemany(
                "INSERT INTO twoface_photos VALUES (%s, %s, %s, %s, %s)",
                [[getattr(photo, name) for name in columns] for photo in photos],
            )
            cursor.executemany(
                f"INSERT INTO twoface_faces ({names}) VALUES ({marks})",
                [[*map(_plain, columns_of(face).values()), *np.asarray(face.kept, np.float32)] for face in faces],
            )

    def drop(self, paths: Sequence[str]) -> int:
        """Remove photos and their faces -> how many photos there were."""
        with self._told():
            return self._connection.execute("DELETE FROM twoface_photos WHERE path = ANY(%s)", [list(paths)]).rowcount

    def tidy(self, really: bool = False) -> None:
        """Rewrite the tables, so that nothing removed is left in their files; else the server does that in its time.

        The server's log of changes and its backups are its keeper's to clear.
        """
        with self._told():
            if really:
                self._connection.execute("VACUUM FULL twoface_faces")
                self._connection.execute("VACUUM FULL twoface_photos")
                if self._has_people():
                    self._connection.execute("VACUUM FULL twoface_people")

    def nearest(self, vector: Vector, count: int, kind: str = WHOLE) -> list[Found]:
        """The `count` faces that as one of `KINDS` are nearest to an embedding -> list of Found, the nearest first."""
        away = f'"{kind}" <=> %s'
        query = f"SELECT {', '.join(COLUMNS)}, 1 - ({away}) FROM twoface_faces ORDER BY {away} LIMIT %s"
        vector = np.asarray(vector, np.float32)
        self.reach()
        with self._told(), self._connection.transaction():
            self._connection.execute(f"SET LOCAL hnsw.ef_search = {max(100, min(1000, 2 * count))}")
            rows = self._connection.execute(query, [vector, vector, count]).fetchall()
        return [Found(_row(row[:-1]), float(row[-1])) for row in rows]

    def faces(self, column: str, values: Iterable[str], vectors: bool = False) -> list[FaceRow]:
        """The faces whose `path` or `identity` is one of `values` -> list of FaceRow, with `vectors` if asked."""
        kinds = [f'"{kind}"' for kind in KINDS] if vectors else []
        query = f"SELECT {', '.join([*COLUMNS, *kinds])} FROM twoface_faces WHERE {column} = ANY(%s)"
        with self._told():
            rows = self._connection.execute(query, [list(values)]).fetchall()
        width = len(COLUMNS)
        return [_row(row[:width], np.stack([*map(_array, row[width:])]) if vectors else None) for row in rows]

    def counts(self) -> dict[str, int]:
        """-> {"photos", "faces", "bytes"}."""
        size = "pg_total_relation_size('twoface_faces') + pg_total_relation_size('twoface_photos')"
        with self._told():
            photos, taken = self._value("SELECT count(*) FROM twoface_photos"), self._value(f"SELECT {size}")
        return {"photos": photos, "faces": len(self), "bytes": taken}

    def __len__(self) -> int:
        """The number of faces."""
        self.reach()
        with self._told():
            return int(self._value("SELECT count(*) FROM twoface_faces"))

    def vectors(self, kind: str = WHOLE) -> Iterator[tuple[list[str], list[int], Matrix]]:
        """All faces' places and embeddings as one of `KINDS`, in parts -> iterator of (paths, faces, (N, 128))."""
        with self._told(), self._connection.transaction(), self._connection.cursor("twoface_vectors") as cursor:
            cursor.execute(f'SELECT path, face, "{kind}" FROM twoface_faces')
            while rows := cursor.fetchmany(5000):
                paths, numbers, vectors = zip(*rows, strict=True)
                yield list(paths), list(numbers), np.stack([_array(vector) for vector in vectors])

    def record(self) -> list[str]:
        """What `set_record` kept -> list of one text, "" for nothing."""
        with self._told():
            return [self._value("SELECT text FROM twoface_setting") or ""]

    def set_record(self, text: str) -> None:
        with self._told():
            update = "ON CONFLICT (one) DO UPDATE SET text = EXCLUDED.text"
            self._connection.execute(f"INSERT INTO twoface_setting (text) VALUES (%s) {update}", [text])

    def people(self) -> list[str]:
        """What `set_people` kept -> list of one text, "" for nothing."""
        self.reach()
        with self._told():
            if not self._has_people():
                return [""]
            return [self._value("SELECT text FROM twoface_people") or ""]

    def _has_people(self) -> bool:
        """No, in an index that was made before there were people."""
        return self._value("SELECT to_regclass('twoface_people')") is not None

    def set_people(self, text: str) -> None:
        with self._told():
            self._connection.execute(SCHEMA)
            update = "ON CONFLICT (one) DO UPDATE SET text = EXCLUDED.text"
            self._connection.execute(f"INSERT INTO twoface_people (text) VALUES (%s) {update}", [text])

    def _value(self, query: Any, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row, None for none."""
        row = self._connection.execute(query, values).fetchone()
        return row[0] if row else None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            if self._connection.closed:
                raise Unavailable(AWAY, code="backend_away") from error
            raise TwoFaceError(f"the index's server says: {' '.join(str(error).split())}") from error


def _plain(value: Any) -> Any:
    return [float(v) for v in value] if isinstance(value, tuple) else value


def _array(vector: Any) -> Vector:
    return np.asarray(vector.to_numpy() if hasattr(vector, "to_numpy") else vector, np.float32)


def _row(row: Sequence[Any], vectors: Matrix | None = None) -> FaceRow:
    values = dict(zip(COLUMNS, row, strict=True))
    return row_of(values | {name: tuple(values[name]) for name in LISTS}, vectors)
