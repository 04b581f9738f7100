import cv2
import numpy as np
import pytest
from fakes import textured

from twoface.core.masks import box_hole
from twoface.core.tone import tone_of, toned

HOLE = box_hole((60, 50, 130, 120), (180, 200))
COLOURS = textured(180, 200)
GREY = cv2.cvtColor(COLOURS, cv2.COLOR_RGB2GRAY)
FILL = textured(180, 200, 8)
TONES = {
    "grey": lambda x: (x, x, x),
    "cast": lambda x: (x, 0.97 * x, 0.9 * x),
    "sepia": lambda x: (0.98 * x**0.85, 0.94 * x, 0.8 * x**1.2),
    "cyanotype": lambda x: (0.92 * x**1.6, 0.02 + 0.94 * x, 0.16 + 0.8 * x**0.8),
}


def photo_of(tone):
    return (np.stack(TONES[tone](GREY / 255), -1) * 255).round().astype(np.uint8)


def filled(known):
    return np.where(HOLE[..., None], FILL, known)


@pytest.mark.parametrize("tone", TONES)
def test_a_fill_takes_the_tone_of_its_photo(tone):
    known = photo_of(tone)
    result = toned(known, filled(known), tone_of(known, HOLE))
    assert np.array_equal(result[~HOLE], known[~HOLE])
    luma = cv2.cvtColor(result, cv2.COLOR_RGB2GRAY)[HOLE]
    assert np.abs(luma.astype(int) - cv2.cvtColor(FILL, cv2.COLOR_RGB2GRAY)[HOLE]).max() <= 3
    found = np.abs(result.astype(int) - result.mean(-1, keepdims=True))[HOLE].mean(0)
    theirs = np.abs(known.astype(int) - known.mean(-1, keepdims=True))[~HOLE].mean(0)
    assert np.abs(found - theirs).max() < (0.01 if tone == "grey" else 4)


def test_noise_is_no_colour():
    noise = np.random.default_rng(1).normal(0, 10, COLOURS.shape)
    known = np.clip(photo_of("sepia") + noise, 0, 255).astype(np.uint8)
    assert tone_of(known, HOLE) is not None


def test_a_photo_of_colours_has_no_tone():
    assert tone_of(COLOURS, HOLE) is None


def test_colours_in_the_hole_do_not_count():
    known = photo_of("grey")
    known[HOLE] = (255, 0, 0)
    assert (np.ptp(toned(known, filled(known), tone_of(known, HOLE)), axis=2) == 0).all()


def test_nothing_known_says_nothing():
    assert tone_of(COLOURS, np.ones((180, 200), bool)) is None


def test_a_grey_fill_has_the_brightness_of_the_network_to_the_level():
    known = photo_of("grey")
    tone = tone_of(known, HOLE)
    assert tone.shape == (256, 3) and np.abs(tone.astype(int) - np.arange(256)[:, None]).max() <= 1
    same = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    given = filled(known)
    result = toned(known, given, same)
    luma = np.rint(given.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))
    assert np.array_equal(result[HOLE][:, 0], luma[HOLE].astype(np.uint8))
    assert np.array_equal(given, filled(known))  # which stays as it is


def test_a_tone_is_the_curve_of_its_photo_at_every_brightness():
    known = photo_of("sepia")
    tone = tone_of(known, HOLE)
    for level in range(60, 200, 5):
        near = np.abs(known.astype(float) @ (0.299, 0.587, 0.114) - level) < 1.5
        assert np.abs(tone[level] - known[near].mean(0)).max() < 3.5


def test_a_few_coloured_places_are_no_colours_and_many_are():
    known = photo_of("grey")
    known[:6, :60] = (200, 60, 60)
    assert tone_of(known, HOLE) is not None
    known[:40] = (200, 60, 60)
    assert tone_of(known, HOLE) is None


def test_a_tone_follows_a_curve_that_bends_every_32_levels():
    """Sampled half as finely it would be cut off, or taken for colours."""
    levels = np.arange(256)
    bend = 20 * (1 - np.abs(levels % 64 - 32) / 16)
    curve = levels[:, None] + bend[:, None] * (0.5, 0, -0.5 * 0.299 / 0.114)  # which adds no brightness
    known = np.clip(np.rint(curve[np.linspace(20, 235, 48 * 48).astype(int).reshape(48, 48)]), 0, 255).astype(np.uint8)
    tone = tone_of(known, np.zeros((48, 48), bool))
    assert np.abs(tone - np.clip(curve, 0, 255))[30:225].mean() < 1.2
