"""Workers of the web server whose network is elsewhere. A spawned process imports this."""

from functools import partial

from fakes import FakeDetector, FakeEmbedder, FakeMesher, FakeOcclusion, placed_face
from studios import FACE

from twoface.client import connect
from twoface.core.frame import Frame
from twoface.core.inpainter import Inpainter
from twoface.web.tasks import setup_worker

KEY = "0123456789abcdef"


def remote_studio(url, network, pixels):
    """A setup of workers whose network answers at `url`."""
    return setup_worker(partial(remote_inpainter, url), pixels)


def remote_inpainter(url):
    detector = FakeDetector(placed_face(Frame.of(FACE)))
    return Inpainter(connect(url, KEY, timeout=20), detector, FakeEmbedder(), FakeMesher(), FakeOcclusion())
