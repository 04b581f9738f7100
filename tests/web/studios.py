"""Workers of the web server on stand-ins. A spawned process imports this, so there is nothing of the server in it."""

import os
import signal
import time
from functools import partial

import cv2
import numpy as np
from fakes import FakeDetector, FakeEmbedder, FakeMesher, FakeOcclusion, placed_face

from twoface.core.frame import Frame
from twoface.core.inpainter import Inpainter
from twoface.core.network import FillModel
from twoface.web.tasks import setup_worker

FACE = (60, 40, 260, 240, 5.0)  # where the stand-in finds a face, in every photo
GROUP = 480  # pixels: a picture as wide has a second face, at OTHER
OTHER = (320, 60, 460, 200, 0.0)


class Finder(FakeDetector):
    """Finds FACE in every picture, and OTHER in those of a group."""

    def __init__(self):
        super().__init__(*(placed_face(Frame.of(frame)) for frame in (FACE, OTHER)))

    def detect(self, pixels, near=None):
        return self.faces if pixels.shape[1] == GROUP else self.faces[:1]


def fake_studio(network, pixels):
    """A setup of workers with a constant network, and a `Finder`."""
    return setup_worker(partial(fake_inpainter, network), pixels)


def fake_inpainter(network):
    return Inpainter(FillModel(network, threads=1), Finder(), FakeEmbedder(), FakeMesher(), FakeOcclusion())


def wicked_studio(network, pixels):
    """The same, but a file that begins with CRASH kills the process, SLEEP takes 60 s, GREED and OPENCV all memory."""
    work = fake_studio(network, pixels)

    def do(task):
        name, arguments = task
        data = arguments.get("data", b"")
        if data.startswith(b"CRASH"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if data.startswith(b"SLEEP"):
            time.sleep(60)
        if data.startswith(b"GREED"):
            np.ones(10**10)
        if data.startswith(b"OPENCV"):
            cv2.resize(np.zeros((1, 1), np.uint8), (60_000, 80_000))
        return work(task)

    return do
