"""Hands in the prepared crops: real ones, to be laid over other faces, and crops that are not taken for bare.

    python -m twoface.research.data.hands --data DATA --out hands.npz

MediaPipe's hand tracking (Apache-2.0) finds them. It needs other versions of NumPy and OpenCV than this project, so it
gets an environment of its own: `pip install mediapipe==0.10.14 onnxruntime pillow tqdm`, with this repository in
PYTHONPATH. No torch here.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from twoface.core.arrays import Indices, Mask, Meshes, Numbers, Picture, Plane, Planes, Points, Vector
from twoface.core.mesh import POLYGONS
from twoface.research.data.portraits import CROP, Portraits, in_crop

FINER = 2  # crops are looked at, and hands cut, at so many times the size
DETECTED = 0.25  # the confidence of a palm that is looked at
SURE = 0.9  # that it is a left or a right hand: false finds seldom reach it
BESIDE = 0.25  # the largest share of a hand's pixels in the face for which it is laid over other faces
FEWEST = 250  # pixels of a hand worth cutting out
WRIST, PALM = 0, (0, 1, 2, 5, 9, 13, 17)  # of the 21 landmarks
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))


@dataclass(frozen=True)
class Hands:
    """place: int (N,), of the crop among the portraits. score: float (N,). points: float32 (N, 21, 2), MediaPipe's
    landmarks, and alphas: uint8 (N, 160, 160), which pixels are the hand's; both in the crop.
    """

    place: Indices
    score: Vector
    points: Numbers
    alphas: Planes

    @classmethod
    def load(cls, path: str | Path, portraits: Portraits) -> Hands:
        """Raises InputError as `Portraits.read_made`."""
        held = portraits.read_made(path, "twoface.research.data.hands")
        return cls(held["place"], held["score"], held["points"], held["alphas"])

    def free(self, meshes: Meshes) -> list[int]:
        """Which of the hands are worth laying elsewhere: sure, whole enough, and beside the face, so that no skin of
        the face is cut out for a hand's. meshes: (N, 478, 3), of the portraits."""
        good = []
        for i, place in enumerate(self.place):
            hand = self.alphas[i] > 127
            if self.score[i] < SURE or np.count_nonzero(hand) < FEWEST:
                continue
            oval = np.rint(in_crop(meshes[place])[list(POLYGONS["oval"]), :2]).astype(np.int32)
            face = cv2.fillPoly(np.zeros((CROP, CROP), np.uint8), [oval], 1) > 0
            if np.count_nonzero(hand & face) < BESIDE * np.count_nonzero(hand):
                good.append(i)
        return good

    def shown(self) -> dict[int, Mask]:
        """{place: where its hands are and may be, bool (160, 160)}."""
        result: dict[int, Mask] = {}
        for place, points, alpha in zip(self.place.tolist(), self.points, self.alphas, strict=True):
            result[place] = result.get(place, False) | (alpha > 0) | shape_of(points, 2.0)
        return result


def look_through(portraits: Portraits) -> dict[str, Any]:
    """What `Hands.load` reads."""
    import mediapipe  # type: ignore[import-not-found]  # in an environment of its own

    finder = mediapipe.solutions.hands.Hands(static_image_mode=True, max_num_hands=2, min_detection_confidence=DETECTED)
    place, score, points = [], [], []
    for i, crop in enumerate(tqdm(portraits.crops, "hands", unit="crop")):
        seen = finder.process(cv2.resize(np.ascontiguousarray(crop), None, fx=FINER, fy=FINER))
        for marks, side in zip(seen.multi_hand_landmarks or (), seen.multi_handedness or (), strict=True):
            place.append(i)
            score.append(side.classification[0].score)
            points.append([(mark.x * CROP, mark.y * CROP) for mark in marks.landmark])
    held = np.array(points, np.float32).reshape(-1, 21, 2)
    alphas = [cut_out(portraits.crops[i], marks) for i, marks in zip(place, held, strict=True)]
    return {
        "key": portraits.key,
        "place": np.array(place, int),
        "score": np.array(score),
        "points": held,
        "alphas": np.array(alphas, np.uint8).reshape(-1, CROP, CROP),
    }


def shape_of(points: Points, grown: float = 1.0) -> Mask:
    """The palm and the fingers along landmarks (21, 2), as thick as `grown` times a hand's -> bool (160, 160)."""
    mask, radius = np.zeros((CROP * FINER, CROP * FINER), np.uint8), _thick(points) * grown
    points = np.rint((points + 0.5) * FINER).astype(np.int32)
    thick = max(1, round(2 * radius * FINER))
    cv2.fillConvexPoly(mask, cv2.convexHull(points[list(PALM)]), 1)
    cv2.polylines(mask, [points[list(PALM)]], True, 1, thick)
    for finger in FINGERS:
        cv2.polylines(mask, [points[list(finger)]], False, 1, thick)
    return cv2.resize(mask, (CROP, CROP), interpolation=cv2.INTER_AREA) > 0


def _thick(points: Points) -> float:
    """Half a finger's width."""
    palm = max(np.linalg.norm(points[5] - points[17]), 0.75 * np.linalg.norm(points[WRIST] - points[9]))
    return 0.13 * float(palm)


def cut_out(crop: Picture, points: Points) -> Plane:
    """A hand's pixels in a crop, uint8 (160, 160, 3): its shape along the landmarks, mended by GrabCut (Rother et al.
    2004) -> uint8 (160, 160), 255 = the hand."""
    near, likely, sure = (shape_of(points, grown) for grown in (2.4, 1.0, 0.35))
    alpha = np.zeros((CROP, CROP), np.uint8)
    if not sure.any():
        return alpha
    mask = np.full((CROP, CROP), cv2.GC_BGD, np.uint8)
    mask[near], mask[likely], mask[sure] = cv2.GC_PR_BGD, cv2.GC_PR_FGD, cv2.GC_FGD
    x, y, w, h = cv2.boundingRect(near.astype(np.uint8))
    x0, y0, x1, y1 = max(x - 6, 0), max(y - 6, 0), min(x + w + 6, CROP), min(y + h + 6, CROP)
    large = {"fx": FINER, "fy": FINER}
    mask = cv2.resize(mask[y0:y1, x0:x1], None, interpolation=cv2.INTER_NEAREST, **large)
    picture = np.ascontiguousarray(crop[y0:y1, x0:x1])
    picture = cv2.resize(picture, None, interpolation=cv2.INTER_CUBIC, **large)
    cv2.grabCut(picture, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    hand = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    hand = cv2.morphologyEx(hand, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    alpha[y0:y1, x0:x1] = cv2.resize(hand, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    return alpha


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = look_through(Portraits.load(options.data, options.split, options.cache))
    np.savez_compressed(options.out, **found)
    print(f"{options.out}: {len(found['place'])} hands in {len(set(found['place'].tolist()))} crops")


if __name__ == "__main__":
    main()
