"""An exported network: it agrees with PyTorch, and a training can start from it."""

import copy
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

from twoface.core.errors import InputError
from twoface.core.network import FillModel
from twoface.research import export as exporting
from twoface.research.export import INPUTS, OUTPUTS, average, export, largest_difference, to_onnx
from twoface.research.models.generator import TransferGenerator, enlarged
from twoface.research.training import checkpoints
from twoface.research.training.config import parse_experiment, to_table
from twoface.research.training.start import start_from

TINY = (8, 8, 8, 8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has been exported: its generator, ONNX of it in float32, the folder, the file, and the report."""
    torch.manual_seed(3)
    generator = TransferGenerator(TINY).eval()
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.05)  # as if trained: equal tensors would be stored once
    folder, graphs = tmp_path_factory.mktemp("run"), []
    experiment = to_table(parse_experiment({"name": "tiny", "model": {"widths": TINY}}))
    checkpoints.save(folder, {"samples": 4, "experiment": experiment}, generator)

    def kept(*arguments):
        graphs.append(to_onnx(*arguments))
        return graphs[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "to_onnx", kept)
        report = export(folder, folder / "tiny.onnx", data="colours")
    return SimpleNamespace(generator=generator, full=graphs[0], folder=folder, path=folder / "tiny.onnx", report=report)


@pytest.fixture(scope="module")
def exported(run):
    """A generator, and the file that was exported of it."""
    return run.generator, run.path


def test_export_of_a_run(run, tmp_path):
    model = FillModel(run.path)
    assert run.report["samples"] == 4 and run.report["largest_difference"] < 0.02
    assert model.metadata["twoface.samples_seen"] == "4" and model.metadata["twoface.data"] == "colours"
    with pytest.raises(InputError, match="exists"):
        export(run.folder, run.path)
    with pytest.raises(InputError, match="training run"):
        export(tmp_path, tmp_path / "other.onnx")


def test_onnx_agrees_with_pytorch_and_halves_the_weights(run):
    generator, full = copy.deepcopy(run.generator), run.full
    half = onnx.load(run.path)
    size = [sum(len(tensor.raw_data) for tensor in model.graph.initializer) for model in (half, full)]
    assert size[0] < 0.6 * size[1]
    assert b"/" + b"twoface/research/models" not in half.SerializeToString()  # no path of the machine it was made on
    assert [o.name for o in half.graph.output] == list(OUTPUTS)
    assert largest_difference(generator, full.SerializeToString(), tuple(INPUTS), "fill") < 1e-4
    assert largest_difference(generator, half.SerializeToString(), tuple(INPUTS), "fill") < 0.02
    with torch.no_grad():
        generator.picture.bias += 0.5
    assert largest_difference(generator, full.SerializeToString(), tuple(INPUTS), "fill") > 0.02  # the check can fail
    assert np.isfinite(largest_difference(generator, half.SerializeToString(), tuple(INPUTS), "fill"))


def test_starts_from_an_exported_file(exported):
    source, path = exported
    other = TransferGenerator(TINY)
    start_from(other, path)
    for name, tensor in source.state_dict().items():
        assert torch.allclose(other.state_dict()[name], tensor, atol=1e-3), name  # stored in half precision


def test_two_networks_are_averaged(exported):
    source, path = exported
    other = TransferGenerator(TINY)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    average(other, [path])
    for name, tensor in source.state_dict().items():
        assert torch.allclose(other.state_dict()[name], (before[name] + tensor) / 2, atol=1e-3), name


def test_of_three_networks_one_that_is_given_twice_counts_twice(exported):
    source, path = exported
    other = TransferGenerator(TINY)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    average(other, [path, path])
    for name, tensor in source.state_dict().items():
        assert torch.allclose(other.state_dict()[name], (before[name] + 2 * tensor) / 3, atol=1e-3), name


def test_a_new_input_starts_without_a_say(exported):
    _, path = exported
    wider = TransferGenerator(TINY)
    wider.stem = torch.nn.Conv2d(11, 8, 5, stride=2, padding=2)
    start_from(wider, path)
    assert not wider.stem.weight[:, 9:].any() and wider.stem.weight[:, :9].any()


def test_weights_from_before_the_correction_start_without_it(exported, tmp_path):
    source, path = exported
    model = onnx.load(path)
    kept = [i for i in model.graph.initializer if ".correct." not in i.name]
    assert len(kept) < len(model.graph.initializer)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, tmp_path / "before.onnx")
    other = TransferGenerator(TINY).eval()
    start_from(other, tmp_path / "before.onnx")
    assert torch.allclose(other.stem.weight, source.stem.weight, atol=1e-3)
    out = other(*(torch.rand(1, depth, 128, 128) for depth in (3, 1, 3, 1)))
    coarse = torch.nn.functional.avg_pool2d(out["offset"], 4)  # of a smooth field alone, enlarged
    assert torch.allclose(enlarged(coarse), out["offset"], atol=0.05)
    assert not other.correct[-1].weight.any()


def test_another_network_or_no_network_is_refused(exported, tmp_path):
    _, path = exported
    with pytest.raises(InputError, match="another network"):
        start_from(TransferGenerator((16, 8, 8, 8)), path)
    with pytest.raises(InputError, match="not found"):
        start_from(TransferGenerator(TINY), tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(InputError, match="not an ONNX file"):
        start_from(TransferGenerator(TINY), tmp_path / "text.onnx")
    with pytest.raises(InputError, match="training run"):
        start_from(TransferGenerator(TINY), tmp_path)
