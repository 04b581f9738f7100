import io
import tarfile

import cv2
import numpy as np
import pytest
from fakes import textured
from PIL import Image

from twoface.core.errors import InputError
from twoface.core.mesh import template_mesh
from twoface.research.data.found import Found, look_through
from twoface.research.data.occluders import UNKNOWN
from twoface.research.data.occlusion_samples import OcclusionSamples
from twoface.research.data.parsing import GLASSES, HAIR, SKIN, Parsed
from twoface.research.data.portraits import Augmentation, Portraits

MESHES = np.repeat(template_mesh()[None].astype(np.float32), 4, 0)


def parsed():
    """Three faces of skin, the second with glasses, the third with hair over one eye."""
    parts = np.full((3, 160, 160), SKIN, np.uint8)
    parts[1, 66:84, 45:115] = GLASSES
    parts[2, 60:85, 50:75] = HAIR
    return Parsed(np.stack([textured(160, 160, i) for i in range(3)]), parts, MESHES[:3])


def portraits():
    crops = np.stack([textured(160, 160, 10 + i) for i in range(4)])
    return Portraits(crops, np.arange(4), np.array(["lfw"] * 4), [f"p{i}/0.webp" for i in range(4)], list("abcd"))


def samples(**options):
    return OcclusionSamples(parsed(), 1, 100, Augmentation(), portraits(), MESHES, **options)


def test_a_sample_depends_on_its_number_alone():
    one, other = samples()[7], samples()[7]
    assert np.array_equal(one["target"], other["target"]) and np.array_equal(one["covered"], other["covered"])
    assert one["target"].shape == (128, 128, 3) and one["covered"].dtype == np.uint8


def test_real_glasses_and_hair_over_an_eye_are_marked():
    known = samples().known
    assert not known[0].any()
    assert (known[1, 66:84, 45:115] == 1).all()
    assert (known[2] == 1).any() and (known[2] == UNKNOWN).any()  # the rest of the hair may be a fringe
    assert list(samples().with_glasses) == [1]


def test_shares_of_plain_and_of_real_glasses():
    drawn = samples(plain_share=0.0, glasses_share=0.0)
    assert sum((drawn[i]["covered"] == 1).sum() > 100 for i in range(8)) >= 5
    glasses = samples(plain_share=1.0, glasses_share=1.0)
    assert all((glasses[i]["covered"] == 1).sum() > 300 for i in range(4))


def test_covered_crops_teach_their_marks_and_the_rest_is_left_out():
    mark = np.zeros((128, 128), np.uint8)
    mark[40:60, 30:90] = 1
    found = Found(np.array([0, 1]), np.array([3]), {3: mark})
    shown = samples(found=found, parsed_share=0.0, glasses_share=0.0, found_share=1.0, plain_share=1.0)
    assert all((shown[i]["covered"] == 1).sum() > 600 for i in range(3))
    bare = samples(found=found, parsed_share=0.0, glasses_share=0.0, found_share=0.0, plain_share=1.0)
    assert not any(bare[i]["covered"].any() for i in range(3))


class Marks:
    """A network that takes bright pixels for something in front."""

    def run(self, names, feed):
        return [(feed["image"].min(1, keepdims=True) > 0.97).astype(np.float32)]


def test_looking_through_crops(tmp_path, monkeypatch):
    given = portraits()
    given.crops[2, 60:90, 50:110] = 255  # surely something
    given.crops[3, 60:66, 50:56] = 255  # perhaps something: neither bare nor believed
    monkeypatch.setattr("twoface.research.data.found.open_session", lambda path, threads: Marks())
    np.savez(tmp_path / "found.npz", **look_through(tmp_path / "any.onnx", given))
    found = Found.load(tmp_path / "found.npz", given)
    assert list(found.bare) == [0, 1] and list(found.covered) == [2]
    assert (found.mask(2)[60:90, 50:110] == 1).all() and (found.mask(2)[:16] == UNKNOWN).all()
    assert not found.mask(0).any()
    other = Portraits(given.crops, given.identity, given.source, given.paths[::-1], given.names)
    with pytest.raises(InputError, match="other crops"):
        Found.load(tmp_path / "found.npz", other)
    with pytest.raises(InputError, match=r"twoface\.research\.data\.found"):
        Found.load(tmp_path / "none.npz", given)


def test_pictures_with_parts_are_read_and_aligned(tmp_path):
    parts = np.full((128, 128), SKIN, np.uint8)
    parts[50:60, 40:90] = GLASSES
    palette = Image.fromarray(parts, "P")
    palette.putpalette([7, 7, 7] * 256)
    with tarfile.open(tmp_path / "parts.tar", "w") as tar:
        for name in ("a", "b"):
            buffer = io.BytesIO()
            palette.save(buffer, "PNG")
            jpeg = cv2.imencode(".jpg", textured(128, 128))[1].tobytes()
            for path, data in ((f"x/images/{name}.jpg", jpeg), (f"x/masks/{name}.png", buffer.getvalue())):
                info = tarfile.TarInfo(path)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    for _ in range(2):  # read, then from the cache
        train, val = (Parsed.load(tmp_path, split, tmp_path / "cache") for split in ("train", "val"))
        assert len(train) == len(val) == 1
        assert train.crops.shape == (1, 160, 160, 3) and train.meshes.shape == (1, 478, 3)
        assert set(np.unique(train.parts)) <= {SKIN, GLASSES}
    with pytest.raises(InputError, match="no images/NAME"):
        Parsed.load(tmp_path / "cache", "train")
