import cv2
import numpy as np
import pytest
from test_mesh import turned

from twoface.cli.photos import HOLES as TOLD
from twoface.core.affine import apply
from twoface.core.errors import InputError
from twoface.core.frame import UPRIGHT
from twoface.core.holes import part_of_face
from twoface.core.masks import grow
from twoface.core.mesh import EYE_CORNERS, POLYGONS, moved, template_mesh
from twoface.core.parts import AUTO, HOLES, PARTS, eye_distance, named_hole, parse_hole, part_hole
from twoface.research.data import random_holes
from twoface.research.data.random_holes import AREA_RANGE, random_hole

MESH = template_mesh()


def places(*points):
    return MESH[list(points), :2].round().astype(int)


def inside(mask, *points):
    return [bool(mask[y, x]) for x, y in places(*points)]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_lies_on_the_face(name):
    mask = named_hole(name)
    assert 0.01 < mask.mean() < 0.45
    face = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(MESH[:, :2].round().astype(np.int32)), 1)
    assert not (mask & ~grow(face.view(bool), 8 if name == "glasses" else 4)).any()


def test_parts_are_what_they_are_called():
    pupils, nose, mouth, chin, brow = (468, 473), 4, 13, 152, 105
    assert all(inside(named_hole("eyes"), *pupils)) and not any(inside(named_hole("eyes"), nose, brow, mouth, 168))
    assert inside(named_hole("left-eye"), *pupils) == [True, False]
    assert inside(named_hole("right-eye"), *pupils) == [False, True]
    assert all(inside(named_hole("glasses"), *pupils, 168, brow)) and not any(inside(named_hole("glasses"), nose, 10))
    assert inside(named_hole("nose"), nose, mouth, *pupils) == [True, False, False, False]
    assert inside(named_hole("mouth"), mouth, 61, 291, nose, chin) == [True, True, True, False, False]
    assert all(inside(named_hole("mask"), nose, mouth, chin)) and not any(inside(named_hole("mask"), *pupils))
    assert all(inside(named_hole("lower"), mouth, chin)) and not any(inside(named_hole("lower"), *pupils, 168))
    assert inside(named_hole("forehead"), 151, 52, *pupils, nose) == [True, False, False, False, False]
    assert all(inside(named_hole("face"), *pupils, nose, mouth, 151))


