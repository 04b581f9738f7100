import numpy as np
import pytest

from twoface.core.background import beside, continued
from twoface.core.frame import SIZE, Frame
from twoface.core.masks import box_hole
from twoface.core.mesh import template_mesh

FRAME = Frame.of((100, 60, 228, 188))  # at the crop's own scale; the face reaches from 125, 90 to 203, 180
SHAPE = (260, 360)
NOBODY = np.zeros(SHAPE, bool)


def stripes(scale=1):
    """Two regions: stripes that slope, above a plain floor, with a little noise -> uint8 (H, W, 3)."""
    y, x = np.mgrid[: SHAPE[0] * scale, : SHAPE[1] * scale] / scale
    wave = 128 + 80 * np.sin((x + 0.5 * y) / 5)
    picture = np.where((y > 170)[..., None], (150, 110, 70), wave[..., None] * (1, 0.8, 0.6))
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def off(one, other, where):
    return np.abs(one[where].astype(float) - other[where]).mean()


@pytest.mark.parametrize("scale", [1, 3])
def test_texture_goes_on_through_a_hole_at_any_resolution(scale):
    photo = stripes(scale)
    hole = box_hole((240 * scale, 60 * scale, 275 * scale, 200 * scale), photo.shape)
    covered = np.where(hole[..., None], np.uint8(0), photo)
    filled = continued(covered, hole, np.zeros_like(hole), 12, 0)
    assert np.array_equal(filled[~hole], photo[~hole])
    assert off(filled, photo, hole) < 14 < 40 < off(np.full_like(photo, photo[~hole].mean()), photo, hole)
    inner = filled[70 * scale : 160 * scale, 245 * scale : 270 * scale].astype(float)
    grain = (
        np.abs(np.diff(inner, axis=1)).mean()
        / np.abs(np.diff(photo[70 * scale : 160 * scale].astype(float), axis=1)).mean()
    )
    assert 0.7 < grain < 1.3  # as sharp as the rest


def test_nothing_is_taken_from_what_is_barred_and_the_covered_part_is_not_seen():
    photo = stripes()
    barred = box_hole((140, 90, 230, 180), SHAPE)
    photo[barred] = (255, 0, 255)
    hole = box_hole((225, 100, 262, 160), SHAPE) & ~barred
    first = photo.copy()
    first[hole] = (0, 255, 0)
    second = photo.copy()
    second[hole] = (0, 0, 0)
    one, two = (continued(picture, hole, barred, 12, 0) for picture in (first, second))
    assert np.array_equal(one, two)
    assert off(one, stripes(), hole) < 25
    assert not ((one[hole].astype(int) @ (1, -2, 1)) > 150).any()  # no magenta


def test_the_seam_fades_but_not_over_what_is_barred():
    photo = stripes()
    barred = box_hole((180, 100, 200, 160), SHAPE)
    hole = box_hole((200, 100, 240, 160), SHAPE)
    covered = np.where(hole[..., None], np.uint8(0), photo)
    filled = continued(covered, hole, barred, 12, 6)
    changed = (filled != photo).any(-1)
    assert changed[105:155, 240:244].any() and not changed[:, 246:].any() and not changed[barred].any()


@pytest.mark.parametrize("scale", [1, 2])
def test_the_guess_says_which_of_the_surroundings_goes_on(scale):
    """Red on the left, blue on the right, the hole between: it becomes as the guess has it, but for its blur."""
    photo = np.zeros((200 * scale, 300 * scale, 3), np.uint8)
    photo[:, : 130 * scale], photo[:, 170 * scale :] = (200, 40, 40), (40, 40, 200)
    noise = np.random.default_rng(0).normal(0, 12, photo.shape)
    photo = np.clip(photo + noise, 0, 255).astype(np.uint8)
    hole = box_hole((130 * scale, 60 * scale, 170 * scale, 140 * scale), photo.shape)
    photo[hole] = (0, 255, 0)
    frame = Frame.of((80 * scale, 36 * scale, 208 * scale, 164 * scale))
    for colour in ((200, 40, 40), (40, 40, 200)):
        crop = np.full((SIZE, SIZE, 3), colour, np.uint8)
        filled = continued(photo, hole, np.zeros_like(hole), 12, 0, (crop, frame))
        assert np.abs(np.median(filled[hole], axis=0) - colour).max() < 15
        assert filled[hole].std(0).min() > 6  # of patches, not of the guess's flat colour
    beyond = Frame.of((5000, 5000, 5128, 5128))
    one, two = (continued(photo, hole, np.zeros_like(hole), 12, 0, guess) for guess in (None, (crop, beyond)))
    assert np.array_equal(one, two)


def test_the_same_photo_gives_the_same_fill():
    hole = box_hole((240, 60, 275, 120), SHAPE)
    one, two = (continued(stripes(), hole, NOBODY, 12, 2) for _ in range(2))
    assert np.array_equal(one, two)


def test_nothing_to_take_it_from():
    hole = box_hole((10, 10, 350, 250), SHAPE)
    assert continued(stripes(), hole, ~hole, 12, 2) is None


def test_no_patches_at_the_finest_level():
    """Scratches so dense that no whole patch is left; coarser levels, where they are gone, do have some."""
    photo = stripes()[:256, :256]
    hole = box_hole((100, 100, 140, 140), photo.shape)
    hole[::5] = True
    assert continued(photo, hole, np.zeros_like(hole), 5, 0) is None


def test_which_part_of_a_hole_lies_beside_the_face():
    face = box_hole((140, 100, 190, 160), SHAPE)
    assert not beside(face, template_mesh(), FRAME).any()
    hand = box_hole((180, 130, 330, 150), SHAPE)  # a sixth of it on the face
    found = beside(hand, template_mesh(), FRAME)
    assert found[hand & ~box_hole((0, 0, 206, 260), SHAPE)].all() and not found[:, :195].any()
    glasses = box_hole((118, 115, 210, 130), SHAPE)  # their temples reach a little over it
    assert not beside(glasses, template_mesh(), FRAME).any()
    scratch = box_hole(
        (90, 120, 240, 124), SHAPE
    )  # for its greater part on the face, and out of the frame at both ends
    found = beside(scratch, template_mesh(), FRAME)
    assert found[120:124, 90:110].all() and found[120:124, 218:240].all() and not found[:, 120:208].any()


def test_two_pieces_are_judged_apart():
    both = box_hole((180, 130, 330, 150), SHAPE) | box_hole((118, 105, 160, 115), SHAPE)
    found = beside(both, template_mesh(), FRAME)
    assert found[140, 210] and not found[105:115].any()
