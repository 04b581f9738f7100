import numpy as np
import pytest

from twoface.core.errors import InputError
from twoface.core.mesh import template_mesh
from twoface.research.data.portraits import Augmentation, PortraitPairs, Portraits


def make(counts=(4, 2, 1, 1)):
    identity = np.repeat(np.arange(len(counts)), counts)
    crops = np.random.default_rng(0).integers(0, 255, (len(identity), 160, 160, 3), np.uint8)
    names = [f"p{i}" for i in range(len(counts))]
    return Portraits(crops, identity, np.full(len(identity), "lfw"), [str(i) for i in range(len(identity))], names)


def meshes(portraits):
    return np.repeat(template_mesh()[None], len(portraits), 0)


def pairs(portraits, *arguments, **named):
    return PortraitPairs(portraits, meshes(portraits), *arguments, **named)


def test_sample_depends_on_seed_and_index_alone():
    one, other = pairs(make(), 0, 50), pairs(make(), 0, 50)
    other[3], other[17]
    for key, value in one[9].items():
        assert np.array_equal(value, other[9][key])
    assert not np.array_equal(one[9]["target"], pairs(make(), 1, 50)[9]["target"])


def test_pairs_are_of_one_person_and_never_the_same_picture():
    portraits = make()
    for sample in map(pairs(portraits, 0, 100).__getitem__, range(100)):
        target, reference = sample["target_index"], sample["reference_index"]
        if reference >= 0:
            assert portraits.identity[target] == portraits.identity[reference] and target != reference
            assert sample["reference"].any() and sample["trust"].max() > 200
        else:
            assert not sample["reference"].any() and not sample["trust"].any()
        assert set(np.unique(sample["mask"])) <= {0, 1} and sample["mask"].any()


def test_shares_of_samples_without_a_reference():
    drawn = pairs(make(), 0, 1000, single_share=0.2, drop_reference=0.25)
    samples = [drawn._draw(np.random.default_rng(i)) for i in range(1000)]
    single = np.mean([target >= 6 for target, _ in samples])
    dropped = np.mean([reference < 0 for target, reference in samples if target < 6])
    assert abs(single - 0.2) < 0.05 and abs(dropped - 0.25) < 0.05


def test_without_augmentation_the_view_is_the_centre():
    portraits = make()
    still = Augmentation(rotation=0, scale=0, shift=0, colour=0, toned_share=0, blur=0, reference_blur=0)
    sample = pairs(portraits, 3, 50, still)[0]
    crop = portraits.crops[sample["target_index"], 16:144, 16:144]
    same, mirrored = (np.abs(sample["target"].astype(int) - c).max() for c in (crop, crop[:, ::-1]))
    assert min(same, mirrored) <= 1


def test_a_blurred_picture_is_softer_than_itself():
    def edges(sample):
        return np.abs(np.diff(sample["target"].astype(int), axis=1)).mean()

    sharp, soft = (pairs(make(), 3, 20, Augmentation(blur=share)) for share in (0.0, 1.0))
    for one, other in ((sharp[i], soft[i]) for i in range(20)):
        assert one["target_index"] == other["target_index"] and edges(other) < edges(one)


def test_what_covers_a_reference_is_not_trusted():
    bare, covered = (
        pairs(make(), 3, 20, Augmentation(reference_blur=0, reference_covered=share)) for share in (0.0, 1.0)
    )
    shown = [(one, covered[i]) for i, one in enumerate(map(bare.__getitem__, range(20))) if one["reference_index"] >= 0]
    assert len(shown) > 5
    for one, other in shown:
        changed = (one["reference"] != other["reference"]).any(-1)
        assert changed.any() and not other["trust"][changed].any()


def test_no_pair_to_learn_from():
    with pytest.raises(InputError, match="no identity has two pictures"):
        pairs(make((1, 1)), 0, 10)


def test_load_errors(tmp_path):
    with pytest.raises(InputError, match="twoface data prepare"):
        Portraits.load(tmp_path, "train")
    (tmp_path / "index.csv").write_text("split,shard,path,identity,source\ntrain,train-00.tar,a/0.webp,a,lfw\n")
    with pytest.raises(InputError, match="no split 'val'"):
        Portraits.load(tmp_path, "val")
    with pytest.raises(InputError, match="train-00.tar"):
        Portraits.load(tmp_path, "train")


def test_a_mesh_found_in_a_first_fill_is_what_the_reference_is_registered_to():
    class Finder:
        def behind(self, target, mask, network):
            self.seen.append(mask)
            return np.where(mask[..., None], np.uint8(200), target), template_mesh() + (self.off, 0, 0)

    def drawn(off):
        drawn = pairs(make(), 3, 12, Augmentation(reference_covered=0), first_fills=True)
        finder = Finder()
        finder.off, finder.seen = off, []
        drawn._finders = finder, None
        samples = [drawn[i] for i in range(12)]
        assert len(finder.seen) == sum(sample["reference_index"] >= 0 for sample in samples) > 5
        return list(zip((s for s in samples if s["reference_index"] >= 0), finder.seen, strict=True))

    for (here, mask), (right, _) in zip(drawn(0), drawn(12), strict=True):
        assert np.array_equal(here["mask"], mask) and np.array_equal(here["target"], right["target"])
        hole = mask.astype(bool)
        assert (here["reference"][hole] != right["reference"][hole]).mean() > 0.5
