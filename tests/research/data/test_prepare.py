import csv
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from fakes import until

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.faces import TEMPLATE, Face
from twoface.research.data import prepare as module
from twoface.research.data.portraits import Portraits
from twoface.research.data.prepare import central_face, find_identities, prepare, split_of

COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)])  # one for each landmark
POISON = (255, 0, 255)


class DotDetector:
    """Finds the one face of `draw`: five dots of known colours. Dies on a POISON picture."""

    def detect(self, pixels):
        if tuple(pixels[0, 0]) == POISON:
            os._exit(7)
        found = [np.argwhere((pixels == colour).all(2)) for colour in COLOURS]
        if not all(map(len, found)):
            return []
        points = np.array([dots[:, ::-1].mean(0) for dots in found])
        low, high = points.min(0) - 20, points.max(0) + 20
        return [Face((*low, *high), points, 1.0)]


class SlowDetector(DotDetector):
    def detect(self, pixels):
        time.sleep(0.5)
        return super().detect(pixels)


def draw(path, size=64, turn=0.0, corner=(128, 128, 128)):
    """A gray picture with the template's landmarks as dots, `size` pixels a frame, turned by degrees."""
    pixels = np.full((180, 200, 3), 128, np.uint8)
    pixels[0, 0] = corner
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for point, colour in zip((TEMPLATE - 0.5) * size @ rotation.T + (100, 90), COLOURS, strict=True):
        x, y = point.round().astype(int)
        pixels[y - 2 : y + 3, x - 2 : x + 3] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels[:, :, ::-1])


def people(folder, names, pictures=2):
    for name in names:
        for number in range(pictures):
            draw(folder / name / f"{number}.png", size=100 + 5 * number, turn=10 * number)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_makes_what_portraits_reads(tmp_path):
    source, out = tmp_path / "lfw", tmp_path / "out"
    people(source, ["ann", "bob", "cy"], pictures=3)
    (source / "bob" / "1.png").write_text("not a picture")
    cv2.imwrite(str(source / "cy" / "2.png"), np.zeros((50, 50, 3), np.uint8))
    seed = next(seed for seed in range(100) if [split_of(n, seed, 0.5) for n in ("ann", "bob", "cy")].count("val") == 1)

    made = prepare(source, out, workers=2, val_fraction=0.5, seed=seed, detector=DotDetector)

    assert (made.crops, made.skipped, made.train_people, made.val_people) == (7, 2, 2, 1)
    assert sorted(contents(out)) == ["index.csv", "skipped.csv", "train-00.tar", "val-00.tar"]
    skipped = list(csv.DictReader((out / "skipped.csv").open()))
    assert {row["path"] for row in skipped} == {"bob/1.png", "cy/2.png"}
    assert {row["path"]: row["reason"] for row in skipped}["cy/2.png"] == "no face found"
    rows = list(csv.DictReader((out / "index.csv").open()))
    assert tuple(rows[0]) == module.COLUMNS
    assert {row["source"] for row in rows} == {"lfw"}
    assert [row["path"] for row in rows if row["identity"] == "bob"] == ["bob/000.webp", "bob/001.webp"]
    train, val = Portraits.load(out, "train"), Portraits.load(out, "val")
    assert len(train) + len(val) == 7
    assert not set(train.names) & set(val.names)


def test_crops_are_upright_on_the_template(tmp_path):
    draw(tmp_path / "src" / "ann" / "0.png", size=100, turn=20)
    prepare(tmp_path / "src", tmp_path / "out", workers=1, val_fraction=0, detector=DotDetector)
    row = next(csv.DictReader((tmp_path / "out" / "index.csv").open()))
    assert float(row["scale"]) == pytest.approx(1.28, rel=0.02)
    crop = Portraits.load(tmp_path / "out", "train").crops[0].astype(int)
    for name, point, colour in zip(module.POINTS, TEMPLATE * 128 + 16, COLOURS, strict=True):
        landmark = float(row[f"{name}_x"]), float(row[f"{name}_y"])
        assert landmark == pytest.approx(tuple(point), abs=1.5)
        x, y = np.round(landmark).astype(int)
        assert np.abs(crop[y, x] - colour).max() < 60, name


def test_shards_roll_over_and_keep_everything(tmp_path, monkeypatch):
    people(tmp_path / "src", ["a", "b"], pictures=2)
    monkeypatch.setattr(module, "SHARD_BYTES", 4000)
    prepare(tmp_path / "src", tmp_path / "out", workers=1, val_fraction=0, detector=DotDetector)
    rows = list(csv.DictReader((tmp_path / "out" / "index.csv").open()))
    assert len({row["shard"] for row in rows}) == len(list((tmp_path / "out").glob("train-*.tar"))) > 1
    assert len(Portraits.load(tmp_path / "out", "train")) == 4


