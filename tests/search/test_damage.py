"""An index whose writer is killed at any write, and one that has lost any of its files."""

import json
import shutil

import numpy as np
import pytest
from fakes import run_tasks_here
from search_fakes import networks, person, write, write_people

from twoface.core.errors import InputError, TwoFaceError
from twoface.search import index as module
from twoface.search import lance
from twoface.search.collection import Collection
from twoface.search.index import build, forget, remove, settle, update, verify
from twoface.search.lance import LanceStore
from twoface.search.people import People
from twoface.search.people import place as placed
from twoface.search.record import read_record
from twoface.search.sums import HINT, seal

OPTIONS = {"workers": 1, "progress": False, "load": networks}


class Killed(BaseException):
    """As kill -9: nothing catches it."""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A few photos are written at a time, and an index that is asked again does not wait."""
    monkeypatch.setattr(module, "COMMIT_PHOTOS", 4)
    monkeypatch.setattr(module, "TASK", 4)
    monkeypatch.setattr(lance, "PAUSES", (0.0,))


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A folder with photos of p0, p1 and p2, one with photos of p9, and an index of the first that has forgotten p2 and
    calls the first photo's person Anna."""
    folder = tmp_path_factory.mktemp("album").resolve()
    write_people(folder / "photos", people=3, photos=2)
    write(folder / "more" / "p9" / "0.png", person(9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_tasks", run_tasks_here)
        build([folder / "photos"], folder / "index", people=True, **OPTIONS)
        forget("p2", folder / "index")
        store = LanceStore(folder / "index")
        people = People()
        people.move(placed(store, str(folder / "photos" / "p0" / "1.png"), 0))
        people.name("1", "Anna")
        people.write(store)
    return folder


@pytest.fixture
def place(album, tmp_path):
    shutil.copytree(album / "index", tmp_path / "index")
    return tmp_path / "index"


def names(place):
    return sorted("/".join(path.split("/")[-2:]) for path in LanceStore(place).photos())


def kill_at(patch, number):
    """Have the process die before its write of this number."""
    left = [number]

    def deadly(write):
        def dying(*arguments, **named):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return write(*arguments, **named)

        return dying

    from lancedb.table import LanceTable

    for owner, name in (
        *((LanceTable, name) for name in ("add", "delete", "optimize", "create_index")),
        *((owner, "write_aside") for owner in (lance, lance.Sums._write.__globals__)),
        (lance, "_rewrite"),
    ):
        if isinstance(owner, dict):
            patch.setitem(owner, name, deadly(owner[name]))
        else:
            patch.setattr(owner, name, deadly(getattr(owner, name)))
    return left


FIRST = ["p0/0.png", "p0/1.png", "p1/0.png", "p1/1.png"]
COMMANDS = {
    "build": (lambda album, place: build([album / "photos"], place, people=True, **OPTIONS), None),
    "add": (lambda album, place: build([album / "more"], place, **OPTIONS), [*FIRST, "p9/0.png"]),
    "update": (lambda album, place: update(place, really=True, **OPTIONS), FIRST[1:]),
    "remove": (lambda album, place: remove([album / "photos" / "p0"], place), FIRST[2:]),
    "forget": (lambda album, place: forget("p1", place), FIRST[:2]),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_any_write_nothing_is_lost_and_the_command_can_be_finished(command, album, tmp_path):
    run, expected = COMMANDS[command]
    photos = album
    if command == "update":  # a photo has gone, one has changed
        photos = tmp_path / "own"
        shutil.copytree(album / "photos", photos / "photos")
        build([photos / "photos"], photos / "index", people=True, **OPTIONS)
        (photos / "photos" / "p0" / "0.png").unlink()
        write(photos / "photos" / "p1" / "0.png", person(1, 7))
        expected = [*FIRST[1:], "p2/0.png", "p2/1.png"]
    number, done = 0, False
    while not done:
        place = tmp_path / str(number)
        if command != "build":
            shutil.copytree(photos / "index", place)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, number)
            try:
                run(photos, place)
                done = True
            except Killed:
                pass
        if (
            command == "forget"
            and read_record(LanceStore(place)).forgotten != read_record(LanceStore(album / "index")).forgotten
        ):  # it was begun: any later command goes on with it
            settle(LanceStore(place))
            assert not left_of(album, place, "p1")
        if command != "build":
            assert set(names(place)) >= set(expected) - {"p9/0.png", "p1/0.png", "p1/1.png"}
            assert [
                problem for problem in verify(place) if "not finished" not in problem and "faces" not in problem
            ] == []
        if not (command == "remove" and done):
            with_end(run, photos, place)
        assert names(place) == (expected or [*FIRST, "p2/0.png", "p2/1.png"]), number
        assert verify(place) == [], number
        kept = People.read(LanceStore(place))
        assert command in ("build", "update", "remove") or kept.find("Anna").faces, number
        number += 1
    assert number > 4


def with_end(run, album, place):
    """The command again; what has been removed already is not there to be removed."""
    try:
        run(album, place)
    except InputError as error:
        assert error.code == "not_indexed"


def left_of(album, place, name):
    """Files of the index that hold a path of a person, or his face."""
    return [path for path in place.rglob("*") if path.is_file() and f"/{name}/".encode() in path.read_bytes()]


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


DAMAGES = {"cut": cut, "emptied": lambda path: path.write_bytes(b""), "gone": lambda path: path.unlink(), "flip": flip}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_file_is_damaged_it_is_named_and_nothing_is_lost(damage, album, tmp_path):
    files = [path.relative_to(album / "index") for path in sorted((album / "index").rglob("*")) if path.is_file()]
    files = [name for name in files if name.name not in (HINT, ".writing")]
    assert len(files) > 8
    for number, name in enumerate(files):
        place = tmp_path / str(number)
        shutil.copytree(album / "index", place)
        DAMAGES[damage](place / name)
        problems = verify(place)
        assert problems and ".rs" not in str(problems) and "index verify" not in str(problems), name
        assert name.name in str(problems) or "what it remembers" in str(problems), name
        for use in (lambda at=place: update(at, **OPTIONS), lambda at=place: settle(LanceStore(at))):
            try:
                use()
                assert names(place) == FIRST, name
            except TwoFaceError as error:
                assert "twoface index build" in str(error), name
        build([album / "photos"], place, anew=name.suffix != ".json", **OPTIONS)
        assert names(place) == FIRST, (name, "p2 is forgotten for good")
        assert verify(place) == [], name
        assert People.read(LanceStore(place)).find("Anna").faces, name


@pytest.mark.parametrize("lost", ["cut", "unknown"])
def test_a_record_lost_with_its_copy_is_not_made_up(lost, place, album):
    content = (place / "index.json").read_text()
    told = json.loads(content)
    del told["sha256"]
    for name in ("index.json", "index.copy.json"):
        (place / name).write_text(content[: len(content) // 2] if lost == "cut" else seal(told | {"unknown": 1}))
    for use in (lambda: update(place, **OPTIONS), lambda: build([album / "photos"], place, **OPTIONS)):
        with pytest.raises(TwoFaceError, match="who was forgotten"):
            use()
    assert len(LanceStore(place)) == 4


def test_an_index_of_old_is_read_and_what_it_forgot_is_looked_for_once(place):
    record = {"folders": [], "people": True, "space": read_record(LanceStore(place)).space, "forgotten": ["ab"]}
    (place / "index.json").write_text(json.dumps(record))
    for name in ("index.copy.json", "checksums.json"):
        (place / name).unlink()
    assert read_record(LanceStore(place)).unfinished
    assert settle(LanceStore(place)).forgotten == ["ab"]
    assert not read_record(LanceStore(place)).unfinished and verify(place) == []


def test_a_reader_that_meets_a_forget_asks_again(place):
    store, asked = LanceStore(place), []

    def ask():
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("Object at location ... not found")
        return 4

    assert store._read(ask) == 4
    with pytest.raises(TwoFaceError, match=r"cannot be used \(Not found, LanceError\): if it is damaged"):
        store._read(lambda: (_ for _ in ()).throw(RuntimeError("Not found, LanceError, /root/.cargo/src/lib.rs:12:5")))


def test_opening_to_search_goes_on_with_a_forget(place, album, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 4)
        with pytest.raises(Killed):
            forget("p1", place)
    assert left_of(album, place, "p1")
    Collection.open(place, detector=networks()[0], embedder=networks()[1])
    assert not left_of(album, place, "p1") and forget("p1", place).removed == 0


def test_vectors_of_what_was_asked_come_with_it(place, album):
    row = LanceStore(place).faces("path", [str(album / "photos" / "p0" / "0.png")], vectors=True)[0]
    assert np.linalg.norm(row.vectors, axis=1) == pytest.approx(1, abs=1e-3)
