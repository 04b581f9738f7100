import cv2
import numpy as np
import pytest

from twoface.core.identity import VIEW, Embedder
from twoface.search.facenet import BatchEmbedder, facenet_file


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
    assert (ours * Embedder().embed(views)).sum(1) == pytest.approx(1, abs=1e-5)


def test_the_file_is_written_once():
    written = facenet_file().stat().st_mtime_ns
    assert facenet_file().stat().st_mtime_ns == written


def test_what_is_no_view_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        BatchEmbedder(1).embed(np.zeros((1, VIEW, VIEW, 3), np.float32))
