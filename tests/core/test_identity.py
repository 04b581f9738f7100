import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from twoface.core.affine import apply
from twoface.core.frame import UPRIGHT
from twoface.core.identity import (
    LENGTH,
    PLACE,
    VIEW,
    Embedder,
    calibrated_holes,
    face_view,
    hide,
    origin,
    similarity,
    threshold_for,
    visible,
)
from twoface.core.images import read_photo
from twoface.core.masks import grow
from twoface.core.mesh import invented, template_mesh
from twoface.core.mtcnn import Mtcnn
from twoface.core.network import FillModel
from twoface.core.parts import named_hole


@pytest.fixture(scope="module")
def embedder():
    return Embedder(1)


@pytest.fixture(scope="module")
def faces(samples):
    detector = Mtcnn(threads=1)
    photos = {name: read_photo(samples / f"{name}.jpg").pixels for name in ("photo", "reference", "stranger")}
    return {name: (pixels, detector.detect(pixels)[0].frame) for name, pixels in photos.items()}


def test_tells_two_people_apart(embedder, faces):
    same, reference, stranger = embedder.embed(np.stack([face_view(*face) for face in faces.values()]))
    assert same.shape == origin().shape == (LENGTH,)
    whole = threshold_for(calibrated_holes()["whole"]).threshold
    assert similarity(same, reference) > 0.7 > whole > similarity(same, stranger)


def test_tells_them_apart_by_what_is_visible(embedder, faces):
    hole, network = named_hole("eyes"), FillModel(threads=1)
    crops = [frame.crop(pixels) for pixels, frame in faces.values()]
    same, reference, stranger = (visible(embedder, c, invented(c, hole, network), hole) for c in crops)
    assert similarity(same, reference) > threshold_for(hole).threshold > similarity(same, stranger)


def test_what_the_hole_holds_is_not_seen(embedder, faces):
    hole, aligned = named_hole("mouth"), faces["photo"][1].crop(faces["photo"][0])
    filled, covered = aligned.copy(), np.where(hole[..., None], np.uint8(9), aligned)
    assert np.array_equal(visible(embedder, aligned, filled, hole), visible(embedder, covered, filled, hole))
    assert similarity(visible(embedder, aligned, covered, hole), visible(embedder, aligned, filled, hole)) < 0.999


def test_of_a_crop_that_is_all_hole_something_is_seen(embedder):
    nothing = np.zeros((128, 128, 3), np.uint8)
    assert np.isfinite(visible(embedder, nothing, nothing, np.ones((128, 128), bool))).all()


def test_view_of_crop_and_photo_agree(embedder, faces):
    pixels, frame = faces["photo"]
    a, b = embedder.embed(np.stack([face_view(pixels, frame), face_view(frame.crop(pixels), UPRIGHT)]))
    assert similarity(a, b) > 0.97


def test_similarity_is_the_cosine_about_the_origin():
    one = np.eye(LENGTH)
    assert similarity(origin() + one[0], origin() + 3 * (one[0] + one[1])) == pytest.approx(2**-0.5, abs=1e-6)


def test_the_view_shows_the_face_as_dlib_was_trained():
    """Outer corners of the eyes and the nose's base of a face that looks straight ahead, near those of its template."""
    corners = apply(PLACE.transform(VIEW), template_mesh()[[263, 33, 2], :2])
    theirs = np.array([(0.8596, 0.2135), (0.1206, 0.2137), (0.4901, 0.6278)])
    assert np.abs(corners - VIEW * (theirs + 0.25) / 1.5).max() < 8


def test_hiding_forgets_the_hole_and_keeps_the_rest():
    a = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    b, hole = a.copy(), named_hole("eyes")
    b[hole] = 7
    assert np.array_equal(hide(a, hole), hide(b, hole))
    assert np.array_equal(hide(a, hole)[~hole], a[~hole])


def test_refuses_other_views(embedder):
    with pytest.raises(ValueError):
        embedder.embed(np.zeros((1, 128, 128, 3), np.uint8))


def test_calibration_is_that_of_the_nearest_hole():
    for name, hole in calibrated_holes().items():
        assert threshold_for(hole).hole == name
        assert threshold_for(grow(hole, 2)).hole == name
        assert 0 < threshold_for(hole).threshold < 1 and 0 < threshold_for(hole).strangers_warned < 1
    scratch = np.zeros((128, 128), bool)
    scratch[20:110, 60:63] = True
    assert threshold_for(scratch).hole == "whole"


def test_a_view_is_embedded_once(embedder, faces, monkeypatch):
    views = np.stack([face_view(*face) for face in faces.values()])
    first = embedder.embed(views)
    monkeypatch.setattr(embedder, "_session", None)  # nothing more is asked of it
    assert np.array_equal(embedder.embed(views[::-1]), first[::-1])


def test_old_views_are_forgotten(monkeypatch):
    monkeypatch.setattr("twoface.core.identity.REMEMBERED", 2)
    embedder = Embedder(1)
    asked = []

    def embed(faces):
        asked.extend(faces[:, 0, 0, 0].tolist())
        return np.full((len(faces), LENGTH), faces[:, :1, 0, 0])

    monkeypatch.setattr(embedder, "_embed", embed)
    views = [np.full((VIEW, VIEW, 3), shade, np.uint8) for shade in range(3)]
    for shade in (0, 1, 0, 2, 0, 1):
        assert embedder.embed(views[shade][None])[0, 0] == shade
    assert asked == [0, 1, 2, 1]  # 1 was used last of all when 2 came
    assert embedder.embed(np.stack([views[2], views[2], views[0]]))[:, 0].tolist() == [2, 2, 0]
    assert asked == [0, 1, 2, 1, 2]  # the same view twice is one


class Slow(OrderedDict):
    """Lets other threads on after each entry."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        time.sleep(1e-4)


def test_threads_share_an_embedder(monkeypatch):
    """With room for two views, what one thread has just looked up another throws out."""
    monkeypatch.setattr("twoface.core.identity.REMEMBERED", 2)
    shared = Embedder(1)
    shared._known = Slow()
    monkeypatch.setattr(shared, "_embed", lambda faces: np.full((len(faces), LENGTH), faces[:, :1, 0, 0], np.float32))
    views = [np.full((1, VIEW, VIEW, 3), value, np.uint8) for value in range(5)]

    def look(start):
        return [float(shared.embed(views[(start + i) % 5])[0, 0]) - (start + i) % 5 for i in range(40)]

    with ThreadPoolExecutor(4) as threads:
        assert not any(error for errors in threads.map(look, range(4)) for error in errors)
    assert len(shared._known) == 2
