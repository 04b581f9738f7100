import cv2
import numpy as np
import pytest

from twoface.research.evaluation.metrics import bootstrap_interval, hole_detail, hole_psnr, whole_ssim


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(40, 200, (32, 32, 3), np.uint8)


@pytest.fixture
def hole():
    mask = np.zeros((32, 32), bool)
    mask[8:20, 8:24] = True
    return mask


def test_psnr_of_a_known_error(truth, hole):
    assert hole_psnr(truth, truth + np.uint8(16), hole) == pytest.approx(10 * np.log10(255**2 / 16**2))


def test_psnr_sees_only_the_hole(truth, hole):
    other = truth.copy()
    other[~hole] = 0
    assert hole_psnr(truth, other, hole) == float("inf")
    other[10, 10, 1] ^= 1
    assert np.isfinite(hole_psnr(truth, other, hole))


def test_psnr_does_not_wrap_around(hole):
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)
    assert hole_psnr(black, white, hole) == hole_psnr(white, black, hole) == 0


def test_ssim_is_one_for_equal_pictures_and_falls_with_the_damage(truth, hole):
    small, large = truth.copy(), truth.copy()
    small[hole] = truth.mean()
    large[:] = truth.mean()
    assert whole_ssim(truth, truth) == 1
    assert 0.9 > whole_ssim(truth, small) > whole_ssim(truth, large) > -1


def test_bootstrap_interval_is_about_two_standard_errors_wide():
    values = np.random.default_rng(1).normal(3, 2, 400)
    low, high = bootstrap_interval(values, samples=2000)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)


def test_bootstrap_is_fixed_by_its_seed_and_narrower_at_a_lower_level():
    values = np.arange(50)
    assert bootstrap_interval(values, 200, seed=4) == bootstrap_interval(values, 200, seed=4)
    assert bootstrap_interval(values, 200, seed=4) != bootstrap_interval(values, 200, seed=5)
    wide, narrow = bootstrap_interval(values, 500), bootstrap_interval(values, 500, level=0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_detail_is_one_for_the_truth_and_falls_with_blur():
    truth, hole = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), np.zeros((64, 64), bool)
    hole[16:48, 16:48] = True
    assert hole_detail(truth, truth, hole) == 1
    blurred = np.where(hole[..., None], cv2.GaussianBlur(truth, (0, 0), 2), truth)
    assert hole_detail(truth, blurred, hole) < 0.3
    assert hole_detail(truth, np.where(hole[..., None], truth, 0), hole) == pytest.approx(1, abs=0.1)
