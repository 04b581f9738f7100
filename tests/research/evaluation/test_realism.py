import numpy as np
import pytest
import torch

from twoface.core.parts import named_hole
from twoface.research.evaluation.realism import AROUND, SEEN, HoleFeatures, discrepancies, kid, resampled_kid


def of(fills, truths):
    return kid(discrepancies(fills, truths))


def test_kid_is_its_definition():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 3))
    y /= np.sqrt((y**2).mean())  # in these units it is given anyway

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    terms = [
        k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i]) for i in range(6) for j in range(6) if i != j
    ]
    assert of(x, y) == pytest.approx(np.mean(terms))


def test_kid_is_nought_for_the_truth_and_grows_with_the_distance():
    truths = np.random.default_rng(0).normal(size=(60, 8))
    assert of(truths, truths) == pytest.approx(0, abs=1e-12)
    near, far = of(truths + 0.3, truths), of(truths + 1, truths)
    assert 0 < near < far


def test_the_features_unit_does_not_matter():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20, 4))
    assert of(700 * x, 700 * y) == pytest.approx(of(x, y))


def test_kid_has_no_bias():
    """Of two samples of one distribution it is 0 in the mean, and so below 0 as often as above."""
    rng = np.random.default_rng(0)
    drawn = np.array([of(*rng.normal(size=(2, 20, 4))) for _ in range(400)])
    assert abs(drawn.mean()) < 3 * drawn.std() / 20
    assert 0.3 < (drawn < 0).mean() < 0.8


def test_what_both_have_round_the_hole_does_not_count():
    """Fill and truth share their surroundings: they are alike pair by pair, and that makes no fill more real."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        around = rng.normal(size=(20, 4))
        found.append(of(around + 0.1 * rng.normal(size=(20, 4)), around + 0.1 * rng.normal(size=(20, 4))))
    assert abs(np.mean(found)) < 4 * np.std(found) / 300**0.5


def test_resampling_lies_round_the_figure_and_is_fixed_by_its_seed():
    truths = np.random.default_rng(0).normal(size=(50, 4))
    found = discrepancies(truths * 1.3 + 0.4, truths)
    drawn = resampled_kid(found, 2000, seed=3)
    assert drawn.shape == (2000,)
    assert drawn.mean() == pytest.approx(kid(found), rel=0.05)
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert 0 < low < kid(found) < high
    assert np.array_equal(drawn, resampled_kid(found, 2000, seed=3))
    assert not np.array_equal(drawn, resampled_kid(found, 2000, seed=4))


class Looker(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = None

    def forward(self, pictures, names):
        self.seen = pictures
        return [torch.nn.functional.avg_pool2d(pictures, 32)]


def test_features_see_the_hole_and_its_rim_alone():
    looker, hole = Looker(), named_hole("mouth")
    features = HoleFeatures(looker)
    picture = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    holes = np.stack([hole, hole])
    before = features(picture, holes)
    assert looker.seen.shape == (2, 3, SEEN, SEEN) and looker.seen.min() >= 0 and looker.seen.max() <= 1
    assert before.shape == (2, 3) and before.dtype == np.float64
    assert before == pytest.approx(looker.seen.mean((2, 3)).numpy() / 13, abs=1e-6)  # pool5's deviation over faces
    ys, xs = np.nonzero(hole)
    other = picture.copy()
    other[:, : ys.min() - AROUND] = 0
    other[:, :, : xs.min() - AROUND] = 0
    assert np.array_equal(features(other, holes), before)
    other[:, ys.min() - 1, xs.min() :] = 0
    assert not np.array_equal(features(other, holes), before)


def test_few_pictures_have_an_interval_too():
    truths = np.random.default_rng(0).normal(size=(3, 4))
    drawn = resampled_kid(discrepancies(truths + 1, truths), 500)
    assert 300 < len(drawn) < 500 and np.isfinite(drawn).all()
