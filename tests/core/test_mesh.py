import cv2
import numpy as np
import pytest

from twoface.core.affine import apply, invert
from twoface.core.faces import choose
from twoface.core.frame import Frame
from twoface.core.images import read_photo
from twoface.core.mesh import (
    LANDMARKS,
    PLACES,
    POLYGONS,
    Mesh,
    Mesher,
    corrected,
    cut,
    facing,
    fitted,
    inside,
    invented,
    mirrored,
    moved,
    procrustes,
    region_of,
    template_mesh,
    to_template,
    with_reference,
)
from twoface.core.mtcnn import Mtcnn


def turned(yaw=0.0, pitch=0.0, roll=0.0):
    """The template's head turned about its middle, degrees: to the picture's right, down, clockwise."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    points = template_mesh()
    middle = points.mean(0)
    return (points - middle) @ (about_z @ about_y @ about_x).T + middle


@pytest.fixture(scope="module")
def mesher():
    return Mesher(threads=1)


@pytest.fixture(scope="module")
def portrait(samples):
    return read_photo(samples / "photo.jpg").pixels


@pytest.fixture(scope="module")
def frame(portrait):
    return choose(Mtcnn(threads=1).detect(portrait)).frame


def test_left_and_right_are_each_others_mirror():
    assert np.array_equal(mirrored()[mirrored()], np.arange(478))
    assert template_mesh()[33, 0] < template_mesh()[263, 0]
    for name, polygon in POLYGONS.items():
        other = name.replace("left", "right") if "left" in name else name.replace("right", "left")
        assert set(mirrored()[list(polygon)]) == set(POLYGONS[other]), name


INSIDE = {  # pixels and box of each polygon, of a face that looks straight ahead
    "oval": (5997, (25, 30, 104, 121)),
    "left_eye": (49, (41, 57, 56, 62)),
    "right_eye": (48, (73, 57, 88, 62)),
    "left_brow": (91, (35, 46, 59, 53)),
    "right_brow": (91, (70, 46, 94, 53)),
    "lips": (207, (52, 89, 77, 100)),
    "mouth": (75, (53, 92, 76, 96)),
    "nose": (311, (55, 56, 74, 84)),
    "jaw": (3293, (25, 69, 104, 121)),
}


@pytest.mark.parametrize("name", POLYGONS)
def test_the_inside_of_a_polygon(name):
    """Its corners follow each other round: swapped ones would leave out a part."""
    mask, (count, (x0, y0, x1, y1)) = inside(template_mesh(), name), INSIDE[name]
    assert mask.dtype == bool and np.count_nonzero(mask) == pytest.approx(count, abs=2)
    assert cv2.boundingRect(mask.view(np.uint8)) == (x0, y0, x1 - x0, y1 - y0)


@pytest.mark.parametrize("angles", [(30, 0, 0), (-20, 0, 0), (0, 15, 0), (0, -15, 0), (0, 0, 10)])
def test_pose_is_how_the_head_is_turned(angles):
    points = turned(*angles)
    if angles[0]:
        assert np.sign(points[1, 0] - template_mesh()[1, 0]) == np.sign(angles[0])  # the nose goes where the face looks
    if angles[1]:
        assert np.sign(points[1, 1] - template_mesh()[1, 1]) == np.sign(angles[1])
    pose = Mesh(points, 1.0).pose
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx(angles, abs=1)


def test_what_is_turned_away_faces_away():
    front = facing(template_mesh())
    assert front[4] > 0.5 and (front > 0).mean() > 0.95
    left, right = facing(turned(yaw=60))[[234, 454]]  # the cheeks: looking right hides the one on the right
    assert right < 0 < left


def test_procrustes_undoes_a_similarity():
    source = np.random.default_rng(0).normal(size=(50, 3))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    scale, rotation, shift = procrustes(source, 2 * source @ turn.T + (1, 2, 3))
    assert scale == pytest.approx(2) and np.allclose(rotation, turn) and np.allclose(shift, (1, 2, 3))


def test_a_reference_fills_in_what_is_not_known():
    truth, reference = turned(yaw=15), template_mesh() * 3 + 7
    known = (truth[:, 1] < 70).astype(float)
    seen = np.where(known[:, None] > 0, truth, truth + 9)
    moved = fitted(reference, seen, known)
    assert np.linalg.norm((moved - truth)[:, :2], axis=1).max() < 1.5


def test_only_what_the_hole_hides_is_bettered():
    points, unknown = template_mesh(), np.zeros((128, 128), bool)
    unknown[70:] = True
    x, y = points[:, :2].round().astype(int).clip(0, 127).T
    wrong = points + np.where(unknown[y, x], 6.0, 0.0)[:, None]
    better = with_reference(wrong, points * 2, unknown)
    x, y = wrong[:, :2].round().astype(int).clip(0, 127).T
    assert np.array_equal(better[~unknown[y, x]], wrong[~unknown[y, x]])
    hidden = unknown[y, x]
    assert np.abs(better - points)[hidden, :2].mean() < 0.7 * np.abs(wrong - points)[hidden, :2].mean()


def shut(points):
    """The same face with its lids brought together by half."""
    points = points.copy()
    for eye, (outer, inner) in (("left_eye", (33, 133)), ("right_eye", (263, 362))):
        lids = list(POLYGONS[eye])
        points[lids, 1] = (points[lids, 1] + points[[outer, inner], 1].mean()) / 2
    return points


def test_eyes_behind_a_hole_are_as_open_as_the_references():
    reference, unknown = template_mesh(), np.zeros((128, 128), bool)
    unknown[40:75] = True
    found = with_reference(shut(reference), reference * 2 + 5, unknown)
    assert Mesh(shut(reference), 1).eye_open("left") < 0.6 * Mesh(reference, 1).eye_open("left")
    for side in ("left", "right"):
        assert Mesh(found, 1).eye_open(side) == pytest.approx(Mesh(reference, 1).eye_open(side), rel=0.1)
    unknown[:, :64] = False
    half = with_reference(shut(reference), reference * 2 + 5, unknown)
    assert Mesh(half, 1).eye_open("left") == Mesh(shut(reference), 1).eye_open("left")  # it is seen


def test_an_eye_turned_away_keeps_its_shape():
    away, unknown = turned(yaw=88), np.ones((128, 128), bool)
    found = with_reference(template_mesh(), away, unknown)
    assert np.isfinite(found).all() and np.abs(found[:, :2] - template_mesh()[:, :2]).max() < 40


def test_a_frame_that_is_off_is_corrected_and_a_near_one_kept():
    face = Frame.of((100, 100, 356, 356))
    aligned = template_mesh()
    photo = apply(invert(face.transform()), aligned[:, :2])

    def seen(frame):
        return np.column_stack([apply(frame.transform(), photo), aligned[:, 2]])

    near = Frame.of((104, 98, 360, 354, 2))
    assert corrected(near, seen(near)) is near
    off = Frame.of((100, 100, 394, 394, 20))
    mended = corrected(off, seen(off))
    landmarks = [seen(mended)[list(each), :2].mean(0) for each in LANDMARKS]
    assert np.abs(np.array(landmarks) - PLACES * 128).max() < 4
    assert mended.side == pytest.approx(face.side, rel=0.1)
    absurd = Frame.of((0, 0, 1000, 1000))
    assert corrected(absurd, seen(absurd)) is absurd


def test_finds_the_mesh_of_a_whole_face(mesher, portrait, frame):
    mesh = mesher.find(portrait, frame)
    assert mesh.presence > 0.9 and abs(mesh.pose.yaw) < 20
    assert mesh.eye_open("left") > 0.2 and mesh.eye_open("right") > 0.2
    off = Frame(frame.x + frame.side / 10, frame.y + frame.side / 5, 1.2 * frame.side, frame.angle + 15)
    again = mesher.find(portrait, off)  # the frame need not be exact
    assert np.linalg.norm((mesh.points - again.points)[:, :2], axis=1).mean() < 3
    nobody = mesher.find(np.full_like(portrait, 127), frame)
    assert nobody.presence < 0.5


class Echo:
    """Fills a hole with the mean of what is known of the crop, as it is shown it."""

    def run(self, image, mask, reference, trust):
        return {"fill": np.broadcast_to(image[mask[:, [0] * 3] == 0].mean(dtype=np.float32), image.shape)}


@pytest.mark.parametrize(("level", "seen"), [(120, 120), (20, 80)])
def test_a_dark_photo_is_lifted_for_a_first_fill_which_is_as_dark(level, seen):
    shown = []

    class Network(Echo):
        def run(self, image, *others):
            shown.append(image)
            return super().run(image, *others)

    unknown = np.zeros((128, 128), bool)
    unknown[40:80, 40:80] = True
    crop = np.where(unknown[..., None], np.uint8(255), np.full((128, 128, 3), level, np.uint8))
    filled = invented(crop, unknown, Network())
    assert (filled == level).all()
    assert shown[0][0][:, ~unknown] * 255 == pytest.approx(seen, abs=0.1)


def test_sees_through_a_hole(mesher, portrait, frame):
    aligned, unknown = frame.crop(portrait), np.zeros((128, 128), bool)
    unknown[40:75, 20:108] = True
    points = mesher.through(aligned, unknown)
    covered = aligned.copy()
    covered[unknown] = 255
    assert np.array_equal(points, mesher.through(covered, unknown))  # what the hole holds does not matter
    truth = mesher.find(portrait, frame).moved(frame.transform()).points
    assert np.linalg.norm((points - truth)[:, :2], axis=1).mean() < 5


def test_an_aligned_crop_is_looked_at_once(mesher, portrait, frame, monkeypatch):
    aligned, looks = frame.crop(portrait), []
    once = mesher.find(portrait, frame).moved(frame.transform()).points
    look = mesher._whole.look
    monkeypatch.setattr(mesher._whole, "look", lambda *given: looks.append(given) or look(*given))
    points = mesher.aligned(aligned)
    assert len(looks) == 1 and np.linalg.norm((points - once)[:, :2], axis=1).mean() < 2


@pytest.mark.parametrize("side", [200, 900])
@pytest.mark.parametrize("degrees", [0, 40])
def test_a_square_is_cut_where_it_lies_and_shrunk_by_area(side, degrees):
    y, x = np.mgrid[:900, :1200]
    ramp = np.dstack([x / 5, y / 5, (x // 2 + y // 2) % 2 * 255]).astype(np.uint8)
    square = Frame(640.5, 450.5, side, degrees)
    picture, back = cut(ramp, square), invert(square.transform(256))
    assert picture.shape == (256, 256, 3)
    for place in ((128, 128), (60, 128), (128, 190)):
        assert np.abs(picture[place[1], place[0], :2] - apply(back, place) / 5).max() < 1.5
    if side == 900:  # single pixels are averaged
        assert picture[100:150, 100:150, 2].std() < 60
    region = region_of(np.column_stack([apply(back, template_mesh()[:, :2] * 2), template_mesh()[:, 2]]))
    assert region.angle == pytest.approx(degrees, abs=1)


def test_a_square_about_a_mesh_is_half_again_as_large():
    region = region_of(template_mesh())
    low, high = template_mesh()[:, :2].min(0), template_mesh()[:, :2].max(0)
    assert (region.x, region.y) == pytest.approx((low + high) / 2 + 0.5, abs=1) and abs(region.angle) < 1
    assert region.side == pytest.approx(1.5 * (high - low).max(), rel=0.01)


def test_how_open_eyes_and_mouth_are():
    points = template_mesh().copy()
    points[[159, 145, 33, 133]] = [(50, 40, 0), (50, 46, 0), (40, 43, 0), (60, 43, 0)]
    points[[386, 374, 263, 362]] = [(80, 40, 0), (80, 44, 0), (90, 42, 0), (70, 42, 0)]
    points[[13, 14, 78, 308]] = [(65, 90, 0), (65, 100, 0), (55, 95, 0), (75, 95, 0)]
    mesh = Mesh(points, 1.0)
    assert (mesh.eye_open("left"), mesh.eye_open("right"), mesh.mouth_open) == pytest.approx((0.3, 0.2, 0.5))


@pytest.mark.parametrize(
    ("scale", "degrees", "shift", "kept"),
    [
        *((0.1, 0, 0, True), (0.12, 0, 0, False), (-0.12, 0, 0, False), (0.55, 0, 0, False), (0.65, 0, 0, True)),
        *((0, 8, 0, True), (0, 9, 0, False), (0, -9, 0, False), (0, 58, 0, False), (0, 62, 0, True)),
        *((0, 0, 6.5, True), (0, 0, 7.5, False), (0, 0, 38, False), (0, 0, 42, True)),
    ],
)
def test_how_far_off_a_frame_may_be(scale, degrees, shift, kept):
    """Less is near enough, more beyond all reason. scale: its logarithm; shift: crop pixels."""
    aligned = moved(template_mesh(), to_template(template_mesh()))
    assert np.allclose(to_template(aligned), np.eye(2, 3))
    off = cv2.getRotationMatrix2D((63.5, 63.5), -degrees, np.exp(scale))
    off[:, 2] += (0.6 * shift, 0.8 * shift)
    frame = Frame.of((40, 30, 296, 286))
    found = corrected(frame, moved(aligned, off))
    assert (found is frame) is kept
    if not kept:
        assert np.allclose(found.transform(), invert(off) @ np.vstack([frame.transform(), (0, 0, 1)]))


def test_a_point_far_from_all_that_is_hidden_leaves_that_as_it_is():
    points, unknown = template_mesh(), np.zeros((128, 128), bool)
    unknown[40:75, 64:] = True
    far = points.copy()
    far[33, :2] = -2000  # a corner of the eye that is seen
    with np.errstate(all="raise", under="ignore"):
        found = with_reference(far, points * 2, unknown)
    assert np.isfinite(found).all() and np.array_equal(found[33], far[33])
