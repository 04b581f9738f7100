"""What a batch did: results.csv or results.jsonl in its folder, a log that is only added to."""

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import PathLike, printable

DONE, FAILED = "done", "failed"
NAMES = ("results.csv", "results.jsonl")


@dataclass(frozen=True)
class Entry:
    """A line of the log. Of several lines for one `out` the last counts.

    time: UTC. row: 1 for the first job. out: relative to the folder. status: done or failed, and then error.
    warnings: of a fill, as its report has them. seconds: from reading to encoding. The similarities are cosines;
    same_person is yes or no; these, and reference_used, are None without a reference.
    jobs: the file of the jobs, relative to the folder. inputs: a digest of the content of each. sha256: of the result.
    Texts are as of `printable`.
    """

    row: int
    photo: str
    out: str
    status: str
    error: str | None = None
    warnings: str | None = None
    seconds: float | None = None
    similarity_result_reference: float | None = None
    similarity_visible_reference: float | None = None
    same_person: str | None = None
    reference_used: str | None = None
    jobs: str = ""
    inputs: str = ""
    sha256: str = ""
    time: str = ""


_COLUMNS = [field.name for field in fields(Entry)]


def read_entries(folder: Path) -> list[Entry]:
    """All lines of the logs in `folder` -> list of Entry, those of a CSV with texts only. A line cut short is left out.

    Raises InputError for a file of that name that no batch wrote.
    """
    return [entry for name in NAMES if (folder / name).exists() for entry in _entries(folder / name)]


class Log:
    """Adds to a log, which is made if need be. Picklable; several processes may add to one.

    path: one of `NAMES`, in an existing folder.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def open(self) -> None:
        """Make the file, or cut off a line that was cut short. Not while others add to it. Raises TwoFaceError."""
        try:
            with open(self.path, "ab+") as file:
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
                if not whole and self.path.suffix == ".csv":
                    file.write(_line(_COLUMNS))
        except OSError as error:
            raise TwoFaceError(f"cannot write {self.path}: {error.strerror}") from error

    def add(self, entry: Entry) -> None:
        """Add a line, in one piece and flushed to disk. Raises TwoFaceError."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = {name: printable(v) if isinstance(v, str) else v for name, v in (asdict(entry) | {"time": now}).items()}
        line = _line(row.values()) if self.path.suffix == ".csv" else (json.dumps(row) + "\n").encode()
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(handle, line)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise TwoFaceError(f"cannot write {self.path}: {error.strerror}") from error


def _entries(path: Path) -> list[Entry]:
    try:
        *lines, rest = path.read_bytes().decode().split("\n")
        if not lines and not _begin(path).startswith(rest[:8]):
            raise ValueError("it does not begin as ours")
        if not lines:
            return []
        if path.suffix == ".csv":
            header, *rows = csv.reader(lines, strict=True)
            if header != _COLUMNS:
                raise ValueError("its columns are not ours")
            return [Entry(*row) for row in rows]  # type: ignore[arg-type]  # of a CSV all are texts
        return [Entry(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path} is not of a batch ({error}): choose another folder, or move it away") from error


def _begin(path: Path) -> str:
    return ",".join(_COLUMNS) if path.suffix == ".csv" else '{"row": '


def _line(values: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()
