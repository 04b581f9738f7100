"""People who are textures: photos of them, and networks that tell them apart. Imported by spawned processes too."""

import time

import cv2
import numpy as np
from fakes import SPACE, FakeDetector, FakeEmbedder, FakeMesher, placed_face, textured

from twoface.core.files import write_aside
from twoface.core.frame import UPRIGHT
from twoface.core.images import Photo, encode_photo
from twoface.search.face_space import IndexEmbedder

SIZE = 160  # px, the side of a photo
FRAME = UPRIGHT.shifted(-16, -16)  # of its face


def networks():
    return FakeDetector(placed_face(FRAME)), IndexEmbedder(FakeEmbedder(), SPACE), FakeMesher()


class SlowDetector(FakeDetector):
    def detect(self, pixels, near=None):
        time.sleep(0.2)
        return super().detect(pixels, near)


def slow_networks():
    return SlowDetector(placed_face(FRAME)), *networks()[1:]


def person(number, photo=0, size=SIZE):
    """A photo of somebody, uint8 (size, size, 3): his texture, and something of the photo's own."""
    own = textured(SIZE, SIZE, seed=1000 * (number + 1) + photo).astype(float)
    pixels = np.clip(textured(SIZE, SIZE, seed=number) * 0.65 + own * 0.35, 0, 255).astype(np.uint8)
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_aside(path, encode_photo(Photo(pixels), "PNG", generated=False), force=True)


def write_people(folder, people=4, photos=3):
    """FOLDER/pN/M.png -> list of paths."""
    names = [(n, m) for n in range(people) for m in range(photos)]
    return [write(folder / f"p{n}" / f"{m}.png", person(n, m)) for n, m in names]
