"""Can a copy of a photo be told from another photo of the same person? Correlations of what is visible under each hole.

    python benchmarks/search_copies.py --data DATA [--cache FOLDER]

Copies are val crops scaled by 0.56 to 1.4, compressed at quality 30 to 95, made brighter or darker, and moved, turned
and scaled a little, as another run of the detector would. Prints Markdown; `twoface.core.copies.COPY` comes from it.
"""

import argparse

import cv2
import numpy as np

from twoface.core.copies import COPY, copy_score
from twoface.core.frame import SIZE
from twoface.core.parts import named_hole
from twoface.research.data.portraits import MARGIN, Portraits

HOLES = ("none", "center", "eyes", "lower", "left")
PAIRS = 6  # of each person


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache")
    options = parser.parse_args()
    val, rng = Portraits.load(options.data, "val", options.cache), np.random.default_rng(0)
    people = [np.flatnonzero(val.identity == p) for p in range(len(val.names))]
    pairs = [rng.choice(members, 2, replace=False) for members in people if len(members) > 1 for _ in range(PAIRS)]
    copies = {a: copy_of(val.crops[a], rng) for a, _ in pairs}
    print(f"{len(pairs)} pairs of photos of one person, {len(copies)} copies\n")
    print(f"| hole | other photos: 99 % below | largest | copies: least | 5 % below | missed at {COPY} | taken |")
    print("|---|---|---|---|---|---|---|")
    for name in HOLES:
        visible = np.ones((SIZE, SIZE), bool) if name == "none" else ~named_hole(name)
        others = np.array([copy_score(frame(val.crops[a]), frame(val.crops[b]), visible) for a, b in pairs])
        same = np.array([copy_score(frame(val.crops[a]), frame(copy), visible) for a, copy in copies.items()])
        cells = [np.quantile(others, 0.99), others.max(), same.min(), np.quantile(same, 0.05)]
        shares = [np.mean(same < COPY), np.mean(others >= COPY)]
        print(f"| {name} |", *(f"{cell:.3f} |" for cell in cells), *(f"{share:.1%} |" for share in shares))


def frame(crop):
    return crop[MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]


def copy_of(crop, rng):
    """A crop (160, 160, 3) as it comes back from another site."""
    side = int(rng.integers(90, 224))
    picture = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA if side < 160 else cv2.INTER_CUBIC)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 96))]
    picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    picture = np.clip(picture * rng.uniform(0.85, 1.15) + rng.uniform(-15, 15), 0, 255).astype(np.uint8)
    move = cv2.getRotationMatrix2D((side / 2, side / 2), rng.normal(0, 1), 160 / side * np.exp(rng.normal(0, 0.01)))
    move[:, 2] += 80 - side / 2 + rng.normal(0, 1.2, 2)
    return cv2.warpAffine(picture, move, (160, 160), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


if __name__ == "__main__":
    main()
