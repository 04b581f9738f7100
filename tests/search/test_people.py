import json
import os

import numpy as np
import pytest
from search_fakes import networks, person, write
from test_collection import assemble

from twoface.cli import main
from twoface.core.errors import InputError, TwoFaceError
from twoface.search.collection import Collection
from twoface.search.index import build, forget, remove, update, verify
from twoface.search.lance import LanceStore
from twoface.search.people import People, near_from, place, whisper
from twoface.search.rank import Calibration
from twoface.search.record import read_record, write_record
from twoface.search.rows import PhotoRow
from twoface.search.sums import seal

CALIBRATION = Calibration("stand-in", -40.0, 80.0)  # 0.55 and more is the same texture
OPTIONS = {"workers": 1, "progress": False, "load": networks}


@pytest.fixture
def suited(monkeypatch):
    monkeypatch.setattr("twoface.search.people.calibrations", lambda: {"whole": CALIBRATION})
    monkeypatch.setattr("twoface.search.collection.calibration_for", lambda hole: CALIBRATION)


@pytest.fixture
def people(index, suited):
    """The people of the index as `index people` groups them."""
    assert main(["index", "people", "--index", str(index)]) == 0
    return lambda: People.read(LanceStore(index))


def call(index, *options):
    return main(["index", "people", "--index", str(index), *map(str, options)])


def groups(people):
    """-> {number: [pN/M]} with the folders' names."""
    told = {n: sorted("/".join(path.split("/")[-2:])[:-4] for path, _ in one.faces) for n, one in people.people.items()}
    return dict(sorted(told.items()))


def test_faces_that_belong_together_are_people_and_nobody_has_a_name(people):
    assert groups(people()) == {n + 1: [f"p{n}/{m}" for m in range(3)] for n in range(4)}
    assert not any(one.name for one in people().people.values())


def test_nobody_is_grouped_without_being_asked(index, photos):
    update(index, **OPTIONS)
    assert People.read(LanceStore(index)) is None and not (index / "people.json").exists()


def test_unclear_faces_are_left_alone_until_a_user_places_them(index, photos, suited, monkeypatch):
    monkeypatch.setattr("twoface.search.people.CLEAR", (200.0, 0.9))
    call(index)
    assert groups(People.read(LanceStore(index))) == {}
    call(index, "--split", photos / "p0" / "0.png")
    assert groups(People.read(LanceStore(index))) == {1: ["p0/0"]}


