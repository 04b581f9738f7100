from dataclasses import replace

import numpy as np
import pytest

from twoface.core.errors import InputError
from twoface.research.data.portraits import Portraits
from twoface.research.evaluation.pairs import fixed_pairs


def portraits(counts, sources=None):
    identity = np.repeat(np.arange(len(counts)), counts)
    source = np.array(sources or ["lfw"] * len(counts))[identity]
    names = [f"p{i:03}" for i in range(len(counts))]
    numbers = np.concatenate([np.arange(c) for c in counts])
    paths = [f"{names[i]}/{n}.webp" for i, n in zip(identity, numbers, strict=True)]
    return Portraits(np.zeros((len(identity), 1), np.uint8), identity, source, paths, names)


def as_paths(faces, pairs):
    return {faces.paths[t]: faces.paths[r] for t, r in zip(pairs.target, pairs.reference, strict=True)}


def test_each_person_with_two_pictures_gives_one_pair_and_a_stranger():
    faces = portraits([3, 1, 2, 5, 2])
    pairs = fixed_pairs(faces)
    assert faces.identity[pairs.target].tolist() == [0, 2, 3, 4]
    assert np.array_equal(faces.identity[pairs.reference], faces.identity[pairs.target])
    assert (pairs.target != pairs.reference).all()
    assert (faces.identity[pairs.impostor] != faces.identity[pairs.target]).all()
    assert sorted(pairs.impostor) == sorted(pairs.reference)


def test_every_reference_is_a_stranger_for_many_seeds():
    faces = portraits([2] * 3)
    for seed in range(30):
        pairs = fixed_pairs(faces, seed=seed)
        assert (pairs.impostor != pairs.reference).all()


def test_the_seed_decides():
    faces = portraits([6] * 10)
    one, same, other = (fixed_pairs(faces, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.target, same.target) and np.array_equal(one.impostor, same.impostor)
    assert not np.array_equal(one.target, other.target)
    assert not np.array_equal(one.impostor // 6, other.impostor // 6)


def test_a_pair_depends_on_its_person_alone():
    faces = portraits([5, 5, 5, 5], ["lfw", "celeb", "lfw", "celeb"])
    everyone, some = as_paths(faces, fixed_pairs(faces)), as_paths(faces, fixed_pairs(faces, "celeb"))
    assert len(some) == 2 and some.items() <= everyone.items()
    backwards = replace(faces, identity=faces.identity[::-1], source=faces.source[::-1], paths=faces.paths[::-1])
    assert as_paths(backwards, fixed_pairs(backwards)) == everyone


def test_unknown_source():
    with pytest.raises(InputError, match="use all or one of celeb, lfw"):
        fixed_pairs(portraits([2, 2], ["lfw", "celeb"]), "casia")


def test_too_few_people():
    with pytest.raises(InputError, match="1 people have two pictures"):
        fixed_pairs(portraits([2, 1, 1]))
