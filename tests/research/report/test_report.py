"""The page of synthetic runs: what is in it, that it needs nothing else, and what it refuses."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from twoface.cli import main
from twoface.core.errors import InputError
from twoface.research.report import pictures
from twoface.research.report.chart import filter_numbers, line_chart, ticks
from twoface.research.report.page import differing, distinct, report
from twoface.research.report.read import read_run


@pytest.fixture
def make_run(tmp_path):
    def make(name, lr=0.1, steps=80, previews=6):
        folder = tmp_path / name
        (folder / "previews").mkdir(parents=True)
        table = {"name": name, "seed": 0, "stages": [{"start": 0, "lr": lr}], "model": {"widths": [8, 8]}}
        (folder / "experiment.json").write_text(json.dumps(table))
        rows = [{"samples": 10 * i, "rec": 1 / i, "lr": lr, "samples_per_second": 40.0} for i in range(1, steps + 1)]
        rows += [{"samples": 10 * steps, "val_hole_psnr_right": 19.5, "val_cosine": float("nan")}]
        (folder / "stats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for i in range(previews):
            noise = np.random.default_rng(i).integers(0, 256, (40, 90, 3), np.uint8)
            Image.fromarray(noise).save(folder / "previews" / f"{100 * (i + 1):08d}.png")
        return folder

    return make


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "search"
    folder.mkdir()
    values = (0.3, None, 0.5, 0.4)
    states = ("COMPLETE", "FAIL", "COMPLETE", "PRUNED")
    trials = [
        {"number": i, "state": state, "value": value, "params": {"stages[0].lr": 0.1 * i}}
        for i, (value, state) in enumerate(zip(values, states, strict=True))
    ]
    trials[1]["error"] = "TwoFaceError: rec became nan"
    table = {"metric": "val_kept", "direction": "maximize", "trials": trials, "best": 2}
    (folder / "study.json").write_text(json.dumps(table | {"importance": {"stages[0].lr": 1.0}}))
    return folder


def page_of(*folders, out):
    return report(list(folders), out).read_text()


def test_one_run_and_four_stand_alone(make_run, tmp_path):
    runs = [make_run(name, lr) for name, lr in (("one", 0.1), ("two", 0.2), ("three", 0.1), ("four", 0.1))]
    one, four = page_of(runs[0], out=tmp_path / "one.html"), page_of(*runs, out=tmp_path / "four.html")
    for page in (one, four):
        assert not re.search(r'(src|href)="(?!data:)', page) and "url(" not in page and "<script" not in page
        assert "19.5" in page and "hole psnr right" in page and "after 600 samples" in page
    assert four.count("data:image/webp") == 4 * (1 + 4)  # of each run an animation and four steps
    assert (
        four.count('class="line s3"') == one.count('class="line s0"') == 3
    )  # rec, lr, speed: the same figures of each
    assert "stages[0].lr" in four.partition("Where the runs differ")[2].partition("resolved")[0]
    assert "<b>model.widths</b> = [8, 8]" in one and "not recorded" in one


def test_a_study_is_told_too(make_run, study, tmp_path):
    page = page_of(make_run("run"), study, out=tmp_path / "page.html")
    assert "Maximize val_kept" in page and "2 complete" in page and "1 fail" in page and "Best is trial 2" in page
    assert page.count("<circle") >= 3 and "PED-ANOVA" in page
    assert "Trial 1 failed: TwoFaceError: rec became nan" in page
    best = re.search(r"<tr><td class=\"n\">(\d)</td>", page)
    assert best.group(1) == "2"


def test_trials_of_which_none_is_above_0_are_drawn_too(study, tmp_path):
    text = (study / "study.json").read_text()
    (study / "study.json").write_text(re.sub(r'("value": )0\.\d', r"\g<1>0.0", text))
    assert page_of(study, out=tmp_path / "page.html").count("<circle") == 3


def test_the_animation_shows_every_step_and_is_bounded(make_run, monkeypatch):
    previews = sorted((make_run("run") / "previews").iterdir())
    whole = base64.b64decode(pictures.animation(previews).partition(",")[2])
    with Image.open(io.BytesIO(whole)) as moving:
        assert moving.n_frames == 6 and moving.size == (90, 40)
    monkeypatch.setattr(pictures, "ANIMATION_BYTES", 3000)
    small = base64.b64decode(pictures.animation(previews).partition(",")[2])
    assert len(small) <= 3000 < len(whole)
    assert pictures.animation(previews[:1]) is None


def test_spaced_keeps_the_ends():
    assert pictures.spaced(range(10), 4) == [0, 3, 6, 9] and pictures.spaced([1, 2], 4) == [1, 2]


def test_names_and_what_differs():
    assert distinct(["a", "b", "a"]) == ["a (1)", "b", "a (2)"]
    assert differing([{"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}]) == [("a.c", ["2", ""])]


def test_charts_leave_out_what_is_no_number():
    assert filter_numbers([("a", [1, 2, 3], [0.5, float("inf"), None])]) == [("a", [1], [0.5])]
    assert "nan" not in line_chart([("a", [1.0, 2.0, 3.0], [0.5, float("nan"), 0.7])])
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(17.2, 19.9) == [18, 19]


def test_a_line_cut_off_by_a_kill_and_a_stretch_told_twice(make_run):
    folder = make_run("run", steps=4)
    with (folder / "stats.jsonl").open("a") as file:
        file.write('{"samples": 20, "rec": 7.0}\n{"samples": 30, "rec": 8.0}\n{"samples": 40, "re')
    assert [(row["samples"], row["rec"]) for row in read_run(folder).training] == [(10, 1.0), (20, 7.0), (30, 8.0)]


def test_errors(make_run, tmp_path, capsys):
    folder = make_run("run")
    (folder / "stats.jsonl").write_text("{}x\n{}\n")
    with pytest.raises(InputError, match="stats.jsonl is damaged"):
        read_run(folder)
    with pytest.raises(InputError, match="7 runs do not fit"):
        report([make_run(f"r{i}", steps=1, previews=0) for i in range(7)], tmp_path / "page.html")
    picture = make_run("cut") / "previews" / "00000100.png"
    picture.write_bytes(picture.read_bytes()[:500])
    with pytest.raises(InputError, match="00000100.png is damaged"):
        report([picture.parents[1]], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
    assert main(["report", str(tmp_path / "none")]) == 2 and "experiment.json not found" in capsys.readouterr().err


def test_command(make_run, capsys):
    folder = make_run("run")
    assert main(["report", str(folder)]) == 0 and "report.html" in capsys.readouterr().out
    assert main(["report", str(folder)]) == 2 and "--force" in capsys.readouterr().err
