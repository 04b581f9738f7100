import base64
import csv
import json
import re

import cv2
import numpy as np
import pytest

from twoface.cli import main
from twoface.core.errors import InputError
from twoface.research.evaluation.panel import SHOWN
from twoface.research.evaluation.rating import as_markdown, mix, score

HOLES = ("eyes", "mouth", "covered", "eyes")


@pytest.fixture
def fills(tmp_path):
    """Two folders of four fills, flat pictures whose colour says the network (blue) and the task (red)."""

    def write(name, network, holes=HOLES):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(len(holes)):
            for kind, colour in (("fill", (100 * network, 0, 20 * number)), ("photo", (250, 250, 20 * number))):
                picture = np.full((SHOWN, SHOWN, 3), colour, np.uint8)
                cv2.imwrite(str(folder / f"{number:02}-{kind}.png"), picture)
        tasks = {"model": {"file": f"{name}.onnx", "sha256": str(network)}, "tasks": [{"hole": hole} for hole in holes]}
        (folder / "tasks.json").write_text(json.dumps(tasks))
        return folder

    return write


@pytest.fixture
def panel(fills, tmp_path):
    mix(tmp_path / "panel", [fills("old", 1), fills("new", 2)], seed=5)
    return tmp_path / "panel"


def rate(path, ratings):
    path.write_text("number,rating\n" + "".join(f"{number},{rating}\n" for number, rating in ratings.items()))
    return path


