import json
from importlib import resources

import numpy as np
import pytest

from twoface.core.errors import InputError
from twoface.core.identity import calibrated_holes, origin
from twoface.research.data.portraits import Portraits
from twoface.research.fitting import identity as module
from twoface.research.fitting.identity import ORIGIN, calibrate, chosen, main, origin_of, thresholds


def test_kinds_that_do_not_overlap():
    figures = thresholds([0.6, 0.7, 0.8, 0.9], [0.1, 0.2, 0.3])
    assert figures["accuracy"] == 1 and figures["eer"] == 0
    assert figures["best"] == figures["eer_at"] == 0.6
    assert figures["strangers_warned"] == 1
    assert (figures["same_pairs"], figures["different_pairs"]) == (4, 3)


def test_two_normal_distributions():
    """Means 2 deviations apart: 15.9 % of each kind lies beyond the middle (and 1 % of one kind below -2.326)."""
    rng = np.random.default_rng(0)
    figures = thresholds(rng.normal(2, 1, 40_000), rng.normal(0, 1, 40_000))
    assert figures["eer"] == pytest.approx(0.1587, abs=0.005)
    assert figures["eer_at"] == pytest.approx(1, abs=0.02)
    assert figures["accuracy"] == pytest.approx(0.8413, abs=0.005)
    assert figures["warn"] == pytest.approx(2 - 2.326, abs=0.05)
    assert figures["strangers_warned"] == pytest.approx(0.372, abs=0.02)


def test_warning_is_rare_for_the_same_person():
    same = np.linspace(0.3, 0.9, 1001)
    assert np.mean(same < thresholds(same, [0.0])["warn"]) == pytest.approx(0.01, abs=0.001)


def test_levels_say_what_one_threshold_does():
    levels = thresholds([0.29, 0.42, 0.5, 0.9], [0.1, 0.31])["levels"]
    assert levels["0.3"] == [0.25, 0.5]
    assert levels["0.45"] == [0.5, 1]
    assert levels["0.5"] == [0.5, 1]  # at the threshold itself nobody is warned


def test_the_origin_is_a_part_of_the_mean_of_all_faces(data, fake_embedder):
    portraits = Portraits.load(data, "val")
    towards = origin_of(portraits, fake_embedder, progress=False) / ORIGIN - origin()
    assert 0 < np.linalg.norm(towards) < 1  # each lies 1 apart from it, in directions of its own


def test_what_is_chosen_is_what_the_identity_reads(data, fake_embedder, network):
    portraits, start = Portraits.load(data, "val"), origin()
    report = calibrate(portraits, start, 3, embedder=fake_embedder, network=network(), progress=False)
    made, shipped = (
        chosen(report, start),
        json.loads((resources.files("twoface") / "weights" / "identity.json").read_text()),
    )
    assert made.keys() == shipped.keys() and made["same_person_warned"] == shipped["same_person_warned"]
    assert made["holes"].keys() == shipped["holes"].keys() == calibrated_holes().keys()
    assert made["holes"]["eyes"]["threshold"] == pytest.approx(report["views"]["eyes"]["warn"], abs=0.001)


def test_counts_pairs_of_people_with_two_pictures(data, fake_embedder, network):
    portraits = Portraits.load(data, "val")
    holes = {name: calibrated_holes()[name] for name in ("whole", "eyes")}
    report = calibrate(portraits, origin(), 3, holes, fake_embedder, network(), progress=False)
    assert (report["people"], report["crops"]) == (4, 3 + 2 + 3 + 2)  # d has one picture, c has four
    assert list(report["views"]) == ["whole", "eyes"]
    for view in report["views"].values():
        assert view["same_pairs"] == 3 + 1 + 3 + 1
        assert view["different_pairs"] == 10 * 9 / 2 - 8
        assert view["same_mean"] > view["different_mean"]


def test_the_hole_hides_what_is_in_it(data, fake_embedder, network):
    portraits = Portraits.load(data, "val")
    holes = {name: calibrated_holes()[name] for name in ("whole", "center 96")}
    before = calibrate(portraits, origin(), 2, holes, fake_embedder, network(), progress=False)["views"]
    portraits.crops[:, 60:100, 60:100] = 255 - portraits.crops[:, 60:100, 60:100]
    portraits.crops[::2, 60:100, 60:100] = 0
    after = calibrate(portraits, origin(), 2, holes, fake_embedder, network(), progress=False)["views"]
    assert after["center 96"] == before["center 96"]
    assert after["whole"] != before["whole"]


def test_too_few_crops_a_person(data):
    with pytest.raises(InputError, match="2 crops of a person or more, not 1"):
        calibrate(Portraits.load(data, "val"), origin(), 1)


def test_command_line(data, fake_embedder, network, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(module, "Embedder", lambda threads: fake_embedder)
    monkeypatch.setattr(module, "FillModel", lambda threads: network())
    given = ["--data", str(data), "--origin-split", "val", "--per-person", "2"]
    assert main(given) == 0
    assert json.loads(capsys.readouterr().out)["crops"] == 8
    assert main([*given, "--write", str(tmp_path / "identity.json")]) == 0
    assert "eyes" in json.loads((tmp_path / "identity.json").read_text())["holes"]


def test_command_line_with_bad_input(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 2
    assert "error: " in capsys.readouterr().err
