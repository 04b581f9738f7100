import dataclasses
import io
import json
import time

import numpy as np
import pytest
from fakes import (
    FRAME,
    HOLE,
    MEAN_MESH,
    FakeDetector,
    FakeEmbedder,
    FakeMesher,
    FakeOcclusion,
    placed_face,
    textured,
    write_network,
)
from PIL import Image

from twoface import FillResult, Inpainter, InputError, Photo
from twoface.core import background
from twoface.core.frame import SIZE, Frame
from twoface.core.images import encode_photo, read_photo
from twoface.core.masks import box_hole, feather, grow
from twoface.core.mesh import to_template
from twoface.core.prepared import FEATHER


def near(frame, other):
    return frame.numbers == pytest.approx(other.numbers)


def changed(result, photo):
    return (result.photo.pixels != photo).any(-1)


def test_fills_the_hole_and_nothing_else(fill, photo):
    reference = textured(320, 340, 9)
    hole = box_hole(HOLE, photo.shape)
    feathered = fill(photo, hole=HOLE, reference=reference)
    assert not changed(feathered, photo)[feather(hole, 4) == 0].any()  # 2 crop pixels are 4 of the photo
    result = fill(photo, hole=HOLE, reference=reference, feather=0)
    assert np.array_equal(result.mask_crop, feathered.mask_crop)  # what is blended over is seen all the same
    assert isinstance(result, FillResult) and np.array_equal(result.hole, hole)
    assert not changed(result, photo)[~hole].any()
    assert np.abs(result.photo.pixels[hole].astype(int) - reference[hole]).max() <= 2
    assert near(result.frame, FRAME)
    assert np.array_equal(result.crop, FRAME.crop(result.photo.pixels))
    assert np.array_equal(result.reference_crop, FRAME.crop(reference))
    assert (result.masked_crop[65:70, 65:70] == 0).all()


