"""A second recogniser, which took no part in training anything here: dlib's ResNet (King 2017), of 128 numbers a face.

From the packages dlib-bin (Boost licence) and face-recognition-models (CC0), both in twoface[judge]. Its weights are
read where pip put them and checked; that package is not imported, as it needs a part of setuptools that is gone.
"""

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from twoface.core.arrays import Matrix, Picture, Vector
from twoface.core.files import package_file
from twoface.core.frame import SIZE
from twoface.research.data.portraits import MARGIN

Pictures: TypeAlias = NDArray[np.uint8]  # (N, 160, 160, 3)
PACKAGES = ("dlib", "face_recognition_models")
FILES = {
    "shape_predictor_5_face_landmarks.dat": "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    "dlib_face_recognition_resnet_model_v1.dat": "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
}
ENLARGED = 3  # the landmarks are found on a crop so many times as large: dlib learned them on larger faces
FACE = (0.23, 0.29, 0.79, 0.85)  # of the crop frame: the box of dlib's own detector, the median of 60 faces
CHIP = 150  # pixels a side of what the network sees
PADDING = 0.25  # round the face, as the network was trained


def missing() -> list[str]:
    """What of PACKAGES is not installed -> list of names."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


class Recogniser:
    """dlib's ResNet for aligned crops. Raises TwoFaceError when its files are missing or others."""

    def __init__(self) -> None:
        import dlib

        predictor, network = (package_file(PACKAGES[1], f"models/{name}", sha256) for name, sha256 in FILES.items())
        self._dlib = dlib
        self._predictor = dlib.shape_predictor(str(predictor))
        self._network = dlib.face_recognition_model_v1(str(network))

    def distances(self, truths: Pictures) -> Callable[[Pictures], Vector]:
        """truths: uint8 (N, 160, 160, 3) -> a function of other crops of that shape -> their distances (N,) to them.

        0 is equal, and two photos of one person are below .6 as a rule. A fill is cut out by the landmarks of its true
        picture, so that a nose in the wrong place is seen in the wrong place.
        """
        box = self._dlib.rectangle(*(round(ENLARGED * (MARGIN + SIZE * v)) for v in FACE))
        places = [self._predictor(_large(crop), box) for crop in truths]
        known = self._embed(truths, places)
        return lambda crops: np.linalg.norm(self._embed(crops, places) - known, axis=1)

    def _embed(self, crops: Pictures, places: Iterable[Any]) -> Matrix:
        cut = self._dlib.get_face_chip
        chips = [cut(_large(crop), place, CHIP, PADDING) for crop, place in zip(crops, places, strict=True)]
        return np.array(self._network.compute_face_descriptor(chips), np.float64)


def _large(crop: Picture) -> Picture:
    return cv2.resize(crop, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
