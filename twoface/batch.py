"""A CSV of jobs -> many fills in a few processes, resumable: DIR/results.csv says what is done."""

import csv
import hashlib
import io
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import cv2
from tqdm import tqdm

from twoface.engine import Inpainter
from twoface.errors import InputError
from twoface.faces import parse_frame
from twoface.files import check_output, write_aside
from twoface.images import output_format
from twoface.masks import parse_hole
from twoface.workers import run_tasks

COLUMNS = ("photo", "mask", "hole", "face", "reference", "reference_face", "out")
RESULTS = "results.csv"
PENDING, DONE, FAILED = "pending", "done", "failed"
REWRITE_EVERY = 1.0  # seconds; after a kill -9 what the last one finished is done again


@dataclass(frozen=True)
class Options:
    """What holds for every job, as of `Inpainter.load`, `Inpainter.fill` and `FillResult.save`."""

    model: Path | None = None
    feather: float | None = None
    center_size: int = 64
    quality: int | None = None


@dataclass(frozen=True)
class Job:
    """One row, its paths resolved and its boxes parsed."""

    photo: Path
    mask: Path | None
    hole: str | tuple | None
    face: tuple | None
    references: tuple
    reference_faces: tuple
    out: Path


@dataclass
class Result:
    """A line of results.csv; the figures are empty unless it is done.

    row: 1 for the first job. status: pending, done or failed. seconds: from reading to writing. The similarities are
    cosines; same_person is yes or no. job: a digest of the row and the options, so that a changed one is done again.
    """

    row: int
    photo: str
    out: str
    status: str = PENDING
    error: str = ""
    seconds: float | str = ""
    similarity_result_reference: float | str = ""
    similarity_visible_reference: float | str = ""
    same_person: str = ""
    reference_used: str = ""
    job: str = ""


@dataclass(frozen=True)
class Summary:
    """How many rows were done now, were done before, and failed."""

    done: int
    skipped: int
    failed: int