def test_mask_array_mask_file_and_box_agree(fill, photo, tmp_path):
    hole = box_hole(HOLE, photo.shape)
    Image.fromarray(hole.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    pictures = [fill(photo, **given).photo.pixels for given in ({"mask": hole}, {"hole": HOLE})]
    for mask in (tmp_path / "mask.png", Image.open(tmp_path / "mask.png")):
        pictures.append(fill(photo, mask=mask).photo.pixels)
    pictures.append(fill(Image.fromarray(photo), hole=",".join(map(str, HOLE))).photo.pixels)
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


def test_a_named_hole_turns_with_the_face(inpainter, photo):
    turn = Frame(167, 173, 256, -90)  # the face lies on its side
    result = inpainter(placed_face(turn)).fill(photo, hole="center", center_size=32)
    assert near(result.frame, turn)
    assert result.hole.sum() == pytest.approx(64 * 64, rel=0.05)
    wide = inpainter(placed_face(turn)).fill(photo, hole="eyes").hole
    assert np.ptp(np.nonzero(wide)[0]) > 1.8 * np.ptp(np.nonzero(wide)[1])


def test_orientation_is_handled(fill, photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(photo)).save(buffer, "PNG", exif=exif)
    result = fill(buffer.getvalue(), hole=HOLE)
    assert np.array_equal(result.photo.pixels, fill(photo, hole=HOLE).photo.pixels)
    assert read_photo(encode_photo(result.photo, "PNG")).size == (340, 320)


def test_a_chosen_square_needs_no_detection(network, photo):
    class NoDetector:
        def detect(self, pixels, near=None):
            raise AssertionError("asked to detect")

    result = Inpainter(network(), NoDetector(), FakeEmbedder(), FakeMesher(), FakeOcclusion()).fill(
        photo, hole="nose", face=(40, 30, 296, 286), reference=255 - photo, reference_face=(0, 0, 200, 200)
    )
    assert result.face == (40, 30, 296, 286) and near(result.frame, FRAME)


def test_a_turned_square_is_the_frame(fill, photo):
    """A photo turned on its side, its square turned with it, is filled as the upright one."""
    given = {"hole": "nose", "reference": photo, "reference_face": (40, 30, 296, 286), "same_photo": True}
    upright = fill(photo, face=(40, 30, 296, 286), **given)
    side = np.ascontiguousarray(np.rot90(photo, -1))  # clockwise
    turned = (320 - 286, 40, 320 - 30, 296, 90)
    result = fill(side, face=turned, **given)
    assert np.abs(result.crop.astype(int) - upright.crop).max() <= 2
    assert np.count_nonzero(np.rot90(result.hole) ^ upright.hole) <= 4 * 62  # a pixel along the hole's edge


@pytest.mark.parametrize("turn", [(), (0,), (10,)])
def test_a_square_is_checked_alike_with_degrees_and_without(fill, photo, turn):
    """It may reach over the border, if its centre lies in the photo."""
    result = fill(photo, hole="eyes", face=(-60, -40, 140, 160, *turn))
    assert changed(result, photo).any() and result.face == (-60, -40, 140, 160, *[t for t in turn if t])
    for outside in ((-160, -40, 40, 160), (-600, -600, 900, 900)):
        for given in ({"face": outside + turn}, {"reference": 255 - photo, "reference_face": outside + turn}):
            with pytest.raises(InputError) as told:
                fill(photo, hole="eyes", **given)
            assert told.value.code == "frame_outside"
    for wrong in ((40, 30, 296, 200), (40, 30, 41, 31)):
        with pytest.raises(InputError) as told:
            fill(photo, hole="eyes", face=wrong + turn)
        assert told.value.code == "not_square"


def test_the_box_holds_all_that_changed(fill, photo):
    result = fill(photo, hole=HOLE, reference=textured(320, 340, 9), feather=3)
    x0, y0, x1, y1 = result.box
    assert result.box == (137, 127, 203, 193)
    different = changed(result, photo)
    different[y0:y1, x0:x1] = False
    assert not different.any()
    assert fill(photo, hole=HOLE, feather=1e9).box == (0, 0, 340, 320)


@pytest.mark.filterwarnings("error")
def test_a_feather_may_be_as_wide_as_a_number(fill, photo):
    assert fill(photo, hole=HOLE, feather=1e300).box == (0, 0, 340, 320)
    with pytest.raises(InputError, match="too little"):
        fill(photo, hole=(0, 130, 100, 190), feather=1.7e308)


def test_faces_are_found_in_whatever_fill_takes(inpainter, photo):
    found = inpainter(placed_face(FRAME)).faces(photo)
    assert near(found[0].frame, FRAME) and found[0].score == 1


def test_any_model_with_a_run_will_do(network, photo):
    class Remote:
        def run(self, image, mask, reference, trust):
            return network().run(image, mask, reference, trust)

    remote = Inpainter.load(Remote(), threads=1)
    remote._embedder, remote.mesher = FakeEmbedder(), FakeMesher()
    face = {"face": (40, 30, 296, 286), "reference": 255 - photo, "reference_face": (0, 0, 200, 200)}
    local = Inpainter(network(), None, FakeEmbedder(), FakeMesher(), FakeOcclusion()).fill(photo, hole="nose", **face)
    assert np.array_equal(remote.fill(photo, hole="nose", **face).photo.pixels, local.photo.pixels)


def test_the_face_that_the_mask_touches(inpainter, photo):
    small = placed_face(Frame.of((0, 0, 64, 64)))
    both = inpainter(placed_face(FRAME), small)
    assert near(both.fill(photo, hole="center").frame, FRAME)
    assert near(both.fill(photo, hole=(25, 25, 40, 40)).frame, small.frame)


def test_of_several_faces_that_nothing_tells_apart_the_largest_is_said(inpainter, photo):
    small = placed_face(Frame.of((0, 0, 64, 64)))
    both = inpainter(placed_face(FRAME), small)
    result = both.fill(photo, hole="center")
    assert result.report()["faces"]["why"] == "largest" and "for another give 0,0,64,64" in result.warning
    touched = both.fill(photo, hole=(25, 25, 40, 40))
    assert (touched.faces.number, touched.faces.why) == (1, "touched") and not any(
        "faces" in w for w in touched.warnings
    )
    assert inpainter(small).fill(photo, hole="center").faces.why == "only"


def test_without_a_reference(inpainter, photo):
    result = inpainter(placed_face(FRAME), weight=0.0).fill(photo, hole=HOLE)
    assert result.reference_crop is None and result.reference_used is None and result.references == []
    assert result.reference_why == "none given"
    assert result.identity is None and result.verdict.word == "none"
    assert set(result.report()["identity"].values()) == {None}


def test_report_is_json_and_save_writes(fill, photo, tmp_path):
    result = fill(photo, hole=HOLE, reference=photo, same_photo=True)
    report = json.loads(json.dumps(result.report()))
    assert report["hole"] == {"box": list(HOLE), "pixels": 3600} and report["size"] == [340, 320]
    assert report["seconds"]["total"] > 0 and report["identity"]["same_person"] is True
    assert report["verdict"]["word"] == result.verdict.word and report["outlook"]["word"] == result.outlook.word
    assert report["reference_why"] == "the only one given"
    path = result.save(tmp_path / "out.png")
    assert np.array_equal(read_photo(path).pixels, result.photo.pixels)
    with pytest.raises(InputError, match="exists") as told:
        result.save(path)
    assert told.value.code == "exists"
    with pytest.raises(InputError, match=".png"):
        result.save(tmp_path / "out.gif")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.photo = None


def test_what_lies_outside_the_frame_is_filled_too(fill, photo):
    """From the photo's own surroundings; the network gives (FILL) what lies on the face."""
    mask = box_hole((100, 200, 200, 310), photo.shape)
    result = fill(photo, mask=mask)
    assert result.warning is None and np.array_equal(result.hole, mask)
    different = changed(result, photo)
    assert different[290:308, 110:190].mean() > 0.9 and not different[:190].any() and not different[:, 210:].any()
    own = fill(photo, mask=mask & (np.arange(len(mask)) < 240)[:, None])
    given = (picture.photo.pixels[205:230, 110:190].astype(int) for picture in (result, own))
    assert np.abs(np.subtract(*given)).mean() < 4


def test_the_rim_of_what_a_tight_hole_covers_is_not_seen(inpainter, photo):
    covered = photo.copy()
    covered[130:190, 140:200] = (0, 255, 0)
    prepared = inpainter(placed_face(FRAME)).prepare(covered, mask=box_hole((143, 133, 197, 187), photo.shape))
    bare = inpainter(placed_face(FRAME)).prepare(photo, mask=box_hole((143, 133, 197, 187), photo.shape))
    assert (prepared.crop[~prepared.unknown][:, 1] < 250).all() and prepared.unknown.sum() > bare.unknown.sum()
    assert not prepared.partly


def test_a_hole_on_another_face_too_is_warned_of(inpainter, photo):
    wide = np.hstack([photo, photo])
    faces = placed_face(FRAME), placed_face(Frame(500, 158, 200))
    one = inpainter(*faces).fill(wide, mask=box_hole((120, 130, 350, 160), wide.shape))
    both = inpainter(*faces).fill(wide, mask=box_hole((120, 130, 480, 160), wide.shape))
    assert one.warning is None and "another face" in both.warning
    given = inpainter(*faces).fill(wide, mask=box_hole((120, 130, 480, 160), wide.shape), face=faces[0].frame)
    assert "another face" in given.warning and given.faces.why == "given"
    assert np.array_equal(given.photo.pixels, both.photo.pixels)  # what is a face is no background


def test_a_hole_beside_the_face_is_filled_without_the_network(fill, photo):
    mask = box_hole((40, 60, 60, 80), photo.shape)
    result = fill(photo, mask=mask)
    assert changed(result, photo)[mask].mean() > 0.5
    assert np.array_equal(result.photo.pixels[~grow(mask, 5)], photo[~grow(mask, 5)])


def test_a_network_of_the_thesis_gives_no_guess_of_what_is_beside_its_hole(monkeypatch, inpainter, photo):
    """Its own part of the hole lies in the middle of the crop; asked of all of it, it refuses."""
    told = []
    monkeypatch.setattr(background, "continued", lambda pixels, *given: told.append(given[-1]) or pixels.copy())
    ready = inpainter(placed_face(FRAME))
    mask = box_hole((40, 60, 60, 80), photo.shape)
    ready.prepare(photo, mask=mask)
    run = ready.network.run

    def refuses(image, hole, *others):
        if hole[:, :, :32].any():
            raise InputError("this network fills nothing outside 32,32,96,96")
        return run(image, hole, *others)

    monkeypatch.setattr(ready.network, "run", refuses)
    ready.prepare(photo, mask=mask)
    (crop, frame), none = told
    assert none is None and crop.shape == (SIZE, SIZE, 3) and frame.side == pytest.approx(FRAME.side, rel=0.3)


def test_without_surroundings_the_network_fills_what_its_crop_shows(monkeypatch, fill, photo):
    monkeypatch.setattr(background, "continued", lambda *_: None)
    assert changed(fill(photo, hole=(45, 60, 80, 100)), photo)[65:95, 50:75].all()
    with pytest.raises(InputError, match="too little of the photo is left beside the hole") as caught:
        fill(photo, hole=(10, 100, 200, 200))
    assert caught.value.code == "mask_too_large"


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "^give a mask or a hole that says what to fill$"),
        ({"hole": HOLE, "mask": "a.png"}, "not both"),
        ({"hole": "chin"}, "unknown hole 'chin': use auto, one of center, .* or a box"),
        ({"hole": HOLE, "reference": ["a.jpg", "b.jpg"]}, "give several references as references"),
        ({"mask": [1, 0]}, "the mask must be a path"),
        ({"hole": HOLE, "references": "a.jpg"}, "references are a list"),
        ({"hole": HOLE, "references": Image.new("RGB", (9, 9))}, "references are a list"),
        ({"hole": (100, 100, 150)}, "a box is X0,Y0,X1,Y1"),
        ({"hole": (100.2, 100.2, 100.8, 100.8)}, "empty"),
        ({"hole": "center", "center_size": 200}, "centre square"),
        ({"hole": (300, 300, 400, 400)}, "does not fit"),
        ({"hole": (0, 0, 10, 10)}, "off the face"),
        ({"hole": HOLE, "face": (0, 0, 100, 200)}, "square"),
        ({"hole": HOLE, "face": (300, 0, 500, 200)}, "lies outside"),
        ({"hole": HOLE, "face": (-400, -400, 700, 700, 0)}, "at most twice"),
        ({"hole": HOLE, "face": (0, 0, 200, 200, float("nan"))}, "is not a square"),
        ({"hole": HOLE, "face": (0, 0, 100, 200, 10)}, "square"),
        ({"hole": HOLE, "feather": -1}, "feather"),
        ({"hole": HOLE, "feather": float("nan")}, "feather"),
        ({"hole": HOLE, "reference_face": (0, 0, 100, 100)}, "give a face for each"),
        ({"hole": HOLE, "reference": "missing.jpg"}, "missing.jpg"),
        ({"hole": HOLE, "reference": b"hello"}, "^the reference is not a picture"),
        ({"hole": HOLE, "reference": np.ones((9, 9, 3))}, "^the reference must be uint8"),
        ({"hole": HOLE, "references": ["a", "b"], "reference_face": [None]}, "give a face for each"),
        ({"mask": np.zeros((320, 340), bool)}, "empty"),
        ({"mask": np.ones((10, 10), bool)}, "bool"),
        ({"mask": np.ones((320, 340), np.uint8)}, "bool"),
    ],
)
def test_bad_input_is_one_line(fill, photo, given, words):
    with pytest.raises(InputError, match=words) as error:
        fill(photo, **given)
    assert "\n" not in str(error.value)