def test_a_page_shows_everything_in_the_keys_order_and_names_no_network(panel, tmp_path):
    page, key = (panel / "panel.html").read_text(), json.loads((panel / "key.json").read_text())
    items = json.loads(re.search(r"const items = (.*);", page)[1])
    assert len(items) == len(key["entries"]) == 8
    for number, (fill, _, what) in enumerate(items, 1):
        entry = key["entries"][str(number)]
        blue, _, red = cv2.imdecode(np.frombuffer(base64.b64decode(fill), np.uint8), cv2.IMREAD_COLOR)[0, 0].tolist()
        assert (entry["model"], entry["task"]) == (blue // 100 - 1, red // 20)
        assert entry["hole"] == HOLES[entry["task"]]
        assert what == ("the covered photo" if entry["hole"] == "covered" else "the true photo")
    assert key["models"] == ["old", "new"] and key["seed"] == 5
    assert str(tmp_path) not in page + json.dumps(key)
    for word in ("old", "new.onnx", "eyes", "http", "src="):
        assert word not in re.sub(r"const items.*", "", page)
    order = [(entry["model"], entry["task"]) for entry in key["entries"].values()]
    assert sorted(order) == sorted(set(order)) != order


def test_sheets_and_an_empty_table_hold_the_same(panel):
    sheets = sorted(panel.glob("sheet-*.png"))
    assert len(sheets) == 2  # six pairs on the first, two on the second
    key = json.loads((panel / "key.json").read_text())["entries"]
    first = cv2.imread(str(sheets[0]))
    assert first[200, 100].tolist() == [100 * (key["1"]["model"] + 1), 0, 20 * key["1"]["task"]]
    rows = list(csv.DictReader((panel / "ratings.csv").read_text().splitlines()))
    assert [row["number"] for row in rows] == list(key) and not any(row["rating"] for row in rows)


def test_the_order_is_the_seeds(fills, tmp_path):
    folders = [fills("old", 1), fills("new", 2)]
    pages = [mix(tmp_path / f"panel{i}", folders, seed).read_text() for i, seed in enumerate((0, 0, 1))]
    assert pages[0] == pages[1] != pages[2]


def test_other_holes_cannot_be_mixed_and_nothing_is_overwritten(fills, panel, tmp_path):
    other = fills("other", 1, ("nose",) * 4)
    with pytest.raises(InputError, match="fill different holes"):
        mix(tmp_path / "second", [tmp_path / "old", other])
    with pytest.raises(InputError, match="exists"):
        mix(panel, [tmp_path / "old"])
    with pytest.raises(InputError, match="different names"):
        mix(tmp_path / "second", [tmp_path / "old", tmp_path / "old"])
    (tmp_path / "old" / "02-fill.png").unlink()
    with pytest.raises(InputError, match="02-fill.png is missing"):
        mix(tmp_path / "second", [tmp_path / "old"])
    assert not (tmp_path / "second").exists() or not list((tmp_path / "second").iterdir())


def test_ratings_meet_their_networks(panel, tmp_path):
    """The old network is rated 1 + task / 2 (rounded down), the new one two more."""
    key = json.loads((panel / "key.json").read_text())["entries"]
    ratings = {number: 1 + entry["task"] // 2 + 2 * entry["model"] for number, entry in key.items()}
    report = score([rate(tmp_path / "me.csv", ratings)], panel / "key.json")
    assert report["rated"] == 8 and list(report["means"]) == ["covered", "eyes", "mouth", "all"]
    old, new = report["means"]["eyes"]  # tasks 0 and 3
    assert (old["n"], old["mean"], new["mean"]) == (2, 1.5, 3.5) and old["low"] == 1 and old["high"] == 2
    assert [mean["mean"] for mean in report["means"]["all"]] == [1.5, 3.5]
    difference = report["differences"]["all"][0]
    assert (difference["mean"], difference["low"], difference["high"]) == (2, 2, 2)
    assert report["means"]["mouth"][0] == {"n": 1, "mean": 1, "low": None, "high": None}
    table = as_markdown(report)
    assert "| eyes | 1.50 [1.00, 2.00] (2) | 3.50 [3.00, 4.00] (2) | +2.00 [+2.00, +2.00] (2) |" in table
    assert "| mouth | 1.00 (1) | 3.00 (1) | +2.00 (1) |" in table


def test_several_people_and_what_nobody_rated(panel, tmp_path):
    key = json.loads((panel / "key.json").read_text())["entries"]
    old = [number for number, entry in key.items() if entry["model"] == 0]
    one = rate(tmp_path / "one.csv", dict.fromkeys(old, 2) | {old[0]: ""})
    two = rate(tmp_path / "two.csv", dict.fromkeys(old[1:], 3))
    report = score([one, two], panel / "key.json")
    assert report["rated"] == 3 and report["means"]["all"][0]["mean"] == 2.5
    assert report["means"]["all"][1]["mean"] is None and report["differences"]["all"][0]["n"] == 0
    assert "| all | 2.50 [2.50, 2.50] (3) |  |  |" in as_markdown(report)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ({"99": 3}, "no number '99'"),
        ({"1": 6}, "the rating of 1 is '6'"),
        ({"1": "good"}, "the rating of 1 is 'good'"),
        ({"1": ""}, "nothing is rated"),
    ],
)
def test_ratings_that_make_no_sense(panel, tmp_path, ratings, message):
    with pytest.raises(InputError, match=message):
        score([rate(tmp_path / "bad.csv", ratings)], panel / "key.json")


def test_what_is_no_key(panel, tmp_path):
    with pytest.raises(InputError, match="not the key of a panel"):
        score([rate(tmp_path / "me.csv", {"1": 1})], tmp_path / "old" / "tasks.json")
    with pytest.raises(InputError, match="cannot be read"):
        score([tmp_path / "none.csv"], panel / "key.json")


def test_on_the_command_line(fills, tmp_path, capsys):
    folders = [str(fills("old", 1)), str(fills("new", 2))]
    assert main(["evaluate", "--panel", str(tmp_path / "out"), "--fills", *folders, "--seed", "3"]) == 0
    assert "panel.html" in capsys.readouterr().out
    ratings = tmp_path / "out" / "ratings.csv"
    ratings.write_text(ratings.read_text().replace(",\n", ",4\n"))
    assert main(["evaluate", "--panel-score", str(ratings)]) == 0
    assert "| all | 4.00 [4.00, 4.00] (4) | 4.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the data to score on (--data DIR), or a panel"),
        (["--panel", "out"], "give --photos DIR"),
        (["--panel-fills", "out"], "give --photos DIR"),
    ],
)
def test_what_the_command_line_must_be_given(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err
