import numpy as np
import pytest

from twoface.core.errors import InputError
from twoface.research.evaluation.verify import best_threshold, ten_folds, verify
from twoface.research.models.pretrained import weights


def test_threshold_lies_between_the_kinds():
    assert best_threshold(np.array([0.6, 0.8]), np.array([0.1, 0.4])) == pytest.approx(0.5)
    assert best_threshold(np.array([0.3, 0.8, 0.9]), np.array([0.1, 0.5])) == pytest.approx(0.2)  # 4 of 5 either way


def test_ten_folds_judge_what_they_did_not_see():
    same, different = np.linspace(0.6, 0.9, 40), np.linspace(0.0, 0.3, 40)
    figures = ten_folds(same, different)
    assert figures["accuracy"] == 1 and figures["deviation"] == 0
    assert 0.3 < figures["threshold"] < 0.6
    random = np.random.default_rng(0).normal(size=(2, 400))
    assert abs(ten_folds(*random)["accuracy"] - 0.5) < 0.06


def test_too_few_people(data):
    with pytest.raises(InputError, match="4 people have two pictures, 10 are needed"):
        verify(weights("facenet-casia"), data, progress=False)