def test_where_a_hole_lies_off_the_faces_it_is_looked_about(network, photo):
    """Where less than half of it lies on them: a covered face is found only by who knows where it is."""
    looked = []

    class Looking(FakeDetector):
        def detect(self, pixels, near=None):
            looked.append(near)
            return self.faces

    face = placed_face(FRAME)
    x0, y0, x1, _ = np.round(face.box).astype(int)
    parts = Looking(face), FakeEmbedder(), FakeMesher(), FakeOcclusion()
    fill = Inpainter(network(), *parts).fill
    for above, near in ((8, [None]), (12, [None, (x0, y0 - 12, x0 + 20, y0 + 8)])):  # of 20 pixels
        looked.clear()
        fill(photo, mask=box_hole((x0, y0 - above, x0 + 20, y0 - above + 20), photo.shape))
        assert looked == near


def test_warm_up_asks_all_but_the_network():
    asked = []

    class Detector(FakeDetector):
        def detect(self, pixels, near=None):
            asked.append("detector")
            return []

    class Embedder(FakeEmbedder):
        def embed(self, views):
            asked.append("embedder")
            return super().embed(views)

    Inpainter(None, Detector(), Embedder(), FakeMesher(), FakeOcclusion()).warm_up()
    assert asked == ["detector", "embedder"]


