from twoface.core.identity import calibrated_holes
from twoface.search.face_space import FaceSpace, nearest_hole


def test_another_hole_takes_the_nearest_one():
    hole = calibrated_holes()["eyes"].copy()
    hole[50:60, 30:40] = True
    assert nearest_hole(hole, ("whole", "center 64", "eyes", "lower")) == "eyes"


def test_the_space_that_ships_is_whole():
    space = FaceSpace.load()
    assert space.mean.shape == (512,) and space.stretch.shape == (512, 512)
    assert {"center 64", "eyes", "lower"} < set(space.maps) < set(calibrated_holes())
    assert all((c.shape, w.shape) == ((1024,), (1024, 512)) for c, w in space.maps.values())
