import numpy as np
import pytest
from fakes import straight, textured
from test_mesh import turned

from twoface.core.faces import apply, crop, frame_transform, invert
from twoface.core.mesh import Mesh, template_mesh
from twoface.core.reference import registered, sampled, uncovered
from twoface.core.register import at_places, enlarged, pixels, pixels_per_crop_pixel, register

FRAME = frame_transform((40, 30, 296, 286, 10))


def moved(points, transform):
    return Mesh(points, 1.0).moved(transform).points


def test_the_same_face_elsewhere_is_a_similarity():
    found = register(template_mesh(), moved(template_mesh(), invert(FRAME)))
    assert np.abs(found.map - straight(FRAME)).max() < 0.05
    assert pixels_per_crop_pixel(found.map) == pytest.approx(2, rel=1e-3)


def test_points_go_where_the_reference_has_them():
    target, reference = turned(yaw=12), moved(turned(yaw=-10, pitch=8), invert(FRAME))
    found = register(target, reference)
    inner = [1, 33, 133, 263, 61, 291, 159, 386]
    places = at_places(found.map, target[None, inner, :2].astype(np.float32))[0]
    assert np.linalg.norm(places - reference[inner, :2], axis=1).max() < 4  # photo pixels, half as many of the crop


def test_a_lookup_is_as_fine_as_the_photo():
    grid = straight(FRAME)
    places = np.random.default_rng(0).uniform(0, 127, (1, 500, 2)).astype(np.float32)
    assert np.abs(at_places(grid, places) - apply(invert(FRAME), places)).max() < 1e-3
    assert np.array_equal(pixels()[7, 5], (5, 7))


def test_trust_is_in_the_face_and_where_the_reference_shows_it():
    front = enlarged(register(template_mesh(), template_mesh()).trust)
    assert front[60:90, 50:78].min() > 0.9 and front[:, :4].max() < 0.1  # cheeks and nose; the background
    away = enlarged(register(template_mesh(), turned(yaw=60)).trust)  # it looks to the right, its left cheek shows
    assert away[75, 40] > 0.6 > 0.3 > away[75, 96]
    assert away.min() >= 0 and away.max() <= 1


def test_smooth_and_without_folds():
    grid = register(turned(yaw=-15), turned(yaw=15, pitch=5)).map
    dy, dx = np.gradient(grid, axis=(0, 1))
    area = dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]
    assert (area > 0).mean() > 0.98
    assert np.abs(np.diff(grid, 2, axis=0)).max() < 8


def test_a_registered_reference_is_sampled_as_a_crop_is():
    photo = textured(400, 400)
    expected = crop(photo, FRAME).astype(int)
    assert np.abs(sampled(photo, straight(FRAME)).astype(int) - expected).mean() < 1.5
    mesh = moved(template_mesh(), invert(FRAME))
    found = registered(template_mesh(), np.zeros((128, 128), bool), photo, mesh)
    assert np.abs(found.picture.astype(int) - expected)[20:110, 20:110].mean() < 1.5
    reference, trust = found.planes()
    assert reference.shape == (1, 3, 128, 128) and trust.shape == (1, 1, 128, 128) and reference.max() <= 1
    assert np.array_equal(sampled(photo[:128, :128], straight(np.eye(2, 3))), photo[:128, :128])


def test_what_covers_a_reference_is_not_trusted():
    turn = frame_transform((40, 30, 296, 286, -10))
    mesh = moved(template_mesh(), invert(turn))
    found = registered(template_mesh(), np.zeros((128, 128), bool), textured(400, 400), mesh)
    hidden = np.zeros((128, 128), bool)
    hidden[50:60, 40:60] = True
    bare = uncovered(found, hidden, turn)
    assert not bare.trust[50:60, 40:60].any()
    far = np.ones((128, 128), bool)
    far[44:66, 34:66] = False
    assert np.array_equal(bare.trust[far], found.trust[far])
    assert uncovered(found, hidden & False, turn) is found
