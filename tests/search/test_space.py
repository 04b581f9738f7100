import numpy as np
import pytest

from twoface.identity import calibrated_holes
from twoface.search.space import FaceSpace, nearest_hole, stretch_of, unit


@pytest.fixture
def people():
    """300 people of four photos, which spread in one direction ten times as far as in the others -> (N, 8), (N,)."""
    rng = np.random.default_rng(0)
    centers = np.repeat(rng.normal(0, 1, (300, 8)), 4, axis=0)
    return centers + rng.normal(0, 0.3, (1200, 8)) * ([3] + [0.3] * 7) + 5, np.repeat(np.arange(300), 4)


def first_hits(vectors, person):
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return np.mean(person[scores.argmax(1)] == person)


def test_in_the_space_people_are_told_apart_better(people):
    embeddings, person = people
    space = FaceSpace(embeddings.mean(0), stretch_of(embeddings, person, 0.01), {}, {})
    missed, missed_before = 1 - first_hits(space.index(embeddings), person), 1 - first_hits(unit(embeddings), person)
    assert missed < missed_before / 4
    assert np.linalg.norm(space.index(embeddings), axis=1) == pytest.approx(1)


def test_people_with_one_photo_say_nothing_of_the_spread(people):
    embeddings, person = people
    alone = np.concatenate([embeddings, embeddings[:5] * 100]), np.concatenate([person, 300 + np.arange(5)])
    assert stretch_of(*alone) == pytest.approx(stretch_of(embeddings, person), rel=1e-6)


def test_each_hole_has_its_own_mean():
    step = {"eyes": np.eye(4)[0], "lower": np.eye(4)[1]}
    space = FaceSpace(np.zeros(4), np.eye(4), {k: v / 2 for k, v in step.items()}, step)
    face, holes = unit(np.array([1.0, 1, 1, 1])), calibrated_holes()
    for name, mean in step.items():
        assert space.second((face + mean)[None], holes[name])[0] == pytest.approx(face)
        first = space.first(face[None], face[None], holes[name])[0]
        assert first == pytest.approx(unit(face - mean / 2))


def test_another_hole_takes_the_nearest_one():
    hole = calibrated_holes()["eyes"].copy()
    hole[50:60, 30:40] = True
    assert nearest_hole(hole, ("whole", "center 64", "eyes", "lower")) == "eyes"


def test_the_space_that_ships_is_whole(tmp_path):
    space = FaceSpace.load()
    assert space.mean.shape == (512,) and space.stretch.shape == (512, 512)
    assert {"center 64", "eyes", "lower"} <= set(space.first_means) == set(space.second_means)
    space.save(tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as file:
        assert file["stretch"].astype(np.float32) == pytest.approx(space.stretch)
