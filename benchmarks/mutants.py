"""Do the tests notice when a line of the code is wrong?

    python benchmarks/mutants.py [MODULE ...] [--each 12] [--seed 14] [--faults]    # or: make mutants

Changes one line at a time in a copy of the package, runs the tests that `mutants.toml` names for that module, and says
which changes no test noticed (they "survive"). Lines are drawn by the seed, `--each` of every module. First come the
faults that the file lists by hand: all of them must be noticed. Changes that cannot be noticed stand in the file too,
with the reason, and are not counted. Exit code 1 when a listed fault, or more than 15 % of the changes, survives.

mutmut 3 and cosmic-ray were looked at: mutmut changes nothing outside functions, where our constants stand; cosmic-ray
changes the sources in place and starts Python and its libraries anew for every change, which takes longer than these
tests. Here the libraries are loaded once and every change is a fork, so this needs Linux or macOS.
"""

import argparse
import ast
import contextlib
import importlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPIED = ("twoface", "tests", "samples", "docs", "experiments", "pyproject.toml", "README.md")
# Loaded before the forks, when no library has started a thread. None of them may import twoface.
LIBRARIES = ("cv2", "onnxruntime", "PIL.Image", "pillow_heif", "onnx.helper", "httpx", "tqdm", "filelock", "pytest")
SLOW = ("torch", "lightning.fabric")  # loaded for the modules of research alone
WANTED = 0.85  # the share of changes that must be noticed

BINARY = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.BitXor: ("^", "&"),
}  # fmt: skip
COMPARISONS = {  # the opposite: with the boundary alone most changes of measured figures could not be noticed
    ast.Lt: ("<", ">="), ast.LtE: ("<=", ">"), ast.Gt: (">", "<="), ast.GtE: (">=", "<"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any", "maximum": "minimum", "minimum": "maximum"}
UNWRAPPED = {"clip", "abs", "sorted", "round", "rint", "sqrt", "exp", "log"}


@dataclass(frozen=True)
class Change:
    """A part of a file, start and end in bytes, and what is written there instead."""

    file: str
    start: int
    end: int
    text: str

    def apply(self, source):
        return source[: self.start] + self.text.encode() + source[self.end :]

    def lines(self, source):
        """The first line that it touches -> its number, and it before and after, without margins."""
        first = source.rfind(b"\n", 0, self.start) + 1
        old, new = (text[first:].split(b"\n", 1)[0].decode().strip() for text in (source, self.apply(source)))
        return source.count(b"\n", 0, first) + 1, old, new


def changes(file, source):
    """All changes of a file -> list of Change."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def begin(node):
        return starts[node.lineno - 1] + node.col_offset

    def end(node):
        return starts[node.end_lineno - 1] + node.end_col_offset

    def between(left, right, old, new):
        """The operator between two nodes, with whatever brackets stand there."""
        gap = source[end(left) : begin(right)].decode()
        word = re.escape(old).replace(r"\ ", r"\s+") if old.isalpha() or " " in old else re.escape(old)
        found = re.search(rf"\b{word}\b" if old[0].isalpha() else word, gap)
        if found and "#" not in gap:
            at = end(left) + found.start()
            yield Change(file, at, at + len(found.group()), new)

    def of(node):
        whole = (file, begin(node), end(node)) if hasattr(node, "lineno") else None
        match node:
            case ast.Constant(value=bool()):
                yield Change(*whole, str(not node.value))
            case ast.Constant(value=int()):
                yield Change(*whole, str(2 * node.value or 1))
            case ast.Constant(value=float()):
                yield Change(*whole, str(2 * node.value or 1.0))
            case ast.BinOp() if type(node.op) in BINARY:
                yield from between(node.left, node.right, *BINARY[type(node.op)])
            case ast.Compare():
                for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
                    yield from between(left, right, *COMPARISONS[type(op)])
            case ast.BoolOp():
                old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
                for left, right in zip(node.values, node.values[1:], strict=False):
                    yield from between(left, right, old, new)
            case ast.UnaryOp(op=ast.Not() | ast.USub()):
                yield Change(file, begin(node), begin(node.operand), "")
            case ast.If() | ast.IfExp() if isinstance(node.test, ast.Name | ast.Attribute | ast.Call):
                yield Change(file, begin(node.test), begin(node.test), "not ")
            case ast.AugAssign() | ast.Expr(value=ast.Call()) | ast.Raise() | ast.Continue() | ast.Break():
                yield Change(*whole, "pass")
            case ast.Call(func=ast.Attribute(), args=[], keywords=[]):  # `x.detach()` -> `x`
                yield Change(file, end(node.func.value), end(node), "")
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                if name in SWAPPED:
                    yield Change(file, end(node.func) - len(name), end(node.func), SWAPPED[name])
                elif name in UNWRAPPED and node.args and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
                    yield Change(*whole, f"({source[begin(node.args[0]) : end(node.args[0])].decode()})")

    def walk(node):
        yield from of(node)
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):  # words for people
            return
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from walk(child)

    return list(walk(ast.parse(source)))


def drawn(every, source, count, rng):
    """`count` changes, of different lines -> list; a line of many numbers counts as one."""
    by_line = {}
    for change in every:
        by_line.setdefault(change.lines(source)[0], []).append(change)
    lines = rng.sample(sorted(by_line), min(count, len(by_line)))
    return [rng.choice(by_line[line]) for line in sorted(lines)]


def listed(file, source, entry):
    """A change that the table lists by its texts -> Change."""
    old, new = entry["old"].encode(), entry["new"]
    if source.count(old) != 1:
        sys.exit(f"mutants.toml: {file} has {entry['old']!r} {source.count(old)} times, and not once")
    start = source.index(old)
    return Change(file, start, start + len(old), new)


class Copy:
    """The package and its tests in a folder of their own, and runs of tests there."""

    def __init__(self, folder):
        self.folder = Path(folder)
        ignore = shutil.ignore_patterns("__pycache__")
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.folder / name, **({"ignore": ignore} if copy is shutil.copytree else {}))
        self._date = 1_000_000_000
        os.environ["PYTHONPATH"] = str(self.folder)  # of processes that tests start
        sys.path[:0] = [str(self.folder)]

    def test(self, tests, limit, log=os.devnull):
        """Run tests in a fork -> pytest's exit code, None where it took more than `limit` seconds."""
        child = os.fork()
        if not child:
            os.setsid()
            os.chdir(self.folder)
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            code = 3
            try:
                import pytest

                base = self.folder / "tmp"
                code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={base}", *tests])
            finally:
                os._exit(int(code))
        until = time.monotonic() + limit
        try:
            while time.monotonic() < until:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.02)
            return None
        finally:  # its processes too that a test left behind, or held
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)

    def noticed(self, change, tests, limit):
        """Whether the tests fail with a change."""
        path = self.folder / change.file
        source = path.read_bytes()
        self._write(path, change.apply(source))
        try:
            return self.test(tests, limit) != 0
        finally:
            self._write(path, source)

    def _write(self, path, source):
        """Each time with a later date: Python takes no compiled file of another date, and the others may be kept."""
        path.write_bytes(source)
        self._date += 1
        os.utime(path, (self._date, self._date))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="as in mutants.toml; default all")
    parser.add_argument("--each", type=int, default=12, help="changes of each module (12)")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--faults", action="store_true", help="only the faults that the file lists")
    options = parser.parse_args()
    table = tomllib.loads((ROOT / "benchmarks/mutants.toml").read_text())
    modules = options.modules or list(table["tests"])
    for unknown in set(modules) - set(table["tests"]):
        parser.error(f"mutants.toml names no tests for {unknown}")
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take longer to load than most of these tests
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the folder and the tests at work go too
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(run(table, modules, options, Copy(folder)))


