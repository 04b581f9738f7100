import cv2
import numpy as np
import pytest
from PIL import Image

from twoface.core.affine import apply, invert
from twoface.core.blazeface import BlazeFace
from twoface.core.detect import FaceDetector, _about, _alike, _overview, _surest
from twoface.core.faces import TEMPLATE, Face
from twoface.core.frame import Frame
from twoface.core.mtcnn import Mtcnn, _suppress
from twoface.core.pyramid import Pyramid

TURNED = np.array([[0.0, -1, 50], [1, 0, 30]])  # a face of 40 pixels that lies on its side, at (10, 30)


@pytest.fixture(scope="module")
def detector():
    return FaceDetector(threads=1)


@pytest.fixture(scope="module")
def portrait(samples):
    return np.array(Image.open(samples / "photo.jpg"))


def covered(portrait, box):
    picture = portrait.copy()
    x0, y0, x1, y1 = box
    picture[y0:y1, x0:x1] = 127
    return picture


def frames_apart(one, other):
    """Centre's distance and sizes' ratio of two frames, by the first's side, and degrees."""
    apart = np.hypot(one.x - other.x, one.y - other.y) / one.side
    return apart, other.side / one.side, abs((one.angle - other.angle + 180) % 360 - 180)


def test_detects_the_portrait(detector, portrait):
    (face,) = detector.detect(portrait)
    eyes = face.landmarks[:2]
    assert np.abs(eyes - [(205, 100), (247, 101)]).max() < 6 and face.score > 0.9
    assert face.area == pytest.approx(np.prod(np.subtract(face.box[2:], face.box[:2])))