def test_the_time_of_each_stage_is_told(fill, photo):
    start = time.perf_counter()
    timing = fill(photo, hole=HOLE, reference=255 - photo).timing
    took = time.perf_counter() - start
    total = timing.pop("total")
    assert list(timing) == ["photo", "references", "network", "blend", "identity"]
    assert all(0 <= seconds < took for seconds in timing.values())
    assert total == pytest.approx(sum(timing.values())) and total <= took


def test_no_face(inpainter, network, photo):
    with pytest.raises(InputError, match="no face was found in me.jpg.*a square"):
        inpainter().fill(Photo(photo, name="me.jpg"), hole="center")

    class OnlyThePhoto(FakeDetector):
        def detect(self, pixels, near=None):
            return self.faces if pixels is photo else []

    only = Inpainter(network(), OnlyThePhoto(placed_face(FRAME)), FakeEmbedder(), FakeMesher(), FakeOcclusion())
    with pytest.raises(InputError, match="^no face was found in you.jpg: .*a square") as told:
        only.fill(photo, hole=HOLE, reference=Photo(photo.copy(), name="you.jpg"))
    assert (told.value.code, told.value.facts) == ("no_face", {"reference": "you.jpg"})


def test_a_photo_must_be_rgb(fill):
    with pytest.raises(InputError, match="uint8"):
        fill(np.zeros((8, 8)), hole="center")


