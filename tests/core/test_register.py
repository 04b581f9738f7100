import dataclasses

import cv2
import numpy as np
import pytest
from fakes import straight, textured
from test_mesh import turned

from twoface.core.affine import apply, invert
from twoface.core.frame import UPRIGHT, Frame
from twoface.core.masks import distance_to
from twoface.core.mesh import FOREHEAD, Mesh, inside, template_mesh
from twoface.core.network import no_reference
from twoface.core.reference import Registered, registered, sampled, shrunk, uncovered, without_fringe
from twoface.core.register import at_places, enlarged, pixels, pixels_per_crop_pixel, register

FRAME = Frame.of((40, 30, 296, 286, 10))


def moved(points, transform):
    return Mesh(points, 1.0).moved(transform).points


def test_the_same_face_elsewhere_is_a_similarity():
    found = register(template_mesh(), moved(template_mesh(), invert(FRAME.transform())))
    assert np.abs(found.map - straight(FRAME)).max() < 0.05
    assert pixels_per_crop_pixel(found.map) == pytest.approx(2, rel=1e-3)


def test_points_go_where_the_reference_has_them():
    target, reference = turned(yaw=12), moved(turned(yaw=-10, pitch=8), invert(FRAME.transform()))
    found = register(target, reference)
    inner = [1, 33, 133, 263, 61, 291, 159, 386]
    places = at_places(found.map, target[None, inner, :2].astype(np.float32))[0]
    assert np.linalg.norm(places - reference[inner, :2], axis=1).max() < 4  # photo pixels, half as many of the crop


def test_a_lookup_is_as_fine_as_the_photo():
    grid = straight(FRAME)
    places = np.random.default_rng(0).uniform(0, 127, (1, 500, 2)).astype(np.float32)
    assert np.abs(at_places(grid, places) - apply(invert(FRAME.transform()), places)).max() < 1e-3
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
    expected = FRAME.crop(photo).astype(int)
    assert np.abs(sampled(photo, straight(FRAME)).astype(int) - expected).mean() < 1.5
    mesh = moved(template_mesh(), invert(FRAME.transform()))
    found = registered(template_mesh(), np.zeros((128, 128), bool), photo, mesh)
    assert np.abs(found.picture.astype(int) - expected)[20:110, 20:110].mean() < 1.5
    depth = np.clip(distance_to(~inside(template_mesh(), "oval")), 0, 4)
    for pixels_inside, share in ((0, 0), (1, 0), (2, 1 / 3), (3, 2 / 3), (4, 1)):
        assert found.within[depth == pixels_inside] == pytest.approx(share)
    reference, trust = found.planes()
    assert reference.shape == (1, 3, 128, 128) and trust.shape == (1, 1, 128, 128) and reference.max() <= 1
    assert np.array_equal(sampled(photo[:128, :128], straight(UPRIGHT)), photo[:128, :128])


def test_what_covers_a_reference_is_not_trusted():
    turn = Frame.of((40, 30, 296, 286, -10))
    mesh = moved(template_mesh(), invert(turn.transform()))
    found = registered(template_mesh(), np.zeros((128, 128), bool), textured(400, 400), mesh)
    hidden = np.zeros((128, 128), bool)
    hidden[50:60, 40:60] = True
    bare = uncovered(found, hidden, turn)
    assert not bare.trust[50:60, 40:60].any()
    far = np.ones((128, 128), bool)
    far[44:66, 34:66] = False
    assert np.array_equal(bare.trust[far], found.trust[far])
    assert uncovered(found, hidden & False, turn) is found


# Every sixth node of the map and its trust, for a head that is turned by 20, -8 and 6 degrees.
MAP = [
    [(19.4, 12.6), (42.1, 14.8), (65.4, 16.9), (86.6, 19.5), (108.3, 22.0)],
    [(13.4, 37.6), (42.0, 38.0), (67.3, 39.5), (86.8, 42.6), (102.1, 47.0)],
    [(7.3, 62.5), (40.1, 61.8), (67.1, 62.7), (84.8, 66.4), (95.9, 72.0)],
    [(6.3, 86.0), (39.0, 85.3), (66.0, 86.2), (83.8, 89.9), (94.8, 95.5)],
    [(10.3, 108.0), (33.7, 110.0), (63.3, 110.2), (78.8, 114.5), (99.0, 117.4)],
]
TRUST = [
    [0.07, 0.21, 0.27, 0.21, 0.06],
    [0.30, 1.00, 1.00, 0.85, 0.00],
    [0.45, 1.00, 0.93, 0.99, 0.00],
    [0.38, 1.00, 0.99, 0.86, 0.00],
    [0.17, 1.00, 1.00, 0.27, 0.00],
]


def test_the_map_and_the_trust_of_a_turned_head():
    found = register(template_mesh(), turned(20, -8, 6))
    assert np.abs(found.map[4:32:6, 4:32:6] - MAP).max() < 0.07
    assert np.abs(found.trust[4:32:6, 4:32:6] - TRUST).max() < 0.008