LAID = {  # pixels and box of each part, of a face that looks straight ahead in a frame of 512
    "eyes": (9774, (144, 207, 372, 269)),
    "left-eye": (4885, (144, 207, 241, 269)),
    "right-eye": (4889, (275, 207, 372, 269)),
    "glasses": (39235, (72, 179, 444, 314)),
    "nose": (9109, (211, 214, 305, 344)),
    "mouth": (9915, (185, 335, 331, 423)),
    "mask": (65695, (99, 230, 417, 492)),
    "lower": (47863, (103, 276, 413, 489)),
    "forehead": (18592, (100, 123, 416, 243)),
    "left": (51203, (96, 119, 263, 486)),
    "right": (50843, (254, 119, 420, 486)),
    "face": (98775, (96, 119, 420, 486)),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_its_size_and_place(name):
    there = part_hole(name, moved(MESH, np.array([[4.0, 0, 1.5], [0, 4, 1.5]])), (512, 512))
    count, (x0, y0, x1, y1) = LAID[name]
    x, y, width, height = cv2.boundingRect(there.view(np.uint8))
    assert np.abs(np.subtract((x, y, x + width, y + height), (x0, y0, x1, y1))).max() <= 1
    assert np.count_nonzero(there) == pytest.approx(count, rel=0.001)


def test_left_and_right_are_the_halves_of_the_face():
    left, right = named_hole("left"), named_hole("right")
    assert inside(left, 468, 473) == [True, False] and inside(right, 468, 473) == [False, True]
    assert (left | right).sum() > 0.97 * named_hole("face").sum() and (left & right).mean() < 0.02


@pytest.mark.parametrize("yaw", [-30, 30])
def test_the_halves_of_a_turned_face_meet_at_its_bent_midline(yaw):
    left, right = (named_hole(name, turned(yaw=yaw)) for name in ("left", "right"))
    assert (left & right).mean() < 0.02


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("degrees", [25, 180])
def test_a_part_tilts_and_grows_with_the_head(name, degrees):
    turn = cv2.getRotationMatrix2D((64, 64), degrees, 2.5)
    turn[:, 2] += 200
    there = part_hole(name, moved(MESH, turn), (600, 600))
    ys, xs = np.nonzero(there)
    back = apply(cv2.invertAffineTransform(turn), np.column_stack([xs, ys])).round().astype(int)
    here = named_hole(name)
    x, y = back[((back >= 0) & (back < 128)).all(1)].T
    assert len(x) and grow(here, 1.5)[y, x].all()
    assert there.sum() == pytest.approx(here.sum() * 2.5**2, rel=0.2)


def test_a_turned_head_has_the_far_eye_narrower():
    yaw = np.radians(40)
    turned = MESH.copy()
    x, z = MESH[:, 0] - 64, MESH[:, 2]
    turned[:, 0], turned[:, 2] = 64 + x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    assert eye_distance(turned) == pytest.approx(eye_distance(MESH))
    widths = [np.ptp(np.nonzero(named_hole(name, turned))[1]) for name in ("left-eye", "right-eye")]
    assert min(widths) < 0.85 * max(widths)


def test_a_part_beside_the_frame_is_refused_and_not_silently_empty():
    away = moved(MESH, np.array([[1.0, 0, 160], [0, 1, 0]]))
    with pytest.raises(InputError, match="lies off the photo"):
        part_of_face("eyes", 64, away, UPRIGHT, (400, 400))


def test_a_part_off_the_picture_is_empty():
    away = moved(MESH, np.array([[1.0, 0, 500], [0, 1, 0]]))
    assert not any(part_hole(name, away, (128, 128)).any() for name in PARTS)


@pytest.mark.parametrize("bad", ["chin", "", "Eyes"])
def test_unknown_names_are_refused_with_the_known_ones(bad):
    for how in (named_hole, parse_hole):
        with pytest.raises(InputError, match="eyes, left-eye"):
            how(bad)


def test_a_hole_is_a_name_or_a_box():
    assert parse_hole("auto") == AUTO and AUTO not in HOLES
    assert parse_hole("glasses") == "glasses" and parse_hole("1,2, 3,4") == (1, 2, 3, 4)
    with pytest.raises(InputError, match="whole numbers"):
        parse_hole("1,2,3")
    assert named_hole("center", center_size=32).sum() == 32 * 32


def test_the_command_line_tells_all_names():
    assert all(name in TOLD.replace(",", " ").replace(":", " ").replace(";", " ").split() for name in HOLES)


def test_random_holes_keep_to_their_area_and_seed():
    rng, again = np.random.default_rng(5), np.random.default_rng(5)
    holes = [random_hole(rng, MESH) for _ in range(400)]
    areas = np.array([hole.mean() for hole in holes])
    assert all(hole.dtype == bool and hole.shape == (128, 128) for hole in holes[:5])
    assert AREA_RANGE[0] <= areas.min() and areas.max() <= AREA_RANGE[1]
    assert all(np.array_equal(hole, random_hole(again, MESH)) for hole in holes)
    center = named_hole("center")
    assert 0.05 < np.mean([np.array_equal(hole, center) for hole in holes]) < 0.2


DRAWN = {  # pixels and middle of each kind of hole, by the seeds 0 to 3
    "_draw_center": [(3721, 63, 63), (5625, 63, 63), (4096, 64, 64), (4096, 64, 64)],
    "_draw_part": [(3046, 82, 73), (874, 65, 93), (3121, 80, 67), (3649, 46, 74)],
    "_draw_strokes": [(2622, 67, 75), (1272, 81, 64), (2305, 65, 45), (2037, 43, 60)],
    "_draw_box": [(2268, 51, 20), (4644, 28, 48), (1330, 55, 92), (748, 30, 92)],
    "_draw_blobs": [(4863, 58, 74), (2606, 96, 41), (3889, 41, 55), (3949, 60, 61)],
}


@pytest.mark.parametrize("kind", DRAWN)
def test_the_holes_of_training_are_drawn_as_ever(kind):
    """A change of their mixture is a change of the training data."""
    for seed, (count, *middle) in enumerate(DRAWN[kind]):
        canvas = np.zeros((128, 128), np.uint8)
        getattr(random_holes, kind)(np.random.default_rng(seed), canvas, MESH)
        y, x = np.nonzero(canvas)
        assert canvas.max() == 1 and canvas.sum() == pytest.approx(count, rel=0.01)
        assert (x.mean(), y.mean()) == pytest.approx(middle, abs=1)


def test_random_parts_are_moved_and_sized_a_little(monkeypatch):
    """By 2.5 pixels and up to a sixth: more, and training would see holes that lie beside their part."""
    drawn = []
    monkeypatch.setattr(random_holes, "part_hole", lambda name, points, shape: drawn.append(points) or named_hole(name))
    rng = np.random.default_rng(0)
    for _ in range(300):
        random_holes._draw_part(rng, np.zeros((128, 128), np.uint8), MESH)
    moves = np.array([(points.mean(0) - MESH.mean(0))[:2] for points in drawn])
    sizes = np.array([np.ptp(points, 0).mean() / np.ptp(MESH, 0).mean() for points in drawn])
    assert moves.std(0) == pytest.approx([2.5, 2.5], rel=0.15) and np.abs(moves.mean(0)).max() < 0.5
    assert 0.89 < sizes.min() < 0.93 and 1.12 < sizes.max() < 1.16


def test_random_parts_follow_the_mesh():
    shifted = moved(MESH, np.array([[1.0, 0, 30], [0, 1, 0]]))
    middles = [
        np.mean([np.nonzero(random_hole(np.random.default_rng(seed), mesh))[1].mean() for seed in range(150)])
        for mesh in (MESH, shifted)
    ]
    assert 6 < middles[1] - middles[0] < 18, "two fifths of the holes are parts"


def test_the_polygons_are_points_of_the_mesh():
    assert max(max(polygon) for polygon in POLYGONS.values()) < len(MESH) and len(EYE_CORNERS) == 4