def run_batch(jobs, folder, workers=1, options=None, force=False, load=Inpainter.load):
    """Do the jobs of a CSV file -> Summary; DIR/results.csv has a line for each, in the CSV's order.

    jobs: path of a CSV with `COLUMNS`. Its paths are relative to it, several references separated by `;`, and their
    faces likewise (an empty one is found); `out` is relative to `folder` and stays inside it (empty: the photo's name).
    A bad row is reported on stderr and the rest goes on. Run again, what is done stays (unless `force`) and what
    failed is tried again.
    load: picklable, as `Inpainter.load`; each of the `workers` processes calls it once.
    Raises InputError for a CSV that cannot be read and a `folder` that cannot be written.
    """
    options = options or Options()
    jobs, folder = Path(jobs), Path(folder)
    lines = read_jobs(jobs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error
    known = _read_results(folder / RESULTS)
    results, tasks = _plan(lines, jobs.parent, folder, options, known, force)
    skipped = sum(result.status == DONE for result in results)
    setup = partial(_setup, load, options, max(1, (os.cpu_count() or 1) // workers))
    with tqdm(total=len(tasks), unit=" photos", disable=None) as bar:
        for result in results:
            if result.status == FAILED:
                _report(bar, result)
        _write_results(folder, results)
        written = time.monotonic()
        try:
            for index, outcome in run_tasks(setup, [job for _, job in tasks], workers):
                result, _ = tasks[index]
                if isinstance(outcome, Exception):
                    result.status, result.error = FAILED, str(outcome)
                    _report(bar, result)
                else:
                    result.status = DONE
                    for name, value in outcome.items():
                        setattr(result, name, value)
                bar.update()
                if time.monotonic() - written > REWRITE_EVERY:
                    _write_results(folder, results)
                    written = time.monotonic()
        finally:
            _write_results(folder, results)
    done, failed = (sum(result.status == status for result in results) for status in (DONE, FAILED))
    return Summary(done - skipped, skipped, failed)


def read_jobs(path):
    """The rows of a jobs CSV -> list of lists of fields, a header with exactly `COLUMNS` in any order checked away.

    A row of too few or too many fields comes as it is. Raises InputError for a file that is not such a CSV.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [[field.strip() for field in line] for line in csv.reader(file, strict=True)]
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the path") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path} as CSV in UTF-8 ({error}): write it again as such") from error
    lines = [line for line in lines if any(line)]
    if len(lines) < 2:
        raise InputError(f"{path} has no jobs: give a header line {','.join(COLUMNS)} and a line for each photo")
    header = lines[0]
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in COLUMNS if name not in header]
    if unknown or missing or len(header) != len(COLUMNS):
        named = {"unknown columns": unknown, "missing columns": missing}
        wrong = "; ".join(f"{what} {', '.join(names)}" for what, names in named.items() if names) or "a column twice"
        raise InputError(f"{path}: {wrong}: the header must be {','.join(COLUMNS)}")
    order = [header.index(name) for name in COLUMNS]
    return [[line[i] for i in order] if len(line) == len(header) else line for line in lines[1:]]


def _plan(lines, home, folder, options, known, force):
    """-> all Results, and for what is to do the list of (Result, Job)."""
    results, tasks, taken = [], [], {}
    inputs = {(home / path).resolve() for line in lines for field in line for path in field.split(";") if path}
    for row, line in enumerate(lines, 1):
        digest = hashlib.sha256(json.dumps([line, asdict(options)], default=str).encode()).hexdigest()[:16]
        result = Result(row, line[0], "", job=digest)
        results.append(result)
        try:
            job = _parse(line, home, folder)
            result.out = str(job.out.relative_to(folder))
            if job.out in taken:
                raise InputError(f"row {taken[job.out]} writes {result.out} too: give one of them another name in out")
            taken[job.out] = row
            before = known.get(digest)
            if before and before.status == DONE and job.out.is_file() and not force:
                before.row = row
                results[-1] = before
                continue
            if job.out.resolve() in inputs:
                raise InputError(f"{job.out} is read by a job: choose another folder, or a name in out")
            ours = before is not None and before.status == PENDING  # left by a run that was killed
            _make_parent(job.out)
            check_output(job.out, force or ours)
        except InputError as error:
            result.status, result.error = FAILED, str(error)
        else:
            tasks.append((result, job))
    return results, tasks


def _parse(line, home, folder):
    if len(line) != len(COLUMNS):
        raise InputError(f'{len(line)} fields, not {len(COLUMNS)}: put a box like "10,10,90,90" in quotes')
    photo, mask, hole, face, references, reference_face, out = line
    if not photo:
        raise InputError("no photo: name one in the column photo")
    if bool(mask) == bool(hole):
        raise InputError("give a mask or a hole, one of them")
    if not out:
        out = Path(photo).name
        if Path(photo).suffix.lower() in (".heic", ".heif", ".avif"):  # read, not written
            out = str(Path(out).with_suffix(".jpg"))
    output_format(out)
    out = folder / out
    if not out.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{out} lies outside {folder}: out must stay inside it")
    return Job(
        photo=home / photo,
        mask=home / mask if mask else None,
        hole=parse_hole(hole) if hole else None,
        face=parse_frame(face) if face else None,
        references=tuple(home / path.strip() for path in references.split(";") if path.strip()),
        reference_faces=tuple(parse_frame(part) if part.strip() else None for part in reference_face.split(";")),
        out=Path(os.path.normpath(out)),
    )


def _make_parent(path):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path.parent}: {error.strerror}") from error


def _setup(load, options, threads):
    """What a worker process loads -> its function of one Job."""
    cv2.setNumThreads(threads)
    return partial(_do, load(options.model, threads=threads), options)


def _do(inpainter, options, job):
    """Fill and save one job -> the fields of its Result. The plan has seen to it that `out` may be written."""
    start = time.perf_counter()
    result = inpainter.fill(
        job.photo,
        mask=job.mask,
        hole=job.hole,
        references=job.references,
        face=job.face,
        reference_face=job.reference_faces if any(job.reference_faces) else None,
        feather=options.feather,
        center_size=options.center_size,
    )
    result.save(job.out, options.quality, force=True)
    used = result.reference_used
    return {
        "seconds": round(time.perf_counter() - start, 3),
        "similarity_result_reference": _figure(result.identity["similarity_result_reference"]),
        "similarity_visible_reference": _figure(result.identity["similarity_visible_reference"]),
        "same_person": _figure(result.identity["same_person"]),
        "reference_used": "" if used is None else result.references[used]["name"],
    }


def _figure(value):
    if value is None:
        return ""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else round(value, 4)


def _report(bar, result):
    bar.write(f"twoface: row {result.row} ({result.photo}): {result.error}", file=sys.stderr)


def _read_results(path):
    """An earlier run's results -> {job digest: Result}."""
    if not path.exists():
        return {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file, strict=True)
            if header != [field.name for field in fields(Result)]:
                raise ValueError("its columns are not ours")
            results = [Result(*line) for line in lines]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path} is not of a batch ({error}): choose another folder, or delete it") from error
    return {result.job: result for result in results}


def _write_results(folder, results):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Result)])
    writer.writerows(asdict(result).values() for result in results)
    write_aside(folder / RESULTS, text.getvalue().encode(), force=True)
