import cv2
import numpy as np
import pytest

from twoface.core.parts import named_hole
from twoface.research.evaluation.baselines import BASELINES, matched_paste, mean_colour, paste


@pytest.fixture
def hole():
    return named_hole("center")


@pytest.fixture
def masked(hole, picture):
    return np.where(hole[..., None], np.uint8(0), picture(0)[:128, :128])


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("shape", ["center", "left"])
def test_keeps_the_known_pixels_and_fills_the_others(name, shape, masked, picture):
    hole = named_hole(shape)
    masked = np.where(hole[..., None], np.uint8(0), masked)
    before = masked.copy()
    filled = BASELINES[name](masked, hole, picture(1)[:128, :128])
    assert filled.dtype == np.uint8
    assert np.array_equal(filled[~hole], masked[~hole])
    assert filled[hole].any(axis=1).mean() > 0.9
    assert np.array_equal(masked, before)


def test_paste_is_the_reference(masked, hole, picture):
    reference = picture(1)[:128, :128]
    assert np.array_equal(paste(masked, hole, reference)[hole], reference[hole])


def test_mean_colour_is_that_of_the_known_pixels(masked, hole):
    assert np.array_equal(mean_colour(masked, hole, None)[hole][0], np.rint(masked[~hole].mean(0)))


def test_matched_paste_undoes_a_change_of_light(hole, picture):
    """The reference is the very picture, darker and flatter in Lab: matching gives the picture back."""
    lab = cv2.cvtColor(np.float32(picture(0)[:128, :128]) / 255 * 0.5 + 0.25, cv2.COLOR_RGB2LAB)
    truth, reference = (
        np.uint8(np.rint(cv2.cvtColor(v, cv2.COLOR_LAB2RGB).clip(0, 1) * 255))
        for v in (lab, lab * np.float32([0.7, 0.8, 0.8]) - np.float32([5, 2, 0]))
    )
    masked = np.where(hole[..., None], np.uint8(0), truth)
    before = np.abs(paste(masked, hole, reference).astype(int) - truth).mean()
    after = np.abs(matched_paste(masked, hole, reference).astype(int) - truth).mean()
    assert before > 5
    assert after < 0.5
