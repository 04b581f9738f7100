"""What an index keeps of a face besides its embedding: how it stands, how sharp it is, what its eyes and mouth do.

Pose is fair to some ten degrees; the expression figures are hints, no more: MTCNN's five points say nothing of lids
and lips, so they are read off the picture.
"""

import cv2
import numpy as np

from twoface.faces import TEMPLATE

# An average head's five landmarks as seen by `TEMPLATE`'s order, millimetres; x right in the picture, y down, z away.
HEAD = np.array([(-32.5, -35.0, 30.0), (32.5, -35.0, 30.0), (0, 0, 0), (-26.0, 33.0, 22.0), (26.0, 33.0, 22.0)])
DISTANCE = 12  # camera to head, in widths of the crop frame: near enough to a parallel projection


def pose(points):
    """The five landmarks (5, 2), in any pixels -> (yaw, pitch, roll) in degrees, 0 for a face that looks at us.

    yaw > 0: it looks to the right of the picture; pitch > 0: down; roll > 0: turned clockwise. A rigid average head is
    laid under the points (SQPnP, Terzakis and Lourakis 2020).
    """
    points = np.asarray(points, np.float64)
    side = np.hypot(*(points[[3, 4]].mean(0) - points[[0, 1]].mean(0))) + np.hypot(*(points[1] - points[0]))
    focal = DISTANCE * max(side, 1e-3)
    camera = np.array([[focal, 0, points[2, 0]], [0, focal, points[2, 1]], [0, 0, 1]])
    found, turn, _ = cv2.solvePnP(HEAD, points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    if not found:
        return 0.0, 0.0, 0.0
    (pitch, yaw, roll), *_ = cv2.RQDecomp3x3(cv2.Rodrigues(turn)[0])
    return -float(yaw), -float(pitch), float(roll)


def eyes_open(aligned):
    """How much darker the irises are than the skin round the eyes, 0..1: a hint that they are open."""
    return float(np.mean([_darkness(aligned, TEMPLATE[i], 0.03, 0.11) for i in (0, 1)]))


def mouth_open(aligned):
    """How dark the middle of the mouth is beside the skin about it, 0..1: a hint that it is open."""
    return _darkness(aligned, TEMPLATE[3:].mean(0), 0.025, 0.16)


def _darkness(aligned, place, inner, outer):
    """1 - (brightness within `inner` of a place) / (brightness in the square of `outer`), half sides of the frame."""
    size = len(aligned)
    gray = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY).astype(np.float32)

    def square(half):
        x, y = np.round(place * size).astype(int)
        half = max(1, round(half * size))
        return gray[y - half : y + half + 1, x - half : x + half + 1]

    return float(np.clip(1 - square(inner).mean() / max(np.percentile(square(outer), 75), 1), 0, 1))
