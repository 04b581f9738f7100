"""What really covers the prepared crops, as a trained occlusion network sees it: these crops are not taken for bare.

    python -m twoface.research.data.found first.onnx --data DATA --out found.npz

Nobody has said which of the crops show glasses, hands or microphones. A network taught on pictures whose parts are
known looks through them: where it finds nothing things may be drawn, where it is sure its own marks teach the next
network (self-training, Xie et al. 2020), and the rest is left out. No torch here.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from twoface.core.arrays import Field, Indices, Plane
from twoface.core.frame import SIZE
from twoface.core.network import open_session
from twoface.research.data.occluders import UNKNOWN
from twoface.research.data.portraits import CROP, MARGIN, Portraits

NOTHING = (0.25, 15)  # probability, and the pixels of more than that with which a crop is still bare
SURE = (0.6, 0.9, 60)  # probability of a marked pixel; of marks that are believed: the mean, and the fewest pixels
BATCH = 16


@dataclass(frozen=True)
class Found:
    """bare, covered: places in the portraits. marks: {place: uint8 (128, 128)}, of the covered ones, in the crop's
    middle: 1 = in front of the face, 0 = not, `UNKNOWN`.
    """

    bare: Indices
    covered: Indices
    marks: dict[int, Plane]

    def mask(self, place: int) -> Plane:
        """uint8 (160, 160), as `marks`; unknown beyond the frame where something is marked."""
        if place not in self.marks:
            return np.zeros((CROP, CROP), np.uint8)
        return np.pad(self.marks[place], MARGIN, constant_values=UNKNOWN)

    @classmethod
    def load(cls, path: str | Path, portraits: Portraits) -> Found:
        """Raises InputError as `Portraits.read_made`."""
        held = portraits.read_made(path, "twoface.research.data.found")
        return cls(held["bare"], held["covered"], dict(zip(held["covered"].tolist(), held["marks"], strict=True)))


def look_through(network: Path, portraits: Portraits) -> dict[str, Any]:
    """What `Found.load` reads. network: an occlusion network that `twoface export` wrote."""
    session = open_session(network, None)
    bare, covered, marks = [], [], []
    for start in tqdm(range(0, len(portraits), BATCH), "looked through", unit="batch"):
        frames = portraits.crops[start : start + BATCH, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
        image = np.ascontiguousarray(frames.transpose(0, 3, 1, 2), np.float32) / 255
        both = [session.run(None, {"image": np.ascontiguousarray(x)})[0][:, 0] for x in (image, image[..., ::-1])]
        for i, chance in enumerate((both[0] + both[1][..., ::-1]) / 2):
            if np.count_nonzero(chance > NOTHING[0]) <= NOTHING[1]:
                bare.append(start + i)
            elif (mark := _believed(chance)) is not None:
                covered.append(start + i)
                marks.append(mark)
    stacked = np.stack(marks) if marks else np.zeros((0, SIZE, SIZE), np.uint8)
    return {"key": portraits.key, "bare": np.array(bare, int), "covered": np.array(covered, int), "marks": stacked}


def _believed(chance: Field) -> Plane | None:
    sure = chance > SURE[0]
    if np.count_nonzero(sure) < SURE[2] or chance[sure].mean() < SURE[1]:
        return None
    mark = np.where(chance > 0.15, np.uint8(UNKNOWN), np.uint8(0))
    count, parts = cv2.connectedComponents(sure.astype(np.uint8))
    for part in (parts == number for number in range(1, count)):
        if np.count_nonzero(part) >= SURE[2] and chance[part].mean() >= SURE[1]:
            mark[part] = 1
    return mark if (mark == 1).any() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = look_through(options.network, Portraits.load(options.data, options.split, options.cache))
    np.savez_compressed(options.out, **found)
    print(f"{options.out}: {len(found['bare'])} bare, {len(found['covered'])} covered, the rest is left out")


if __name__ == "__main__":
    main()
