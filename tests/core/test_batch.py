import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from fakes import FakeDetector, FakeEmbedder, FakeMesher, placed_face, run_tasks_here, textured, until, write_network
from filelock import FileLock
from PIL import Image

from twoface.cli import main
from twoface.core.batch import LOCK, Options, _typed, plan_batch, run_batch
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.frame import Frame
from twoface.core.inpainter import Inpainter
from twoface.core.jobs import COLUMNS
from twoface.core.network import FillModel

FACE = placed_face(Frame(99.875, 99.875, 160))


class Clerk(Inpainter):
    """Keeps a diary of the photos it fills, is killed by one called killer.png, and is slow."""

    def fill(self, photo, **options):
        with open(photo.parent / "diary.txt", "a", errors="surrogateescape") as diary:
            diary.write(f"{photo.name}\n")
        if photo.name == "killer.png":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.1)
        return super().fill(photo, **options)


def load_clerk(network, model=None, threads=None):
    return Clerk(FillModel(network, threads=1), FakeDetector(FACE), FakeEmbedder(), FakeMesher())


def load_nothing(model=None, threads=None):
    raise InputError("no network at all")


def die(model=None, threads=None):
    os._exit(9)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with photos and a network; a batch of one worker starts no process."""
    monkeypatch.setattr("twoface.core.batch.run_tasks", run_tasks_here)
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


def run(desk, workers=1, jobs="jobs.csv", out="out", **options):
    """-> how many were done, were done before, and failed."""
    load = partial(load_clerk, desk / "network.onnx")
    made = run_batch(desk / jobs, desk / out, workers, load=load, **options)
    return made.done, made.skipped, made.failed


def log(desk):
    with open(desk / "out" / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def results(desk):
    """The last line of each row, in the rows' order."""
    last = {int(line["row"]): line for line in log(desk)}
    return [last[row] for row in sorted(last)]


def plan(desk, jobs="jobs.csv", **options):
    return [(step.action, step.why) for step in plan_batch(desk / jobs, desk / "out", **options)]


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
    assert run(desk, workers=2, options=Options(same_photo=True)) == (3, 0, 0)
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
        ({"photo": "a.png", "face": "1,2"}, "is not a square"),
        ({"photo": "a.png", "face": "0,0,500,500"}, "its centre must lie inside"),
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
    assert run(desk, workers=2) == (1, 0, len(bad) + 1)
    found = results(desk)
    for row, (_, message) in zip(found, [*bad, ({}, ""), ({}, "is not a square")], strict=True):
        assert message in row["error"]
        assert row["status"] == ("failed" if message else "done")
    assert sorted(path.name for path in (desk / "out").glob("[!.]*")) == ["b.png", "results.csv"]
    reported = capsys.readouterr().err
    assert all(message in reported for _, message in bad)


def test_two_rows_to_one_file(desk):
    write_jobs(desk, {"photo": "a.png"}, {"photo": "b.png", "out": "./a.png"}, {"photo": "c.png", "out": "x/../a.png"})
    assert run(desk) == (1, 0, 2)
    assert [row["error"][:12] for row in results(desk)] == ["", "row 1 writes", "row 1 writes"]
    assert diary(desk) == ["a.png"]


def test_what_is_read_but_not_written_gets_another_name(desk):
    write_jobs(desk, {"photo": "none.HEIC"}, {"photo": "none.x.gif"}, {"photo": "none"})
    run(desk)
    assert [row["out"] for row in results(desk)] == ["none.jpg", "none.x.png", "none.png"]


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
    assert run(desk) == (2, 1, 0)
    assert diary(desk) == ["a.png", "b.png", "none.png", "b.png"]
    assert [line for line in log(desk) if line["row"] == "1"] == first[:1]
    assert run(desk) == (0, 3, 0)
    assert run(desk, force=True) == (3, 0, 0)


def test_what_changed_is_done_again_and_nothing_else(desk):
    Image.fromarray(np.full((180, 200), 255, np.uint8)).save(desk / "all.png")
    mask = np.zeros((180, 200), np.uint8)
    mask[70:90, 60:140] = 255
    Image.fromarray(mask).save(desk / "m.png")
    rows = [{"photo": "a.png", "reference": "c.png"}, {"photo": "b.png", "mask": "m.png", "hole": ""}]
    write_jobs(desk, *rows)
    assert run(desk) == (2, 0, 0)
    assert plan(desk) == [("keep", "it was done before")] * 2

    Image.fromarray(mask.T[:180, :180].repeat(2, 1)[:, :200]).save(desk / "m.png")
    assert plan(desk) == [("keep", "it was done before"), ("do", "changed: mask")]
    assert run(desk) == (1, 1, 0)
    Image.fromarray(textured(180, 200, seed=8)).save(desk / "c.png")
    write_jobs(desk, rows[0] | {"hole": "nose"}, rows[1])
    assert plan(desk) == [("do", "changed: reference, row"), ("keep", "it was done before")]
    assert run(desk) == (1, 1, 0)
    assert plan(desk, options=Options(feather=9)) == [("do", "changed: options")] * 2
    network = Options(model=write_network(desk / "other.onnx", gain=0.5))
    assert plan(desk, options=network) == [("do", "changed: network")] * 2
    assert plan(desk, force=True) == [("do", "all is to be overwritten")] * 2
    assert len(log(desk)) == 4