def test_killed_run_goes_on_with_nothing_lost_or_doubled(tmp_path):
    source = tmp_path / "src"
    people(source, ["a", "b", "c", "d"])
    prepare(source, tmp_path / "whole", workers=1, val_fraction=0.5, detector=DotDetector)
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from test_prepare import SlowDetector, prepare\n"
        f"prepare({str(source)!r}, {str(tmp_path / 'killed')!r}, workers=1, val_fraction=0.5, detector=SlowDetector)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    parts = tmp_path / "killed" / "parts"
    until(lambda: list(parts.glob("[a-d].tar")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in parts.glob("[a-d].tar")}
    assert 1 <= len(kept) < 4
    assert not (tmp_path / "killed" / "index.csv").exists()

    prepare(source, tmp_path / "killed", workers=1, val_fraction=0.5, detector=DotDetector)

    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_parts_are_not_made_twice(tmp_path):
    people(tmp_path / "src", ["a"])
    draw(tmp_path / "src" / "b" / "0.png", corner=POISON)
    with pytest.raises(TwoFaceError, match="b: the worker process stopped .exit code 7"):
        prepare(tmp_path / "src", tmp_path / "out", workers=1, detector=DotDetector)
    part = tmp_path / "out" / "parts" / "a.tar"
    before = part.stat().st_mtime_ns
    with pytest.raises(TwoFaceError, match="b: "):
        prepare(tmp_path / "src", tmp_path / "out", workers=1, detector=DotDetector)
    assert part.stat().st_mtime_ns == before


def test_finishes_the_cleaning_up_of_a_killed_run(tmp_path):
    people(tmp_path / "src", ["a"])
    made = prepare(tmp_path / "src", tmp_path / "out", workers=1, detector=DotDetector)
    whole = contents(tmp_path / "out")
    module._open_parts(tmp_path / "fresh", {"source": str((tmp_path / "src").resolve()), "min_face": 40})
    (tmp_path / "fresh" / "parts").rename(tmp_path / "out" / "parts")
    assert prepare(tmp_path / "src", tmp_path / "out", workers=1, detector=DotDetector) == made
    assert contents(tmp_path / "out") == whole


def test_refuses_a_folder_in_use(tmp_path):
    people(tmp_path / "src", ["a"], pictures=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        prepare(tmp_path / "src", tmp_path / "other", detector=DotDetector)
    prepare(tmp_path / "src", tmp_path / "out", workers=1, detector=DotDetector)
    with pytest.raises(InputError, match="prepared already"):
        prepare(tmp_path / "src", tmp_path / "out", detector=DotDetector)
    module._open_parts(tmp_path / "begun", {"source": str((tmp_path / "src").resolve()), "min_face": 20})
    with pytest.raises(InputError, match="was begun with"):
        prepare(tmp_path / "src", tmp_path / "begun", min_face=40, detector=DotDetector)


def test_no_face_at_all(tmp_path):
    (tmp_path / "src" / "a").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "src" / "a" / "0.png"), np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(InputError, match="no face was found in any of 1 pictures"):
        prepare(tmp_path / "src", tmp_path / "out", workers=1, detector=DotDetector)


def test_layouts(tmp_path):
    files = "train/n1/a.jpg", "train/n2/a.JPG", "test/n1/b.png", "plain/x.webp", "plain/notes.txt", ".git/n3/a.jpg"
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "plain" / "._x.jpg").touch()
    found = find_identities(tmp_path)
    assert {name: [path.name for path in pictures] for name, pictures in found.items()} == {
        "n1": ["b.png", "a.jpg"],
        "n2": ["a.JPG"],
        "plain": ["x.webp"],
    }


def test_bad_sources(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        find_identities(tmp_path / "none")
    with pytest.raises(InputError, match="SRC/IDENTITY"):
        find_identities(tmp_path)
    with pytest.raises(InputError, match="val fraction"):
        prepare(tmp_path, tmp_path / "out", val_fraction=2)


def test_splits_by_name_and_seed():
    names = [f"n{i}" for i in range(2000)]
    split = [split_of(name, 0, 0.05) for name in names]
    assert 60 <= split.count("val") <= 140
    assert split == [split_of(name, 0, 0.05) for name in names]
    assert split != [split_of(name, 1, 0.05) for name in names]
    assert {split_of(name, 0, 0.0) for name in names} == {"train"}
    assert {split_of(name, 0, 1.0) for name in names} == {"val"}


def test_central_face():
    small, central, large = (Face(box, None, 1.0) for box in ((98, 98, 102, 102), (60, 60, 110, 120), (0, 0, 90, 90)))
    assert central_face([large, central, small], (200, 200), 40) is central
    with pytest.raises(InputError, match="no face"):
        central_face([], (200, 200), 40)
    with pytest.raises(InputError, match="90 pixels, less than 95"):
        central_face([small, large], (200, 200), 95)
