import numpy as np
import pytest

from twoface.core.errors import InputError
from twoface.research.data.triples import Roles, Triples

IDENTITY = np.repeat([0, 1, 2, 3], [10, 3, 2, 40])
PICTURES = np.random.default_rng(0).integers(1, 255, (len(IDENTITY), 16, 16, 3), np.uint8)


def sets(roles):
    return [np.concatenate(part) for part in (roles.masked, roles.real, roles.reference)]


def test_sets_are_apart_and_everyone_is_in_each():
    roles = Roles.draw(IDENTITY, (0.4, 0.4, 0.2), seed=0)
    masked, real, reference = sets(roles)
    everything = np.concatenate([masked, real, reference])
    assert len(np.unique(everything)) == len(everything) == 53  # without the one who has two pictures
    assert set(IDENTITY[masked]) == set(IDENTITY[real]) == set(IDENTITY[reference]) == {0, 1, 3}
    assert [len(part[2]) for part in (roles.masked, roles.real, roles.reference)] == [16, 16, 8]
    assert [len(part[1]) for part in (roles.masked, roles.real, roles.reference)] == [1, 1, 1]


def test_without_references_two_pictures_are_enough():
    roles = Roles.draw(IDENTITY, (0.5, 0.5, 0.0), seed=0)
    assert [len(members) for members in roles.masked] == [5, 2, 1, 20]
    assert [len(members) for members in roles.real] == [5, 1, 1, 20]
    assert roles.reference == []
    assert Triples(PICTURES, roles, 4, 0, 10)[3]["reference_index"] == -1
    assert not Triples(PICTURES, roles, 4, 0, 10)[3]["reference"].any()


def test_the_split_depends_on_the_seed_alone():
    one, same, other = (sets(Roles.draw(IDENTITY, (0.4, 0.4, 0.2), seed)) for seed in (0, 0, 1))
    assert all(map(np.array_equal, one, same))
    assert not np.array_equal(np.sort(one[0]), np.sort(other[0]))


def test_a_sample_is_of_one_identity_and_keeps_to_the_sets():
    roles = Roles.draw(IDENTITY, (0.4, 0.4, 0.2), seed=0)
    triples = Triples(PICTURES, roles, 4, 0, 200)
    used = {"target": set(), "real": set(), "reference": set()}
    for sample in map(triples.__getitem__, range(200)):
        places = {name: sample[f"{name}_index"] for name in used}
        assert len({IDENTITY[place] for place in places.values()}) == 1
        for name, place in places.items():
            assert np.array_equal(sample[name], PICTURES[place])
            used[name].add(place)
    assert [used[name] for name in used] == [set(part.tolist()) for part in sets(roles)]


def test_sample_depends_on_seed_and_number_alone():
    roles = Roles.draw(IDENTITY, (0.4, 0.4, 0.2), seed=0)
    one, other = Triples(PICTURES, roles, 4, 0, 50), Triples(PICTURES, roles, 4, 0, 50)
    other[3]
    assert all(np.array_equal(one[9][key], other[9][key]) for key in one[9])
    assert any(one[i]["target_index"] != Triples(PICTURES, roles, 4, 1, 50)[i]["target_index"] for i in range(5))


def test_hole_is_the_centre_square():
    mask = Triples(PICTURES, Roles.draw(IDENTITY, (0.4, 0.4, 0.2), 0), 4, 0, 1)[0]["mask"]
    assert mask.sum() == 16 and mask[6:10, 6:10].all()


def test_too_few_pictures():
    with pytest.raises(InputError, match="no identity has 3 pictures"):
        Roles.draw(np.array([0, 0, 1]), (0.4, 0.4, 0.2), 0)
