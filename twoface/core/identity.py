"""Who is it: embeddings of faces, and how alike two of them are.

The network is dlib's face recognition ResNet (Davis King 2017, public domain), converted by
`python -m twoface.research.fitting.dlib_resnet`; `weights/NOTICE` says where it comes from. It looks at the middle of
an aligned face, 150x150.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import cv2
import numpy as np

from twoface.core.arrays import Mask, Matrix, Picture, Pictures, Vector
from twoface.core.frame import SIZE, UPRIGHT, Frame
from twoface.core.masks import center_hole
from twoface.core.network import open_session
from twoface.core.parts import named_hole

VIEW = 150  # pixels a side of what the network sees
# What the view shows of the crop: the median mesh of the train crops laid on the eye corners and the nose of dlib's
# own chips.
PLACE = Frame.of_transform(np.array([[1.74744, -0.00175, -34.896], [0.00175, 1.74744, -55.044]]), VIEW)
LENGTH = 128  # of an embedding
BATCH = 8  # views
REMEMBERED = 256
CALIBRATED = ("eyes", "glasses", "nose", "mouth", "mask", "lower", "left", "right")  # and squares; others are near one


class Embedder:
    """The recognition network; may be used from several threads. threads: as `twoface.core.network.open_session`.

    It remembers the last `REMEMBERED` views: with another hole or reference only what has changed is embedded.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._known: OrderedDict[bytes, Vector] = (
            OrderedDict()
        )  # a view's digest -> its embedding, the one used last at the end
        self._lock = threading.Lock()  # of what is known
        self._session = open_session(resources.files("twoface") / "weights" / "recogniser.onnx", threads)

    def embed(self, faces: Pictures) -> Matrix:
        """Views (N, 150, 150, 3) uint8 RGB -> embeddings (N, 128) float32, to be compared by `similarity`."""
        faces = np.asarray(faces)
        if faces.ndim != 4 or faces.shape[1:] != (VIEW, VIEW, 3) or faces.dtype != np.uint8:
            raise ValueError(f"faces must be uint8 (N, {VIEW}, {VIEW}, 3), not {faces.dtype} {faces.shape}")
        keys = [hashlib.sha256(face.tobytes()).digest() for face in faces]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
        new = {key: face for key, face in zip(keys, faces, strict=True) if key not in found}
        for start in range(0, len(new), BATCH):
            part = list(new)[start : start + BATCH]
            found |= zip(part, self._embed(np.stack([new[key] for key in part])), strict=True)
        with self._lock:
            for key in keys:
                self._known[key] = found[key]
                self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return np.stack([found[key] for key in keys])

    def _embed(self, faces: Pictures) -> Matrix:
        return self._session.run(None, {"faces": faces})[0]


def similarity(a: Vector, b: Vector) -> float:
    """The cosine of two embeddings (128,) as seen from `origin`, -1..1: larger is nearer."""
    return float(np.dot(*directions(np.stack([a, b]), origin())))


def directions(embeddings: Matrix, start: Vector) -> Matrix:
    """Where embeddings (N, 128) lie as seen from `start` (128,) -> unit (N, 128)."""
    apart = embeddings - start
    return apart / np.linalg.norm(apart, axis=1, keepdims=True)


def face_view(pixels: Picture, frame: Frame) -> Picture:
    """The view of a face straight from the photo, in all its detail -> uint8 (150, 150, 3). frame: of its crop."""
    return frame.inner(PLACE).crop(pixels, VIEW)


def hide(pixels: Picture, mask: Mask) -> Picture:
    """The picture with its hole (bool (H, W)) smoothly closed from its rim (Telea, radius 5) -> uint8 like pixels."""
    return cv2.inpaint(pixels, mask.astype(np.uint8), 5, cv2.INPAINT_TELEA)


def flat(pixels: Picture, mask: Mask) -> Picture:
    """The picture with its hole (bool (H, W)) in the mean colour of the rest -> uint8 like pixels, (H, W, 3)."""
    mean = cv2.mean(pixels, (~mask).view(np.uint8))[:3]
    return np.where(mask[..., None], np.rint(mean).astype(np.uint8), pixels)


def visible(embedder: Embedder, aligned: Picture, filled: Picture, hole: Mask) -> Vector:
    """What is seen of a face beside a hole -> embedding (128,).

    aligned: uint8 (128, 128, 3), the crop; filled: the same with its hole filled without a reference; hole: bool
    (128, 128).
    Photo and reference are compared with the same hole hidden in both: neither a fill from the reference nor its own
    pixels can flatter the figure. The hole is hidden in three ways, smoothly closed (`hide`), filled, and in the mean
    colour (`flat`), and the embedding is the mean of theirs: no single way tells people apart as well.
    """
    pictures = (hide(aligned, hole), filled, flat(aligned, hole))
    views = [face_view(picture, UPRIGHT) for picture in pictures]
    return embedder.embed(np.stack(views)).mean(0)


@dataclass(frozen=True)
class Threshold:
    """How well the visible part tells people apart under one hole.

    hole: the calibrated hole's name, "whole" for none. threshold: the similarity below which photo and reference are
    called two people; 1 % of the right references of val are. strangers_warned: the share of wrong references that are.
    """

    hole: str
    threshold: float
    strangers_warned: float


def threshold_for(hidden: Mask) -> Threshold:
    """The calibration of the hole that differs in the fewest pixels from `hidden`, bool (128, 128).

    From `weights/identity.json`; `docs/evaluation.md` says how it was measured: on pairs of the val split, people that
    the fill network never saw, their visible parts compared as `visible` describes.
    """
    return min(_thresholds(), key=lambda item: np.count_nonzero(item[0] ^ hidden))[1]


def calibrated_holes() -> dict[str, Mask]:
    """The holes that the comparison of visible parts is calibrated for -> {name: bool (128, 128)}, "whole" first."""
    centers = {f"center {side}": center_hole(side) for side in (32, 64, 96)}
    named = {name: named_hole(name) for name in CALIBRATED}
    return {"whole": np.zeros((SIZE, SIZE), bool)} | centers | named


@cache
def origin() -> Vector:
    """From where embeddings are compared, (128,): near the mean of all faces, from which they differ little."""
    return np.array(_calibration()["origin"], np.float32)


@cache
def _thresholds() -> list[tuple[Mask, Threshold]]:
    figures = _calibration()["holes"]
    return [(hole, Threshold(name, **figures[name])) for name, hole in calibrated_holes().items()]


@cache
def _calibration() -> dict[str, Any]:
    return json.loads((resources.files("twoface") / "weights" / "identity.json").read_text())
