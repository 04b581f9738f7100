"""`twoface index` and `twoface fill --reference-from` as a user runs them, with the real networks."""

import json
import shutil

import pytest

from twoface.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory, samples):
    """An index of the two samples, of one person."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWOFACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        photos = tmp_path_factory.mktemp("album") / "someone"
        photos.mkdir()
        for name in ("photo.jpg", "reference.jpg"):
            shutil.copy(samples / name, photos)
        place = photos.parent / "index"
        assert main(["index", "build", str(photos), "--people", "--workers", "1", "--index", str(place)]) == 0
        yield place


def test_what_is_in_it_is_told_and_checked(place, capsys):
    assert main(["index", "stats", "--index", str(place)]) == 0
    assert "2 photos, 2 faces" in capsys.readouterr().out
    assert main(["index", "verify", "--index", str(place)]) == 0
    assert "everything is there" in capsys.readouterr().out
    assert main(["index", "update", "--index", str(place)]) == 0
    assert "0 photos looked at" in capsys.readouterr().out


def test_a_search_shows_the_scores_and_writes_a_page(place, tmp_path, samples, capsys):
    out = [str(tmp_path / "found.html"), str(tmp_path / "found.json")]
    call = ["index", "search", str(samples / "photo.jpg"), "--hole", "eyes", "--index", str(place)]
    assert main([*call, "--html", out[0], "--report", out[1]]) == 0
    told = capsys.readouterr().out
    assert "reference.jpg" in told and "photo.jpg" not in told.replace("samples", "")
    assert json.loads((tmp_path / "found.json").read_text())["left_out"]["copies"] == 1
    assert main([*call, "--html", out[0]]) == 2


def test_the_reference_is_found_and_the_report_says_which(place, tmp_path, samples, capsys):
    out, report = tmp_path / "filled.png", tmp_path / "report.json"
    call = ["fill", str(samples / "photo.jpg"), "--hole", "eyes", "--reference-from", str(place), "-o", str(out)]
    assert main([*call, "--report", str(report), "--try", "2"]) == 0
    told = json.loads(report.read_text())
    assert told["search"]["used"].endswith("someone/reference.jpg") and out.exists()
    assert told["reference_why"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["index", "stats", "--index", "nowhere"], "there is no index at"),
        (["index", "build", "nowhere", "--index", "{tmp}/new"], "is not a folder"),
        (["fill", "a.jpg", "--hole", "eyes", "--reference-from", "i", "--reference", "b", "-o", "c.jpg"], "leave"),
        (["fill", "{photo}", "--hole", "eyes", "--reference-from", "nowhere", "-o", "{tmp}/c.jpg"], "no index at"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(command, text, tmp_path, samples, capsys):
    command = [part.format(tmp=tmp_path, photo=samples / "photo.jpg") for part in command]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1


def test_what_the_search_needs_is_named_before_anything_is_imported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("twoface.cli.search.NEEDED", ("no_such_package",))
    assert main(["index", "stats", "--index", str(tmp_path)]) == 1
    assert "this command needs no_such_package: run pip install -e .[search]" in capsys.readouterr().err
