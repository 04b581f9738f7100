"""The same rows on a PostgreSQL server with pgvector, for collections that outgrow a machine or have many writers."""

import contextlib
from dataclasses import fields

import numpy as np

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.search.store import COLUMNS, FIGURES, LENGTH, LISTS, FaceRow, Found, PhotoRow

SCHEMA = f"""
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS twoface_photos (
    path text PRIMARY KEY, size bigint, mtime_ns bigint, faces int, error text);
CREATE TABLE IF NOT EXISTS twoface_faces (
    path text REFERENCES twoface_photos ON DELETE CASCADE, face int, identity text, vector vector({LENGTH}),
    {", ".join(f"{name} real[]" for name in LISTS)},
    {", ".join(f"{name} real" for name in FIGURES)},
    PRIMARY KEY (path, face));
CREATE INDEX IF NOT EXISTS twoface_identity ON twoface_faces (identity);
CREATE INDEX IF NOT EXISTS twoface_nearest ON twoface_faces USING hnsw (vector vector_cosine_ops);
CREATE TABLE IF NOT EXISTS twoface_setting (one bool PRIMARY KEY DEFAULT true CHECK (one), text text);
CREATE TABLE IF NOT EXISTS twoface_people (one bool PRIMARY KEY DEFAULT true CHECK (one), text text);
"""
AWAY = "the index's server is away: ask again when it is back"
WRITING = 0x2FACE  # the number of the advisory lock that a writer holds