def test_an_option_that_changes_nothing_redoes_nothing(desk):
    write_jobs(desk, {"photo": "a.png"}, {"photo": "b.png", "out": "b.jpg"}, {"photo": "c.png", "hole": "center"})
    run(desk)
    before = log(desk)
    actions = [action for action, _ in plan(desk, options=Options(quality=50))]
    assert actions == ["keep", "do", "keep"]
    assert [action for action, _ in plan(desk, options=Options(center_size=40))] == ["keep", "keep", "do"]
    assert run(desk, options=Options(quality=50)) == (1, 2, 0)
    assert log(desk)[:3] == before


def test_two_files_of_jobs_in_one_folder(desk):
    """Rows that read alike are other people's when they are of another place."""
    (desk / "more").mkdir()
    Image.fromarray(textured(180, 200, seed=9)).save(desk / "more" / "a.png")
    write_jobs(desk, {"photo": "a.png"})
    run(desk)
    (desk / "more" / "jobs.csv").write_text("photo,hole,out\na.png,eyes,\na.png,eyes,a2.png\n")
    before = (desk / "out" / "a.png").read_bytes()
    first = log(desk)
    assert run(desk, jobs="more/jobs.csv") == (1, 0, 1)
    assert "row 1 of ../jobs.csv made of another photo" in log(desk)[1]["error"]
    assert (desk / "out" / "a.png").read_bytes() == before
    assert log(desk)[0] == first[0] and len(log(desk)) == 3
    assert run(desk) == (0, 1, 0)
    (desk / "again.csv").write_text("photo,hole\na.png,nose\n")  # the same photo in another file: a newer list
    assert plan(desk, "again.csv") == [("do", "changed: row")]


