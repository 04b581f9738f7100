"""Photos on their side and upside down, without a tag that says so: filled as when they are upright?

    python benchmarks/turned.py PHOTOS [--people 25] [--hole eyes]

PHOTOS holds a folder of whole photos for each person. The first of each is filled from the second as it is, and turned
by quarter turns, the reference as it is. Found: the face is, the right way up. As upright: what is filled, turned back,
differs from the upright photo's fill by less than 8 levels of 255 in the mean over the hole.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from twoface.core.errors import InputError
from twoface.core.images import read_photo
from twoface.core.inpainter import Inpainter

NEAR = 8


def pairs_of(folder, count):
    """-> the pixels of two photos of each of `count` people."""
    people = (sorted(person.glob("*.jpg"))[:2] for person in sorted(folder.iterdir()) if person.is_dir())
    found = [[read_photo(file).pixels for file in files] for files in people if len(files) == 2][:count]
    if not found:
        raise InputError(f"{folder} holds no person with two photos")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--people", type=int, default=25)
    parser.add_argument("--hole", default="eyes")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    inpainter, rows = Inpainter.load(threads=1), {turn: [] for turn in range(4)}
    for photo, reference in pairs_of(options.photos, options.people):
        upright = None
        for turn in range(4):
            given = np.ascontiguousarray(np.rot90(photo, turn))
            try:
                result = inpainter.fill(given, hole=options.hole, reference=reference)
            except InputError:
                rows[turn].append((False, 255.0))
                continue
            back = np.rot90(result.photo.pixels, -turn)
            angle = (result.frame.angle + 90 * turn + 180) % 360 - 180
            if upright is None:
                upright = (result, angle)
            same = abs((angle - upright[1] + 180) % 360 - 180) < 20
            where = upright[0].hole | np.rot90(result.hole, -turn)
            apart = np.abs(back.astype(float) - upright[0].photo.pixels)[where].mean()
            rows[turn].append((same, apart))
    print("| turned by | found, the right way up | as upright | median difference, levels |\n|---|---|---|---|")
    for turn, found in rows.items():
        good, apart = np.array(found).T
        print(f"| {90 * turn} | {good.sum():.0f} of {len(good)} | {np.sum(apart < NEAR)} | {np.median(apart):.1f} |")


if __name__ == "__main__":
    main()
