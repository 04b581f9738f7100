import numpy as np
import pytest
from fakes import FakeOcclusion
from test_mesh import turned

from twoface.core.frame import UPRIGHT, Frame
from twoface.core.images import read_photo
from twoface.core.mesh import Mesh, inside, template_mesh
from twoface.core.occlusion import (
    GROWN,
    OUTLINE,
    WORDS,
    Cover,
    Occlusion,
    beside,
    closed_eyes,
    glasses,
    grown,
    marked,
    partly_inside,
    proposed,
    rim,
    whole,
)

FACE = Frame.of((144, 26, 310, 192))  # in samples/photo.jpg


def chances(*boxes, sure=0.95):
    """Probability high in boxes (x0, y0, x1, y1) of the crop, low elsewhere."""
    result = np.full((128, 128), 0.03, np.float32)
    for x0, y0, x1, y1 in boxes:
        result[y0:y1, x0:x1] = sure
    return result


def test_what_lies_before_the_face_is_marked_and_a_gap_in_it_closed():
    hidden = marked(chances((35, 50, 60, 66), (62, 50, 90, 66)), template_mesh())
    assert hidden[52:64, 37:88].all() and hidden.sum() < 55 * 16 + 20


@pytest.mark.parametrize(
    "chance",
    [chances(), chances((60, 60, 66, 66)), chances((40, 40, 80, 60), sure=0.55), chances((0, 100, 28, 128))],
    ids=["nothing", "small", "unsure", "beside the face"],
)
def test_what_is_left_out(chance):
    assert not marked(chance, template_mesh()).any()


def test_a_large_thing_need_only_touch_the_face():
    assert marked(chances((0, 60, 50, 128)), template_mesh()).any()
    far = turned(yaw=0)
    far[:, 0] += 60
    assert not marked(chances((0, 60, 40, 128)), far).any()


@pytest.mark.parametrize(
    ("near", "beyond"),
    [
        (chances((60, 60, 67, 67)), chances((60, 60, 66, 66))),  # 45 pixels are a part
        (chances((40, 40, 80, 60), sure=0.82), chances((40, 40, 80, 60), sure=0.78)),
        # Four pixels about the face, which reaches from 25, 30 to 103, 120:
        (chances((12, 64, 22, 74)), chances((11, 64, 21, 74))),
        (chances((107, 64, 117, 74)), chances((108, 64, 118, 74))),
        (chances((59, 17, 69, 27)), chances((59, 16, 69, 26))),
        (chances((60, 123, 69, 128)), chances((60, 124, 69, 128))),
        (chances((0, 40, 24, 120)), chances((0, 40, 23, 120))),  # a twentieth of it
    ],
    ids=["large", "sure", "left", "right", "above", "below", "share"],
)
def test_what_is_just_marked_and_what_just_not(near, beyond):
    assert marked(near, template_mesh()).any() and not marked(beyond, template_mesh()).any()


def test_the_rim_of_a_part_may_be_less_sure_than_its_middle():
    for edge, marked_too in ((0.42, True), (0.38, False)):
        chance = np.maximum(chances((40, 40, 80, 60), sure=edge), chances((50, 45, 70, 55)))
        assert marked(chance, template_mesh())[41, 41] == marked_too


@pytest.mark.parametrize(("gap", "closed"), [(4, True), (5, False)])
def test_a_gap_of_four_pixels_is_closed_and_no_wider_one(gap, closed):
    across = marked(chances((35, 50, 60, 66), (60 + gap, 50, 90, 66)), template_mesh())
    down = marked(chances((50, 40, 70, 60), (50, 60 + gap, 70, 90)), template_mesh())
    assert across[58, 35:90].all() == down[40:90, 60].all() == closed


def test_a_hole_is_grown_alike_across_and_down():
    hidden = boxes((40, 30, 70, 42), (52, 42, 55, 80))
    assert np.array_equal(grown(hidden.T, UPRIGHT, (128, 128)), grown(hidden, UPRIGHT, (128, 128)).T)


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_a_hole_is_grown_and_smooth_at_the_photo_s_resolution(scale):
    """scale: crop pixels per photo pixel."""
    y, x = np.mgrid[:128, :128]
    disc = (x - 60) ** 2 + (y - 70) ** 2 <= 20**2
    side = round(128 / scale)
    hole = grown(disc, Frame(64 / scale, 64 / scale, 128 / scale), (side, side))
    radius = np.sqrt(hole.sum() / np.pi) * scale
    assert radius == pytest.approx(20 + GROWN, abs=0.8)
    there = np.argwhere(hole) * scale + (scale - 1) / 2 - (70, 60)
    assert np.hypot(*there.T).max() < 20 + GROWN + 1.2 + scale  # no corner sticks out


