import numpy as np
import pytest

from twoface.core.identity import calibrated_holes
from twoface.research.fitting.face_space import map_to, save, stretch_of
from twoface.search.face_space import FaceSpace, unit


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
    space = FaceSpace(embeddings.mean(0), stretch_of(embeddings, person, 0.01), {})
    missed, missed_before = 1 - first_hits(space.index(embeddings), person), 1 - first_hits(unit(embeddings), person)
    assert missed < missed_before / 4
    assert np.linalg.norm(space.index(embeddings), axis=1) == pytest.approx(1)


def test_people_with_one_photo_say_nothing_of_the_spread(people):
    embeddings, person = people
    alone = np.concatenate([embeddings, embeddings[:5] * 100]), np.concatenate([person, 300 + np.arange(5)])
    assert stretch_of(*alone) == pytest.approx(stretch_of(embeddings, person), rel=1e-6)


def test_a_map_leads_from_a_face_with_a_hole_to_the_whole_one():
    rng, holes = np.random.default_rng(0), calibrated_holes()
    whole = unit(rng.normal(0, 1, (500, 8)))
    turned = whole @ rng.normal(0, 1, (8, 8)) + 3  # as a hole moves and turns the embeddings of all
    noise = whole + rng.normal(0, 0.5, whole.shape)
    space = FaceSpace(None, None, {"eyes": map_to(whole[:400], turned[:400], noise[:400], 1e-6), "lower": (0, 0)})
    found = space.holed(turned[400:], noise[400:], holes["eyes"])
    assert (found * whole[400:]).sum(1).min() > 0.95 and np.linalg.norm(found, axis=1) == pytest.approx(1)


def test_a_large_penalty_trusts_the_embeddings_less():
    rng = np.random.default_rng(0)
    whole, hidden = rng.normal(0, 1, (2, 100, 8))
    small, large = (np.abs(map_to(whole, hidden, hidden, penalty)[1]).sum() for penalty in (1, 1000))
    assert large < small / 2


def test_what_is_saved_is_what_is_loaded(tmp_path, monkeypatch):
    mean, stretch, center, weights = (np.random.default_rng(0).normal(0, 1, shape) for shape in (4, (4, 4), 8, (8, 4)))
    save(FaceSpace(mean, stretch, {"eyes": (center, weights)}), tmp_path / "again.npz")
    monkeypatch.setattr("twoface.search.face_space.FILE", tmp_path / "again.npz")
    again = FaceSpace.load.__wrapped__(FaceSpace)
    assert again.mean == pytest.approx(mean) and again.stretch == pytest.approx(stretch, rel=1e-3)
    assert again.maps["eyes"][0] == pytest.approx(center) and again.maps["eyes"][1] == pytest.approx(weights, rel=1e-3)
