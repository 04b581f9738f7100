import numpy as np
import pytest

from twoface.core.faces import align, apply, crop
from twoface.core.identity import (
    Embedder,
    calibrated_holes,
    embedding_view,
    face_transform,
    face_view,
    hide,
    similarity,
    threshold_for,
)
from twoface.core.images import read_photo
from twoface.core.masks import grow
from twoface.core.mtcnn import Mtcnn
from twoface.core.parts import named_hole


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


@pytest.fixture(scope="module")
def faces(samples):
    detector = Mtcnn(threads=1)
    photos = {name: read_photo(samples / f"{name}.jpg").pixels for name in ("photo", "reference", "stranger")}
    return {name: (pixels, align(detector.detect(pixels)[0].landmarks)) for name, pixels in photos.items()}


def test_tells_two_people_apart(embedder, faces):
    same, reference, stranger = embedder.embed(np.stack([face_view(*face) for face in faces.values()]))
    assert np.linalg.norm(same) == pytest.approx(1, abs=1e-5) and same.shape == (512,)
    assert (
        similarity(same, reference)
        > 0.7
        > threshold_for(calibrated_holes()["whole"]).threshold
        > similarity(same, stranger)
    )


def test_tells_them_apart_by_what_is_visible(embedder, faces):
    hole = named_hole("center")
    views = [embedding_view(hide(crop(*face), hole)) for face in faces.values()]
    same, reference, stranger = embedder.embed(np.stack(views))
    assert similarity(same, reference) > similarity(same, stranger) + 0.2


def test_view_of_crop_and_photo_agree(embedder, faces):
    pixels, transform = faces["photo"]
    a, b = embedder.embed(np.stack([face_view(pixels, transform), embedding_view(crop(pixels, transform))]))
    assert similarity(a, b) > 0.97


def test_the_view_is_the_middle_of_the_crop():
    transform = np.eye(2, 3)
    assert np.allclose(apply(face_transform(transform), [(5.5, 5.5), (121.5, 121.5)]), [(-0.5, -0.5), (159.5, 159.5)])
    crop160 = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    assert np.array_equal(embedding_view(crop160), embedding_view(crop160[16:144, 16:144]))


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
    monkeypatch.setattr(embedder, "_network", None)  # nothing more is asked of it
    assert np.array_equal(embedder.embed(views[::-1]), first[::-1])


def test_old_views_are_forgotten(monkeypatch):
    monkeypatch.setattr("twoface.core.identity.REMEMBERED", 2)
    embedder = Embedder()
    asked = []
    monkeypatch.setattr(embedder, "_embed", lambda face: asked.append(face[0, 0, 0]) or np.full(512, face[0, 0, 0]))
    views = [np.full((160, 160, 3), shade, np.uint8) for shade in range(3)]
    for shade in (0, 1, 0, 2, 0, 1):
        assert embedder.embed(views[shade][None])[0, 0] == shade
    assert asked == [0, 1, 2, 1]  # 1 was used last of all when 2 came
