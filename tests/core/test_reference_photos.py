import cv2
import numpy as np
import pytest
from fakes import FRAME, HOLE, placed_face, textured

from twoface import InputError, Photo
from twoface.core.frame import Frame
from twoface.core.images import encode_photo, read_photo

GREEN = (0, 255, 0)  # what the stand-in sees in front of a face


def test_a_face_for_each_reference(fill, photo):
    faces = [(0, 0, 200, 200), None]
    result = fill(photo, hole=HOLE, references=[photo, photo], reference_face=faces, same_photo=True)
    assert result.references[0]["face"] == [0, 0, 200, 200] and result.reference_used == 1
    assert result.references[1]["face"] != [0, 0, 200, 200]


def test_a_large_reference_among_several_is_read_again(fill, photo, monkeypatch):
    references = [encode_photo(Photo(textured(320, 340, seed)), "PNG") for seed in (9, 10)]
    kept = fill(photo, hole=HOLE, references=references)
    read = []
    monkeypatch.setattr("twoface.core.reference_photos.HELD", 0)

    def reading(file, **name):
        read.append(file)
        return read_photo(file, **name)

    monkeypatch.setattr("twoface.core.images.read_photo", reading)
    again = fill(photo, hole=HOLE, references=references)
    assert read == [*references, references[again.reference_used]]
    assert np.array_equal(again.photo.pixels, kept.photo.pixels) and again.references == kept.references


def test_of_a_reference_only_the_part_that_is_used_is_kept(inpainter, photo):
    large = np.zeros((3200, 3400, 3), np.uint8)
    large[:320, :340] = textured(320, 340, 9)
    inpainter = inpainter(placed_face(FRAME))
    chosen = inpainter._chooser.choose(
        [encode_photo(Photo(large), "PNG")], [None], [], inpainter.prepare(photo, hole=HOLE), same_photo=False
    )
    kept = chosen.used.pixels
    assert kept.size < large.size / 50 and kept.base is None


def test_the_most_alike_reference_is_used(fill, photo):
    other, near = 255 - photo, np.clip(photo.astype(int) + 4, 0, 255).astype(np.uint8)
    photos = [Photo(other, name="other"), Photo(near, name="near")]
    result = fill(photo, hole=HOLE, references=photos, same_photo=True)
    figures = [r["similarity_visible"] for r in result.references]
    assert result.reference_used == 1 and figures[1] > figures[0] and "2" in result.reference_why
    assert [r["name"] for r in result.references] == ["other", "near"]


def test_of_a_group_the_face_most_like_the_photos_is_taken(inpainter, photo):
    group = textured(320, 340, 9)
    group[200:296, 10:106] = cv2.resize(FRAME.crop(photo), (96, 96), interpolation=cv2.INTER_AREA)
    both = inpainter(placed_face(FRAME), placed_face(Frame.of((10, 200, 106, 296))))
    given = {"face": (40, 30, 296, 286), "hole": HOLE, "same_photo": True}
    result = both.fill(photo, reference=group, **given)
    (reference,) = result.report()["references"]
    assert reference["faces"]["found"] == 2 and reference["faces"]["taken"] == 2
    assert reference["faces"]["why"] == "alike" and not reference["faces"]["close"] and result.warning is None
    chosen = both.fill(photo, reference=group, reference_face=reference["faces"]["frames"][0], **given)
    assert chosen.references[0]["faces"]["why"] == "given" and np.allclose(chosen.reference_crop, FRAME.crop(group))


def test_two_faces_about_as_alike_are_warned_of(inpainter, photo):
    twins = inpainter(placed_face(FRAME), placed_face(Frame.of((42, 30, 298, 286))))
    result = twins.fill(photo, face=(40, 30, 296, 286), hole=HOLE, reference=Photo(255 - photo, name="twins.jpg"))
    assert "twins.jpg shows 2 faces" in result.warning and "the square of another" in result.warning


@pytest.mark.parametrize("kind", ["itself", "smaller", "brighter", "cut"])
def test_the_photo_as_its_own_reference_is_refused(inpainter, photo, kind):
    smaller = cv2.resize(photo, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    faces = {"smaller": (32, 24, 236.8, 228.8), "cut": (20, 10, 276, 266)}
    copy = {"itself": photo, "smaller": smaller, "brighter": photo + np.uint8(8), "cut": photo[20:, 20:]}[kind]
    given = {"face": (40, 30, 296, 286), "reference_face": faces.get(kind, (40, 30, 296, 286)), "hole": HOLE}
    with pytest.raises(InputError, match="itself or a copy.*another photo") as told:
        inpainter().fill(photo, reference=copy, **given)
    assert told.value.code == "same_photo"
    assert inpainter().fill(photo, reference=copy, same_photo=True, **given).reference_used == 0
    others = [copy, Photo(textured(320, 340, 9), name="other.jpg")]
    result = inpainter().fill(photo, references=others, **given | {"reference_face": [given["reference_face"]] * 2})
    assert result.reference_used == 1 and "the reference is the photo itself or a copy" in result.warning


def test_a_copy_among_several_faces_names_the_others(inpainter, photo):
    both = inpainter(placed_face(FRAME), placed_face(Frame.of((10, 200, 106, 296))))
    with pytest.raises(InputError, match="copy of it.*the square of another face in it: ") as told:
        both.fill(photo, reference=photo, face=(40, 30, 296, 286), hole=HOLE)
    assert told.value.code == "same_photo" and both.fill(photo, hole=HOLE).faces.squares in str(told.value)


def test_a_copy_that_shows_the_holes_part_is_used(fill, photo):
    covered = photo.copy()
    covered[130:190, 140:200] = 0
    assert fill(covered, hole=HOLE, reference=photo).reference_used == 0


def test_strangers_are_warned_of(fill, photo):
    result = fill(photo, hole=HOLE, reference=Photo(255 - photo, name="someone.jpg"))
    assert result.identity.same_person is False and result.verdict.word == "two_people"
    assert "two people" in result.warning and "someone.jpg" in result.warning
    assert fill(photo, hole=HOLE, reference=photo, same_photo=True).warning is None


def test_a_covered_reference_is_not_trusted_there_and_ranks_behind(fill, photo):
    bare, covered = photo.copy(), photo.copy()
    covered[128:168, 100:236] = GREEN
    result = fill(photo, hole="eyes", references=[covered, bare], same_photo=True)
    worths = [reference["worth"] for reference in result.references]
    assert result.reference_used == 1 and worths[0]["clear"] < 0.2 < 0.99 < worths[1]["clear"]
    assert worths[0]["shown"] == worths[1]["shown"]


@pytest.mark.parametrize(("skin", "seen"), [(150, True), (255, False)], ids=["clear", "dark beside the skin"])
def test_eyes_behind_glasses_are_used_and_those_without_are_better(inpainter, photo, skin, seen):
    inpainter, wearing = inpainter(placed_face(FRAME)), np.full((320, 340, 3), skin, np.uint8)
    wearing[126:162, 108:228] = GREEN  # about both eyes; as bright as grey 150
    prepared = inpainter.prepare(photo, hole="eyes")
    (reference,) = inpainter._chooser.choose([wearing], [None], [], prepared, same_photo=False).references
    trusted = reference.registered.trust[prepared.unknown].mean()
    assert trusted > 0.7 if seen else trusted < 0.2
    assert reference.worth.clear < 0.2
