import numpy as np
import pytest
from serving import pictures

from twoface.core.errors import InputError
from twoface.service.tensors import CENTER, check, generated


def test_the_black_centre_is_the_hole_when_there_is_no_mask():
    image, reference = pictures(2)
    crops = check(image, reference=reference, rows=4)
    assert crops.mask.shape == (2, 1, 128, 128) and crops.mask.sum() == 2 * 32 * 32
    assert (crops.mask[:, :, CENTER, CENTER] == 1).all()
    np.testing.assert_array_equal(crops.reference, reference)


def test_no_reference_is_an_all_black_one():
    assert not check(pictures()[0], rows=1).reference.any()


def test_outside_the_hole_the_answer_is_the_callers_picture_bit_for_bit():
    image, reference = pictures()
    mask = np.zeros((1, 1, 128, 128), np.float32)
    mask[:, :, :9, 5:20] = 1
    answer = generated(check(image, mask, rows=1), reference)
    hole = np.repeat(mask == 1, 3, axis=1)
    np.testing.assert_array_equal(answer[~hole], image[~hole])
    np.testing.assert_array_equal(answer[hole], reference[hole])


def test_bytes_come_back_as_the_same_bytes():
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 128, 128), np.uint8)
    mask = np.zeros((2, 1, 128, 128), np.uint8)
    mask[:, :, :64] = 255
    answer = generated(check(image, mask, image, rows=2), np.full(image.shape, 0.5, np.float32))
    assert answer.dtype == np.uint8
    np.testing.assert_array_equal(answer[:, :, 64:], image[:, :, 64:])
    assert (answer[:, :, :64] == 128).all()


def wrong(**changes):
    image, reference = pictures()
    return {"image": image, "reference": reference, "mask": np.ones((1, 1, 128, 128), np.float32)} | changes


FULL = np.full((1, 3, 128, 128), 0.5, np.float32)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (wrong(image=FULL[0]), "image must be"),
        (wrong(image=FULL[:, :1]), "image must be"),
        (wrong(image=FULL[:0]), "1 to 2 pictures"),
        (wrong(image=np.repeat(FULL, 3, 0)), "1 to 2 pictures"),
        (wrong(image=FULL.astype(np.float64)), "float32 or uint8"),
        (wrong(image=FULL * 3), "outside"),
        (wrong(image=FULL - 1), "outside"),
        (wrong(image=FULL * np.nan), "NaN"),
        (wrong(reference=FULL * np.inf), "reference holds"),
        (wrong(reference=np.repeat(FULL, 2, 0)), "shape of image"),
        (wrong(mask=FULL[:, :1]), "only 0"),
        (wrong(mask=np.full((1, 1, 128, 128), 7, np.uint8)), "only 0"),
        (wrong(mask=np.full((1, 1, 128, 128), np.nan, np.float32)), "only 0"),
        (wrong(mask=np.ones((1, 128, 128), np.float32)), "mask must be"),
        (wrong(image=FULL, mask=None), "picture 0 has no hole"),
    ],
)
def test_what_cannot_be_used_is_refused(given, text):
    with pytest.raises(InputError, match=text):
        check(**given, rows=2)
