"""Workers for the browser's tests, in a module of its own name: a spawned process imports it by that."""

from functools import partial

import numpy as np
from fakes import FakeDetector, FakeEmbedder, FakeMesher, FakeOcclusion, placed_face
from web_server import FACE

from twoface.engine import Inpainter
from twoface.faces import frame_transform
from twoface.model import FillModel
from twoface.web.tasks import open_studio


class Seeing(FakeDetector):
    """Finds FACE in every picture that is not of one colour."""

    def detect(self, pixels, near=None):
        return self.faces if np.ptp(pixels) > 20 else []


def seeing_inpainter(network):
    detector = Seeing(placed_face(frame_transform(FACE)))
    return Inpainter(FillModel(network, threads=1), detector, FakeEmbedder(), FakeMesher(), FakeOcclusion())


def seeing_studio(network, pixels):
    return open_studio(partial(seeing_inpainter, network), pixels)
