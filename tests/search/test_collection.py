import cv2
import numpy as np
import pytest
from fakes import SPACE, FakeEmbedder, FakeMesher, FakeOcclusion
from search_fakes import SIZE, networks, person, write

from twoface.core.errors import InputError
from twoface.core.inpainter import Inpainter
from twoface.core.parts import named_hole
from twoface.search.collection import Collection
from twoface.search.fill import fill_from
from twoface.search.index import build
from twoface.search.lance import LanceStore
from twoface.search.page import write_page
from twoface.search.rank import Calibration

FACE = (16, 16, 144, 144)


@pytest.fixture
def collection(index, network, monkeypatch):
    """A collection whose calibration suits the stand-ins: 0.55 and more is the same texture."""
    known = Calibration("stand-in", -40.0, 80.0)
    monkeypatch.setattr("twoface.search.collection.calibration_for", lambda hole: known)
    return assemble(index, network())


def assemble(index, network):
    inpainter = Inpainter(network, networks()[0], FakeEmbedder(), FakeMesher(), FakeOcclusion())
    return Collection(LanceStore(index), inpainter, FakeEmbedder(), SPACE)


@pytest.mark.parametrize("hole", [None, "eyes", "lower"])
def test_the_person_is_found_first_and_the_photo_itself_is_left_out(collection, photos, hole):
    answer = collection.references(photos / "p1" / "0.png", hole=hole)
    assert {c.identity for c in answer.candidates[:2]} == {"p1"}
    assert answer.verdict == "same" and answer.candidates[2].verdict == "nobody"
    assert str(photos / "p1" / "0.png") not in [c.path for c in answer.candidates]
    assert answer.left_out == {"copies": 1, "unreadable": 0}
    assert answer.faces == 12


def test_a_copy_under_another_name_is_left_out_too(collection, photos, index):
    write(photos / "copies" / "smaller.png", person(1, 0, size=120))
    pixels = person(1, 0)
    pixels[16:144, 16:144][named_hole("eyes")] = 0  # the copy that is asked about has its eyes painted over
    write(photos / "query.png", pixels)
    answer = collection.references(photos / "query.png", FACE, hole="eyes")
    assert answer.left_out["copies"] == 1
    assert [c.identity for c in answer.candidates[:2]] == ["p1", "p1"]


def test_a_stranger_is_nobody_here(collection, photos):
    answer = collection.references(write(photos.parent / "stranger.png", person(50)), hole="eyes")
    assert answer.verdict == "nobody" and answer.candidates
    assert all(c.probability < 0.1 for c in answer.candidates)


def test_an_empty_index_knows_nobody(network, photos, tmp_path):
    (tmp_path / "none").mkdir()
    build([tmp_path / "none"], tmp_path / "empty", workers=1, progress=False, load=networks)
    answer = assemble(tmp_path / "empty", network()).references(photos / "p1" / "0.png")
    assert (answer.candidates, answer.verdict, answer.faces) == ([], "nobody", 0)


def test_photos_that_are_gone_are_counted_not_shown(collection, photos):
    query = photos / "p1" / "0.png"
    (photos / "p1" / "1.png").unlink()
    answer = collection.references(query)
    assert answer.left_out == {"copies": 1, "unreadable": 1}
    assert [c.path for c in answer.candidates if c.identity == "p1"] == [str(photos / "p1" / "2.png")]


def test_as_many_as_are_asked_for_with_all_their_figures(collection, photos):
    answer = collection.references(photos / "p1" / "0.png", k=2, hole="eyes")
    assert len(answer.candidates) == 2
    best = answer.candidates[0]
    assert set(best.parts) == {"visible", "pose", "expression", "sharp", "size"}
    assert best.quality == pytest.approx(np.prod(list(best.parts.values())))
    assert answer.report()["verdict_text"] == "very likely the same person"
    assert answer.face.numbers == pytest.approx((*FACE, 0), abs=0.01)


