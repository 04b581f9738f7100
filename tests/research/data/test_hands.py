import cv2
import numpy as np
import pytest
from fakes import textured

from twoface.core.errors import InputError
from twoface.core.mesh import template_mesh
from twoface.research.data.found import Found
from twoface.research.data.hands import Hands, cut_out, shape_of
from twoface.research.data.occluders import UNKNOWN
from twoface.research.data.occlusion_samples import OcclusionSamples
from twoface.research.data.parsing import SKIN, Parsed
from twoface.research.data.portraits import Augmentation, Portraits

MESHES = np.repeat(template_mesh()[None].astype(np.float32), 3, 0)


def open_hand(x=30, y=150, palm=26.0):
    """The landmarks of an upright hand whose wrist is at (x, y)."""
    rows = [(0, 0), (-0.45, 0.25), (-0.65, 0.5), (-0.8, 0.75), (-0.9, 0.95)]
    for across in (-0.42, -0.14, 0.14, 0.42):
        rows += [(across * (1 + 0.3 * step), 1 + 0.28 * step) for step in range(4)]
    return (np.array([x, y]) + np.array(rows) * (palm, -palm)).astype(np.float32)


def portraits():
    crops = np.stack([textured(160, 160, i) for i in range(3)])
    return Portraits(crops, np.arange(3), np.array(["lfw"] * 3), [f"p{i}/0.webp" for i in range(3)], list("abc"))


def hands(*points, score=0.99):
    alphas = np.array([shape_of(each) * 255 for each in points], np.uint8)
    return Hands(np.zeros(len(points), int), np.full(len(points), score), np.array(points), alphas)


def test_a_hand_is_cut_out_though_its_landmarks_are_off():
    true = shape_of(open_hand())
    crop = np.full((160, 160, 3), (40, 90, 60), np.uint8) + textured(160, 160, 1) // 12
    crop[true] = (205, 150, 120)
    cut = cut_out(crop, open_hand(x=32, y=148)) > 127
    assert np.count_nonzero(cut & true) > 0.85 * np.count_nonzero(cut | true)
    assert not cut_out(crop, open_hand(x=400)).any()


def test_only_sure_hands_beside_the_face_are_laid_elsewhere():
    beside, before = open_hand(x=14), open_hand(x=80, y=120)
    assert hands(beside, before).free(MESHES) == [0]
    assert hands(beside, score=0.6).free(MESHES) == []


def test_crops_with_hands_are_not_bare_and_unmarked_hands_are_unknown():
    parsed = Parsed(portraits().crops, np.full((3, 160, 160), SKIN, np.uint8), MESHES)
    mark = np.zeros((128, 128), np.uint8)
    mark[40:60, 30:90] = 1
    how = (parsed, 1, 100, Augmentation(rotation=0, scale=0, shift=0), portraits(), MESHES)
    shares = {"parsed_share": 0.0, "glasses_share": 0.0, "plain_share": 1.0}
    bare = OcclusionSamples(*how, found=Found(np.array([0, 1]), np.array([2]), {2: mark}), hands=hands(open_hand()))
    assert list(bare.bare) == [1]
    found = Found(np.array([1]), np.array([0]), {0: mark})
    shown = OcclusionSamples(*how, found=found, hands=hands(open_hand()), found_share=1.0, **shares)
    covered = shown[0]["covered"]
    assert (covered == 1).sum() > 600
    assert (covered[110:125] == UNKNOWN).sum() > 100  # the hand


def test_the_file_of_hands_belongs_to_its_crops(tmp_path):
    held = hands(open_hand())
    np.savez(tmp_path / "hands.npz", key=portraits().key, **vars(held))
    assert np.array_equal(Hands.load(tmp_path / "hands.npz", portraits()).points, held.points)
    given = portraits()
    with pytest.raises(InputError, match="other crops"):
        other = Portraits(given.crops, given.identity, given.source, given.paths[::-1], given.names)
        Hands.load(tmp_path / "hands.npz", other)
    with pytest.raises(InputError, match=r"twoface\.research\.data\.hands"):
        Hands.load(tmp_path / "none.npz", given)


def test_shape_grows():
    assert shape_of(open_hand(), 2.0).sum() > shape_of(open_hand()).sum() > cv2.contourArea(open_hand()[[0, 1, 5, 17]])


def test_of_what_covers_crops_glasses_are_half():
    parsed = Parsed(portraits().crops, np.full((3, 160, 160), SKIN, np.uint8), MESHES)
    glasses, hand = np.zeros((2, 128, 128), np.uint8)
    glasses[52:66, 36:92] = hand[95:125, 40:80] = 1
    found = Found(np.array([], int), np.array([0, 1, 2]), {0: glasses, 1: glasses, 2: hand})
    shares = {"parsed_share": 0.0, "glasses_share": 0.0, "plain_share": 1.0, "found_share": 1.0}
    drawn = OcclusionSamples(parsed, 1, 100, Augmentation(), portraits(), MESHES, found=found, **shares)
    low = [(drawn[i]["covered"][90:] == 1).sum() > 300 for i in range(40)]
    assert 10 < sum(low) < 30
