"""Which room of twoface/ imports which: docs/architecture.md has the table, and a row for every file."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "twoface"
DOC = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| `([^`]+)` \| ([^|]*)\| ", re.MULTILINE)
FLOORS = {room: int(floor) for floor, room, _ in ROW.findall(DOC)}
IMPORTS = {room: set(re.findall("`([^`]+)`", rooms)) for _, room, rooms in ROW.findall(DOC)}
TORCH = {"torch", "lightning"}
HTTP = {"fastapi", "starlette", "uvicorn", "h11", "httpx", "grpc", "tritonclient", "urllib", "http", "socket"}
NAMES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}


def room_of(path):
    """The innermost room of the table that a file, relative to twoface/, lies in; "" for twoface/ itself."""
    return next((room for room in sorted(FLOORS, key=len, reverse=True) if path.startswith(f"{room}/")), "")


def imported(file, types=True):
    """The modules that a file imports, wherever in it it does so. types: also those that only type checkers import."""
    tree = ast.parse(file.read_bytes())
    if not types:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: write the module's whole name"
            for whole in (f"{node.module}.{alias.name}" for alias in node.names):
                yield whole if whole in NAMES else node.module


def arrows():
    """-> {(room, other room): [file that imports it]}, and the outside packages of each room."""
    inside, outside = {}, {room: {} for room in ("", *FLOORS)}
    for file in NAMES.values():
        path = file.relative_to(PACKAGE).as_posix()
        for module in imported(file):
            here = room_of(path)
            if module in NAMES:
                there = room_of(NAMES[module].relative_to(PACKAGE).as_posix())
                if there not in ("", here):
                    inside.setdefault((here, there), []).append(path)
            else:
                outside[here].setdefault(module.partition(".")[0], path)
    return inside, outside


def test_each_room_imports_what_the_table_says():
    inside, _ = arrows()
    found = {room: {there for here, there in inside if here == room} for room in FLOORS}
    wrong = {room: found[room] ^ IMPORTS[room] for room in FLOORS if found[room] != IMPORTS[room]}
    assert not wrong, {room: (rooms, [inside.get((room, there)) for there in rooms]) for room, rooms in wrong.items()}
    assert not any(here == "" for here, _ in inside)  # twoface/__init__.py loads lazily


def test_each_room_lies_above_those_that_it_imports():
    for room, rooms in IMPORTS.items():
        assert FLOORS[room] == max((FLOORS[there] + 1 for there in rooms), default=0), room


def test_no_files_import_each_other_in_a_circle():
    graph = {
        name: {module for module in imported(file, types=False) if module in NAMES} for name, file in NAMES.items()
    }
    TopologicalSorter(graph).prepare()  # CycleError names them


def test_torch_is_of_research_and_http_is_not_of_the_core():
    _, outside = arrows()
    for room, packages in outside.items():
        if not room.startswith("research"):
            assert not TORCH & packages.keys(), {name: packages[name] for name in TORCH & packages.keys()}
    for room in ("", "core", "search"):
        assert not HTTP & outside[room].keys(), {name: outside[room][name] for name in HTTP & outside[room].keys()}


def test_every_folder_is_a_room_that_says_what_it_is():
    folders = {file.parent.relative_to(PACKAGE).as_posix() for file in NAMES.values()} - {"."}
    inner = {"core/formats", "service/proto"}  # of a room
    assert folders == FLOORS.keys() | inner
    for room in FLOORS:
        assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_bytes())), room


@pytest.mark.parametrize("room", [*FLOORS, "weights"])
def test_every_file_has_its_row(room):
    section = DOC.partition(f"\n## Files of `{room}`\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    rows = [name for cell in first_cells for name in re.findall("`([^`]+)`", cell)]
    assert len(rows) == len(set(rows)) and not [name for name in rows if not (PACKAGE / room / name).exists()]
    files = [file for file in (PACKAGE / room).rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    inner = [other for other in FLOORS if other.startswith(f"{room}/")]
    for path in (file.relative_to(PACKAGE / room).as_posix() for file in files):
        if path != "__init__.py" and not any(f"{room}/{path}".startswith(f"{other}/") for other in inner):
            assert path in rows or any(name.endswith("/") and path.startswith(name) for name in rows), path
