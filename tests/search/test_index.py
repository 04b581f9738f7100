import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from fakes import until
from search_fakes import networks, person, write

from twoface.core.errors import InputError, Unavailable
from twoface.core.frame import UPRIGHT
from twoface.search import index as module
from twoface.search.collection import Collection
from twoface.search.face_space import KINDS, space_version
from twoface.search.index import build, forget, pictures, remove, update, verify
from twoface.search.lance import LanceStore
from twoface.search.record import read_record, write_record
from twoface.search.store import open_store


def names(place):
    return sorted(path.rsplit("photos/", 1)[-1] for path in open_store(place).photos())


def again(place):
    return update(place, workers=1, progress=False, load=networks)


def test_every_face_is_there_with_its_facts(index, photos):
    store = LanceStore(index)
    rows = store.faces("path", [str(photos / "p1" / "0.png")])
    assert [(row.face, row.identity) for row in rows] == [(0, "p1")]
    assert rows[0].frame.numbers == pytest.approx((16, 16, 144, 144, 0), abs=0.01)
    assert rows[0].size == pytest.approx(128, abs=0.01)
    assert store.counts()["photos"] == store.counts()["faces"] == 12
    assert verify(index) == []


def test_folders_name_nobody_unless_asked(photos, tmp_path):
    build([photos], tmp_path / "index", workers=1, progress=False, load=networks)
    assert LanceStore(tmp_path / "index").faces("identity", ["p1"]) == []


def test_what_is_done_is_not_done_again(index, photos):
    assert build([photos], index, workers=1, progress=False, load=networks).photos == 0


def test_update_takes_in_what_changed_and_takes_out_what_is_gone(index, photos):
    kept = LanceStore(index).faces("path", [str(photos / "p0" / "1.png")], vectors=True)[0]
    before = LanceStore(index).nearest(kept.vectors[0], 1)[0]
    write(photos / "p0" / "0.png", person(7))
    write(photos / "p9" / "new.png", person(9))
    (photos / "p3" / "2.png").unlink()
    summary = again(index)
    assert (summary.photos, summary.faces, summary.removed) == (2, 2, 1)
    assert "p9/new.png" in names(index) and "p3/2.png" not in names(index)
    assert verify(index) == []
    assert len(LanceStore(index).faces("path", [before.row.path])) == 1


def test_a_folder_that_is_missing_or_emptier_keeps_its_photos_and_others_go_on(index, photos, tmp_path):
    write(tmp_path / "more" / "q1" / "0.png", person(20))
    build([tmp_path / "more"], index, workers=1, progress=False, load=networks)
    moved = photos.rename(photos.parent / "elsewhere")
    for here in (lambda: None, photos.mkdir, lambda: shutil.copytree(moved / "p0", photos / "p0")):
        here()
        write(tmp_path / "more" / "q1" / "0.png", person(random.randrange(30, 90)))
        summary = again(index)
        assert summary.photos == 1 and summary.removed == 0 and list(summary.errors) == [str(photos)]
        assert len(names(index)) == 13
    assert "--really" in summary.errors[str(photos)]
    assert update(index, workers=1, progress=False, load=networks, really=True).removed == 9
    shutil.rmtree(photos)
    assert update(index, workers=1, progress=False, load=networks, really=True).removed == 3


def test_an_empty_folder_inside_keeps_its_photos(index, photos):
    for path in (photos / "p2").iterdir():
        path.unlink()
    assert list(again(index).errors) == [str(photos / "p2")] and len(names(index)) == 12
    (photos / "p2").rmdir()
    assert again(index).removed == 3


def test_hidden_files_and_links_are_left_out(photos):
    write(photos / ".hidden" / "a.png", person(0))
    write(photos / "p0" / ".b.png", person(0))
    (photos / "loop").symlink_to(photos)
    (photos / "p0" / "link.png").symlink_to(photos / "p0" / "0.png")
    (photos / "notes.txt").write_text("no picture")
    found, links, errors = pictures(str(photos))
    assert len(found) == 12 and links == 2 and not errors