GREEN = (0, 255, 0)  # what the stand-in sees in front of a face


def test_auto_fills_what_is_in_front_of_the_face(fill, inpainter, photo):
    photo[150:190, 130:210] = GREEN
    result = fill(photo, hole="auto", reference=textured(320, 340, 9))
    assert result.hole[150:190, 130:210].all() and result.hole.sum() < 52 * 92
    assert not changed(result, photo)[~feather(result.hole, 4).astype(bool)].any()
    assert (result.photo.pixels[150:190, 130:210] != GREEN).any(-1).all()
    found = result.report()["found"]
    assert (found["code"], found["what"]) == ("something", "something in front of the face")
    assert found["share"] == pytest.approx(result.hole.sum() / 256**2, abs=1e-3) and not found["goes_on"]
    assert inpainter(placed_face(FRAME)).cover(photo).what == "something"
    assert fill(photo, hole=HOLE).report()["found"] is None


def test_a_thing_that_the_hole_holds_in_part_is_told(fill, photo):
    photo[150:190, 130:210] = GREEN
    told = {hole: "partly" in fill(photo, hole=hole).outlook.reasons for hole in ((126, 146, 170, 194), "auto")}
    whole = fill(photo, mask=box_hole((128, 148, 212, 192), photo.shape))
    assert list(told.values()) == [True, False] and "partly" not in whole.outlook.reasons


def test_auto_offers_closed_eyes_and_never_fills_at_random(inpainter, photo):
    engine = inpainter(placed_face(FRAME))
    with pytest.raises(InputError, match="name a part of the face to fill") as caught:
        engine.fill(photo, hole="auto")
    assert caught.value.code == "nothing_found"
    photo[236:256, 40:118] = GREEN  # beside the face
    with pytest.raises(InputError, match="only something beside the face was found"):
        engine.fill(photo, hole="auto")
    engine.mesher = ClosedEyes()
    result = engine.fill(photo, hole="auto")
    assert not result.cover.goes_on
    assert result.report()["found"]["what"] == "closed eyes"
    assert np.array_equal(result.hole, engine.fill(photo, hole="eyes").hole)


