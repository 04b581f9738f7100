import cv2
import numpy as np
import pytest
from fakes import textured

from twoface.core.errors import InputError
from twoface.core.faces import (
    TEMPLATE,
    Face,
    Taken,
    align,
    apply,
    choose,
    crop,
    distinct,
    frame_corners,
    frame_of,
    frame_transform,
    invert,
    most_alike,
    overlap,
    parse_frame,
    scale_of,
    shifted,
    shrink,
    why,
)


def similarity_matrix(angle, scale, shift):
    turn = scale * np.exp(1j * np.radians(angle))
    return np.array([[turn.real, -turn.imag, shift[0]], [turn.imag, turn.real, shift[1]]])


def test_align_recovers_a_similarity():
    transform = similarity_matrix(25, 0.4, (-30, 12))
    assert np.allclose(align(apply(invert(transform), TEMPLATE * 128)), transform)


def test_align_never_reflects_and_refuses_a_point():
    mirrored = TEMPLATE * (-100, 100)
    assert np.linalg.det(align(mirrored)[:, :2]) > 0
    with pytest.raises(InputError):
        align(np.ones((5, 2)))


def test_square_is_the_frame():
    transform = frame_transform((10, 20, 266, 276))
    assert np.allclose(frame_corners(transform), [(9.5, 19.5), (265.5, 19.5), (265.5, 275.5), (9.5, 275.5)])
    frame_transform((0, 0, 100, 104))
    for box in [(0, 0, 100, 110), (5, 5, 5, 5)]:
        with pytest.raises(InputError):
            frame_transform(box)


@pytest.mark.parametrize("degrees", [0, 30, -100, 179])
def test_a_turned_square_comes_upright(degrees):
    frame = (100.5, 60.25, 300.5, 260.25, degrees)
    transform = frame_transform(frame)
    corners = frame_corners(transform)
    assert np.allclose(corners.mean(0), (200, 159.75)) and np.linalg.det(transform[:, :2]) > 0
    along = corners[1] - corners[0]  # the upper edge, from left to right
    assert np.allclose(along, 200 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]))
    assert np.allclose(frame_of(transform), frame)


def test_a_found_face_has_the_frame_that_align_makes():
    landmarks = TEMPLATE @ [[80, 30], [-30, 80]] + (200, 100)
    found = Face((0, 0, 1, 1), landmarks, 1.0)
    assert np.allclose(frame_transform(found.frame), align(landmarks)) and len(found.frame) == 5
    assert found.frame[4] == pytest.approx(np.degrees(np.arctan2(30, 80)))  # its right side hangs: clockwise


def test_frames_of_text():
    assert parse_frame("1,2, 31,32") == (1, 2, 31, 32)
    assert parse_frame("1,2,31,32,-7.5") == (1, 2, 31, 32, -7.5)
    assert parse_frame("1.5,2,31.5,32") == (1.5, 2, 31.5, 32)
    for text in ("1,2,3", "1,2,3,4,x", "1,2,3,4,5,6", "1 2 3 4", ""):
        with pytest.raises(InputError, match="not a box"):
            parse_frame(text)


def test_crop_at_scale_one_is_a_cut():
    pixels = textured(200, 220)
    assert np.array_equal(crop(pixels, frame_transform((30, 40, 158, 168))), pixels[40:168, 30:158])


def test_crop_shrinks_by_area():
    pixels = textured(600, 700)
    wanted = cv2.resize(pixels[40:552, 60:572], (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(crop(pixels, frame_transform((60, 40, 572, 552))).astype(int) - wanted).max() <= 4
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    transform = similarity_matrix(10, 0.2, (0, 0))
    naive = cv2.warpAffine(stripes, transform, (128, 128))
    assert crop(stripes, transform)[8:90, 20:90].std() < naive[8:90, 20:90].std() / 5


def test_crop_reflects_the_border():
    pixels = textured(160, 160)
    seen = crop(pixels, frame_transform((-20, 0, 108, 128)))
    assert np.array_equal(seen[:, :20], pixels[:128, 20:0:-1])


def test_shrink_keeps_the_places():
    y, x = np.mgrid[:400, :500]
    ramp = np.dstack([x / 2, y / 2, 0 * x]).astype(np.uint8)
    transform = similarity_matrix(20, 0.25, (-10, -30))
    small, moved = shrink(ramp, transform, 2)
    assert scale_of(moved) == pytest.approx(0.5, rel=0.02)
    place = apply(invert(moved), (64, 64))
    seen = small[round(place[1]), round(place[0])][:2]
    assert np.abs(seen * 2.0 - apply(invert(transform), (64, 64))).max() < 4
    assert np.allclose(apply(shifted(transform, 7, 9), (1, 2)), apply(transform, (8, 11)))


def test_choose_the_touched_else_the_largest():
    small, large = Face((0, 0, 10, 10), None, 1.0), Face((20, 20, 60, 60), None, 1.0)
    mask = np.zeros((80, 80), bool)
    assert choose([small, large]) is large and choose([small, large], mask) is large
    mask[5:8, 5:8] = True
    assert choose([small, large], mask) is small
    with pytest.raises(InputError):
        choose([])


def test_why_a_face_is_taken():
    small, large = Face((0, 0, 10, 10), None, 1.0), Face((20, 20, 60, 60), None, 1.0)
    mask = np.zeros((80, 80), bool)
    assert why([small], small) == "only" and why([small, large], large, mask) == "largest"
    mask[5:8, 5:8] = True
    assert why([small, large], small, mask) == "touched"


def test_the_most_alike_of_several():
    frames = [(0, 0, 9, 9, 0), (10, 0, 19, 9, 0), (20, 0, 29, 9, 0)]
    taken = most_alike(frames, [0.3, 0.8, 0.5])
    assert taken == Taken(tuple(frames), 1, "alike", close=False)
    assert taken.report() == {
        "found": 3,
        "taken": 2,
        "why": "alike",
        "close": False,
        "frames": [list(f) for f in frames],
    }
    assert most_alike(frames, [0.3, 0.8, 0.79]).close
    assert most_alike(frames[:1], [0.3]) == Taken(tuple(frames[:1]), 0, "only")


def test_distinct_keeps_the_first_of_faces_that_overlap():
    one, near, far = (Face((x, 0, x + 10, 10), None, 1.0) for x in (0, 2, 30))
    assert overlap(one.box, near.box) == pytest.approx(8 / 12) and overlap(one.box, far.box) == 0
    assert distinct([one], [near, far]) == [one, far]


def test_a_face_moves_with_its_landmarks():
    turn = np.array([[0.0, -2, 100], [2, 0, 0]])  # a quarter turn, twice as large
    face = Face((0, 0, 10, 20), TEMPLATE * 10, 0.5).moved(turn)
    assert face.box == (60, 0, 100, 20) and np.allclose(face.landmarks, apply(turn, TEMPLATE * 10))


@pytest.mark.parametrize(("beside", "count"), [(5, 1), (6, 2)])
def test_boxes_that_share_a_third_are_one_face_and_a_quarter_two(beside, count):
    assert len(distinct([Face((x, 0, x + 10, 10), None, 1.0) for x in (0, beside)])) == count