class PostgresStore:
    """Tables `twoface_*` of a database, with the calls of `LanceStore`; photos and their faces are one transaction."""

    def __init__(self, address, create=False, anew=False):
        """address: postgresql://USER@HOST/DATABASE. Raises as `open_store`."""
        import psycopg

        self._errors, self._lost = psycopg.Error, psycopg.OperationalError
        self._address, self._writing, self.place = address, False, "this database"
        self._connection = self._connect()
        with self._told():
            if anew:
                self._connection.execute("DROP TABLE IF EXISTS twoface_faces, twoface_photos")
            if create:
                self._connection.execute(SCHEMA)
            elif not self._connection.execute("SELECT to_regclass('twoface_photos')").fetchone()[0]:
                text = "there is no index in this database: make one with 'twoface index build'"
                raise InputError(text, code="no_index")
            self._register()

    def _connect(self):
        import psycopg

        try:
            return psycopg.connect(self._address, autocommit=True)
        except psycopg.Error as error:
            text = f"the index's server cannot be reached ({' '.join(str(error).split())}): is it running?"
            raise Unavailable(text, code="backend_away") from error

    def _register(self):
        from pgvector.psycopg import register_vector

        register_vector(self._connection)

    def reach(self):
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

    def untouched(self):
        """Has nothing ever been written to it?"""
        return not self.photos()

    def mend(self):
        """The server keeps checksums of its own, if it was told to."""

    @contextlib.contextmanager
    def writing(self):
        """Hold the right to write. Raises Unavailable when another process has it."""
        self.reach()
        with self._told():
            if not self._connection.execute("SELECT pg_try_advisory_lock(%s)", [WRITING]).fetchone()[0]:
                raise Unavailable("another process is writing to this index: wait for it", code="busy")
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
            if not self._connection.closed:  # a closed one holds nothing
                self._connection.execute("SELECT pg_advisory_unlock(%s)", [WRITING])

    def photos(self):
        """All photos -> {path: PhotoRow}."""
        with self._told():
            rows = self._connection.execute("SELECT path, size, mtime_ns, faces, error FROM twoface_photos").fetchall()
        return {row[0]: PhotoRow(*row) for row in rows}

    def clean(self):
        """Nothing is ever half done here."""
        return 0

    def put(self, photos, faces):
        """Add photos (PhotoRow) and all their faces (FaceRow); none of these photos may be there (`drop`)."""
        names = [f.name for f in fields(FaceRow)]
        marks = ", ".join(["%s"] * len(names))
        with self._told(), self._connection.transaction(), self._connection.cursor() as cursor:
            columns = [f.name for f in fields(PhotoRow)]
            cursor.executemany(
                "INSERT INTO twoface_photos VALUES (%s, %s, %s, %s, %s)",
                [[getattr(photo, name) for name in columns] for photo in photos],
            )
            cursor.executemany(
                f"INSERT INTO twoface_faces ({', '.join(names)}) VALUES ({marks})",
                [[_plain(face, name) for name in names] for face in faces],
            )

    def drop(self, paths):
        """Remove photos and their faces -> how many photos there were."""
        with self._told():
            return self._connection.execute("DELETE FROM twoface_photos WHERE path = ANY(%s)", [list(paths)]).rowcount

    def tidy(self, really=False):
        """Rewrite the tables, so that nothing removed is left in their files; else the server does that in its time.

        The server's log of changes and its backups are its keeper's to clear.
        """
        with self._told():
            if really:
                self._connection.execute("VACUUM FULL twoface_faces")
                self._connection.execute("VACUUM FULL twoface_photos")
                if self._has_people():
                    self._connection.execute("VACUUM FULL twoface_people")

    def nearest(self, vector, count):
        """The `count` faces nearest to an embedding -> list of Found, the nearest first."""
        query = f"SELECT {', '.join(COLUMNS)}, 1 - (vector <=> %s) FROM twoface_faces ORDER BY vector <=> %s LIMIT %s"
        vector = np.asarray(vector, np.float32)
        self.reach()
        with self._told(), self._connection.transaction():
            self._connection.execute(f"SET LOCAL hnsw.ef_search = {max(100, min(1000, 2 * count))}")
            rows = self._connection.execute(query, [vector, vector, count]).fetchall()
        return [Found(_row(row[:-1]), float(row[-1])) for row in rows]

    def faces(self, column, values, vectors=False):
        """The faces whose `path` or `identity` is one of `values` -> list of FaceRow, with `vectors` if asked."""
        query = f"SELECT vector, {', '.join(COLUMNS)} FROM twoface_faces WHERE {column} = ANY(%s)"
        with self._told():
            rows = self._connection.execute(query, [list(values)]).fetchall()
        return [_row(row[1:], _array(row[0]) if vectors else None) for row in rows]

    def counts(self):
        """-> {"photos", "faces", "bytes"}."""
        size = "pg_total_relation_size('twoface_faces') + pg_total_relation_size('twoface_photos')"
        with self._told():
            photos, size = self._connection.execute(f"SELECT count(*), {size} FROM twoface_photos").fetchone()
        return {"photos": photos, "faces": len(self), "bytes": size}

    def __len__(self):
        """The number of faces."""
        self.reach()
        with self._told():
            return self._connection.execute("SELECT count(*) FROM twoface_faces").fetchone()[0]

    def vectors(self):
        """All faces' places and embeddings, in parts -> iterator of (paths, faces, (N, 512))."""
        with self._told(), self._connection.transaction(), self._connection.cursor("twoface_vectors") as cursor:
            cursor.execute("SELECT path, face, vector FROM twoface_faces")
            while rows := cursor.fetchmany(5000):
                paths, numbers, vectors = zip(*rows, strict=True)
                yield list(paths), list(numbers), np.stack([_array(vector) for vector in vectors])

    def settings(self):
        """What `set_setting` kept -> list of one text, "" for nothing."""
        with self._told():
            row = self._connection.execute("SELECT text FROM twoface_setting").fetchone()
        return [row[0] if row else ""]

    def set_setting(self, text):
        with self._told():
            update = "ON CONFLICT (one) DO UPDATE SET text = EXCLUDED.text"
            self._connection.execute(f"INSERT INTO twoface_setting (text) VALUES (%s) {update}", [text])

    def people(self):
        """What `set_people` kept -> list of one text, "" for nothing."""
        self.reach()
        with self._told():
            if not self._has_people():
                return [""]
            row = self._connection.execute("SELECT text FROM twoface_people").fetchone()
        return [row[0] if row else ""]

    def _has_people(self):
        """No, in an index that was made before there were people."""
        return self._connection.execute("SELECT to_regclass('twoface_people')").fetchone()[0] is not None

    def set_people(self, text):
        with self._told():
            self._connection.execute(SCHEMA)
            update = "ON CONFLICT (one) DO UPDATE SET text = EXCLUDED.text"
            self._connection.execute(f"INSERT INTO twoface_people (text) VALUES (%s) {update}", [text])

    @contextlib.contextmanager
    def _told(self):
        try:
            yield
        except self._errors as error:
            if self._connection.closed:
                raise Unavailable(AWAY, code="backend_away") from error
            raise TwoFaceError(f"the index's server says: {' '.join(str(error).split())}") from error


def _plain(face, name):
    value = getattr(face, name)
    if name == "vector":
        return np.asarray(value, np.float32)
    return [float(v) for v in value] if name in LISTS else value


def _array(vector):
    return np.asarray(vector.to_numpy() if hasattr(vector, "to_numpy") else vector, np.float32)


def _row(row, vector=None):
    values = dict(zip(COLUMNS, row, strict=True))
    return FaceRow(**values | {name: tuple(values[name]) for name in LISTS}, vector=vector)
