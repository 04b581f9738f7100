from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fakes import textured

from twoface.core.choice import sharpness
from twoface.core.copies import copy_score, same_picture
from twoface.core.faces import TEMPLATE
from twoface.core.frame import UPRIGHT
from twoface.core.identity import calibrated_holes
from twoface.core.parts import named_hole
from twoface.search.collection import _order
from twoface.search.rank import (
    Calibration,
    Wanted,
    calibration_for,
    donor_quality,
    hides,
    probability,
    verdict,
)
from twoface.search.rows import FaceRow

EYES = named_hole("eyes")
NOTHING = np.zeros((128, 128), bool)


def row(**changes):
    figures = dict(size=128.0, yaw=0.0, pitch=0.0, roll=0.0, sharpness=0.2, eyes_open=0.5, mouth_open=0.2)
    base = dict(path="a", face=0, identity="", vectors=None, frame=UPRIGHT, box=(), landmarks=(), score=1.0)
    return FaceRow(**base | figures | changes)


def wanted(hole=EYES, **changes):
    return Wanted(**{"hole": hole, "pose": (0, 0), "size": 128, "eyes_open": None, "mouth_open": 0.2} | changes)


def quality(row, wanted=None, aligned=None, size=(128, 128), hidden=NOTHING):
    aligned = textured(128, 128) if aligned is None else aligned
    return donor_quality(wanted or WANTED, row, aligned, size, hidden)


WANTED = wanted()


def test_a_blurred_face_is_less_sharp():
    sharp = textured(128, 128)
    assert sharpness(cv2.GaussianBlur(sharp, (0, 0), 2)) < 0.5 * sharpness(sharp)
    assert sharpness(np.full((128, 128, 3), 90, np.uint8)) == 0


def copies(picture):
    larger = cv2.resize(picture, (200, 200), interpolation=cv2.INTER_CUBIC)
    return {
        "itself": picture,
        "scaled": cv2.resize(larger, (128, 128), interpolation=cv2.INTER_AREA),
        "compressed": cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1),
        "brighter": np.clip(picture * 1.1 + 10, 0, 255).astype(np.uint8),
        "aligned a little otherwise": np.roll(picture, (2, -1), (0, 1)),
    }


@pytest.mark.parametrize("kind", copies(textured(128, 128)))
def test_copies_are_recognised_by_what_is_visible(kind):
    picture = textured(128, 128)
    covered = np.where(EYES[..., None], np.uint8(0), picture)
    assert same_picture(covered, copies(picture)[kind], ~EYES)


def test_another_picture_is_no_copy():
    assert copy_score(textured(128, 128), textured(128, 128, seed=1), ~EYES) < 0.5


def test_probability_falls_with_the_size_of_the_collection():
    known = Calibration("whole", -6.0, 20.0)
    few, many = (probability(known.log_odds(0.5, 0.5, n)) for n in (10, 10_000))
    assert few > 0.8 > 0.1 > many
    assert probability(0) == 0.5


def test_verdicts():
    assert [verdict(p) for p in (0.95, 0.5, 0.01)] == ["same", "maybe", "nobody"]


def test_the_person_is_ordered_by_what_the_photos_give_and_others_by_who_they_are():
    def candidate(name, verdict, probability, quality):
        return SimpleNamespace(name=name, verdict=verdict, probability=probability, quality=quality)

    found = [
        candidate("stranger, fine photo", "nobody", 0.01, 1.0),
        candidate("maybe, fine photo", "maybe", 0.3, 0.9),
        candidate("maybe, more alike", "maybe", 0.6, 0.1),
        candidate("same, more alike", "same", 0.99, 0.2),
        candidate("same, fine photo", "same", 0.91, 0.8),
        candidate("stranger, more alike", "nobody", 0.05, 0.1),
    ]
    assert [each.name for each in sorted(found, key=_order)] == [
        *("same, fine photo", "same, more alike"),
        *("maybe, more alike", "maybe, fine photo"),
        *("stranger, more alike", "stranger, fine photo"),
    ]


def test_every_hole_has_a_calibration():
    for name, hole in calibrated_holes().items():
        known = calibration_for(hole)
        assert known.hole == name and known.whole > 0 and (known.again > 0) == (name != "whole")
    assert calibration_for(NOTHING).again == 0, "nothing is hidden: the photo tells no more than the index"
    assert calibration_for(EYES).hole == "eyes"


def test_a_good_donor_beats_one_that_is_turned_blurred_small_or_cut_off():
    sharp = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    good = quality(row(), aligned=sharp)
    assert min(good.values()) == pytest.approx(1, abs=0.05)
    assert quality(row(yaw=50.0))["visible"] < quality(row())["visible"]
    assert quality(row(yaw=30.0))["pose"] < 0.5
    assert quality(row(size=40.0))["size"] == pytest.approx(40 / 128)
    assert quality(row(size=128.0), wanted(size=256))["size"] == 0.5  # of a photo that shows more
    assert quality(row(size=512.0), wanted(size=2000))["size"] == 1  # but four times the crop's is enough
    assert quality(row(), aligned=cv2.GaussianBlur(textured(128, 128), (0, 0), 3))["sharp"] < 0.3
    assert quality(row(frame=UPRIGHT.shifted(-64, 0)))["visible"] == pytest.approx(0.5, abs=0.1)
    assert quality(row(mouth_open=0.9))["expression"] < 0.1


def test_pose_and_expression_are_gaussians():
    same = np.exp(-0.5)
    asked = wanted(pose=(10, -5))
    assert quality(row(yaw=30.0, pitch=-5.0), asked)["pose"] == pytest.approx(same)
    assert quality(row(yaw=10.0, pitch=15.0), asked)["pose"] == pytest.approx(same)
    assert quality(row(yaw=10.0, pitch=-5.0), asked)["pose"] == 1
    asked = wanted(eyes_open=0.5, mouth_open=0.2)
    assert quality(row(mouth_open=0.4), asked)["expression"] == pytest.approx(same)
    assert quality(row(eyes_open=0.3, mouth_open=0.4), asked)["expression"] == pytest.approx(same**2)
    assert quality(row(eyes_open=0.3), wanted())["expression"] == 1


def test_the_half_that_turns_away_is_the_one_that_is_lost():
    left, right = (quality(row(yaw=40.0), wanted(named_hole(side)))["visible"] for side in ("left", "right"))
    assert right < 0.7 * left


def test_what_the_hole_hides_or_nobody_knows_does_not_count():
    unknown = wanted(eyes_open=None, mouth_open=None)
    parts = quality(row(yaw=5.0, mouth_open=0.9), unknown)
    assert parts["expression"] == 1
    assert hides(EYES, TEMPLATE[:2]) and not hides(EYES, TEMPLATE[3:])
    one = np.zeros((128, 128), bool)
    one[10, 20] = True
    assert [hides(one, np.array([(x / 128, 10 / 128)])) for x in (19.4, 19.6, 20.4, 20.6)] == [False, True, True, False]
    assert quality(row(), wanted(NOTHING))["visible"] == pytest.approx(1)


def test_a_donor_is_worth_less_where_something_covers_it():
    assert quality(row(), hidden=EYES)["visible"] == 0 < quality(row())["visible"]
    assert quality(row(), hidden=~EYES) == quality(row())
