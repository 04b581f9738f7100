"""A picture at half its size, a quarter and so on: who looks at much of it in few pixels need not read it all."""

import cv2
import numpy as np

from twoface.core.arrays import Picture
from twoface.core.frame import Frame

LEAST = 2.0  # times that a level is still shrunk by whoever takes it, so that its own filter decides what is seen


class Pyramid:
    """pixels: uint8 (H, W, 3). Levels are made when they are first asked for, by area; not for several threads."""

    def __init__(self, pixels: Picture) -> None:
        self.pixels = pixels
        self._levels = [pixels]

    def level(self, square: Frame, size: int) -> tuple[Picture, Frame]:
        """What is enough for a look of `size` pixels a side at a square -> the smallest level, and the square in it."""
        picture, times = self.enough(square.side, size)
        return picture, Frame(square.x / times, square.y / times, square.side / times, square.angle)

    def enough(self, side: float, size: int) -> tuple[Picture, int]:
        """What is enough for `size` pixels of `side` pixels of the photo -> the smallest level, and how often it is
        shrunk: a power of 2.
        """
        number = max(0, int(np.log2(max(side / size / LEAST, 1))))
        while len(self._levels) <= number and min(self._levels[-1].shape[:2]) > 1:
            height, width = (side // 2 for side in self._levels[-1].shape[:2])
            even = self._levels[-1][: 2 * height, : 2 * width]
            self._levels.append(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
        number = min(number, len(self._levels) - 1)
        return self._levels[number], 2**number
