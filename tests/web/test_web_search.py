"""Finding references in an index, as the page asks for it."""

import io
import os
import shutil
from functools import partial
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fakes import FakeDetector, FakeEmbedder, FakeMesher, FakeOcclusion
from PIL import Image
from searching import ALIKE, OWN, STRANGER, networks, searching_studio
from web_server import FRAME, browser, fill, fill_request, good, mask_text, photo_bytes, problem, running, upload

from twoface.cli import main
from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.inpainter import Inpainter
from twoface.core.network import FillModel
from twoface.search.index import build
from twoface.web.library import Library, names, opener


@pytest.fixture(scope="module")
def server(folder):
    """One with two indexes; the second is of one photo, and vanishes in a test."""
    build([folder / "photos" / "other"], folder / "second", workers=1, progress=False, load=networks)
    indexes = (str(folder / "my-photos"), str(folder / "second"))
    with running(folder, partial(searching_studio, indexes), indexes=indexes) as client:
        yield client


def request(photo, **changes):
    return {"photo": photo["id"], "frame": FRAME, "mask": mask_text(), "index": 0, **changes}


def search(client, seed=OWN):
    """-> the photo's JSON, and what was found for it."""
    photo = upload(client, photo_bytes(seed=seed))
    return photo, good(client.post("api/search", json=request(photo)))


def found(answer):
    return [(candidate["identity"], candidate["name"]) for candidate in answer["candidates"]]


@pytest.fixture
def absent(folder):
    """absent(name): take a photo away from the index's folder until the test's end."""
    gone = []

    def take(name):
        path = folder / "photos" / name
        gone.append((path, shutil.move(path, folder / "away.png")))
        return path

    yield take
    for path, kept in gone:
        shutil.move(kept, path)


def test_the_status_names_the_indexes_and_no_folder(client, folder):
    answer = client.get("api/status")
    assert answer.json()["indexes"] == ["my-photos", "second"]
    assert str(folder) not in answer.text


def test_the_persons_photos_are_found_with_their_scores_and_without_paths(client, folder):
    _, answer = search(client)
    assert answer["verdict"] == "same" and answer["faces"] == 5
    assert sorted(found(answer)[:2]) == [("own", "1.png"), ("own", "2.png")]
    assert [c["verdict"] for c in answer["candidates"]] == ["same", "same", "nobody", "nobody"]
    assert answer["left_out"] == {"copies": 1, "unreadable": 0}, "the photo itself is own/0.png"
    best = answer["candidates"][0]
    assert best["frame"] == pytest.approx(FRAME, abs=0.01) and best["probability"] > 0.9
    assert set(best["parts"]) == {"visible", "pose", "expression", "sharp", "size"}
    assert best["quality"] == pytest.approx(np.prod(list(best["parts"].values())))
    assert set(best) == {"name", "identity", "frame", "similarity", "first_similarity", "probability", "verdict", "key",
                         "quality", "parts", "person", "face"}  # fmt: skip
    assert str(folder) not in str(answer) and os.sep not in str(found(answer))


def test_one_who_is_alike_and_one_who_is_not_here(client):
    _, alike = search(client, ALIKE)
    assert alike["verdict"] == "maybe" and found(alike)[0] == ("alike", "0.png")
    _, stranger = search(client, STRANGER)
    assert stranger["verdict"] == "nobody" and stranger["candidates"]


def test_a_candidate_is_known_again_in_another_search(client):
    keys = [[candidate["key"] for candidate in search(client)[1]["candidates"]] for _ in range(2)]
    assert keys[0] == keys[1] and len(set(keys[0])) == 4


def test_another_index_is_another_search(client):
    photo = upload(client, photo_bytes(seed=3))
    answer = good(client.post("api/search", json=request(photo, index=1)))
    assert answer["faces"] == 1 and [c["name"] for c in answer["candidates"]] == ["0.png"]


