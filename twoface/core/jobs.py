"""Files of jobs -> rows: CSV as spreadsheets write it, or JSON Lines."""

import codecs
import csv
import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from twoface.core.errors import InputError
from twoface.core.files import PathLike, is_name

COLUMNS = ("photo", "mask", "hole", "face", "reference", "reference_face", "out")
JSON_LINES = (".jsonl", ".ndjson")

_SEVERAL = ("reference", "reference_face")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[^\r\n]*\r?\n', re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One job as it is written.

    number: 1 for the first. A text for each of `COLUMNS`, "" where nothing is said; reference and reference_face are
    tuples of texts. error: why the row cannot be a job, "" where it can.
    """

    number: int
    photo: str = ""
    mask: str = ""
    hole: str = ""
    face: str = ""
    reference: tuple[str, ...] = ()
    reference_face: tuple[str, ...] = ()
    out: str = ""
    error: str = field(default="", kw_only=True)


def read_jobs(path: PathLike) -> list[Row]:
    """The rows of a CSV file, or of one in JSON Lines if it is called .jsonl or .ndjson.

    CSV: UTF-8, UTF-16 or Windows-1252, names also as the bytes that the files have; separated by commas, semicolons or
    tabs, or as a first line `sep=` says; the header names some of `COLUMNS` in any order and case, photo among them;
    several references, and their faces, are separated by `;`. JSON Lines: an object in each line with these keys; a box
    may be a list of numbers, and references a list. A row that cannot be understood comes with its `error`.
    Raises InputError for a file that cannot be read, has no row, or has other columns.
    """
    path = Path(path)
    text = _text(path)
    rows = _json_rows(text) if path.suffix.lower() in JSON_LINES else _csv_rows(text, path)
    if not rows:
        raise InputError(f"{path} has no jobs: give a header line {','.join(COLUMNS)} and a line for each photo")
    return rows


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the path") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if data.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
        raise InputError(f"{path} is a spreadsheet or an archive: save it as CSV in the program that made it")
    try:
        encoding = _encoding(data)
        return data.decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path} as text ({error.reason}): save it as CSV in UTF-8") from error


def _encoding(data: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return encoding
    if b"\0" in data[:2]:  # the file begins with an ASCII letter
        return "utf-16-be" if data[0] == 0 else "utf-16-le"
    return "utf-8"


def _csv_rows(text: str, path: Path) -> list[Row]:
    said = _SEPARATOR.match(text)
    text = text[said.end() :] if said else text
    separator = said[1] if said else _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        lines = [[cell.strip() for cell in line] for line in reader]
    except csv.Error as error:
        text = f"cannot read {path} as CSV (line {reader.line_num}: {error}): save it again as CSV"
        raise InputError(text) from error
    lines = [line for line in lines if any(line)]
    if not lines:
        return []
    header = [cell.lower() for cell in lines[0]]
    _check_header([name for name in header if name], path)
    return [_csv_row(number, _words(line, path.parent), header) for number, line in enumerate(lines[1:], 1)]


def _words(line: list[str], home: Path) -> list[str]:
    """A line with bytes that are not UTF-8: Windows-1252, unless they are so in the name of a file that exists."""
    raw = [part.strip() for cell in line for part in cell.split(";") if not _is_utf8(part)]
    if not raw or any(is_name(name) and (home / name).exists() for name in raw):
        return line
    try:
        return [cell.encode("utf-8", "surrogateescape").decode("cp1252") for cell in line]
    except UnicodeDecodeError:
        return line


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)


def _separator(text: str) -> str:
    """The one at which the header falls into the most names that we know."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t|", key=lambda mark: sum(cell.strip('" ').lower() in COLUMNS for cell in header.split(mark)))


def _check_header(names: list[str], path: Path) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        wrong = f"unknown columns {', '.join(unknown)}"
    elif len(set(names)) < len(names):
        wrong = "a column twice"
    elif "photo" not in names:
        wrong = "no column photo"
    else:
        return
    known = f"its first line names columns, of which we know {', '.join(COLUMNS)}; only photo is needed"
    raise InputError(f"{path}: {wrong}: {known}")


def _csv_row(number: int, line: list[str], header: list[str]) -> Row:
    if any(line[len(header) :]):
        error = f'{len(line)} fields, not {len(header)}: put a box like "10,10,90,90" in quotes'
        return Row(number, line[header.index("photo")], error=error)
    named = dict(zip(header, line, strict=False))  # what a short line leaves out is empty
    if named.pop("", ""):
        return Row(number, named["photo"], error="there is something in a column without a name")
    several = {
        name: tuple(part.strip() for part in given.split(";")) for name in _SEVERAL if (given := named.pop(name, ""))
    }
    return Row(number, **named, **several)  # type: ignore[arg-type]  # names of its fields, each of its type


def _json_rows(text: str) -> list[Row]:
    lines = [line for line in text.split("\n") if line.strip()]
    return [_json_row(number, line) for number, line in enumerate(lines, 1)]


def _json_row(number: int, line: str) -> Row:
    try:
        given = json.loads(line)
    except ValueError as error:
        return Row(number, error=f"not JSON ({error}): give an object in each line")
    if not isinstance(given, dict):
        return Row(number, error="not a JSON object: give one in each line")
    named = {name: value for name, value in given.items() if value is not None}
    unknown = [name for name in named if name not in COLUMNS]
    try:
        if unknown:
            raise InputError(f"unknown keys {', '.join(unknown)}: we know {', '.join(COLUMNS)}")
        several = {name: _texts(name, named.pop(name)) for name in _SEVERAL if name in named}
        alone = {name: _one(name, value) for name, value in named.items()}
        return Row(number, **alone, **several)  # type: ignore[arg-type]  # names of its fields, each of its type
    except InputError as error:
        photo = named.get("photo")
        return Row(number, photo if isinstance(photo, str) else "", error=str(error))


def _texts(name: str, value: object) -> tuple[str, ...]:
    """One text or box, or a list of them, in which a face may be null -> tuple of texts."""
    parts = [value]
    if isinstance(value, list) and not (value and all(_is_number(part) for part in value)):
        parts = value
    return tuple("" if part is None else _one(name, part) for part in parts)


def _one(name: str, value: object) -> str:
    if isinstance(value, list) and all(_is_number(part) for part in value):
        return ",".join(str(part) for part in value)
    if not isinstance(value, str):
        raise InputError(f"{name} is {json.dumps(value)}: give a text, or a box as a list of numbers")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