def test_a_lookup_goes_through_the_nodes_of_a_bent_map():
    grid = register(template_mesh(), turned(20, -8, 6)).map
    along = np.linspace(0, 127, 33, dtype=np.float32)
    nodes = np.stack(np.meshgrid(along, along), -1)
    assert np.abs(at_places(grid, nodes) - grid).max() < 1e-3
    ramp = np.tile(np.linspace(0, 1, 33, dtype=np.float32), (33, 1))
    assert np.abs(enlarged(ramp) - np.linspace(0, 1, 128)).max() < 1e-3
    assert np.abs(enlarged(ramp.T.copy()) - np.linspace(0, 1, 128)[:, None]).max() < 1e-3


def test_a_profile_is_registered_by_all_points():
    profile = turned(yaw=89)
    assert np.isfinite(register(profile, template_mesh()).map).all()


def with_hair(brightness, columns=slice(60, 68)):
    """A grey face with a strand of hair over its forehead -> Registered."""
    picture = np.full((128, 128, 3), 150, np.uint8)
    picture[:44, columns] = brightness
    return Registered(picture, np.ones((128, 128), np.float32), straight(UPRIGHT), template_mesh())


@pytest.mark.parametrize("light", [90, 200])  # of the photo: only what differs from the rest of the face tells
def test_hair_over_a_forehead_is_not_trusted_where_the_photo_has_none(light):
    trust = without_fringe(with_hair(50), np.full((128, 128, 3), light, np.uint8)).trust
    assert not trust[34:42, 58:70].any()  # with a rim about it
    assert (trust[:, :50] == 1).all() and (trust[:, 78:] == 1).all()
    assert (trust[50:] == 1).all()


def test_brows_are_no_fringe():
    found = with_hair(150)
    line = template_mesh()[list(FOREHEAD[1]), :2]
    cv2.polylines(found.picture, [line.round().astype(np.int32)], False, (50, 50, 50), 3)
    assert (without_fringe(found, np.full((128, 128, 3), 150, np.uint8)).trust == 1).all()


def test_a_picture_that_goes_a_little_beyond_its_range_is_told_alike():
    hair = with_hair(0)
    beyond = dataclasses.replace(hair, picture=hair.picture.astype(np.float32) - np.float32(25) * (hair.picture == 0))
    photo = np.full((128, 128, 3), 150, np.uint8)
    assert np.array_equal(without_fringe(beyond, photo).trust, without_fringe(hair, photo).trust)


def test_hair_that_the_photo_has_too_and_a_shade_are_trusted():
    assert (without_fringe(with_hair(50), with_hair(50).picture).trust == 1).all()
    assert (without_fringe(with_hair(120), np.full((128, 128, 3), 150, np.uint8)).trust == 1).all()
    turned_away = dataclasses.replace(with_hair(50), trust=np.zeros((128, 128), np.float32))
    assert without_fringe(turned_away, turned_away.picture) is turned_away


def test_a_dark_forehead_of_a_turned_face_takes_no_trust_from_the_rest():
    found = dataclasses.replace(with_hair(30, slice(0, 128)), points=turned(yaw=-55))
    found.picture[:50] = 30
    trust = without_fringe(found, np.full((128, 128, 3), 150, np.uint8)).trust
    assert not trust[36:40, 54:60].any() and (trust[56:] == 1).all()


def test_planes_of_a_reference_and_of_none():
    picture = textured(128, 128)
    found = Registered(picture, np.full((128, 128), 0.5, np.float32), straight(UPRIGHT), template_mesh())
    reference, trust = found.planes()
    assert np.allclose(reference[0].transpose(1, 2, 0) * 255, picture, atol=1e-4) and (trust == 0.5).all()
    reference, trust = no_reference(2)
    assert reference.shape == (2, 3, 128, 128) and trust.shape == (2, 1, 128, 128)
    assert not reference.any() and not trust.any() and no_reference()[0].shape[0] == 1


def test_three_pixels_about_what_covers_are_not_trusted_either():
    found = Registered(textured(128, 128), np.ones((128, 128), np.float32), straight(UPRIGHT), template_mesh())
    hidden = np.zeros((128, 128), bool)
    hidden[64, 70] = True
    trust = uncovered(found, hidden, UPRIGHT).trust
    y, x = np.nonzero(trust < 0.5)
    assert (y.min(), y.max(), x.min(), x.max()) == (61, 67, 67, 73) and trust[64, 66] == trust[60, 70] == 1


@pytest.mark.parametrize("detail", [1, 2, 3, 50])
def test_a_reference_is_shrunk_to_the_detail_that_is_needed(detail):
    """A ramp is the same at every size, at the same places."""
    y, x = np.mgrid[:420, :500]
    ramp = np.dstack([x / 2, y / 2, 0 * x]).astype(np.uint8)
    grid = straight(Frame.of((60, 40, 380, 360)))
    part, moved_grid = shrunk(ramp, grid, detail)
    assert pixels_per_crop_pixel(moved_grid) == pytest.approx(min(detail, 2.5), rel=0.02)
    assert part.shape[0] < 420 * min(1, detail / 2.5) and part.shape[1] < 500 * min(1, detail / 2.5)
    column, row = moved_grid[16, 16].round().astype(int)
    assert np.abs(2.0 * part[row, column, :2] - grid[16, 16]).max() < 4