def test_a_hole_stays_in_the_frame_and_in_the_photo():
    everything = np.ones((128, 128), bool)
    hole = grown(everything, UPRIGHT.shifted(-50, -30), (100, 300))
    assert hole[32:, 52:176].all() and not hole[:, :48].any() and not hole[:, 180:].any() and not hole[:28].any()
    assert not grown(~everything, UPRIGHT, (128, 128)).any()
    assert (
        grown(everything, UPRIGHT, (100, 300, 3)).shape
        == grown(~everything, UPRIGHT, (100, 300, 3)).shape
        == (100, 300)
    )


def boxes(*places):
    return boxes_of((128, 128), *places)


def boxes_of(shape, *places):
    mask = np.zeros(shape, bool)
    for x0, y0, x1, y1 in places:
        mask[y0:y1, x0:x1] = True
    return mask


def test_what_goes_on_beside_the_face_is_filled_in_front_of_it_alone():
    points, same = template_mesh(), UPRIGHT
    face = inside(points, "oval")
    glasses, hand = boxes((18, 50, 110, 66)), boxes((0, 84, 60, 128))
    hole, goes_on = proposed(glasses | hand, points, same, (128, 128))
    assert goes_on and (hole[50:66] == grown(glasses, same, (128, 128))[50:66]).all()
    over = grown(face, same, (128, 128), OUTLINE)
    assert hole[hand & face].all() and not hole[80:][~over[80:]].any()
    hole, goes_on = proposed(glasses, points, same, (128, 128))
    assert not goes_on and (hole == grown(glasses, same, (128, 128))).all()


def test_what_hides_next_to_nothing_of_the_face_is_no_hole():
    points = template_mesh()
    face = inside(points, "oval")
    left = int(np.nonzero(face[90])[0].min())
    beside = boxes((0, 86, left + 3, 96))
    assert 0 < (beside & face).sum() < 45
    hole, goes_on = proposed(beside, points, UPRIGHT, (128, 128))
    assert goes_on and not hole.any()


HAND = boxes((20, 80, 70, 128))


@pytest.mark.parametrize(
    ("hole", "partly"),
    [
        (boxes((20, 80, 50, 128)), True),
        (boxes((60, 85, 66, 91)), True),  # within it altogether
        (boxes((20, 80, 70, 128)), False),
        (boxes((23, 82, 68, 128)), False),  # all but its edge
        (inside(template_mesh(), "oval"), False),  # all that is before the face
        (boxes((30, 48, 98, 66)), False),  # elsewhere
        (boxes((66, 60, 90, 84)), False),  # just touched
    ],
)
def test_a_hole_may_hold_a_part_of_a_thing(hole, partly):
    assert partly_inside(HAND, hole, template_mesh()) == partly
    assert not partly_inside(np.zeros_like(HAND), hole, template_mesh())


@pytest.mark.parametrize(
    ("left", "right", "hole"),
    [
        *(
            (0.3, 0.3, None),
            (0.12, 0.12, None),
            (0.04, 0.05, "eyes"),
            (0.08, 0.3, "left-eye"),
            (0.3, 0.08, "right-eye"),
        ),
        *((0.07, 0.07, "eyes"), (0.09, 0.07, None)),  # closed, and narrow
        *((0.1, 0.21, "left-eye"), (0.12, 0.3, None), (0.1, 0.19, None)),  # a wink, and none
    ],
)
def test_closed_eyes(left, right, hole):
    points = template_mesh()
    for (upper, lower, outer, inner), opening in (((159, 145, 33, 133), left), ((386, 374, 263, 362), right)):
        points[upper] = points[lower] - (0, opening * np.linalg.norm(points[outer] - points[inner]), 0)
    assert closed_eyes(Mesh(points, 1.0)) == hole


def test_the_network_that_ships_sees_a_bar_before_a_face_and_its_mirror_image_alike(samples):
    aligned = FACE.crop(read_photo(samples / "photo.jpg").pixels)
    occlusion = Occlusion(threads=1)
    assert occlusion.look(aligned).max() < 0.1
    aligned[50:68, 16:70] = (20, 20, 24)
    chance = occlusion.look(aligned)
    assert chance.dtype == np.float32 and chance.shape == (128, 128)
    assert chance[53:65, 25:65].min() > 0.5 and chance[90:].max() < 0.1 and chance.max() <= 1
    assert np.allclose(occlusion.look(aligned[:, ::-1])[:, ::-1], chance, atol=1e-5)


def test_the_report_of_what_is_filled():
    for what, words in WORDS.items():
        report = Cover(boxes(), what, 0.123456, goes_on=True).report()
        assert report == {"code": what, "what": words, "share": 0.1235, "goes_on": True}


VIEW = Frame.of((100, 60, 228, 188))  # at the crop's own scale: the face reaches from 125, 90 to 203, 180