def test_a_result_that_was_edited_stays(desk):
    write_jobs(desk, {"photo": "a.png"})
    run(desk)
    (desk / "out" / "a.png").write_text("edited")
    write_jobs(desk, {"photo": "a.png", "hole": "nose"})
    assert run(desk) == (0, 0, 1)
    assert (desk / "out" / "a.png").read_text() == "edited" and "changed since" in log(desk)[1]["error"]
    assert run(desk, force=True) == (1, 0, 0)


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "x\0.png", "d/" * 2500 + "x.png", "\ud800.png", "results.csv"])
def test_an_impossible_row_fails_alone(desk, name):
    rows = [{"photo": "a.png", "hole": "eyes", "out": name}, {"photo": "b.png", "hole": "eyes"}]
    (desk / "jobs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    made = run(desk, jobs="jobs.jsonl")
    assert made == (1, 0, 1) and (desk / "out" / "b.png").exists()


def test_names_of_any_kind(desk):
    names = ["caf\udce9.png", " lead.png", "tab\t.png", "line\n.png", "semi;colon.png", "-dash.png", "n" * 251 + ".png"]
    for name in names:
        (desk / name).write_bytes((desk / "a.png").read_bytes())
    rows = [{"photo": name, "hole": "eyes", "reference": ["c.png"]} for name in names]
    (desk / "jobs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert run(desk, jobs="jobs.jsonl") == (len(names), 0, 0)
    assert all((desk / "out" / name).is_file() for name in names)
    lines = [json.loads(line) for line in (desk / "out" / "results.jsonl").read_text("ascii").splitlines()]
    assert lines[0]["out"] == "caf\\udce9.png" and lines[3]["photo"] == "line\\n.png"
    assert run(desk, jobs="jobs.jsonl") == (0, len(names), 0)


def test_json_lines_that_are_none(desk):
    good = {"photo": "a.png", "hole": [60, 60, 100, 90], "face": [20, 20, 160, 160, 5.5], "reference": None}
    lines = [json.dumps(good), "{", "[]", '{"photo": "b.png", "colour": 1}', '{"photo": 5, "hole": "eyes"}']
    (desk / "jobs.jsonl").write_text("\n".join(lines))
    assert [action for action, _ in plan(desk, "jobs.jsonl")] == ["do", *["fail"] * 4]
    assert run(desk, jobs="jobs.jsonl") == (1, 0, 4)
    found = [json.loads(line) for line in (desk / "out" / "results.jsonl").read_text().splitlines()]
    assert [line["status"] for line in found] == [*["failed"] * 4, "done"]
    assert "not JSON" in found[0]["error"] and "unknown keys colour" in found[2]["error"]


def test_one_batch_at_a_time(desk):
    write_jobs(desk, {"photo": "a.png"})
    (desk / "out").mkdir()
    with FileLock(desk / "out" / LOCK), pytest.raises(InputError, match="another batch is at work in"):
        run(desk)
    assert run(desk) == (1, 0, 0)


def test_a_log_that_was_cut_short(desk):
    write_jobs(desk, {"photo": "a.png"}, {"photo": "b.png"})
    run(desk)
    path = desk / "out" / "results.csv"
    whole = path.read_bytes()
    path.write_bytes(whole + b'3,"c.p')
    assert run(desk) == (0, 2, 0)
    assert path.read_bytes() == whole


def test_a_worker_without_a_parent_writes_nothing(desk, monkeypatch):
    """The batch was killed and runs again: two processes may be at one job."""
    write_jobs(desk, {"photo": "a.png"})
    monkeypatch.setattr("twoface.core.batch.parent_process", lambda: Mock(is_alive=lambda: False))
    with pytest.raises(SystemExit):
        run(desk)
    assert not log(desk) and not (desk / "out" / "a.png").exists()


def test_what_is_logged_but_is_gone_is_done_again(desk):
    write_jobs(desk, {"photo": "a.png"})
    run(desk)
    (desk / "out" / "a.png").unlink()
    assert plan(desk) == [("do", "its result is gone")]


@pytest.mark.parametrize("before", ["nothing", "a result of another photo", "a file of someone else"])
def test_ended_between_the_log_and_the_file(desk, monkeypatch, before):
    write_jobs(desk, {"photo": "a.png"})
    if before == "a result of another photo":
        run(desk)
        Image.fromarray(textured(180, 200, seed=7)).save(desk / "a.png")
    elif before == "a file of someone else":
        (desk / "out").mkdir()
        (desk / "out" / "a.png").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr("twoface.core.batch.write_aside", Mock(side_effect=SystemExit))
        with pytest.raises(SystemExit):
            run(desk, force=before == "a file of someone else")
    assert log(desk)[-1]["status"] == "done"
    ((action, why),) = plan(desk)
    if before == "a file of someone else":  # which the log does not make ours
        assert action == "fail" and "allow it to be" in why and (desk / "out" / "a.png").read_text() == "mine"
        return
    assert why == ("its result is gone" if before == "nothing" else "changed: photo")
    assert run(desk) == (1, 0, 0) and run(desk) == (0, 1, 0)


def test_warnings_are_logged_and_counted(desk, capsys):
    deep = textured(180, 200).astype(np.uint16)[..., 0] * 256
    Image.fromarray(deep).save(desk / "deep.png")
    write_jobs(desk, {"photo": "deep.png", "out": "a.jpg"}, {"photo": "a.png", "out": "a.png"})
    options = Options(model=desk / "network.onnx")
    made = run_batch(desk / "jobs.csv", desk / "out", options=options, load=partial(load_clerk, desk / "network.onnx"))
    assert (made.done, made.warned) == (2, 1)
    assert "8 of the 16 bits" in results(desk)[0]["warnings"] and results(desk)[1]["warnings"] == ""


def test_the_hole_of_rows_that_name_none(desk):
    (desk / "jobs.csv").write_text("Photo\na.png\n")
    assert run(desk) == (0, 0, 1)
    assert run(desk, options=Options(hole="eyes")) == (1, 0, 0)


def test_a_hole_that_is_none_is_refused_though_every_row_names_one(desk, capsys):
    write_jobs(desk, {"photo": "a.png", "hole": "eyes"})
    assert main(["batch", str(desk / "jobs.csv"), "-o", str(desk / "out"), "--hole", "eye"]) == 2
    assert "unknown hole 'eye'" in capsys.readouterr().err and not (desk / "out").exists()


def test_a_file_in_the_place_of_the_folder(desk):
    write_jobs(desk, {"photo": "a.png"})
    with pytest.raises(InputError, match="a.png is a file: give a folder"):
        run_batch(desk / "jobs.csv", desk / "a.png")


def test_dry_run(desk, capsys):
    write_jobs(desk, {"photo": "a.png"}, {"photo": "none.png"})
    arguments = ["batch", str(desk / "jobs.csv"), "-o", str(desk / "out"), "--dry-run"]
    assert main(arguments) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "do   row 1: a.png -> a.png: it is new"
    assert printed[1].startswith("fail row 2: none.png -> none.png: ") and printed[1].endswith("check the path")
    assert not (desk / "out").exists()


def test_a_dry_run_says_what_the_run_would_say_of_faces(desk):
    faces = ("0,0,90,90", ";0,0,90,90", "0,0,90,90;;", ";")
    write_jobs(desk, *({"photo": "a.png", "reference": "b.png;c.png", "reference_face": face} for face in faces))
    number = "reference faces: {}, references: 2: give a face for each, or none"
    assert plan(desk)[:3] == [("fail", number.format(1)), ("do", "it is new"), ("fail", number.format(3))]
    write_jobs(desk, *({"photo": "a.png", "out": f"{face}.png", "reference_face": face} for face in faces))
    assert [action for action, _ in plan(desk)] == ["fail", "fail", "fail", "do"]


def test_what_another_put_there_stays(desk):
    (desk / "out").mkdir()
    (desk / "out" / "a.png").write_text("mine")
    write_jobs(desk, {"photo": "a.png"}, {"photo": "b.png"})
    assert run(desk) == (1, 0, 1)
    assert (desk / "out" / "a.png").read_text() == "mine"


def test_a_worker_that_is_killed_fails_its_row_alone(desk):
    write_jobs(desk, {"photo": "killer.png"}, {"photo": "a.png"}, {"photo": "b.png"}, {"photo": "c.png"})
    assert run(desk, workers=2) == (3, 0, 1)
    assert [row["status"] for row in results(desk)] == ["failed", "done", "done", "done"]
    assert "was killed (signal 9)" in results(desk)[0]["error"]


@pytest.mark.parametrize(("load", "error"), [(load_nothing, InputError), (die, TwoFaceError)])
def test_workers_that_cannot_start_end_the_batch(desk, load, error):
    write_jobs(desk, {"photo": "a.png"}, {"photo": "b.png"})
    with pytest.raises(error, match="no network at all|exit code 9. before its first task"):
        run_batch(desk / "jobs.csv", desk / "out", 2, load=load)
    assert not log(desk)


class Reader(Clerk):
    """Keeps what the log says when it begins with a photo."""

    def fill(self, photo, **options):
        (photo.parent / f"{photo.stem}.log").write_bytes((photo.parent / "out" / "results.csv").read_bytes())
        return super().fill(photo, **options)


def load_reader(network, model=None, threads=None):
    return Reader(FillModel(network, threads=1), FakeDetector(FACE), FakeEmbedder(), FakeMesher())


def test_each_row_is_logged_when_it_is_done(desk):
    (desk / "bad.png").write_bytes(b"no photo")
    write_jobs(desk, {"photo": "a.png"}, {"photo": "bad.png"}, {"photo": "b.png"})
    run_batch(desk / "jobs.csv", desk / "out", load=partial(load_reader, desk / "network.onnx"))
    with open(desk / "b.log", newline="") as file:
        assert [(line["photo"], line["status"]) for line in csv.DictReader(file)] == [
            ("a.png", "done"),
            ("bad.png", "failed"),
        ]


def test_killed_batch_goes_on(desk):
    for number in range(12):
        Image.fromarray(textured(180, 200)).save(desk / f"p{number}.png")
    write_jobs(desk, *({"photo": f"p{number}.png"} for number in range(12)))
    code = (
        f"import sys; sys.path[:0] = {list(map(str, Path(__file__).parents[:2]))!r}\n"
        "from pathlib import Path\n"
        "import test_batch\n"
        f"test_batch.run(Path({str(desk)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until(lambda: len(list((desk / "out").glob("p*.png"))) >= 3)
    process.kill()
    process.wait()
    time.sleep(0.5)  # the worker finds its parent gone
    done = [row["photo"] for row in log(desk)]
    assert 1 <= len(done) < 12
    before = len(diary(desk))

    assert run(desk) == (12 - len(done), len(done), 0)

    assert not set(done) & set(diary(desk)[before:])
    assert {row["status"] for row in results(desk)} == {"done"}


def test_unreadable_jobs(desk, capsys):
    (desk / "jobs.csv").write_bytes(b'photo,mask\n"a,b\n')
    assert main(["batch", str(desk / "jobs.csv"), "-o", str(desk / "out")]) == 2
    printed = capsys.readouterr().err
    assert "cannot read" in printed and printed.count("\n") == 1
    assert not (desk / "out").exists()


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


@pytest.mark.parametrize("text", ["40.1,30,240.3,230.2", "153.1,35.6,304.7,187.2,-8.9"])
def test_a_face_counts_as_it_was_typed(text):
    assert _typed(Frame.parse(text)) == [float(part) for part in text.split(",")]
