"""A file of jobs -> many fills in a few processes, resumable: the log in the folder says what was done from what."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import resources
from multiprocessing import parent_process
from pathlib import Path

import cv2
from filelock import FileLock, Timeout
from tqdm import tqdm

from twoface.core.errors import InputError
from twoface.core.files import PathLike, check_name, check_output, is_name, printable, sha256, write_aside
from twoface.core.frame import Frame
from twoface.core.images import encode_photo, losses, output_format
from twoface.core.inpainter import Inpainter
from twoface.core.jobs import JSON_LINES, Row, read_jobs
from twoface.core.parts import parse_hole
from twoface.core.reference_photos import reference_frames
from twoface.core.results import DONE, FAILED, NAMES, Entry, Log, read_entries
from twoface.core.workers import cores_each, run_tasks

SHIPPED = Path(str(resources.files("twoface"))) / "weights"
LOCK = ".twoface-batch.lock"
DO, KEEP, FAIL = "do", "keep", "fail"
LONGEST_NAME = 255  # bytes
READ_ONLY = (".heic", ".heif", ".avif")  # read, not written: the result is a JPEG; of other formats a PNG


@dataclass(frozen=True)
class Options:
    """What holds for every job, as of `Inpainter.load`, `Inpainter.fill` and `FillResult.save`.

    hole: what is filled where a row names neither mask nor hole.
    """

    model: Path | None = None
    feather: float | None = None
    center_size: int = 64
    quality: int | None = None
    hole: str | None = None
    same_photo: bool = False


@dataclass(frozen=True)
class Job:
    """One row, its paths resolved and its boxes parsed.

    inputs: {name: digest of the content}, so that it is known when one changed. replaces: `out` may be overwritten.
    """

    photo: Path
    mask: Path | None
    hole: str | tuple[int, int, int, int] | None
    face: Frame | None
    references: tuple[Path, ...]
    reference_faces: tuple[Frame | None, ...]
    out: Path
    inputs: dict[str, str] = dataclasses.field(default_factory=dict)
    replaces: bool = False


@dataclass(frozen=True)
class Step:
    """What is to happen with a row, and why: do (with its `job`), keep, or fail.

    photo: as the row names it; out: relative to the folder, "" where it is not known.
    """

    row: int
    photo: str
    out: str
    action: str
    why: str
    job: Job | None = None


@dataclass(frozen=True)
class Summary:
    """How many rows were done now, were done before, and failed; log: the file that tells of them.

    warned: how many of those done now have warnings.
    """

    done: int
    skipped: int
    failed: int
    warned: int
    log: Path


def run_batch(
    jobs: PathLike,
    folder: PathLike,
    workers: int = 1,
    options: Options | None = None,
    force: bool = False,
    load: Callable[..., Inpainter] = Inpainter.load,
) -> Summary:
    """Do the jobs of a file; what was done is added to the log in `folder`, as of `twoface.core.results`.

    jobs: a file as of `twoface.core.jobs.read_jobs`. Its paths are relative to it; `out` is relative to `folder` and
    stays inside it (empty: the photo's name, as .jpg or .png where its own format is not written). For JSON Lines the
    log is results.jsonl, else results.csv.
    A bad row is reported on stderr and the rest goes on. Run again, what is done stays (unless `force`), and is done
    again only when the content of its photo, mask or reference, its row, the options or the network changed; what
    failed is tried again. A file that is not ours, or of which another file of jobs made another photo's fill, is not
    overwritten without `force`.
    load: picklable, as `Inpainter.load`; each of the `workers` processes calls it once.
    Raises InputError for a file that cannot be read, a `folder` that cannot be written, and one that another batch
    is at work in.
    """
    options = options or Options()
    jobs, folder = Path(jobs), Path(folder)
    rows = read_jobs(jobs)
    with _locked(folder):
        steps = _plan(rows, jobs, folder, options, force)
        log = Log(folder / NAMES[jobs.suffix.lower() in JSON_LINES])
        log.open()
        done, failed, warned = _do_all(steps, log, workers, options, load, _relative(jobs, folder))
        return Summary(done, sum(step.action == KEEP for step in steps), failed, warned, log.path)


def plan_batch(jobs: PathLike, folder: PathLike, options: Options | None = None, force: bool = False) -> list[Step]:
    """What `run_batch` would do -> list of Step, one for each row; nothing is written."""
    jobs, folder = Path(jobs), Path(folder)
    return _plan(read_jobs(jobs), jobs, folder, options or Options(), force)


def _locked(folder: Path) -> contextlib.AbstractContextManager[object]:
    """Make the folder and lock it against other batches -> context manager."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / LOCK, blocking=False).acquire()
    except Timeout:
        raise InputError(f"another batch is at work in {folder}: wait for its end, or choose another folder") from None
    except FileExistsError:
        raise InputError(f"{folder} is a file: give a folder for the results") from None
    except OSError as error:
        raise InputError(f"cannot write in the folder {folder}: {error.strerror}") from error


def _do_all(
    steps: Sequence[Step], log: Log, workers: int, options: Options, load: Callable[..., Inpainter], jobs: str
) -> tuple[int, int, int]:
    """-> how many were done, how many failed, how many of those done have warnings."""
    tasks = [step for step in steps if step.action == DO]
    failed = [step for step in steps if step.action == FAIL]
    setup = partial(_setup, load, options, log, jobs, cores_each(workers))
    with tqdm(total=len(tasks), unit=" photos", disable=None) as bar:

        def fail(step: Step, error: str) -> None:
            log.add(Entry(step.row, step.photo, step.out, FAILED, error, jobs=jobs))
            bar.write(f"twoface: row {step.row} ({printable(step.photo)}): {printable(error)}", file=sys.stderr)

        for step in failed:
            fail(step, step.why)
        counts: Counter[str] = Counter()
        with contextlib.closing(run_tasks(setup, tasks, workers)) as outcomes:
            for index, outcome in outcomes:
                if isinstance(outcome, Exception):
                    fail(tasks[index], str(outcome))
                counts["failed" if isinstance(outcome, Exception) else "warned" if outcome else "done"] += 1
                bar.update()
    return counts["done"] + counts["warned"], counts["failed"] + len(failed), counts["warned"]


class _Contents:
    """Digests of files, each read once."""

    def __init__(self, options: Options) -> None:
        self._file = functools.cache(lambda path: sha256(path)[:16])
        self._options = options
        networks = [options.model] if options.model else sorted(SHIPPED.glob("*.onnx"))
        self._networks = _digest([self._read(path) for path in networks])

    def of(self, job: Job) -> dict[str, str]:
        """-> {what: digest of its content}. Raises InputError for a file that cannot be read."""
        options = asdict(self._options)
        del options["model"], options["hole"]  # the hole is in the job
        if output_format(job.out) not in ("JPEG", "WEBP"):
            del options["quality"]
        if job.hole != "center":
            del options["center_size"]
        if not (job.references and options["same_photo"]):
            del options["same_photo"]
        return {
            "photo": self._read(job.photo),
            "mask": "-" if job.mask is None else self._read(job.mask),
            "reference": _digest([self._read(path) for path in job.references]),
            "row": _digest([job.hole, _typed(job.face), [*map(_typed, job.reference_faces)]]),
            "options": _digest(options),
            "network": self._networks,
        }

    def _read(self, path: Path) -> str:
        try:
            return self._file(path)
        except FileNotFoundError as error:
            raise InputError(f"{path} does not exist: check the path") from error
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error


def _typed(frame: Frame | None) -> list[float] | None:
    """Its numbers as they were typed, so that what was done when they were kept as typed is known."""
    return None if frame is None else [round(value, 6) for value in frame.short]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _plan(rows: Sequence[Row], jobs: Path, folder: Path, options: Options, force: bool) -> list[Step]:
    made = defaultdict(list)
    for entry in read_entries(folder):
        made[entry.out].append(entry)
    contents, home = _Contents(options), jobs.parent
    named = {name for row in rows for name in (row.photo, row.mask, *row.reference) if name}
    read = {os.path.realpath(home / name) for name in named if is_name(name)}
    steps: list[Step] = []
    taken: dict[Path, int] = {}
    for row in rows:
        out, job = "", None
        try:
            job = _parse(row, home, folder, options)
            out = os.path.relpath(job.out, folder)
            if job.out in taken:
                raise InputError(f"row {taken[job.out]} writes {out} too: give one of them another name in out")
            taken[job.out] = row.number
            if os.path.realpath(job.out) in read:
                raise InputError(f"{job.out} is read by a job: choose another folder, or a name in out")
            job = dataclasses.replace(job, inputs=contents.of(job))
            action, why = _decide(job, made[printable(out)], _relative(jobs, folder), folder, force)
        except InputError as error:
            action, why = FAIL, str(error)
        except OSError as error:
            action, why = FAIL, f"{error.strerror}: choose another name in out"
        steps.append(Step(row.number, row.photo, out, action, why, _may_replace(job) if job and action == DO else None))
    return steps


def _may_replace(job: Job) -> Job:
    return dataclasses.replace(job, replaces=job.out.exists())


def _decide(job: Job, entries: Sequence[Entry], jobs: str, folder: Path, force: bool) -> tuple[str, str]:
    """-> action, why. entries: of the log, for this `out`. Raises InputError for a file that is not ours to replace."""
    if not job.out.exists():
        _make_sure_of_place(job.out)
        if any(entry.status == DONE for entry in entries):
            return DO, "its result is gone"
        return DO, "it failed before" if entries else "it is new"
    check_output(job.out, force=True)
    if force:
        return DO, "all is to be overwritten"
    now = sha256(job.out)
    ours = [entry for entry in entries if entry.status == DONE and entry.sha256 == now]
    if not ours:
        about = "was changed since it was made" if entries else "exists and is not of a batch"
        raise InputError(f"{job.out} {about}: choose another name, or allow it to be overwritten", code="exists")
    inputs = _words(job.inputs)
    if any(entry.inputs == inputs for entry in ours):
        return KEEP, "it was done before"
    last = ours[-1]
    photo = os.path.realpath(folder / os.path.dirname(last.jobs) / last.photo)
    if last.jobs != printable(jobs) and photo != printable(os.path.realpath(job.photo)):
        text = f"{job.out} is what row {last.row} of {last.jobs} made of another photo"
        raise InputError(f"{text}: choose another folder or name, or allow it to be overwritten", code="exists")
    before = dict(word.split("=") for word in last.inputs.split())
    changed = [name for name, digest in job.inputs.items() if before.get(name) != digest]
    return DO, f"changed: {', '.join(changed)}"


def _words(inputs: Mapping[str, str]) -> str:
    return " ".join(f"{name}={digest}" for name, digest in inputs.items())


def _make_sure_of_place(path: Path) -> None:
    """Raises InputError where `path`, whose folders need not exist yet, cannot be written."""
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise InputError(f"{parent} is a file, not a folder: choose another name")
    check_output(parent / path.name, force=True)


def _parse(row: Row, home: Path, folder: Path, options: Options) -> Job:
    """Row -> Job without its inputs. Raises InputError for what cannot be one."""
    if row.error:
        raise InputError(row.error)
    for name in (row.photo, row.mask, row.out, *row.reference):
        check_name(name)
    if not row.photo:
        raise InputError("no photo: name one in the column photo")
    hole = row.hole or ("" if row.mask else options.hole)
    if bool(row.mask) == bool(hole):
        raise InputError("give a mask or a hole, one of them")
    references = tuple(home / path for path in row.reference if path)
    faces = tuple(Frame.parse(part) if part else None for part in row.reference_face)
    if any(faces):
        reference_frames(faces, len(references))
    return Job(
        photo=home / row.photo,
        mask=home / row.mask if row.mask else None,
        hole=parse_hole(hole) if hole else None,
        face=Frame.parse(row.face) if row.face else None,
        references=references,
        reference_faces=faces,
        out=_out(row, folder),
    )


def _out(row: Row, folder: Path) -> Path:
    name = row.out or Path(row.photo).name
    if not row.out and not _is_written(name):
        name = Path(name).stem + (".jpg" if Path(name).suffix.lower() in READ_ONLY else ".png")
    output_format(name)
    longest = max(len(os.fsencode(part)) for part in Path(name).parts)
    if longest > LONGEST_NAME:
        raise InputError(f"out has a name of {longest} bytes: a file's name has {LONGEST_NAME} at most")
    out = folder / name
    if not Path(os.path.realpath(out)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{out} lies outside {folder}: out must stay inside it")
    return Path(os.path.normpath(out))


def _is_written(name: str) -> bool:
    try:
        return bool(output_format(name))
    except InputError:
        return False


def _relative(path: Path, folder: Path) -> str:
    """A path from the folder, so that both may be moved together."""
    return os.path.relpath(os.path.realpath(path), os.path.realpath(folder))


def _setup(
    load: Callable[..., Inpainter], options: Options, log: Log, jobs: str, threads: int
) -> Callable[[Step], str | None]:
    """What a worker process loads -> its function of one Step."""
    cv2.setNumThreads(threads)
    return partial(_do, load(options.model, threads=threads), options, log, jobs)


def _do(inpainter: Inpainter, options: Options, log: Log, jobs: str, step: Step) -> str | None:
    """Fill and save one job -> its warnings, or None.

    It is logged just before it is written: whatever ends us, a file that is ours is known.
    """
    start, job = time.perf_counter(), step.job
    assert job is not None  # of a step to do
    result = inpainter.fill(
        job.photo,
        mask=job.mask,
        hole=job.hole,
        references=job.references,
        face=job.face,
        reference_face=job.reference_faces if any(job.reference_faces) else None,
        feather=options.feather,
        center_size=options.center_size,
        same_photo=options.same_photo,
    )
    form = output_format(job.out)
    data = encode_photo(result.photo, form, options.quality)
    job.out.parent.mkdir(parents=True, exist_ok=True)
    check_output(job.out, job.replaces)
    used, found = result.reference_used, result.identity
    entry = Entry(
        step.row,
        step.photo,
        step.out,
        DONE,
        warnings=" ".join(result.warnings + losses(result.photo, form)) or None,
        seconds=round(time.perf_counter() - start, 3),
        similarity_result_reference=None if found is None else round(found.similarity_result_reference, 4),
        similarity_visible_reference=None if found is None else round(found.similarity_visible_reference, 4),
        same_person=None if found is None else "yes" if found.same_person else "no",
        reference_used=None if used is None else result.references[used]["name"],
        jobs=jobs,
        inputs=_words(job.inputs),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    parent = parent_process()
    if parent and not parent.is_alive():
        sys.exit(1)  # whoever runs the batch again does this job, and may be at it
    log.add(entry)
    write_aside(job.out, data, job.replaces)
    return entry.warnings
