import pickle

import cv2
import numpy as np
import pytest
from fakes import textured

from twoface.core.affine import apply, invert, scale_of
from twoface.core.errors import InputError
from twoface.core.frame import UPRIGHT, Frame, _shrunk


def test_a_square_is_a_frame():
    frame = Frame.of((10, 20, 266, 276))
    assert frame == Frame(138, 148, 256) == Frame.of(frame) == Frame.of((10, 20, 266, 276, 0))
    assert frame != Frame(138, 148, 256, 1)
    assert np.allclose(frame.corners(), [(9.5, 19.5), (265.5, 19.5), (265.5, 275.5), (9.5, 275.5)])
    assert frame.box == frame.short == (10, 20, 266, 276) and frame.numbers == (10, 20, 266, 276, 0)
    assert pickle.loads(pickle.dumps(frame)) == frame and frame.detail == 2
    assert Frame.of(np.array([0, 0, 100, 104])) == Frame(50, 52, 102)  # the mean side about the same centre


@pytest.mark.parametrize("turn", [(), (0,), (30,)])
@pytest.mark.parametrize(
    ("square", "told"),
    [
        ((0, 0, 100, 110), "^0,0,100,110.*, given as the face.s square, is 100 pixels wide and 110 high: make"),
        ((0, 0, 1, 3), "1 pixels wide and 3 high: make both the same"),
        ((5, 5, 5, 5), "has no area: give X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1"),
        ((9, 5, 5, 9), "has no area"),
        ((5, 5, 6, 6), "is 1 pixels wide and 1 high: make it 2 or more"),
    ],
)
def test_what_is_no_square_is_refused_be_it_turned_or_not(square, told, turn):
    with pytest.raises(InputError, match=told) as refused:
        Frame.of(square + turn)
    assert refused.value.code == "not_square"


@pytest.mark.parametrize(
    "numbers",
    [
        (0, 0, float("nan"), 100),
        (0, 0, 9, 9, float("inf")),
        (0, 0, 9),
        (0, 0, 9, 9, 1, 1),
        "0,0,9,9",
        7,
        (0, 0, 9, None),
    ],
)
def test_what_are_no_numbers_of_a_frame_is_refused(numbers):
    with pytest.raises(InputError, match="is not a square: give four numbers"):
        Frame.of(numbers)


@pytest.mark.parametrize("degrees", [360.5, -361, 1e308])
def test_more_than_a_whole_turn_is_refused(degrees):
    assert [Frame.of((0, 0, 9, 9, turn)).angle for turn in (-360, 360)] == [-360, 360]
    with pytest.raises(InputError, match="is turned by .* degrees: give -360 to 360$"):
        Frame.of((0, 0, 9, 9, degrees))


@pytest.mark.parametrize("degrees", [0, 30, -100, 179])
def test_a_turned_square_comes_upright(degrees):
    frame = Frame.of((100.5, 60.25, 300.5, 260.25, degrees))
    corners, transform = frame.corners(), frame.transform()
    assert np.allclose(corners.mean(0), (200, 159.75)) and np.linalg.det(transform[:, :2]) > 0
    along = corners[1] - corners[0]  # the upper edge, from left to right
    assert np.allclose(along, 200 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]))
    for size in (128, 300):
        assert Frame.of_transform(frame.transform(size), size).numbers == pytest.approx(frame.numbers)
    assert frame.short == frame.numbers[: 5 if degrees else 4]


def test_frames_of_text():
    assert Frame.parse("1,2, 31,32") == Frame(16, 17, 30)
    assert Frame.parse("1,2,31,32,-7.5") == Frame(16, 17, 30, -7.5)
    assert Frame.parse("1.5,2,31.5,32") == Frame(16.5, 17, 30)
    assert str(Frame(16, 17, 30, -7.4)) == "1,2,31,32,-7"
    for text in ("1,2,3", "1,2,3,4,x", "1,2,3,4,5,6", "1 2 3 4", "", "1,2,31,nan"):
        with pytest.raises(InputError, match=f"'{text}' is not a square: give four numbers"):
            Frame.parse(text)


@pytest.mark.parametrize(("x", "y", "side"), [(-0.1, 50, 60), (50, 100, 60), (200, 50, 60), (50, 50, 401)])
def test_a_frame_lies_about_the_photo(x, y, side):
    Frame(199.9, 0, 400, 45).check((200, 100), "a.jpg")
    for angle in (0, 45):
        with pytest.raises(InputError, match="outside a.jpg") as refused:
            Frame(x, y, side, angle).check((200, 100), "a.jpg")
        assert refused.value.code == "frame_outside"


def test_a_frame_of_the_crop_lies_in_the_picture():
    frame = Frame(120, 90, 256, 30)
    assert frame.inner(UPRIGHT).numbers == pytest.approx(frame.numbers)
    inner = Frame(40, 90, 32, -10)
    placed = frame.inner(inner)
    assert (placed.side, placed.angle) == pytest.approx((64, 20))
    corners = apply(invert(frame.transform()), inner.corners())
    assert np.allclose(placed.corners(), corners)
    assert Frame(120, 90, 256, 355).inner(Frame(64, 64, 128, 10)).angle == pytest.approx(5)  # and so `of` takes it


def test_a_frame_in_a_part_of_the_picture():
    frame = Frame(120, 90, 256, 30)
    assert np.allclose(apply(frame.shifted(7, 9).transform(), (1, 2)), apply(frame.transform(), (8, 11)))


def test_crop_at_scale_one_is_a_cut():
    pixels = textured(200, 220)
    assert np.array_equal(Frame.of((30, 40, 158, 168)).crop(pixels), pixels[40:168, 30:158])
    assert np.array_equal(Frame.of((30, 40, 130, 140)).crop(pixels, 100), pixels[40:140, 30:130])


def test_crop_shrinks_by_area():
    pixels = textured(600, 700)
    wanted = cv2.resize(pixels[40:552, 60:572], (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(Frame.of((60, 40, 572, 552)).crop(pixels).astype(int) - wanted).max() <= 4
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    frame = Frame(260, 370, 640, -10)
    naive = cv2.warpAffine(stripes, frame.transform(), (128, 128))
    assert frame.crop(stripes)[20:70, 40:90].std() < naive[20:70, 40:90].std() / 5


def test_crop_reflects_the_border():
    pixels = textured(160, 160)
    seen = Frame.of((-20, 0, 108, 128)).crop(pixels)
    assert np.array_equal(seen[:, :20], pixels[:128, 20:0:-1])


def test_what_is_shrunk_keeps_its_places():
    y, x = np.mgrid[:400, :500]
    ramp = np.dstack([x / 2, y / 2, 0 * x]).astype(np.uint8)
    transform = Frame(250, 200, 512, 20).transform(256)
    small, moved = _shrunk(ramp, transform, 0.5)
    assert scale_of(moved) == pytest.approx(1, rel=0.02) and small.shape == (200, 250, 3)
    place = apply(invert(moved), (128, 128))
    seen = small[round(place[1]), round(place[0])][:2]
    assert np.abs(seen * 2.0 - apply(invert(transform), (128, 128))).max() < 4
