import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeDetector, FakeEmbedder, placed_face, textured, write_network
from PIL import Image

from twoface.batch import COLUMNS, Options, Summary, run_batch
from twoface.cli import main
from twoface.engine import Inpainter
from twoface.errors import InputError, TwoFaceError
from twoface.model import FillModel

FACE = placed_face(np.array([[0.8, 0.0, -16.0], [0.0, 0.8, -16.0]]))


class Clerk(Inpainter):
    """Keeps a diary of the photos it fills, is killed by one called killer.png, and is slow."""

    def fill(self, photo, **options):
        with open(photo.parent / "diary.txt", "a") as diary:
            diary.write(f"{photo.name}\n")
        if photo.name == "killer.png":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.1)
        return super().fill(photo, **options)


def load_clerk(network, model=None, threads=None):
    return Clerk(FillModel(network, threads=1), FakeDetector(FACE), FakeEmbedder())


def load_nothing(model=None, threads=None):
    raise InputError("no network at all")


def die(model=None, threads=None):
    os._exit(9)


@pytest.fixture
def desk(tmp_path):
    """A folder with photos, a network and a function that writes jobs.csv from dicts."""
    for number, name in enumerate(("a.png", "b.png", "c.png", "killer.png")):
        Image.fromarray(textured(180, 200, seed=number)).save(tmp_path / name)
    write_network(tmp_path / "network.onnx")
    return tmp_path