def test_a_candidates_face_is_cut_from_its_photo(client, folder):
    _, answer = search(client)
    shown = client.get(f"api/searches/{answer['id']}/0/crop?size=128")
    assert shown.headers["content-type"] == "image/webp" and shown.headers["cache-control"] == "no-store"
    crop = np.asarray(Image.open(io.BytesIO(shown.content)).convert("RGB")).astype(float)
    photo = cv2.imread(str(folder / "photos" / "own" / answer["candidates"][0]["name"]))[..., ::-1].astype(float)
    assert crop.shape == (128, 128, 3)
    assert np.abs(crop[64, 64] - photo[135:145, 155:165].mean((0, 1))).max() < 25


def test_a_picked_candidate_is_a_reference_as_an_uploaded_one(client):
    photo, answer = search(client)
    best = answer["candidates"][0]
    added = good(client.post(f"api/searches/{answer['id']}/0"))
    assert added["name"] == best["name"] and added["frame"] == best["frame"]
    assert (added["width"], added["height"], added["format"]) == (400, 320, "PNG")
    assert set(added) == {*photo, "frame"}
    made = good(client.post("api/fill", json=fill_request(photo) | {
        "references": [{"photo": added["id"], "frame": added["frame"]}]}))  # fmt: skip
    assert made["reference_used"] == 0 and made["identity"]["same_person"] is True
    assert client.get(f"api/photos/{added['id']}/preview?side=400").status_code == 200


def test_another_session_finds_neither_the_search_nor_what_it_found(client, server):
    _, answer = search(client)
    added = good(client.post(f"api/searches/{answer['id']}/0"))
    with browser(server.base_url) as other:
        problem(other.get(f"api/searches/{answer['id']}/0/crop"), 404, "search_gone")
        problem(other.post(f"api/searches/{answer['id']}/0"), 404, "search_gone")
        problem(other.get(f"api/photos/{added['id']}/preview"), 404, "photo_gone")
        photo = upload(other)
        problem(other.post("api/fill", json=fill_request(photo, [added])), 404, "photo_gone")


def test_nothing_but_what_was_found_can_be_read(client, folder):
    """Photos of the folder that the search did not give, other files, and numbers beyond the last."""
    photo, answer = search(client)
    count = len(answer["candidates"])
    for number in (count, count + 1, 10**12):
        problem(client.get(f"api/searches/{answer['id']}/{number}/crop"), 400, "bad_request")
        problem(client.post(f"api/searches/{answer['id']}/{number}"), 400, "bad_request")
    for number in ("-1", "own", "%2e%2e%2fetc%2fpasswd", str(folder / "photos/own/0.png").replace("/", "%2F")):
        for answered in (client.get(f"api/searches/{answer['id']}/{number}/crop"),
                         client.post(f"api/searches/{answer['id']}/{number}")):  # fmt: skip
            assert answered.status_code in (400, 404, 405)
    for index in (2, -1, "my-photos", str(folder / "second"), None):
        problem(client.post("api/search", json=request(photo, index=index)), 400, "bad_request")
    problem(client.post("api/search", json=request(photo) | {"path": str(folder)}), 400, "bad_request")
    assert client.get(f"api/searches/{photo['id']}/0/crop").status_code == 404


def test_a_search_goes_with_its_photo(client):
    photo, answer = search(client)
    client.delete(f"api/photos/{photo['id']}")
    problem(client.get(f"api/searches/{answer['id']}/0/crop"), 404, "search_gone")
    problem(client.post("api/search", json=request(photo)), 404, "photo_gone")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"mask": mask_text(np.zeros((64, 64), np.uint8))}, 422, "mask_empty"),
        ({"mask": "?"}, 400, "bad_request"),
        ({"frame": FRAME | {"side": 40}}, 422, "face_too_small"),
        ({"frame": FRAME | {"x": -20}}, 422, "frame_outside"),
        ({"photo": "0" * 32}, 404, "photo_gone"),
    ],
)
def test_a_search_that_cannot_be_is_refused(client, changes, status, code):
    problem(client.post("api/search", json=request(upload(client)) | changes), status, code)


def test_a_photo_that_went_since_the_search(client, absent, folder):
    _, answer = search(client)
    path = absent(f"own/{answer['candidates'][0]['name']}")
    for answered in (client.get(f"api/searches/{answer['id']}/0/crop"), client.post(f"api/searches/{answer['id']}/0")):
        error = problem(answered, 404, "photo_missing")
        assert path.name in error["message"] and str(folder) not in error["message"]
    _, again = search(client)
    assert again["left_out"]["unreadable"] == 1 and found(again)[0] != found(answer)[0]


