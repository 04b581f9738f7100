import cv2
import numpy as np
import pytest
from fakes import straight, textured, with_texture

from twoface.core import bands
from twoface.core.affine import apply
from twoface.core.blend import (
    FINE,
    SIZE,
    _needed,
    blend,
    contrast_of,
    crop_mask,
    render,
    seam_correction,
    smoothed,
)
from twoface.core.frame import UPRIGHT, Frame
from twoface.core.masks import box_hole, feather
from twoface.core.network import lowered


def constant_fields(weight=1.0, flow=(0, 0), gain=1.0, offset=0.0, synthesis=0.5):
    return {
        "synthesis": np.full((3, SIZE, SIZE), synthesis, np.float32),
        "flow": np.broadcast_to(np.float32(flow)[:, None, None], (2, 32, 32)),
        "gain": np.full((3, 32, 32), gain, np.float32),
        "offset": np.full((3, SIZE, SIZE), offset, np.float32),
        "weight": np.full((1, 32, 32), weight, np.float32),
        "within": np.ones((SIZE, SIZE), np.float32),
    }


def grid(height, width):
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)


def blended(photo, *given):
    result = photo.copy()
    blend(result, *given)
    return result


def contract(fields, reference):
    """`fill` as docs/architecture.md defines it, for whole-pixel flows."""
    up = {k: cv2.resize(fields[k].transpose(1, 2, 0), (SIZE, SIZE)) for k in ("flow", "gain", "weight")}
    places = np.clip(np.rint(grid(SIZE, SIZE) + up["flow"]).astype(int), 0, SIZE - 1)
    moved = reference[places[..., 1], places[..., 0]] / 255
    weight = up["weight"][..., None]
    synthesis, offset = (fields[k].transpose(1, 2, 0) for k in ("synthesis", "offset"))
    return np.clip(weight * (up["gain"] * moved + offset) + (1 - weight) * synthesis, 0, 1)


@pytest.mark.parametrize("flow", [(0, 0), (5, -3), (200, 0)])
def test_at_scale_one_the_fill_is_the_contracts(flow):
    rng = np.random.default_rng(0)
    fields = constant_fields(flow=flow)
    fields["synthesis"], fields["offset"] = rng.random((2, 3, SIZE, SIZE), np.float32)
    fields["weight"] = rng.random((1, 32, 32), np.float32)
    fields["gain"] = rng.random((3, 32, 32), np.float32)
    reference = textured(SIZE, SIZE)
    fill = render(fields, grid(SIZE, SIZE), (reference, straight(UPRIGHT)), 1)
    assert np.abs(fill - contract(fields, reference)).max() < 1e-4


def test_without_a_reference_the_fill_is_the_synthesis():
    fill = render(constant_fields(synthesis=0.3), grid(SIZE, SIZE), None, 1)
    assert np.allclose(fill, 0.3)


def test_the_references_own_detail_comes_at_four_times_the_crop():
    photo, reference = textured(560, 540, 1), textured(560, 540, 2)
    frame = Frame.of((10, 20, 522, 532))
    hole = box_hole((100, 150, 300, 350), photo.shape)
    result = blended(photo, hole, frame, constant_fields(), (reference, straight(frame)))
    assert np.abs(result[hole].astype(int) - reference[hole]).max() <= 4
    small = cv2.resize(frame.crop(reference), (512, 512), interpolation=cv2.INTER_CUBIC)[130:330, 90:290]
    assert np.abs(small.reshape(-1, 3).astype(int) - reference[hole]).mean() > 1.5  # which 128 pixels could not give


