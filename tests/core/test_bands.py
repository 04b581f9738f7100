import numpy as np
import pytest
from PIL import Image

from twoface.core import bands as module
from twoface.core.bands import array_of, bands


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"])
@pytest.mark.parametrize("pixels", [1, 100, 10_000])
def test_the_array_of_a_picture(monkeypatch, mode, pixels):
    monkeypatch.setattr(module, "PIXELS", pixels)
    samples = np.random.default_rng(0).integers(0, 256, (37, 23, 3), np.uint8)
    image = Image.fromarray(samples).convert("I" if mode == "I;16" else mode).convert(mode)
    made, wanted = array_of(image), np.array(image)
    assert made.dtype == wanted.dtype and made.flags.c_contiguous and made.flags.writeable
    np.testing.assert_array_equal(made, wanted)


def test_bands_cover_all_rows(monkeypatch):
    monkeypatch.setattr(module, "PIXELS", 100)
    assert [(rows.start, rows.stop) for rows in bands(7, 30)] == [(0, 3), (3, 6), (6, 7)]
