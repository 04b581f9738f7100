import pytest
from fakes import FRAME, placed_face, textured


@pytest.fixture
def photo():
    return textured(320, 340)


@pytest.fixture
def fill(inpainter):
    return inpainter(placed_face(FRAME)).fill