def test_what_cannot_be_looked_at_is_reported_and_the_rest_goes_on(index, photos, monkeypatch):
    def scandir(path, real=os.scandir):
        if path == str(photos / "p1"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(module.os, "scandir", scandir)
    write(photos / "p0" / "new.png", person(11))
    os.rename(photos / "p0" / "0.png", os.fsencode(photos / "p0") + b"/b\xe9b\xe9.png")
    summary = again(index)
    assert (summary.photos, summary.removed) == (1, 1) and "p1/0.png" in names(index)
    assert "Permission denied" in summary.errors[str(photos / "p1")]
    assert "not UTF-8" in summary.errors[str(photos / "p0" / "b\\xe9b\\xe9.png")]


def test_thumbnails_are_no_photos_and_jfif_is_one(photos):
    for name in ("@eaDir/0.png/thumb.jpg", ".thumbnails/a.png", "Previews.lrdata/a.jpg", "p0/x.jfif", "p0/y.JPE"):
        write(photos / name, person(0))
    found = {path.removeprefix(f"{photos}/") for path, _, _ in pictures(str(photos))[0]}
    assert len(found) == 14 and {"p0/x.jfif", "p0/y.JPE"} <= found


def test_what_is_forgotten_is_found_through_a_link_and_its_copies_stay_out(index, photos, tmp_path, capsys):
    shutil.copy(photos / "p1" / "1.png", photos / "p2" / "copy.png")
    again(index)
    (tmp_path / "link").symlink_to(photos)
    assert forget(tmp_path / "link" / "p1" / "0.png", index).removed == 1
    summary = forget("p1", index)
    assert (summary.removed, summary.copies) == (3, [str(photos / "p2" / "copy.png")])
    shutil.copy(photos / "p1" / "2.png", photos / "p3" / "later.png")
    summary = again(index)
    assert summary.photos == 0 and summary.copies == [str(photos / "p3" / "later.png")]
    assert forget("p1", index).removed == 0, "he is forgotten already"


def test_other_photos_of_who_is_forgotten_are_named(index, photos):
    write(photos / "p3" / "same.jpg", person(1, 0, 150))
    again(index)
    summary = forget(photos / "p1" / "0.png", index)
    assert str(photos / "p3" / "same.jpg") in summary.alike and summary.removed == 1


def test_bad_files_are_reported_and_not_tried_again_until_they_change(photos, tmp_path):
    (photos / "p0" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    summary = build([photos], tmp_path / "index", workers=1, progress=False, load=networks)
    assert list(summary.errors) == [str(photos / "p0" / "broken.jpg")] and summary.photos == 13
    assert again(tmp_path / "index").photos == 0
    write(photos / "p0" / "broken.jpg", person(5))
    assert again(tmp_path / "index").faces == 1


def test_a_photo_that_kills_its_process_is_the_only_one_lost(photos, tmp_path):
    summary = build([photos], tmp_path / "index", workers=2, progress=False, load=deadly)
    assert list(summary.errors) == [str(photos / "p2" / "1.png")]
    assert "killed" in summary.errors[str(photos / "p2" / "1.png")]
    assert summary.faces == 11 and verify(tmp_path / "index") == []


def deadly():
    detector, *others = networks()

    class Deadly:
        def detect(self, pixels):
            if (pixels == person(2, 1)).all():
                os.kill(os.getpid(), signal.SIGKILL)
            return detector.detect(pixels)

    return Deadly(), *others


def test_remove_takes_out_a_folder_and_leaves_the_rest(index, photos):
    assert remove([photos / "p1"], index).removed == 3
    assert remove([photos / "p0" / "0.png"], index).removed == 1
    assert len(names(index)) == 8 and not any(name.startswith("p1/") for name in names(index))
    with pytest.raises(InputError, match="nothing of"):
        remove([photos / "p1"], index)


def test_a_removed_folder_is_no_longer_looked_through(index, photos):
    remove([photos], index)
    assert names(index) == [] and again(index).photos == 0


@pytest.mark.parametrize("flat", [10_000, 256], ids=["flat", "with a search structure"])
def test_what_is_forgotten_is_on_the_disk_no_more(photos, tmp_path, monkeypatch, flat):
    monkeypatch.setattr("twoface.search.lance.FLAT", flat)
    place = tmp_path / "index"
    build([photos], place, people=True, workers=1, progress=False, load=networks)
    if flat == 256:
        put_crowd(LanceStore(place), "/crowd", 260, np.random.default_rng(0))
        assert (place / "built.txt").read_text() == "272"
    secret = [str(photos / "p1" / f"{n}.png") for n in range(3)]
    rows = LanceStore(place).faces("path", secret, vectors=True)
    vectors = [vector.astype(np.float16) for row in rows for vector in row.vectors]
    assert len(vectors) == 3 * len(KINDS) and all(in_files(place, vector.tobytes()[:64]) for vector in vectors)
    before = names(place)
    assert forget("p1", place).removed == 3
    assert names(place) == [name for name in before if not name.startswith("p1/")]
    for vector in vectors:
        assert in_files(place, vector.tobytes()[:64]) == []
    for text in (*secret, *(f"p1/{n}.png" for n in range(3))):  # three bytes alone would turn up by chance
        assert in_files(place, text.encode()) == []
    assert again(place).photos == 0, "and it does not come back"
    assert verify(place) == []
    assert len(LanceStore(place).nearest(vectors[0], 5)) == 5


def in_files(place, content):
    return [path for path in place.rglob("*") if path.is_file() and content in path.read_bytes()]


def test_the_search_structure_is_built_anew_when_the_index_has_grown(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("twoface.search.lance.FLAT", 300)
    store, rng = LanceStore(tmp_path / "index", create=True), np.random.default_rng(0)
    seen = []
    for part, count in enumerate((250, 100, 100, 1000)):
        vectors = put_crowd(store, f"/{part}", count, rng)
        built = tmp_path / "index" / "built.txt"
        seen.append(int(built.read_text()) if built.exists() else None)
        for kind, vector in zip(KINDS, vectors[7], strict=True):
            found = store.nearest(vector, 3, kind)[0]
            assert found.row.path == f"/{part}/7.png", "what was added last is found too"
    assert seen == [None, 350, 350, 1450]


def put_crowd(store, folder, count, rng):
    """Write so many faces that nobody has -> their vectors."""
    vectors = rng.standard_normal((count, len(KINDS), 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    rows = [face(f"{folder}/{i}.png", vector) for i, vector in enumerate(vectors)]
    store.put([module.PhotoRow(row.path, 1, 1, 1) for row in rows], rows)
    store.tidy()
    return vectors


def face(path, vectors):
    return module.FaceRow(path, 0, "", vectors, UPRIGHT, (0, 0, 1, 1), (0,) * 10, *[1.0] * 8)


def test_one_photo_is_forgotten_by_its_path(index, photos):
    forget(photos / "p1" / "2.png", index)
    assert "p1/2.png" not in names(index) and "p1/1.png" in names(index)
    with pytest.raises(InputError, match="neither a photo nor a person"):
        forget("nobody", index)


def test_an_index_of_another_version_is_refused_until_it_is_updated(index, photos):
    forget(str(photos / "p0" / "0.png"), index)
    store = LanceStore(index)
    record = read_record(store)
    for record.space in ("another", ""):
        write_record(store, record)
        for use in (lambda: build([photos], index, workers=1, load=networks), lambda: Collection.open(index)):
            with pytest.raises(InputError, match="twoface index update"):
                use()
    assert again(index).photos == 11  # all but the forgotten one
    assert read_record(store).space == space_version() and verify(index) == []
    assert again(index).photos == 0


def test_another_writer_is_refused_and_readers_are_not(index, photos):
    with LanceStore(index).writing():
        with pytest.raises(Unavailable, match="another process is writing"):
            again(index)
        assert LanceStore(index).counts()["faces"] == 12


def test_a_folder_with_other_things_is_refused(photos, tmp_path):
    with pytest.raises(InputError, match="holds other things"):
        build([photos], photos / "p0", workers=1, progress=False, load=networks)
    with pytest.raises(InputError, match="no index at"):
        again(tmp_path / "nothing")


def test_verify_sees_what_is_missing_doubled_and_unfinished(index, photos):
    store = LanceStore(index)
    row = store.faces("path", [str(photos / "p0" / "0.png")], vectors=True)[0]
    damaged = row.vectors * np.float32([[1]] * (len(KINDS) - 1) + [[3]])
    store.put([], [replace(row, vectors=damaged), replace(row, path="/gone.png")])
    problems = " ".join(verify(index))
    assert "damaged embedding" in problems and "doubled" in problems and "/gone.png: not finished" in problems
    again(index)
    assert "/gone.png" not in " ".join(verify(index))


CODE = """
import sys; sys.path[:0] = {path!r}
from search_fakes import slow_networks
from twoface.search import index
index.COMMIT_PHOTOS, index.TASK = 2, 1
index.build([{photos!r}], {place!r}, workers=1, progress=False, load=slow_networks)
"""


def build_and_kill(photos, place, commits):
    """Build in a process of its own and kill it after so many more commits of photos."""
    table = place / "photos.lance" / "_versions"
    before = len(list(table.glob("*")))
    code = CODE.format(path=sys.path, photos=str(photos), place=str(place))
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until(lambda: len(list(table.glob("*"))) >= before + commits or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_killed_while_it_builds_nothing_is_lost_or_doubled(photos, tmp_path):
    place, finished = tmp_path / "index", set()
    for commits in (2, 1):
        build_and_kill(photos, place, commits)
        store = LanceStore(place)
        assert finished <= set(store.photos()), "a finished photo stays"
        finished = set(store.photos())
        assert {row.path for row in store.faces("path", finished)} == finished
    assert 0 < len(finished) < 12
    build([photos], place, workers=1, progress=False, load=networks)
    assert verify(place) == [] and len(names(place)) == 12
