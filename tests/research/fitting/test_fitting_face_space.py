import numpy as np
import pytest

from twoface.core.identity import calibrated_holes
from twoface.core.mesh import template_mesh
from twoface.research.fitting.face_space import HOLES, hole_of, save
from twoface.research.fitting.probability import bins, fit, hits, judged, score
from twoface.search.face_space import KINDS, FaceSpace


def test_what_is_saved_is_what_is_loaded(tmp_path, monkeypatch):
    means = np.random.default_rng(0).normal(0, 1, (len(KINDS), 128))
    save(FaceSpace(dict(zip(KINDS, means, strict=True)), {"eyes": means[0]}), tmp_path / "again.npz")
    monkeypatch.setattr("twoface.search.face_space.FILE", tmp_path / "again.npz")
    again = FaceSpace.load.__wrapped__()
    assert list(again.kept) == list(KINDS) and list(again.seen) == ["eyes"]
    assert np.stack(list(again.kept.values())) == pytest.approx(means, rel=1e-6)


@pytest.mark.parametrize("name", HOLES)
def test_holes_have_the_shape_of_the_face(name):
    hole, moved = (hole_of(name, template_mesh() + (shift, 0, 0)) for shift in (0, 5))
    assert np.array_equal(hole, calibrated_holes()[name])
    assert (hole == moved).all() == name.startswith("center")


@pytest.fixture
def looks():
    """100 people of two photos; two cosines, of which the second tells less -> {name: (200, 200)}, (200,)."""
    rng, person = np.random.default_rng(0), np.repeat(np.arange(100), 2)
    same = (person[:, None] == person).astype(float)
    noise = [rng.normal(0, spread, same.shape) for spread in (0.15, 0.5)]
    return {"whole": same * 0.5 + noise[0], "hidden": same * 0.5 + noise[1]}, person


def test_what_tells_more_counts_more_and_both_find_more(looks):
    looks, person = looks
    weights = fit(looks, person, np.ones(len(person), bool))
    assert weights["whole"] > 5 * weights["hidden"] > 0
    found = [float(hits(each, person)[:-1]) for each in (looks["hidden"], score(weights, looks))]
    assert found[1] > found[0]


def test_probabilities_are_as_often_right_as_they_say(looks):
    for chance, right, count in bins(*judged(*looks)):
        assert count < 40 or right == pytest.approx(chance, abs=0.12)