class ClosedEyes(FakeMesher):
    def find(self, pixels, frame):
        mesh = super().find(pixels, frame)
        for upper, lower in ((159, 145), (386, 374)):
            mesh.points[upper] = mesh.points[lower]
        return mesh


def test_real_networks_find_and_fill(tmp_path, samples):
    inpainter = Inpainter.load(write_network(tmp_path / "constant.onnx"), threads=1)
    names = ("stranger.jpg", "reference.jpg")
    result = inpainter.fill(samples / "photo.jpg", hole="mouth", references=[samples / name for name in names])
    assert result.hole[138, 226] and not result.hole[100, 226]  # the mouth, not the eyes
    assert result.reference_used == 1 and result.identity.same_person
    other = inpainter.fill(samples / "photo.jpg", hole="mouth", reference=samples / "stranger.jpg")
    assert other.identity.same_person is False and "stranger.jpg" in other.warning


def test_a_rough_square_is_corrected_though_the_hole_reaches_over_it(network, photo):
    class Elsewhere(FakeMesher):
        """The face lies 14 crop pixels lower than the square says."""

        def through(self, aligned, unknown):
            return super().through(aligned, unknown) + (0, 14, 0)

        def shows_face(self, aligned, unknown):
            return True

    mask = np.zeros(photo.shape[:2], bool)
    mask[262:292, 140:200] = True  # a fifth of it below the square
    given = {"mask": mask, "face": (40, 30, 296, 286)}
    seen = Inpainter(network(), FakeDetector(), FakeEmbedder(), Elsewhere(), FakeOcclusion()).prepare(photo, **given)
    assert np.array_equal(seen.hole, mask) and not seen.warnings
    as_given = Inpainter(network(), FakeDetector(), FakeEmbedder(), FakeMesher(), FakeOcclusion()).prepare(
        photo, **given
    )
    assert seen.frame != as_given.frame


@pytest.mark.parametrize(("off", "looks"), [((0, 14, 0), 2), ((0, 2, 0), 1)])
def test_a_first_fill_that_shows_the_face_elsewhere_corrects_the_square_once(network, photo, off, looks):
    class Surprised(FakeMesher):
        """Through the hole the square seemed to fit; in the fill the face lies elsewhere."""

        seen = 0

        def aligned(self, picture):
            self.seen += 1
            return super().aligned(picture) + off

    mesher, face = Surprised(), (40, 30, 296, 286)
    engine = Inpainter(network(), None, FakeEmbedder(), mesher, FakeOcclusion())
    prepared = engine.prepare(photo, hole=HOLE, face=face)
    assert mesher.seen == looks
    lower = Frame.of(face).inner(Frame.of_transform(to_template(MEAN_MESH + off)))
    assert prepared.frame == (lower if looks > 1 else Frame.of(face))
    assert prepared.feather == FEATHER * prepared.frame.detail
    assert np.array_equal(prepared.crop, prepared.frame.crop(photo))


@pytest.mark.parametrize("score, presence, taken", [(0.8, 0.0, 1), (0.8, 0.9, 0), (0.9, 0.0, 0)])
def test_a_doubtful_face_larger_than_a_sure_one_is_one_if_the_mesh_sees_it(network, photo, score, presence, taken):
    class Seen(FakeMesher):
        def find(self, pixels, frame):
            return dataclasses.replace(super().find(pixels, frame), presence=presence)

    large, small = placed_face(FRAME), placed_face(Frame.of((10, 10, 100, 100)))
    faces = [dataclasses.replace(large, score=score), dataclasses.replace(small, score=1.0)]
    inpainter = Inpainter(network(), FakeDetector(*faces), FakeEmbedder(), Seen(), FakeOcclusion())
    assert inpainter.faces(photo)[0].box == faces[taken].box
    assert Inpainter(network(), FakeDetector(faces[0]), FakeEmbedder(), Seen(), FakeOcclusion()).faces(photo)
