"""An exported network with 8-bit convolutions."""

import hashlib
from collections import Counter

import onnx
import pytest
import torch

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.network import INT8_OF, FillModel, shipped
from twoface.research import quantize as quantizing
from twoface.research.export import export
from twoface.research.models.generator import TransferGenerator
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
    assert 0 < report["difference"] < 2 and report["bytes"] == path.stat().st_size < exported.stat().st_size


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
    monkeypatch.setattr(quantizing, "PARITY", 0.0)
    with pytest.raises(TwoFaceError, match="fills differ"):
        quantize(exported, tmp_path / "int8.onnx", prepared, pairs=2)
    assert not list(tmp_path.iterdir())


def test_the_two_files_that_ship_are_one_network():
    made_of = FillModel(shipped(), threads=1).metadata[INT8_OF]
    assert made_of == hashlib.sha256(shipped("cuda").read_bytes()).hexdigest()
