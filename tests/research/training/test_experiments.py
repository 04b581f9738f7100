"""Two steps of every experiment file on tiny data; a thesis run exported; known features; parts that clash."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from fakes import textured
from lightning.fabric import Fabric
from PIL import Image

from twoface.core.errors import InputError
from twoface.core.network import FillModel
from twoface.core.occlusion import Occlusion
from twoface.research import export as exporting
from twoface.research.export import export
from twoface.research.models.build import NEED_VGG
from twoface.research.training import trained as trained_runs
from twoface.research.training.config import load_experiment, parse_experiment, to_table
from twoface.research.training.loop import train
from twoface.research.training.step import Networks, Seen, train_step
from twoface.research.training.tasks import build_networks, open_task

FILES = sorted((Path(__file__).parents[3] / "experiments").glob("*.toml"))
BY_NAME = {path.stem: path for path in FILES}


class Reader(torch.nn.Module):
    def forward(self, digits):
        return digits.flatten(1)[:, 300:310]


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    """A folder of pictures with parts."""
    parsed = tmp_path_factory.mktemp("parsed")
    for kind in ("images", "masks"):
        (parsed / kind).mkdir()
    for seed in range(2):
        Image.fromarray(textured(64, 64, seed)).save(parsed / "images" / f"{seed}.jpg")
        Image.fromarray(np.ones((64, 64), np.uint8)).save(parsed / "masks" / f"{seed}.png")
    return parsed


@pytest.fixture
def data(digits, prepared, parsed):
    """The folder for a kind of data, and one of pictures with parts."""
    return {"mnist": digits, "portraits": prepared, "parsed": parsed}


def tiny(name, parsed=None, **changes):
    """The experiment of a file, its last stage from the start on, four samples long, two a step, its networks narrow.

    parsed: a folder of pictures with parts, for an experiment that learns from them.
    """
    table = to_table(load_experiment(BY_NAME[name]))
    if table["data"]["sets"] == "occluders":
        table["data"]["parsed"] = str(parsed or "")
    table["model"]["widths"] = [8, 8, 8, 8]
    table["train"] |= {"samples": 4, "batch": 2, "log_every": 1, "validate_every": 4}
    table["stages"] = [table["stages"][-1] | {"start": 0, "ramp": 0} | changes]
    return parse_experiment(table)


def run(experiment, data, frozen, out, **options):
    everything = replace(frozen, digits=Reader())
    where = data[experiment.data.kind]
    defaults = {"accelerator": "cpu", "precision": "32-true", "threads": 1, "frozen": everything}
    defaults["cache"] = data["portraits"] / "cache"
    return train(experiment, where, out, **(defaults | options))


@pytest.fixture(scope="module")
def runs():
    """The folders of runs that have ended, by name."""
    return {}


@pytest.fixture
def whole(runs, data, frozen, tmp_path_factory):
    """whole(name): the folder of a run of both steps of an experiment, not to be written to."""

    def finished(name):
        if name not in runs:
            out = tmp_path_factory.mktemp(name)
            assert run(tiny(name, data["parsed"]), data, frozen, out) == 4
            runs[name] = out
        return runs[name]

    return finished


# The files that are not like one before but for what `tiny` changes, such as their length.
DISTINCT = {json.dumps(to_table(tiny(name)) | {"name": ""}): name for name in reversed(BY_NAME)}.values()


@pytest.mark.parametrize("name", sorted(DISTINCT))
def test_two_steps_of_every_experiment(name, whole, frozen):
    build_networks(load_experiment(BY_NAME[name]), frozen.vgg)  # as wide as the file says
    rows = [json.loads(line) for line in (whole(name) / "stats.jsonl").read_text().splitlines()]
    steps, scores = rows[:2], rows[2]
    experiment = tiny(name)
    stage = experiment.stages[0]
    terms = ("rec", "perceptual", "adv_local", "adv_global")
    assert {t for t in terms if t in steps[0]} == {t for t in terms if getattr(stage, t)}  # weight 0: not computed
    judged = {f"adv_{key.removeprefix('discriminator_')}" for key in steps[0] if key.startswith("discriminator_")}
    assert judged == set(stage.discriminate)
    figures = {"mnist": "class_kept", "mnist_two": "class_kept_wrong", "see_through": "error_center"}
    figures["occlusion"] = "iou"
    figure = figures.get(experiment.model.name, "cosine_truth_right")
    assert np.isfinite(scores[f"val_{figure}"])
    assert (whole(name) / "previews" / "00000004.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["mnist_two", "faces_initial"])
def test_dropout_and_batch_norm_resume_exactly(name, whole, data, frozen, tmp_path):
    run(tiny(name), data, frozen, tmp_path, max_steps=1)
    run(tiny(name), data, frozen, tmp_path, resume=True)
    at_once, resumed = (torch.load(out / "state.pt", weights_only=True) for out in (whole(name), tmp_path))
    for part in ("generator", "averaged", "judges"):
        for key, tensor in at_once[part].items():
            assert torch.equal(tensor, resumed[part][key]), (part, key)


def test_without_an_average_the_shipped_weights_and_buffers_are_the_last_ones(whole):
    state = torch.load(whole("faces_initial") / "state.pt", weights_only=True)
    for key, tensor in state["generator"].items():
        assert torch.allclose(tensor.float(), state["averaged"][f"module.{key}"].float()), key


@pytest.mark.parametrize("name", NEED_VGG)
def test_features_known_beforehand_are_those_of_the_pictures(name, data, frozen, tmp_path):
    experiment, fabric = tiny(name), Fabric(accelerator="cpu", devices=1)
    generator, judges = build_networks(experiment, frozen.vgg)
    for _ in range(2):  # computed, then read from the cache
        task = open_task(experiment, data["portraits"], tmp_path, frozen, generator, judges, fabric)
    drawn = torch.utils.data.default_collate([task.samples[i] for i in range(3)])
    batch = task.batch(drawn)
    masked, reference = batch.seen.generator
    for known, picture in ((masked, batch.target * (1 - batch.mask)), (reference, batch.reference)):
        wanted = generator.look(picture)
        assert torch.allclose(known, wanted, rtol=1e-2, atol=1e-3 * wanted.abs().max())
    names = tuple(judges.judges)
    for key, view in judges.look(names, batch.real, batch.mask).items():
        assert torch.allclose(batch.seen.real[key], view, rtol=1e-2, atol=1e-3 * view.abs().max())
    assert bool(batch.seen.reference) == judges.paired


@pytest.mark.parametrize("name", NEED_VGG)
def test_a_step_is_the_same_with_known_features(name, data, frozen, tmp_path):
    experiment, fabric = tiny(name), Fabric(accelerator="cpu", devices=1)
    terms = []
    for known in (True, False):
        torch.manual_seed(0)
        generator, judges = build_networks(experiment, frozen.vgg)
        task = open_task(experiment, data["portraits"], tmp_path, frozen, generator, judges, fabric)
        batch = task.batch(torch.utils.data.default_collate([task.samples[i] for i in range(2)]))
        g = fabric.setup(generator, torch.optim.Adam(generator.parameters()))
        d = fabric.setup(judges, torch.optim.Adam(judges.parameters()))
        nets = Networks(g[0], d[0], g[1], d[1], frozen.vgg, frozen.facenet)
        batch = batch if known else replace(batch, seen=Seen())
        terms.append(train_step(fabric, nets, batch, experiment.stages[0], experiment.train, 0, experiment.losses))
    for key, value in terms[0].items():
        assert float(value) == pytest.approx(float(terms[1][key]), rel=0.02), key


def test_a_thesis_run_is_exported_for_its_own_hole(whole, frozen, tmp_path, monkeypatch):
    monkeypatch.setattr(trained_runs, "VGG16", lambda path: frozen.vgg)
    monkeypatch.setattr(trained_runs, "weights", lambda name: None)
    report = export(whole("faces_final"), tmp_path / "final.onnx")
    assert report["largest_difference"] < exporting.PARITY
    model = FillModel(tmp_path / "final.onnx")
    assert model.metadata["twoface.hole"] == "48,48,80,80"
    image, mask = np.random.default_rng(0).random((3, 3, 128, 128), np.float32), np.zeros((3, 1, 128, 128), np.float32)
    mask[:, :, 48:80, 48:80] = 1
    out = model.run(image, mask, image)
    assert np.array_equal(out["synthesis"], out["fill"]) and out["fill"][:, :, 48:80, 48:80].min() > 0
    assert not out["weight"].any() and not out["flow"].any() and (out["gain"] == 1).all()
    mask[:, :, 40] = 1
    with pytest.raises(InputError, match="48,48,80,80"):
        model.run(image, mask, image)
    assert onnxruntime.InferenceSession(tmp_path / "final.onnx").get_inputs()[0].shape[0] != 3  # any batch


def test_an_occlusion_run_is_exported_and_needs_its_pictures(whole, data, frozen, tmp_path):
    assert export(whole("occlusion"), tmp_path / "occlusion.onnx")["largest_difference"] < exporting.PARITY
    chance = Occlusion(1, tmp_path / "occlusion.onnx").look(textured(128, 128))
    assert chance.shape == (128, 128) and 0 <= chance.min() <= chance.max() <= 1
    with pytest.raises(InputError, match=r"data\.parsed"):
        run(tiny("occlusion"), data, frozen, tmp_path / "none")


def test_a_run_on_digits_is_not_exported(whole, tmp_path):
    with pytest.raises(InputError, match="digits of 28x28"):
        export(whole("mnist"), tmp_path / "no.onnx")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("mnist", {"adv_local": 1.0}, "mnist has no adv_local"),
        ("mnist_two", {"identity": 0.1, "rec": 1.0}, "mnist_two has no identity"),
        ("faces_final", {"smooth": 0.1}, "faces_final has no smooth"),
        ("faces_vgg", {"discriminate": ["adv_local"]}, "faces_vgg has no adv_local"),
        ("see_through", {"occlusion": 1.0}, "see_through has no occlusion"),
    ],
)
def test_terms_that_a_model_cannot_have(name, changes, message, data, frozen, tmp_path):
    with pytest.raises(InputError, match=message):
        run(tiny(name, **changes), data, frozen, tmp_path)


@pytest.mark.parametrize(
    ("name", "section", "change", "message"),
    [
        ("mnist", "data", {"kind": "portraits"}, "mnist is not for portraits"),
        ("transfer", "data", {"kind": "mnist"}, "transfer is not for mnist"),
        ("faces_final", "data", {"sets": "pairs"}, "must be triples for faces_final"),
        ("transfer", "data", {"sets": "triples"}, "must be pairs for transfer"),
    ],
)
def test_parts_that_do_not_go_together(name, section, change, message, data, frozen, tmp_path):
    table = to_table(tiny(name))
    table[section] |= change
    with pytest.raises(InputError, match=message):
        run(parse_experiment(table), {"portraits": data["portraits"], "mnist": data["mnist"]}, frozen, tmp_path)
