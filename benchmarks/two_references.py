"""Is a fill from two references better than one from the better of them? Where one is not trusted the other fills.

    python benchmarks/two_references.py --data DATA [--cache FOLDER] [--triples 100]

DATA holds the prepared crops of val. Each is filled, under each hole, from the one of two others of the same person
that `fill` chooses; and again, where that is trusted by less than `LOW` and the other by more than `HIGH`, from the
other.
Prints a Markdown table: in how many fills such places are more than 5 % of the hole, and in these the PSNR of the hole
and of these places (mean, and of the difference the middle 95 % of 10,000 bootstrap samples).
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from twoface.core.inpainter import Inpainter
from twoface.core.masks import feather
from twoface.research.data.portraits import FRAME, Portraits

LOW, HIGH = 0.3, 0.6
HOLES = ("eyes", "lower", "center", "face")
EDGE = 3  # pixels over which the two fills are mixed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder made by `twoface data prepare`")
    parser.add_argument("--cache", type=Path, help="a folder for the decoded crops")
    parser.add_argument("--triples", type=int, default=100)
    options = parser.parse_args()
    portraits, engine = Portraits.load(options.data, "val", options.cache), Inpainter.load(threads=1)
    triples = [[np.array(portraits.crops[i]) for i in three] for three in drawn(portraits, options.triples)]
    print("| hole | fills | with such places | hole, one | hole, two | more | places, one | places, two |")
    print("|---|---|---|---|---|---|---|---|")
    for hole in HOLES:
        rows = [compared(engine, hole, *triple) for triple in triples]
        some = np.array([row[1:] for row in rows if row[0] > 0.05])
        print(f"| {hole} | {len(rows)} | {len(some)} | {' | '.join(told(some)) if len(some) else '| | | | '} |")


def drawn(portraits, count):
    """Three crops of the same person each -> list of three places."""
    rng, identity = np.random.default_rng(0), np.array(portraits.identity)
    people = [person for person in np.unique(identity) if np.count_nonzero(identity == person) >= 3]
    return [rng.choice(np.flatnonzero(identity == rng.choice(people)), 3, replace=False) for _ in range(count)]


def compared(engine, hole, photo, *references):
    """-> the share of such places in the hole; PSNR of the hole by one and by two, and of these places likewise."""
    prepared = engine.prepare(photo, hole=hole, face=FRAME)
    chosen = engine._chooser.choose(references, [FRAME, FRAME], [], prepared, same_photo=True)
    one, other = chosen.used, chosen.references[1 - chosen.number]
    places = prepared.hole & (trust(one, prepared) < LOW) & (trust(other, prepared) > HIGH)
    fills = [engine.paste(prepared, engine.predict(prepared, each), each) for each in (one, other)]
    alpha = feather(places, EDGE)[..., None]
    both = np.rint(fills[0] * (1 - alpha) + fills[1] * alpha)
    error = [psnr(photo, fill, where) for where in (prepared.hole, places) for fill in (fills[0], both)]
    return (np.count_nonzero(places) / np.count_nonzero(prepared.hole), *error)


def trust(reference, prepared):
    """How far a reference is trusted, in the photo's pixels -> float32 (H, W)."""
    shape, how = prepared.hole.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(reference.registered.trust, prepared.frame.transform(), shape, flags=how)


def psnr(truth, fill, where):
    """dB, of 0..255; nan where there is no place."""
    error = (truth[where].astype(float) - fill[where]) ** 2
    return 10 * np.log10(255**2 / max(error.mean(), 1e-9)) if error.size else np.nan


def told(rows):
    """The means of columns, and of the first two's difference its interval -> list of str."""
    more = rows[:, 1] - rows[:, 0]
    picked = np.random.default_rng(0).integers(0, len(more), (10_000, len(more)))
    low, high = np.percentile(more[picked].mean(1), (2.5, 97.5))
    hole_one, hole_two, one, two = (f"{value:.2f}" for value in rows.mean(0))
    return [hole_one, hole_two, f"{more.mean():+.2f} ({low:+.2f} to {high:+.2f})", one, two]


if __name__ == "__main__":
    main()