@pytest.mark.parametrize("scale", [0.35, 3])
def test_detects_small_and_large(detector, portrait, scale):
    (face,) = detector.detect(portrait)
    (other,) = detector.detect(cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    assert np.abs((other.landmarks + 0.5) / scale - 0.5 - face.landmarks).max() < 6


def test_detects_a_face_that_fills_the_picture_or_is_cut(detector, portrait):
    tiny = cv2.resize(portrait[45:185, 155:295], (60, 60), interpolation=cv2.INTER_AREA)
    assert len(detector.detect(tiny)) == 1
    assert len(detector.detect(portrait[75:, :])) == 1


def test_looks_near_a_box(detector, portrait):
    wide = np.zeros((2400, 3200, 3), np.uint8)
    wide[1500:1628, 2000:2128] = cv2.resize(portrait, (128, 128), interpolation=cv2.INTER_AREA)
    (face,) = detector.detect(wide, near=(2040, 1510, 2080, 1550))
    assert 2040 < face.landmarks[2, 0] < 2075 and 1515 < face.landmarks[2, 1] < 1545


def test_finds_nothing_where_nothing_is(detector):
    assert detector.detect(np.full((120, 90, 3), 128, np.uint8)) == []


def test_an_ordinary_face_is_mtcnns(detector, portrait):
    (ours,), (plain,) = detector.detect(portrait), Mtcnn(threads=1).detect(portrait)
    assert np.array_equal(ours.landmarks, plain.landmarks) and ours.box == plain.box


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_photo_turned_by_quarter_turns(detector, portrait, turn):
    """The same landmarks, at the same places of the face."""
    (upright,) = detector.detect(portrait)
    turned = np.ascontiguousarray(np.rot90(portrait, turn))
    (face,) = detector.detect(turned)
    height, width = portrait.shape[:2]
    place = {
        1: [[0, 1, 0], [-1, 0, width - 1]],
        2: [[-1, 0, width - 1], [0, -1, height - 1]],
        3: [[0, -1, height - 1], [1, 0, 0]],
    }[turn]
    assert np.abs(face.landmarks - apply(np.array(place, float), upright.landmarks)).max() < 0.01
    assert abs((face.frame.angle - upright.frame.angle + 90 * turn + 180) % 360 - 180) < 0.1


@pytest.mark.parametrize("box", [(180, 85, 275, 120), (180, 120, 275, 175)], ids=["eyes", "lower"])
def test_a_face_with_a_part_covered(detector, portrait, box):
    (whole,) = detector.detect(portrait)
    faces = detector.detect(covered(portrait, box), near=box)
    apart, ratio, degrees = min(frames_apart(whole.frame, face.frame) for face in faces)
    assert apart < 0.25 and 0.7 < ratio < 1.4 and degrees < 25


def test_blazeface_sees_in_each_square_what_is_there(portrait):
    network = BlazeFace(threads=1)
    wide = np.zeros((300, 900, 3), np.uint8)
    wide[:, 600:] = cv2.resize(portrait[:, 80:380], (300, 300))
    squares = [Frame(150, 150, 300), Frame(750, 150, 300), Frame(750, 150, 300, 30)]
    empty, full, turned = network.look(Pyramid(wide), squares)
    assert empty == [] and len(full) == len(turned) == 1 and full[0].score > 0.5
    apart, ratio, degrees = frames_apart(full[0].frame, turned[0].frame)
    assert apart < 0.15 and 0.8 < ratio < 1.25 and degrees < 15  # of the photo, not of the square


def test_several_faces_the_largest_first(detector, portrait):
    scene = np.full((300, 620, 3), 90, np.uint8)
    face = portrait[20:200, 140:320]
    scene[60:160, 40:140] = cv2.resize(face, (100, 100), interpolation=cv2.INTER_AREA)
    scene[60:240, 220:400] = face
    scene[60:190, 460:590] = cv2.resize(face, (130, 130), interpolation=cv2.INTER_AREA)
    found = detector.detect(scene)
    assert [round(each.landmarks[2, 0] / 100) for each in found] == [3, 5, 1]


def test_what_lies_is_looked_for_in_the_photo_turned(detector, monkeypatch):
    """And who is found so is taken before the same face as it was found at first."""
    looks = []
    lying = Face((10, 30, 50, 70), apply(TURNED, TEMPLATE * 40), 0.9)
    unsure = Face((100, 100, 140, 140), TEMPLATE * 40 + 100, 0.9)

    def look(pixels, near):
        looks.append(pixels.shape[:2])
        if pixels.shape[:2] == (200, 300):
            return [(lying, lying), (unsure, None)]
        upright = Face((30, 250, 70, 290), TEMPLATE * 40 + (30, 250), 0.9)
        return [(upright, upright)]

    monkeypatch.setattr(detector, "_look", look)
    (face,) = detector.detect(np.zeros((200, 300, 3), np.uint8))
    assert looks == [(200, 300), (300, 200)] and face.box == (9, 30, 49, 70)
    monkeypatch.setattr(detector, "_look", lambda pixels, near: [(unsure, None)] if pixels.shape[0] == 200 else [])
    (face,) = detector.detect(np.zeros((200, 300, 3), np.uint8))
    assert face.box == unsure.box


def leaning(x, degrees, side=40, score=0.9):
    """A face whose middle is at (x, 100)."""
    landmarks = apply(invert(Frame(x, 100, side, degrees).transform()), TEMPLATE * 128)
    return Face((*landmarks.min(0), *landmarks.max(0)), landmarks, score)


def test_the_look_counts_in_which_a_face_leans_less(detector, monkeypatch):
    """So that it is found alike in a photo and in the photo turned."""
    given = np.zeros((200, 200, 3), np.uint8)
    for first, second in ((55, -35), (-35, 55)):
        seen, turned = leaning(100, first), leaning(100, second, 44)
        looks = iter([[(seen, seen)], [(turned, turned)]])
        monkeypatch.setattr(detector, "_look", lambda pixels, near, looks=looks: next(looks))
        (face,) = detector.detect(given)
        assert face.frame.side == pytest.approx(44 if first == 55 else 40, abs=0.1)


def test_what_may_be_no_face_does_not_stand_before_a_sure_one(detector, monkeypatch):
    small, large, sure = leaning(30, 0, 30, 0.65), leaning(300, 0, 60, 0.65), leaning(150, 0)
    monkeypatch.setattr(detector, "_look", lambda pixels, near: [(face, face) for face in (small, large, sure)])
    given = np.zeros((200, 400, 3), np.uint8)
    assert [face.box for face in detector.detect(given)] == [sure.box, small.box]
    assert len(detector.detect(given, near=(0, 0, 400, 200))) == 3  # there the user says where to look
    monkeypatch.setattr(detector, "_look", lambda pixels, near: [(face, face) for face in (small, large)])
    assert len(detector.detect(given)) >= 2


def test_squares_that_show_a_photo():
    assert _overview((100, 110)) == [Frame(55, 50, 110)]
    whole, *parts = _overview((100, 250))
    assert whole == Frame(125, 50, 250)
    assert len(parts) == 4 and [part.x for part in parts] == pytest.approx([50, 100, 150, 200])
    assert [Frame(part.y, part.x, part.side) for part in _overview((250, 100))] == [whole, *parts]


def test_squares_about_a_hole():
    assert _about((10, 20, 50, 40)) == [Frame(30, 30, 40 * reach) for reach in (1.6, 2.4, 3.6, 5.2)]


def test_a_face_is_the_same_by_its_frame_be_it_turned_by_quarters():
    def face(side, x=100, y=100, degrees=0):
        half = side / 2
        landmarks = apply(invert(Frame(x, y, side, degrees).transform()), TEMPLATE * 128)
        return Face((x - half, y - half, x + half, y + half), landmarks, 1.0)

    one = face(60)
    assert _alike(one, face(60)) and _alike(one, face(60, degrees=90)) and _alike(one, face(80))
    assert _alike(one, face(60, x=110)) and not _alike(one, face(60, x=114)) and not _alike(one, face(60, y=86))
    assert not _alike(one, face(90)) and not _alike(one, face(40)) and _alike(face(90), face(66))


def test_another_side_must_be_surer_by_a_tenth():
    def looks(*scores):
        return [None if score is None else Face((0, 0, 1, 1), None, score) for score in scores]

    upright, turned = looks(0.5, 0.7), looks(0.72, 0.66)
    assert _surest([upright, turned, looks(None, None), looks(0.3, None)]) is upright[1]
    turned = looks(0.72, 0.76)
    assert _surest([upright, looks(None, None), turned, looks(0.9, None)]) is turned[1]
    assert _surest([looks(None, None)] * 4) is None


def test_of_boxes_that_overlap_the_surest_stays():
    boxes = np.array([(0, 0, 10, 10), (0, 0, 20, 20), (50, 50, 60, 60), (51, 50, 61, 60)], float)
    scores = np.array([0.7, 0.9, 0.6, 0.8])
    assert _suppress(boxes, scores, 0.5).tolist() == [1, 3, 0]  # of the union of 0 and 1 a quarter is shared
    assert _suppress(boxes, scores, 0.5, over_smaller=True).tolist() == [1, 3]
    assert _suppress(boxes, scores, 0.9).tolist() == [1, 3, 0, 2]
    assert _suppress(boxes[:0], scores[:0], 0.5).tolist() == []
