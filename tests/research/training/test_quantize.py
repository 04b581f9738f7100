"""An exported network with 8-bit convolutions."""

import hashlib
from collections import Counter

import numpy as np
import onnx
import pytest
import torch

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import sha256
from twoface.core.mesh import template_mesh
from twoface.core.network import INT8_OF, FillModel, shipped
from twoface.research import quantize as quantizing
from twoface.research.export import export
from twoface.research.models.generator import TransferGenerator
from twoface.research.models.see_through import SeeThrough
from twoface.research.quantize import quantize
from twoface.research.training import checkpoints
from twoface.research.training.config import parse_experiment, to_table
from twoface.research.training.start import start_from

WIDTHS = (16, 16, 16, 16)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(3)
    folder, generator = tmp_path_factory.mktemp("run"), TransferGenerator(WIDTHS).eval()
    experiment = to_table(parse_experiment({"name": "small", "model": {"widths": WIDTHS}}))
    checkpoints.save(folder, {"samples": 4, "experiment": experiment}, generator)
    export(folder, folder / "small.onnx", data="colours")
    return folder / "small.onnx"


@pytest.fixture(scope="module")
def made(exported, prepared):
    report = quantize(exported, exported.with_name("int8.onnx"), prepared, pairs=2)
    return exported.with_name("int8.onnx"), report


def test_all_but_the_convolutions_of_pictures_have_8_bits(made, exported):
    path, report = made
    model = onnx.load(path)
    weights = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    kinds = Counter(node.input[1] in weights for node in model.graph.node if node.op_type == "Conv")
    assert kinds[True] > 30 and 0 < kinds[False] < 10
    assert (
        report["difference"].startswith("fills differ by ")
        and report["bytes"] == path.stat().st_size < exported.stat().st_size
    )


def test_the_file_says_what_it_was_made_of(made, exported):
    one, other = FillModel(made[0]).metadata, FillModel(exported).metadata
    assert one == other | {INT8_OF: hashlib.sha256(exported.read_bytes()).hexdigest()}


def test_what_cannot_be_used_is_refused(made, exported, prepared, tmp_path):
    with pytest.raises(InputError, match="8-bit convolutions already"):
        quantize(made[0], tmp_path / "again.onnx", prepared)
    with pytest.raises(InputError, match="exists"):
        quantize(exported, made[0], prepared)
    with pytest.raises(InputError, match="the file that it was made of"):
        start_from(TransferGenerator(WIDTHS), made[0])
    assert not list(tmp_path.iterdir())


def test_a_network_whose_fills_are_others_is_not_written(exported, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(quantizing, "FILLS", quantizing.Kind("fills differ by {}", 0.0))
    with pytest.raises(TwoFaceError, match="fills differ"):
        quantize(exported, tmp_path / "int8.onnx", prepared, pairs=2)
    assert not list(tmp_path.iterdir())


def test_the_see_through_network_gives_the_same_points(prepared, tmp_path):
    torch.manual_seed(3)
    generator = SeeThrough(WIDTHS)
    generator.set_space(template_mesh() + np.random.default_rng(0).normal(0, 2, (120, 478, 3)))
    named = {"name": "small", "model": {"name": "see_through", "widths": WIDTHS}, "data": {"sets": "meshes"}}
    with torch.no_grad():  # the norms learn what there is
        generator(torch.rand(64, 3, 128, 128), torch.zeros(64, 1, 128, 128))
    experiment = to_table(parse_experiment(named | {"stages": [{"start": 0, "lr": 1e-3, "rec": 0.0, "mesh": 1.0}]}))
    checkpoints.save(tmp_path, {"samples": 4, "experiment": experiment}, generator.eval())
    export(tmp_path, tmp_path / "small.onnx")
    report = quantize(tmp_path / "small.onnx", tmp_path / "int8.onnx", prepared, pairs=4)
    assert report["difference"].startswith("points differ by 0.")
    model = onnx.load(tmp_path / "int8.onnx")
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["twoface.mesh"] == "1" and about[INT8_OF] == sha256(tmp_path / "small.onnx")
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) > 10
    with pytest.raises(InputError, match="8-bit convolutions already"):
        quantize(tmp_path / "int8.onnx", tmp_path / "again.onnx", prepared)


def test_the_two_files_that_ship_are_one_network():
    made_of = FillModel(shipped(), threads=1).metadata[INT8_OF]
    assert made_of == hashlib.sha256(shipped("cuda").read_bytes()).hexdigest()