def test_a_photo_that_is_another_file_now(client, absent, folder):
    _, answer = search(client)
    path = absent(f"own/{answer['candidates'][0]['name']}")
    path.write_bytes(b"root:x:0:0")
    error = problem(client.post(f"api/searches/{answer['id']}/0"), 422, "not_a_picture")
    assert str(folder) not in error["message"]


def test_an_index_that_vanishes_and_comes_back(client, folder):
    photo = upload(client, photo_bytes(seed=3))
    good(client.post("api/search", json=request(photo, index=1)))
    shutil.move(folder / "second", folder / "away")
    for _ in range(2):  # with the index open, and at the attempt to open it
        error = problem(client.post("api/search", json=request(photo, index=1)), 500, "search_failed")
        assert "second" in error["message"] and str(folder) not in error["message"]
    good(client.post("api/search", json=request(photo)))
    fill(client, photo)
    shutil.move(folder / "away", folder / "second")
    good(client.post("api/search", json=request(photo, index=1)))


def test_without_an_index_there_is_nothing_to_search(tmp_path):
    with running(tmp_path) as client:
        assert client.get("api/status").json()["indexes"] == []
        problem(client.post("api/search", json=request(upload(client))), 400, "bad_request")


def test_an_index_that_is_not_there_is_said_at_the_start(tmp_path):
    none = str(tmp_path / "none")
    with (
        pytest.raises(InputError, match="no index at"),
        running(tmp_path, partial(searching_studio, (none,)), indexes=(none,)),
    ):
        pass


def test_the_command_says_it_too(tmp_path, capsys):
    assert main(["web", "--port", "0", "--index", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("twoface: there is no index at")


def test_what_has_a_code_is_told_and_the_rest_is_only_logged(folder, caplog):
    class Asked:
        def references(self, *_, **__):
            raise self.error

    asked = Asked()
    library = Library([folder / "my-photos"], lambda place: asked)
    asked.error = Unavailable("the machine is away", code="backend_away")
    with pytest.raises(Unavailable, match="machine"):
        library.search(0, None, FRAME, None)
    asked.error = TwoFaceError(f"{folder} is damaged")
    with pytest.raises(TwoFaceError, match="my-photos cannot be used") as caught:
        library.search(0, None, FRAME, None)
    assert caught.value.code == "search_failed" and f"{folder} is damaged" in caplog.text


def test_indexes_are_named_without_paths_and_passwords(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    places = [
        "a/photos",
        "b/photos",
        "here/.",
        "postgresql://me:secret@db.example:5432/photos?password=secret",
        "postgresql:///photos?host=/run/pg",
        "postgres://me@db.example",
    ]
    assert names(places) == ["photos (1)", "photos (2)", "here", "db.example/photos", "photos (3)", "db.example"]


def test_faces_of_an_index_are_filled_here_also_with_a_backend(folder, network, monkeypatch):
    class Here:
        def __new__(cls):
            return network()

    monkeypatch.setattr("twoface.core.identity.Embedder", FakeEmbedder)
    monkeypatch.setattr("twoface.web.library.FillModel", Here)
    away = SimpleNamespace(run=None)
    monkeypatch.setattr("twoface.search.collection.FaceDetector", None)  # the Inpainter's own is used
    detector = FakeDetector()
    opened = opener(Inpainter(away, detector, FakeEmbedder(), FakeMesher(), FakeOcclusion()))(folder / "my-photos")
    assert isinstance(opened.inpainter.network, FillModel) and opened.inpainter.detector is detector


def test_the_network_that_is_here_is_shared(folder, network, monkeypatch):
    monkeypatch.setattr("twoface.core.identity.Embedder", FakeEmbedder)
    ours = Inpainter(network(), FakeDetector(), FakeEmbedder(), FakeMesher(), FakeOcclusion())
    opened = opener(ours)(folder / "my-photos")
    assert isinstance(ours.network, FillModel) and opened.inpainter.network is ours.network