def run(table, modules, options, copy):
    for library in LIBRARIES + (SLOW if any("research" in module for module in modules) else ()):
        importlib.import_module(library)
    total, missed = Counter(), []
    for module in modules:
        tests, source = table["tests"][module], (ROOT / module).read_bytes()
        start = time.monotonic()
        if copy.test(tests, 600, copy.folder / "log.txt") != 0:
            sys.exit(f"{module}: its tests fail as it is:\n{(copy.folder / 'log.txt').read_text()[-3000:]}")
        limit = 10 + 4 * (time.monotonic() - start)
        known = [entry for entry in table.get("fault", []) if entry["file"] == module]
        for entry in known:
            noticed = copy.noticed(listed(module, source, entry), tests, limit)
            total["faults noticed" if noticed else "faults missed"] += 1
            if not noticed:
                missed.append(f"{module}: FAULT {entry['fault']}")
                print(missed[-1], flush=True)
        same = {(e["old"], e["new"]) for e in table.get("equivalent", []) if e["file"] == module}
        rng = random.Random(f"{options.seed} {module}")
        tried = Counter()
        for change in [] if options.faults else drawn(changes(module, source), source, options.each, rng):
            number, old, new = change.lines(source)
            if (old, new) in same:
                tried["equivalent"] += 1
                continue
            noticed = copy.noticed(change, tests, limit)
            tried["noticed" if noticed else "survived"] += 1
            if not noticed:
                print(f"{module}:{number}\n    - {old}\n    + {new}", flush=True)
        total += tried
        seconds = time.monotonic() - start
        print(f"{module}: {dict(tried)}, {len(known)} listed faults, {seconds:.0f} s", flush=True)
    count = total["noticed"] + total["survived"]
    share = total["noticed"] / max(count, 1)
    if count:
        print(f"noticed {total['noticed']} of {count} changes, {share:.0%}; cannot be: {total['equivalent']}")
    print(f"noticed {total['faults noticed']} of {total['faults noticed'] + total['faults missed']} listed faults")
    return int(bool(missed) or bool(count and share < WANTED))


if __name__ == "__main__":
    main()