def test_a_turned_reference_lands_in_place():
    portrait = textured(400, 400, 3)
    turn = cv2.getRotationMatrix2D((199.5, 199.5), 30, 0.9)
    turned = cv2.warpAffine(portrait, turn, (400, 400), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    frame = Frame.of((72, 72, 328, 328))
    turned_frame = Frame.of_transform(frame.transform() @ np.vstack([cv2.invertAffineTransform(turn), (0, 0, 1)]))
    hole = box_hole((140, 140, 260, 260), portrait.shape)
    result = blended(np.zeros_like(portrait), hole, frame, constant_fields(), (turned, straight(turned_frame)))
    # noise is lost in turning; what is smooth must stand where it stood
    difference = cv2.blur(result, (5, 5)).astype(int) - cv2.blur(portrait, (5, 5))
    assert np.abs(difference[146:254, 146:254]).mean() < 2


@pytest.mark.parametrize("feather_px", [0, 7.5])
def test_known_pixels_return_bit_for_bit(feather_px):
    photo = textured(300, 280)
    hole = box_hole((90, 100, 150, 170), photo.shape)
    result = blended(photo, hole, Frame.of((20, 30, 276, 286)), constant_fields(0), None, feather_px)
    known = feather(hole, feather_px) == 0
    assert np.array_equal(result[known], photo[known])
    assert (result[hole] != photo[hole]).any(-1).mean() > 0.9


def test_a_hole_at_the_photos_corner():
    photo = textured(128, 128)
    hole = box_hole((0, 0, 20, 20), photo.shape)
    result = blended(photo, hole, Frame.of((-30, -30, 98, 98)), constant_fields(0, synthesis=1), None, 4)
    assert result[hole].min() > 200


@pytest.mark.parametrize("scale", [0.5, 1, 2.2])
@pytest.mark.parametrize("feather_px", [0, 6])
def test_the_network_predicts_all_that_is_blended(scale, feather_px):
    side = round(128 / scale)
    frame = Frame.of((10, 10, 10 + side, 10 + side))
    hole = np.zeros((side + 20, side + 20), bool)
    hole[side // 3 : side // 2, side // 3 : side // 2 + 3] = True
    mask = crop_mask(hole, frame, feather_px)
    y, x = np.nonzero(feather(hole, feather_px))
    column, row = np.rint(apply(frame.transform(), np.stack([x, y], 1))).astype(int).T
    assert mask[row, column].all() and mask.mean() < 0.5


def test_the_hole_is_reflected_beyond_the_border():
    mask = crop_mask(box_hole((0, 50, 10, 60), (128, 128)), Frame.of((-30, 0, 98, 128)), 0)
    assert mask[55, 22:38].all() and not mask[55, :15].any()


def test_grain_is_added_where_it_lacks():
    rng = np.random.default_rng(0)
    photo = np.clip(0.5 + rng.normal(0, 0.02, (120, 120, 1)), 0, 1).repeat(3, 2).astype(np.float32)
    hole = box_hole((40, 40, 80, 80), (120, 120))
    fill = np.full_like(photo, 0.5)
    grainy = with_texture(fill, hole, photo, ~hole, 4)
    assert grainy[hole].std() == pytest.approx(0.02, rel=0.15)
    assert np.allclose(grainy[..., 0], grainy[..., 1])
    assert np.array_equal(grainy, with_texture(fill, hole, photo, ~hole, 4))
    assert not np.array_equal(grainy, with_texture(fill, hole, photo, ~hole, 4, seed=1))
    assert np.array_equal(with_texture(fill, hole, fill, ~hole, 4), fill)


@pytest.mark.parametrize("pieces", [[(60, 980)], [(90, 110), (560, 590), (900, 930)], [(200, 220)], [(960, 990)]])
def test_a_large_hole_is_as_grainy_as_its_surroundings_wherever_its_pieces_lie(pieces):
    grey = np.clip(128 + np.random.default_rng(0).normal(0, 8, (1024, 128, 1)), 0, 255)
    photo, hole = grey.astype(np.uint8).repeat(3, 2), np.zeros((1024, 128), bool)
    for top, bottom in pieces:
        hole[top:bottom, 40:90] = True
    result = blended(photo, hole, Frame.of((-448, 0, 576, 1024)), constant_fields(0), None, 2)
    assert result[hole].std() == pytest.approx(8, rel=0.25)


def test_a_much_sharper_fill_is_softened():
    rng = np.random.default_rng(0)
    fill = np.clip(0.5 + rng.normal(0, 0.1, (120, 120, 1)), 0, 1).repeat(3, 2).astype(np.float32)
    photo = cv2.GaussianBlur(fill, (0, 0), 1.0)
    hole = box_hole((40, 40, 80, 80), (120, 120))
    softened = with_texture(fill, hole, photo, ~hole, 4)
    assert softened[hole].std() < 0.6 * fill[hole].std()
    assert np.array_equal(with_texture(fill, hole, photo, ~hole, 0.9), fill)  # at the crop's own scale nothing may go


def test_a_fill_is_as_soft_as_a_photo_that_was_enlarged():
    """Its texture, some pixels wide, is seen at a level of the pyramid, not at single pixels."""
    noise = np.random.default_rng(0).normal(0, 1, (480, 480, 1)).astype(np.float32)
    photo, fill = (
        0.5 + 0.05 * blurred.repeat(3, 2) / blurred.std()
        for blurred in (cv2.GaussianBlur(noise, (0, 0), sigma)[..., None] for sigma in (7, 2))
    )
    hole = box_hole((120, 120, 360, 360), (480, 480))
    softened = with_texture(fill, hole, photo, ~hole, 11)

    def fine(picture):
        return (picture - cv2.GaussianBlur(picture, (0, 0), 4))[hole].std()

    assert fine(softened) < 0.35 * fine(fill) and fine(photo) < 0.35 * fine(fill)
    assert np.allclose(with_texture(photo, hole, photo, ~hole, 11), photo, atol=1e-3)


def test_the_seam_takes_the_colour_of_the_surroundings_and_fades_inwards():
    hole, predicted = np.zeros((2, SIZE, SIZE), bool)
    hole[40:88, 40:88] = predicted[38:90, 38:90] = True
    known, fill = np.full((SIZE, SIZE, 3), 153, np.uint8), np.full((3, SIZE, SIZE), 0.5, np.float32)
    seam = seam_correction(known, fill, hole, predicted)
    assert seam[64, 40] == pytest.approx(0.1, abs=0.02)
    assert 0.1 > seam[64, 44, 0] > seam[64, 48, 0] > seam[64, 64, 0] >= 0
    assert np.abs(seam_correction(known, fill, hole, hole)).max() == 0  # no feather: nothing is known of the error
    fill[:, 60, 60] = 1  # inside the hole the photo tells nothing
    assert np.array_equal(seam_correction(known, fill, hole, predicted), seam)


def test_texture_comes_back_at_its_natural_contrast():
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    damped = constant_fields(weight=0.8, gain=0.5, offset=0.3, synthesis=0.5)
    source = (reference, straight(UPRIGHT))
    soft, sharp = (render(damped, grid(SIZE, SIZE), source, 1, low) for low in (None, smoothed(damped, source, 1)))
    fine, soft_fine, sharp_fine = (
        (p - cv2.GaussianBlur(p, (0, 0), 1.5)).std() for p in (reference.astype(np.float32) / 255, soft, sharp)
    )
    assert soft_fine == pytest.approx(0.4 * fine, rel=0.05)  # weight times gain
    assert sharp_fine > 0.8 * fine
    assert np.abs(cv2.GaussianBlur(sharp - soft, (0, 0), 6)).max() < 0.03  # colours stay the network's
    darker = lowered(damped, 2.0) | {"contrast": 0.5}  # texture too is half as strong in a photo of half the brightness
    dark = render(darker, grid(SIZE, SIZE), source, 1, smoothed(darker, source, 1))
    assert (dark - cv2.GaussianBlur(dark, (0, 0), 1.5)).std() == pytest.approx(0.5 * sharp_fine, rel=0.05)
    damped["within"][:, :64] = 0  # beyond the face the texture is another background's
    half = render(damped, grid(SIZE, SIZE), source, 1, smoothed(damped, source, 1))
    assert np.array_equal(half[:, :60], soft[:, :60]) and np.array_equal(half[:, 68:], sharp[:, 68:])
    doubtful = constant_fields(weight=0.5, gain=0.38, synthesis=0.5)  # the network took little of it
    soft, same = (render(doubtful, grid(SIZE, SIZE), source, 1, low) for low in (None, smoothed(doubtful, source, 1)))
    assert np.array_equal(soft, same)


def test_a_darker_photo_has_less_contrast():
    reference, shared = textured(SIZE, SIZE), np.zeros((SIZE, SIZE), bool)
    assert contrast_of(reference // 2, reference, shared) == 1  # nothing is known
    shared[:64] = True
    assert contrast_of(reference, reference // 2, shared) == contrast_of(reference, reference, shared) == 1
    assert 0.45 <= contrast_of(reference // 2, reference, shared) < 0.6


def test_a_softer_photo_has_less_contrast():
    reference, shared = textured(SIZE, SIZE), np.ones((SIZE, SIZE), bool)
    softer = [contrast_of(cv2.GaussianBlur(reference, (0, 0), sigma), reference, shared) for sigma in (0.5, 1, 2)]
    assert 1 > softer[0] > softer[1] > softer[2] > 0.02
    assert contrast_of(reference, cv2.GaussianBlur(reference, (0, 0), 1), shared) == 1
    shared[5:] = False  # too little of both to tell
    assert contrast_of(cv2.GaussianBlur(reference, (0, 0), 2), reference, shared) > 0.9


@pytest.mark.parametrize("detail", [1, 2, 7])
def test_what_is_smooth_is_a_blur_of_the_photos_own_pixels(detail):
    side = round(SIZE * detail)
    frame = Frame.of((0, 0, side, side))
    reference = textured(side, side)
    smooth = smoothed(constant_fields(), (reference, straight(frame)), detail)
    wanted = cv2.GaussianBlur(reference.astype(np.float32) / 255, (0, 0), FINE * detail)
    found = cv2.resize(smooth, (side, side))
    off, edge = np.abs(found - wanted), int(3 * FINE * detail)
    assert off[edge:-edge, edge:-edge].max() < 0.005 and off.max() < 0.03


def test_a_fill_is_the_same_in_bands_of_any_size(monkeypatch):
    photo, reference = textured(400, 380, 1), textured(400, 380, 2)
    frame = Frame.of((10, 20, 330, 340))
    hole = box_hole((80, 60, 280, 300), photo.shape)
    given = (hole, frame, constant_fields(0.8, gain=0.7, offset=0.1), (reference, straight(frame)), 5.0)
    whole = blended(photo, *given)
    monkeypatch.setattr(bands, "PIXELS", 20_000)
    parts = blended(photo, *given)
    off = np.abs(whole.astype(int) - parts)
    assert (whole[hole] != photo[hole]).any(-1).mean() > 0.9 and off.mean() < 0.5 and off.max() <= 8


def test_a_lookup_needs_a_part_only():
    picture = textured(200, 240).astype(np.float32)
    places = np.random.default_rng(0).uniform((60, 50), (90, 120), (40, 40, 2)).astype(np.float32)
    wanted = cv2.remap(picture, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    moved = places.copy()
    part = _needed(picture, moved)
    assert part.size < picture.size / 10
    assert np.abs(cv2.remap(part, moved, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101) - wanted).max() < 1


@pytest.mark.parametrize("corner", [(-25, 40), (210, -12), (225, 190), (-900, 5)])
def test_a_lookup_over_the_border_needs_what_is_reflected(corner):
    picture = textured(200, 240).astype(np.float32)
    places = (np.random.default_rng(0).uniform(0, 30, (40, 40, 2)) + corner).astype(np.float32)
    wanted = cv2.remap(picture, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    part = _needed(picture, places)
    assert part.size < picture.size / 4 or corner[0] < -240  # which goes to and fro
    assert np.abs(cv2.remap(part, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101) - wanted).max() < 1
