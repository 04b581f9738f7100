import cv2
import numpy as np
import pytest
from PIL import Image

from twoface.core.blazeface import BlazeFace
from twoface.core.detect import FaceDetector
from twoface.core.faces import apply
from twoface.core.mtcnn import Mtcnn


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
    (x0, y0, x1, y1, a), (u0, v0, u1, v1, b) = one, other
    apart = np.hypot(x0 + x1 - u0 - u1, y0 + y1 - v0 - v1) / 2 / (x1 - x0)
    return apart, (u1 - u0) / (x1 - x0), abs((a - b + 180) % 360 - 180)


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
    assert abs((face.frame[4] - upright.frame[4] + 90 * turn + 180) % 360 - 180) < 0.1


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
    empty, full, turned = network.look(wide, [(150, 150, 300, 0), (750, 150, 300, 0), (750, 150, 300, 30)])
    assert empty == [] and len(full) == len(turned) == 1 and full[0].score > 0.5
    apart, ratio, degrees = frames_apart(full[0].frame, turned[0].frame)
    assert apart < 0.15 and 0.8 < ratio < 1.25 and degrees < 15  # of the photo, not of the square
