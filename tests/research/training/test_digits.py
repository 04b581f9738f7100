import json
from importlib import resources

import cv2
import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from safetensors.torch import save_file

from twoface.core.errors import InputError
from twoface.research.data.mnist import Digits
from twoface.research.models.digits import DigitClassifier, accuracy, digit_classifier, train_classifier
from twoface.research.training.config import parse_experiment, to_table
from twoface.research.training.digits import evaluate_digits
from twoface.research.training.tasks import build_networks
from twoface.research.training.validate_digits import DigitValidation, figures


def write_run(folder, name="mnist_two", shares=(0.4, 0.4, 0.2)):
    """A run that never learned."""
    table = {"model": {"name": name}, "data": {"kind": "mnist", "sets": "triples", "shares": shares, "hole": 7}}
    experiment = parse_experiment(table)
    generator, _ = build_networks(experiment, None)
    folder.mkdir()
    about = {"samples": "640", "experiment": json.dumps(to_table(experiment))}
    weights = {key: tensor.contiguous() for key, tensor in generator.state_dict().items()}
    save_file(weights, folder / "generator.safetensors", about)
    return folder


def test_what_an_evaluation_leaves(digits, tmp_path, capsys):
    run = write_run(tmp_path / "run")
    figures = evaluate_digits(run, digits)
    assert json.loads((run / "figures.json").read_text()) == figures
    assert (figures["digits"], figures["samples"]) == (40, 640)
    assert figures["kept_true"] == pytest.approx(figures["reader"])
    kinds = {"true", "masked", "mean_colour", "mean_digit", "filled_right", "filled_random", "filled_wrong"}
    assert {key[5:] for key in figures if key.startswith("kept_")} == kinds
    assert "reference of another digit" in capsys.readouterr().out
    height, width = cv2.imread(str(run / "matrix.png")).shape[:2]
    assert (height, width) == (28 + 4 + 11 * 88, 4 + 11 * 88)  # a row of references, then one for each digit
    with pytest.raises(InputError, match="exists"):
        evaluate_digits(run, digits)


def test_without_references_there_is_one_kind_of_fill_and_no_matrix(digits, tmp_path):
    run = write_run(tmp_path / "run", "mnist", (0.5, 0.5, 0.0))
    figures = evaluate_digits(run, digits, tmp_path / "out")
    assert "kept_filled" in figures and "kept_filled_right" not in figures
    assert not (tmp_path / "out" / "matrix.png").exists() and (tmp_path / "out" / "grid.png").exists()


def test_a_run_on_faces_is_refused(digits, tmp_path):
    table = {"model": {"name": "faces_initial"}, "data": {"sets": "triples", "hole": 32}}
    experiment = parse_experiment(table)
    generator, _ = build_networks(experiment, None)
    about = {"samples": "0", "experiment": json.dumps(to_table(experiment))}
    save_file({k: t.contiguous() for k, t in generator.state_dict().items()}, tmp_path / "generator.safetensors", about)
    with pytest.raises(InputError, match="export it"):
        evaluate_digits(tmp_path, digits)


def test_references_are_of_the_digit_they_should_be(digits):
    watch = DigitValidation(Digits.load(digits, "validation"), Reader(), Fabric(accelerator="cpu", devices=1), 7, True)
    assert (watch.shown_labels["right"] == watch.labels).all()
    assert (watch.shown_labels["wrong"] != watch.labels).all()
    same = (watch.shown["right"] - watch.target).abs().flatten(1).sum(1)
    assert same.min() > 0  # another picture of it
    assert len(set(watch.shown_labels["random"])) > 3


@pytest.mark.parametrize("paired", [True, False])
def test_the_figures_are_known_before(digits, paired):
    reader, fabric = Reader(), Fabric(accelerator="cpu", devices=1)
    watch = DigitValidation(Digits.load(digits, "validation"), reader, fabric, 7, paired)
    scores = watch.scores(lambda image, mask, reference: {"fill": image})
    assert set(scores) == set(figures(paired)) and watch.best in scores


class Reader(torch.nn.Module):
    """Sees the digit that the first pixel says."""

    def forward(self, digits):
        return torch.nn.functional.one_hot((digits[:, 0, 0, 0] * 9).round().long(), 10).float()


def test_class_kept_by_hand():
    pictures = np.zeros((4, 28, 28, 1), np.uint8)
    pictures[:, 0, 0, 0] = np.array([1, 2, 3, 5]) * 255 // 9
    digits = Digits(pictures, np.array([1, 2, 3, 4]))  # the last one is misread
    watch = DigitValidation(digits, Reader(), Fabric(accelerator="cpu", devices=1), 7, False)

    def black(image, mask, reference):
        return {"fill": torch.zeros_like(image)}

    scores = watch.scores(black)
    assert scores["class_kept"] == 0.75
    assert scores["hole_psnr"] == pytest.approx(40.0)  # the holes were black; 40 dB at most


def test_classifier_learns(digits):
    train = Digits.load(digits, "train")
    for label in range(10):  # a digit is a bright row
        train.pictures[train.labels == label, 2 * label : 2 * label + 3] = 255
    classifier = DigitClassifier()
    train_classifier(classifier, train, epochs=30)
    assert accuracy(classifier, train) > 0.9


def test_one_classifier_ships_and_reads_digits():
    one, two = digit_classifier(), digit_classifier()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not one.training and not any(p.requires_grad for p in one.parameters())
    assert (resources.files("twoface") / "weights" / "digits.safetensors").stat().st_size < 1e6
    stroke = torch.zeros(1, 1, 28, 28)
    stroke[..., 4:24, 13:15] = 1
    assert one(stroke).argmax() == 1