def test_names_merges_and_splits_survive_an_update(people, index, photos):
    odd = photos / "p3" / "2.png"
    assert call(index, "--name", 1, "Anna", "--merge", "Anna", 2, "--split", odd, "--name", 3, "Ben") == 0
    write(photos / "p2" / "new.png", person(2, 9))
    write(photos / "p9" / "0.png", person(9))
    write(odd, person(3, 2)[:, ::-1][:, ::-1] // 2 + 20)  # the photo is written anew, darker
    assert update(index, **OPTIONS).photos == 3
    first = ["p0/0", "p0/1", "p0/2", "p1/0", "p1/1", "p1/2"]
    assert groups(people()) == {1: first, 3: ["p2/0", "p2/1", "p2/2", "p2/new"], 4: ["p3/0", "p3/1"], 5: ["p3/2"]}
    assert [people().find(name).number for name in ("Anna", "Ben")] == [1, 3]


def test_a_face_is_moved_and_numbers_are_not_given_twice(people, index, photos):
    assert call(index, "--move", 1, *(photos / "p1" / f"{m}.png" for m in range(3))) == 0
    assert call(index, "--split", f"{photos / 'p0' / '0.png'}#0") == 0
    assert list(groups(people())) == [1, 3, 4, 5]


def test_the_forgotten_are_forgotten_by_the_name_that_was_given(people, index, photos):
    call(index, "--name", 2, "Änna")
    texts, name = LanceStore(index).people, json.dumps("Änna")
    assert all(name in text and "/p1/" in text for text in texts())
    assert forget("Änna", index).removed == 3
    assert not any(name in text or "/p1/" in text for text in texts()) and list(groups(people())) == [1, 3, 4]
    remove([photos / "p0"], index)
    assert list(groups(people())) == [3, 4]


def test_cleared_is_as_if_never_asked(people, index):
    call(index, "--name", 2, "Anna", "--clear")
    assert people() is None and "Anna" not in str(LanceStore(index).people())
    update(index, **OPTIONS)
    assert people() is None


def test_a_hit_on_one_photo_counts_for_all_and_says_who(people, index, photos, network):
    stranger = write(photos / "p1" / "disguised.png", person(40))
    build([photos], index, people=True, **OPTIONS)
    call(index, "--name", 2, "Anna")
    query = photos / "p1" / "0.png"
    before = assemble(index, network()).references(query)
    call(index, "--move", "Anna", stranger)
    collection = assemble(index, network())
    after = collection.references(query)
    chance = {name: {c.path: c.probability for c in a.candidates} for name, a in (("before", before), ("after", after))}
    assert chance["before"][str(stranger)] < 0.1 and chance["after"][str(stranger)] > 0.9
    assert {c.path for c in after.candidates if c.person == "Anna"} == {
        str(photos / "p1" / name) for name in ("1.png", "2.png", "disguised.png")
    }
    assert after.person == before.person == after.report()["person"] == "Anna"
    call(index, "--name", "Anna", "Bea")
    assert collection.references(query).person == "Bea"  # no need to open it anew
    assert collection.references(write(photos / "s.png", person(50))).person == ""


def test_photos_beyond_the_nearest_are_looked_at_too(people, index, photos, network, monkeypatch):
    monkeypatch.setattr("twoface.search.collection.NEAREST", 2)  # the query itself and one other
    answer = assemble(index, network()).references(photos / "p1" / "0.png", hole="eyes")
    assert [c.identity for c in answer.candidates] == ["p1", "p1"] and answer.person == "2"
    (photos / "p1" / answer.candidates[1].path).unlink()
    answer = assemble(index, network()).references(photos / "p1" / "0.png")
    assert answer.left_out == {"copies": 1, "unreadable": 1}


def test_people_keep_their_faces_and_names_when_an_older_index_is_brought_up_to_date(people, index, photos):
    import lancedb

    call(index, "--name", 2, "Anna")
    store = LanceStore(index)
    record = read_record(store)
    with store.writing():
        record.space = "of FaceNet"
        write_record(store, record)
        store.empty()
        rows = [{"path": str(photos / f"p{n}/{m}.png"), "face": 0, "vector": [1.0]} for n in range(4) for m in range(3)]
        lancedb.connect(str(index)).create_table("faces", rows, mode="overwrite")
        store.put([PhotoRow(row["path"], *stamp(row["path"]), faces=1) for row in rows], [])
    assert verify(index) == [
        "the index was made by another version of Two-Face: 'twoface index update' looks at its photos again"
    ]
    with pytest.raises(InputError, match="another version"):
        Collection.open(index)
    assert forget(photos / "p1" / "2.png", index).removed == 1
    assert groups(people())[2] == ["p1/0", "p1/1"]
    write(photos / "p1" / "1.png", person(30))
    assert update(index, **OPTIONS).photos == 11
    assert verify(index) == [] and groups(people())[2] == ["p1/0"] and people().find("Anna").number == 2
    assert groups(people())[1] == ["p0/0", "p0/1", "p0/2"]


def stamp(path):
    about = os.stat(path)
    return about.st_size, about.st_mtime_ns


def test_the_list_the_faces_and_the_page(people, index, photos, tmp_path, capsys):
    call(index, "--name", 1, "<b>", "--html", tmp_path / "people.html")
    told = capsys.readouterr().out
    assert "1      3 faces  <b>" in told and "4 people with 12 faces; 0 faces are alone" in told
    page = (tmp_path / "people.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 12 and "&lt;b&gt;" in page and "<b>" not in page
    call(index, "--show", "<b>")
    assert capsys.readouterr().out.splitlines() == [str(photos / "p0" / f"{m}.png") for m in range(3)]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--name", "77", "Anna"], "nobody is called '77'"),
        (["--name", "1", "2"], "is a number"),
        (["--name", "1", "A", "--name", "2", "A"], "another person is called 'A'"),
        (["--merge", "1"], "two or more"),
        (["--move", "1"], "one or more faces"),
        (["--split", "nowhere.png"], "no face 0 of"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(people, index, options, text, capsys):
    before = (index / "people.json").read_text()
    assert call(index, *options) == 2
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1 and (index / "people.json").read_text() == before


def test_damage_is_named_with_the_way_back(people, index, photos):
    for text in ("", "{", "[]", seal({"people": [{"number": 1}]})):
        LanceStore(index).set_people(text)
        with pytest.raises(TwoFaceError, match="--clear"):
            People.read(LanceStore(index))
        assert "people.json" in str(verify(index))
    assert call(index, "--clear") == 0 and verify(index) == []
    with pytest.raises(InputError, match="no face 3"):
        place(LanceStore(index), str(photos / "p0" / "0.png"), 3)


def test_a_chain_of_pairs_does_not_join_two_crowds():
    one, other = np.eye(128)[0], np.eye(128)[1]
    between = (one + other) / 2**0.5
    vectors = np.stack([one] * 5 + [between] + [other] * 5).astype(np.float32)
    labels = whisper(vectors, np.zeros(11, int), 0.6)
    assert len(set(labels[:5])) == len(set(labels[6:])) == 1 and labels[0] != labels[6]


def test_a_face_that_has_a_person_keeps_it():
    vectors = np.tile(np.eye(128, dtype=np.float32)[0], (4, 1))
    assert whisper(vectors, np.array([3, 0, 3, 7]), 0.5).tolist() == [3, 3, 3, 7]
    assert near_from(10) == near_from(1000) < near_from(10_000) < 1