def write_jobs(desk, *rows, header=COLUMNS):
    with open(desk / "jobs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows({"hole": "eyes", **row} for row in rows)
    return desk / "jobs.csv"


def run(desk, workers=1, **options):
    load = partial(load_clerk, desk / "network.onnx")
    return run_batch(desk / "jobs.csv", desk / "out", workers, load=load, **options)


def results(desk):
    with open(desk / "out" / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def diary(desk):
    path = desk / "diary.txt"
    return path.read_text().split() if path.exists() else []


def test_rows_in_order_with_their_figures(desk):
    write_jobs(
        desk,
        {"photo": "a.png"},
        {"photo": "b.png", "out": "deep/er/b.webp", "reference": "c.png; b.png", "reference_face": "0,0,90,90;"},
        {"photo": "c.png", "hole": "60,60,100,90", "face": "20,20,160,160,5.5", "out": "c.jpg"},
    )
    assert run(desk, workers=2) == Summary(done=3, skipped=0, failed=0)
    rows = results(desk)
    assert [(row["row"], row["photo"], row["out"], row["status"]) for row in rows] == [
        ("1", "a.png", "a.png", "done"),
        ("2", "b.png", "deep/er/b.webp", "done"),
        ("3", "c.png", "c.jpg", "done"),
    ]
    assert all(Image.open(desk / "out" / row["out"]).size == (200, 180) for row in rows)
    assert all(float(row["seconds"]) > 0 for row in rows)
    assert rows[1]["reference_used"].endswith("b.png") and rows[1]["same_person"] == "yes"
    assert float(rows[1]["similarity_visible_reference"]) == pytest.approx(1, abs=1e-3)
    assert rows[0]["similarity_result_reference"] == rows[0]["same_person"] == rows[0]["reference_used"] == ""


def test_bad_rows_are_reported_and_the_rest_goes_on(desk, capsys):
    (desk / "letter.jpg").write_text("dear")
    bad = [
        ({"photo": "none.png"}, "does not exist"),
        ({"photo": "letter.jpg"}, "not a picture"),
        ({"photo": ""}, "no photo"),
        ({"photo": "a.png", "hole": "ear"}, "unknown hole"),
        ({"photo": "a.png", "hole": ""}, "a mask or a hole"),
        ({"photo": "a.png", "mask": "m.png"}, "a mask or a hole"),
        ({"photo": "a.png", "mask": "m.png", "hole": ""}, "m.png does not exist"),
        ({"photo": "a.png", "face": "1,2"}, "not a box"),
        ({"photo": "a.png", "face": "0,0,500,500"}, "does not fit"),
        ({"photo": "a.png", "reference": "none.jpg"}, "none.jpg does not exist"),
        ({"photo": "a.png", "reference": "b.png", "reference_face": "0,0,90,90;0,0,90,90"}, "a face for each"),
        ({"photo": "a.png", "out": "x.gif"}, ".jpg, .png, .webp or .tif"),
        ({"photo": "a.png", "out": "../x.png"}, "stay inside"),
        ({"photo": "a.png", "out": "/x.png"}, "stay inside"),
    ]
    rows = [{"out": f"{number}.png", **row} for number, (row, _) in enumerate(bad)]
    write_jobs(desk, *rows, {"photo": "b.png"})
    with open(desk / "jobs.csv", "a") as file:
        file.write("a.png,,eyes,20,20,160,160,,,\n")
    assert run(desk, workers=2) == Summary(done=1, skipped=0, failed=len(bad) + 1)
    found = results(desk)
    for row, (_, message) in zip(found, [*bad, ({}, ""), ({}, "in quotes")], strict=True):
        assert message in row["error"]
        assert row["status"] == ("failed" if message else "done")
    assert sorted(path.name for path in (desk / "out").iterdir()) == ["b.png", "results.csv"]
    reported = capsys.readouterr().err
    assert all(message in reported for _, message in bad)


def test_two_rows_to_one_file(desk):
    write_jobs(desk, {"photo": "a.png"}, {"photo": "b.png", "out": "./a.png"}, {"photo": "c.png", "out": "x/../a.png"})
    assert run(desk) == Summary(done=1, skipped=0, failed=2)
    assert [row["error"][:12] for row in results(desk)] == ["", "row 1 writes", "row 1 writes"]
    assert diary(desk) == ["a.png"]


def test_a_heic_photo_gets_a_jpeg(desk):
    write_jobs(desk, {"photo": "none.HEIC"})
    run(desk)
    assert results(desk)[0]["out"] == "none.jpg"


def test_a_photo_of_a_job_is_never_overwritten(desk):
    write_jobs(desk, {"photo": "a.png"})
    before = (desk / "a.png").read_bytes()
    load = partial(load_clerk, desk / "network.onnx")
    assert run_batch(desk / "jobs.csv", desk, force=True, load=load).failed == 1
    assert (desk / "a.png").read_bytes() == before


def test_again_does_what_is_missing(desk):
    write_jobs(desk, {"photo": "a.png"}, {"photo": "none.png"}, {"photo": "b.png"})
    run(desk)
    first = results(desk)
    Image.fromarray(textured(180, 200)).save(desk / "none.png")
    (desk / "out" / "b.png").unlink()
    assert run(desk) == Summary(done=2, skipped=1, failed=0)
    assert diary(desk) == ["a.png", "none.png", "b.png", "none.png", "b.png"]
    assert results(desk)[0] == first[0]
    assert run(desk) == Summary(done=0, skipped=3, failed=0)
    assert run(desk, force=True) == Summary(done=3, skipped=0, failed=0)


def test_a_changed_row_is_done_again_but_overwrites_only_with_force(desk):
    write_jobs(desk, {"photo": "a.png"})
    run(desk)
    for change in ({"jobs": {"photo": "a.png", "hole": "nose"}}, {"options": Options(feather=9)}):
        write_jobs(desk, change.get("jobs", {"photo": "a.png"}))
        options = {"options": change.get("options")}
        assert run(desk, **options).failed == 1
        assert "use --force" in results(desk)[0]["error"]
        assert run(desk, force=True, **options).done == 1


def test_what_another_put_there_stays(desk):
    (desk / "out").mkdir()
    (desk / "out" / "a.png").write_text("mine")
    write_jobs(desk, {"photo": "a.png"}, {"photo": "b.png"})
    assert run(desk) == Summary(done=1, skipped=0, failed=1)
    assert (desk / "out" / "a.png").read_text() == "mine"


def test_a_worker_that_is_killed_fails_its_row_alone(desk):
    write_jobs(desk, {"photo": "killer.png"}, {"photo": "a.png"}, {"photo": "b.png"}, {"photo": "c.png"})
    assert run(desk, workers=2) == Summary(done=3, skipped=0, failed=1)
    assert [row["status"] for row in results(desk)] == ["failed", "done", "done", "done"]
    assert "was killed (signal 9)" in results(desk)[0]["error"]


@pytest.mark.parametrize(("load", "error"), [(load_nothing, InputError), (die, TwoFaceError)])
def test_workers_that_cannot_start_end_the_batch(desk, load, error):
    write_jobs(desk, {"photo": "a.png"}, {"photo": "b.png"})
    with pytest.raises(error, match="no network at all|exit code 9. before its first task"):
        run_batch(desk / "jobs.csv", desk / "out", 1, load=load)
    assert {row["status"] for row in results(desk)} == {"pending"}


def test_killed_batch_goes_on(desk):
    for number in range(12):
        Image.fromarray(textured(180, 200)).save(desk / f"p{number}.png")
    write_jobs(desk, *({"photo": f"p{number}.png"} for number in range(12)))
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent)]!r}\n"
        "from pathlib import Path\n"
        "import test_batch, twoface.batch\n"
        "twoface.batch.REWRITE_EVERY = 0\n"
        f"test_batch.run(Path({str(desk)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list((desk / "out").glob("p*.png"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    time.sleep(0.5)  # the worker finishes its row and finds its parent gone
    rows = results(desk)
    done = [row["photo"] for row in rows if row["status"] == "done"]
    assert len(rows) == 12 and 1 <= len(done) < 12
    before = len(diary(desk))

    assert run(desk) == Summary(done=12 - len(done), skipped=len(done), failed=0)

    assert not set(done) & set(diary(desk)[before:])
    assert {row["status"] for row in results(desk)} == {"done"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no jobs"),
        (b"photo,mask,hole,face,reference,reference_face,out\n", "no jobs"),
        (b"photo,hole,out\na,b,c\n", "missing columns mask, face, reference, reference_face"),
        (b"photo,mask,hole,face,reference,reference_face,out,color\na,,,,,,,\n", "unknown columns color"),
        (b"photo,mask,hole,face,reference,reference_face,out,out\na,,,,,,,\n", "a column twice"),
        (b"photo;mask;hole\na;;eyes\n", "unknown columns photo;mask;hole"),
        (b"photo,mask\n\xff\xfe,b\n", "cannot read"),
        (b'photo,mask\n"a,b\n', "cannot read"),
    ],
)
def test_unreadable_csv(desk, capsys, content, message):
    (desk / "jobs.csv").write_bytes(content)
    assert main(["batch", str(desk / "jobs.csv"), "-o", str(desk / "out")]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
    assert not (desk / "out").exists()


def test_columns_in_any_order_and_a_byte_order_mark(desk):
    path = write_jobs(desk, {"photo": "a.png"}, header=COLUMNS[::-1])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert run(desk).done == 1


def test_a_results_file_that_is_not_ours(desk):
    write_jobs(desk, {"photo": "a.png"})
    (desk / "out").mkdir()
    (desk / "out" / "results.csv").write_text("my,results\n1,2\n")
    with pytest.raises(InputError, match="is not of a batch"):
        run(desk)
    assert (desk / "out" / "results.csv").read_text() == "my,results\n1,2\n"


def test_exit_code_tells_of_failed_rows(desk, capsys):
    write_jobs(desk, {"photo": "a.png", "face": "20,20,160,160"}, {"photo": "none.png"})
    arguments = ["batch", str(desk / "jobs.csv"), "-o", str(desk / "out"), "--model", str(desk / "network.onnx")]
    assert main(arguments) == 1
    assert "1 done, 0 done before, 1 failed" in capsys.readouterr().out
    Image.fromarray(textured(180, 200)).save(desk / "none.png")
    write_jobs(desk, {"photo": "a.png", "face": "20,20,160,160"}, {"photo": "none.png", "face": "20,20,160,160"})
    assert main(arguments) == 0
    assert "1 done, 1 done before, 0 failed" in capsys.readouterr().out
