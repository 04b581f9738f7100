"""Workers for the browser's tests, in a module of its own name: a spawned process imports it by that."""

from functools import partial

import numpy as np
from fakes import FakeEmbedder, FakeMesher, FakeOcclusion
from studios import Finder

from twoface.core.inpainter import Inpainter
from twoface.core.network import FillModel
from twoface.web.tasks import setup_worker


class Seeing(Finder):
    """Finds nothing in a picture of one colour."""

    def detect(self, pixels, near=None):
        return super().detect(pixels) if np.ptp(pixels) > 20 else []


def seeing_inpainter(network):
    return Inpainter(FillModel(network, threads=1), Seeing(), FakeEmbedder(), FakeMesher(), FakeOcclusion())


def seeing_studio(network, pixels):
    return setup_worker(partial(seeing_inpainter, network), pixels)