def things(box, others=None, shape=(300, 400)):
    """What is whole of a green thing in a photo, and the photo's hole."""
    photo = np.full((*shape, 3), 90, np.uint8)
    x0, y0, x1, y1 = box
    photo[y0:y1, x0:x1] = (0, 255, 0)
    look, nobody = FakeOcclusion(), np.zeros(shape, bool)
    hidden = marked(look.look(VIEW.crop(photo)), template_mesh())
    pieces = beside(hidden, template_mesh())
    found = whole(pieces, template_mesh(), look, photo, VIEW, nobody if others is None else others)
    return found, *proposed(hidden, template_mesh(), VIEW, shape, found)


def test_a_thing_that_a_wider_view_holds_is_hole_altogether():
    found, hole, goes_on = things((185, 130, 240, 160))  # the crop ends at 228, the wider view at 253
    assert hole[132:158, 187:240].all() and found[132:158, 205:240].all() and not goes_on
    assert not hole[:, 246:].any() and not hole[:, :178].any()


def test_a_thing_that_goes_on_outside_the_wider_view_ends_at_the_face():
    found, hole, goes_on = things((185, 130, 300, 160))
    assert not found.any() and goes_on
    assert hole[132:158, 187:200].all() and not hole[:, 210:].any()


def test_a_thing_that_ends_with_the_photo_is_whole():
    found, hole, goes_on = things((185, 130, 240, 160), shape=(300, 240))
    assert found[132:158, 205:240].all() and hole[132:158, 187:240].all() and not goes_on


def test_another_person_is_no_thing():
    others = boxes_of((300, 400), (220, 130, 235, 150))
    found, _, goes_on = things((185, 130, 240, 160), others)
    assert not found.any() and goes_on


def test_a_thing_beside_the_face_alone_stays():
    found, hole, goes_on = things((204, 120, 240, 160))
    assert not found.any() and not hole.any() and goes_on


def test_the_temples_of_glasses_are_not_beside_the_face():
    assert not beside(boxes((20, 50, 108, 66)), template_mesh()).any()
    hand = boxes((85, 70, 128, 90))
    assert np.array_equal(beside(hand | boxes((40, 50, 60, 60)), template_mesh()), hand)


LENSES = ((34, 48, 60, 66), (68, 48, 94, 66))


def worn(light, *boxes, face=150):
    """A crop of a plain face whose marks, in boxes, are so light -> (hidden, points, aligned)."""
    aligned, hidden = np.full((128, 128, 3), face, np.uint8), np.zeros((128, 128), bool)
    for x0, y0, x1, y1 in boxes:
        aligned[y0:y1, x0:x1] = light
        hidden[y0:y1, x0:x1] = True
    return hidden, template_mesh(), aligned


@pytest.mark.parametrize(("face", "light"), [(150, 150), (150, 125), (150, 240), (40, 36)])
def test_glasses_that_one_sees_through(face, light):
    seen = worn(light, *LENSES, (60, 54, 68, 57), face=face)  # with a bridge
    seen[2][50:56, 40:50] = 10  # the eyes behind them are dark
    assert np.array_equal(glasses(*seen), seen[0])


@pytest.mark.parametrize(
    "seen",
    [
        worn(60, *LENSES, (60, 54, 68, 57)),
        worn(150, *LENSES),
        worn(150, (34, 48, 62, 66)),
        worn(150, (34, 48, 94, 128)),
        worn(150, (40, 90, 90, 110)),
        worn(150, (0, 0, 128, 128)),
    ],
    ids=["sunglasses", "a patch on each eye", "one eye", "a hand", "the mouth", "all"],
)
def test_what_is_no_glasses_to_see_through(seen):
    assert not glasses(*seen).any()


def test_glasses_are_told_beside_a_hand():
    hidden, points, aligned = worn(150, *LENSES, (60, 54, 68, 57), (40, 90, 90, 128))
    found = glasses(hidden, points, aligned)
    assert found[50, 40] and found[50, 90] and not found[80:].any()


def boxed(*boxes):
    mask = np.zeros((128, 128), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def test_what_a_tight_hole_leaves_of_a_thing_is_its_rim():
    left = rim(boxed((30, 40, 90, 70)), boxed((32, 42, 88, 68)))
    assert np.array_equal(left, boxed((30, 40, 90, 70)) & ~boxed((32, 42, 88, 68)))


def test_a_rim_reaches_three_pixels_and_is_of_what_the_hole_is_drawn_over():
    hole = boxed((32, 42, 88, 68))
    left = rim(boxed((20, 40, 90, 70)), hole)
    assert left[55, 29] and not left[55, 28] and not (left & hole).any()
    assert not rim(boxed((20, 68, 110, 110)), hole).any()  # a thing beside it
    assert not rim(boxed((84, 40, 110, 70)), hole).any()  # and one that it holds little of