def test_among_the_same_person_the_better_donor_is_first(collection, photos, index):
    blurred = np.repeat(np.repeat(person(1, 5)[::4, ::4], 4, 0), 4, 1)
    write(photos / "p1" / "blurred.png", cv2.GaussianBlur(blurred, (0, 0), 4))
    build([photos], index, workers=1, progress=False, load=networks)
    answer = collection.references(photos / "p1" / "0.png", hole="eyes")
    same = [c for c in answer.candidates if c.verdict == "same"]
    assert len(same) == 3 and same[-1].path.endswith("blurred.png")
    assert [c.quality for c in same] == sorted((c.quality for c in same), reverse=True)


def test_a_mask_asks_the_same_as_a_hole(collection, photos):
    hole = np.zeros((SIZE, SIZE), bool)
    hole[58:86, 42:118] = True
    by_mask = collection.references(photos / "p1" / "0.png", mask=hole)
    by_box = collection.references(photos / "p1" / "0.png", FACE, hole=(42, 58, 118, 86))
    assert [c.path for c in by_mask.candidates[:2]] == [c.path for c in by_box.candidates[:2]]
    assert by_mask.candidates[0].similarity == pytest.approx(by_box.candidates[0].similarity, abs=0.02)
    with pytest.raises(InputError):
        collection.references(photos / "p1" / "0.png", mask=hole, hole="eyes")


def test_fill_from_uses_the_best_and_says_which_and_why(collection, photos):
    result, search = fill_from(collection, photos / "p1" / "0.png", hole="eyes")
    assert search["used"] == str(photos / "p1" / result.references[0]["name"])
    assert "very likely the same person" in result.reference_why and "among 12 faces" in result.reference_why
    assert len(search["tried"]) == 1 and search["tried"][0]["likeness"] is None


def test_of_several_tried_the_most_alike_result_is_kept(collection, photos):
    result, search = fill_from(collection, photos / "p1" / "0.png", tries=2, hole="eyes")
    best = max(search["tried"], key=lambda tried: tried["likeness"])
    assert len(search["tried"]) == 2 and search["used"] == best["path"]
    assert "the best of 2 tried" in result.reference_why


def test_fill_from_passes_over_a_copy_that_the_search_did_not_see(collection, photos, monkeypatch):
    monkeypatch.setattr("twoface.search.collection.same_picture", lambda *_: False)
    query = photos / "p1" / "0.png"
    _, search = fill_from(collection, query, tries=3, hole="eyes")
    assert {tried["path"] for tried in search["tried"]} == {str(photos / "p1" / name) for name in ("1.png", "2.png")}
    for name in ("1.png", "2.png"):
        (photos / "p1" / name).unlink()
    with pytest.raises(InputError, match="copies") as caught:
        fill_from(collection, query, tries=3, hole="eyes")
    assert caught.value.code == "no_reference"


def test_fill_from_refuses_a_stranger(collection, photos):
    with pytest.raises(InputError, match="nobody in the index") as caught:
        fill_from(collection, write(photos.parent / "stranger.png", person(50)), hole="eyes")
    assert caught.value.code == "no_reference"


def test_fill_from_warns_of_a_doubtful_reference(collection, photos, monkeypatch):
    monkeypatch.setattr("twoface.search.rank.SAME", 1.1)
    result, _ = fill_from(collection, photos / "p1" / "0.png", hole="eyes")
    assert any("looks alike, maybe someone else" in warning for warning in result.warnings)


def test_the_page_is_whole_in_itself_and_escapes_names(collection, photos, tmp_path, index):
    odd = write(photos / "<b>&" / "0.png", person(0, 7))
    build([photos], index, workers=1, progress=False, load=networks)
    answer = collection.references(photos / "p0" / "0.png", hole="eyes")
    text = write_page(answer, photos / "p0" / "0.png", tmp_path / "page.html").read_text()
    assert str(odd) not in text and "&lt;b&gt;&amp;" in text
    assert text.count("data:image/jpeg;base64,") == len(answer.candidates) + 1
    assert "http" not in text
    with pytest.raises(InputError, match="exists"):
        write_page(answer, photos / "p0" / "0.png", tmp_path / "page.html")
