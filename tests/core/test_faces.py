import numpy as np
import pytest

from twoface.core.affine import apply
from twoface.core.errors import InputError
from twoface.core.faces import TEMPLATE, Face, Taken, choose, distinct, most_alike, overlap, why
from twoface.core.frame import Frame


def test_the_frame_of_a_face_puts_its_landmarks_where_the_template_has_them():
    landmarks = TEMPLATE @ [[80, 30], [-30, 80]] + (200, 100)
    frame = Face((0, 0, 1, 1), landmarks, 1.0).frame
    assert np.allclose(apply(frame.transform(), landmarks), TEMPLATE * 128)
    assert frame.angle == pytest.approx(np.degrees(np.arctan2(30, 80)))  # its right side hangs: clockwise


def test_a_face_has_no_frame_where_its_landmarks_fall_on_one_point():
    with pytest.raises(InputError):
        Face((0, 0, 1, 1), np.ones((5, 2)), 1.0).frame  # noqa: B018


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
    faces = [Face((x, 0, x + 9, 9), TEMPLATE * 9 + (x - 0.5, -0.5), 1.0) for x in (0, 10, 20)]
    frames = [(0, 0, 9, 9, 0), (10, 0, 19, 9, 0), (20, 0, 29, 9, 0)]
    taken = most_alike(faces, [0.3, 0.8, 0.5])
    assert taken.number == 1 and taken.face == (10, 0, 19, 9)
    assert taken.report() == {
        "found": 3,
        "taken": 2,
        "why": "alike",
        "close": False,
        "frames": [list(f) for f in frames],
    }
    assert most_alike(faces, [0.3, 0.8, 0.79]).close
    large = Face((30, 0, 102, 72), TEMPLATE * 72, 1.0)  # eight times as large: .15 of similarity
    for likeness, number in ((0.37, 1), (0.33, 0)):
        taken = most_alike([large, faces[0]], [0.2, likeness])
        assert taken.number == number and taken.close
    assert not most_alike([large, faces[0]], [0.2, 0.2]).close
    only = most_alike(faces[:1], [0.3])
    assert only.why == "only" and not only.close


@pytest.mark.parametrize("degrees", [0, 7])
def test_a_frame_that_was_given_is_taken(degrees):
    taken = Taken.given(Frame.of((9, 9, 19, 19, degrees)))
    assert (taken.number, taken.why, taken.close) == (0, "given", False)
    assert taken.face == (9, 9, 19, 19, degrees)[: 5 if degrees else 4]
    assert taken.report()["frames"] == [[9, 9, 19, 19, degrees]]


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
