import numpy as np
import pytest
from fakes import SPACE, FakeEmbedder, textured

from twoface.core.frame import SIZE, UPRIGHT
from twoface.core.identity import calibrated_holes, directions, origin
from twoface.core.mesh import template_mesh
from twoface.core.parts import named_hole
from twoface.search.face_space import (
    KIND_OF,
    KINDS,
    WHOLE,
    FaceSpace,
    IndexEmbedder,
    kind_for,
    kind_hole,
    kind_views,
    nearest_hole,
    share_of,
)

MESH = template_mesh()


def test_another_hole_takes_the_nearest_one():
    hole = calibrated_holes()["eyes"].copy()
    hole[50:60, 30:40] = True
    assert nearest_hole(hole, ("whole", "center 64", "eyes", "lower")) == "eyes"


def test_the_space_that_ships_is_whole():
    space = FaceSpace.load()
    assert set(space.kept) == set(KINDS) and set(space.seen) == set(calibrated_holes())
    assert all(mean.shape == (128,) for means in (space.kept, space.seen) for mean in means.values())
    assert np.linalg.norm(directions(space.kept[WHOLE][None], origin()) @ origin()) > 0.9 * np.linalg.norm(origin())


@pytest.mark.parametrize("name", KIND_OF)
def test_a_kind_hides_the_holes_that_it_is_searched_for(name):
    assert kind_for(calibrated_holes()[name], MESH) == KIND_OF[name]


def test_the_more_a_kind_hides_besides_the_hole_the_less_it_counts():
    mouth, lower = named_hole("mouth"), kind_hole("lower", MESH)
    assert share_of(lower, lower) == 1 and share_of(lower | ~lower, lower) == 1
    assert share_of(mouth, lower) == pytest.approx(mouth.sum() / lower.sum())
    assert share_of(mouth, lower) < 0.6


def test_a_hole_that_no_kind_hides_is_searched_by_whole_faces():
    hole = named_hole("eyes")
    assert kind_for(hole, MESH) == "eyes"
    hole[90:110, 40:90] = True  # the mouth too
    assert kind_for(hole, MESH) == WHOLE
    assert kind_for(np.zeros((SIZE, SIZE), bool), MESH) == WHOLE


def test_a_kind_does_not_see_what_it_hides():
    picture = textured(SIZE, SIZE)
    other = np.where(kind_hole("eyes", MESH)[..., None], 255 - picture, picture)
    same = (kind_views(picture, UPRIGHT, MESH) == kind_views(other, UPRIGHT, MESH)).all((1, 2, 3))
    assert [kind for kind, unchanged in zip(KINDS, same, strict=True) if unchanged] == ["eyes", "glasses", "center"]


def test_embeddings_are_seen_from_the_mean_of_their_kind():
    rng = np.random.default_rng(0)
    means = {kind: rng.normal(0, 1, 128) for kind in KINDS}
    apart = rng.normal(0, 1, (3, len(KINDS), 128))
    kept = FaceSpace(means, {}).index(apart + np.stack(list(means.values())))
    assert kept == pytest.approx(apart / np.linalg.norm(apart, axis=2, keepdims=True))


def test_a_query_finds_a_face_beside_what_the_hole_does_to_all():
    rng, hole = np.random.default_rng(0), calibrated_holes()["eyes"]
    people, moved = rng.normal(0, 1, (20, 128)), rng.normal(0, 5, 128)
    space = FaceSpace({kind: np.zeros(128) for kind in KINDS}, {"whole": np.zeros(128), "eyes": moved})
    seen = space.query(people + moved + rng.normal(0, 0.5, people.shape), hole)
    assert (seen @ directions(people, np.zeros(128)).T).argmax(1).tolist() == list(range(20))


def test_photos_without_faces_are_embedded_too():
    assert IndexEmbedder(FakeEmbedder(), SPACE).embed([]).shape == (0, len(KINDS), 128)
