"""Is the right face of a group taken as the reference? A larger stranger stands beside the person.

    python benchmarks/groups.py PHOTOS [--people 25]

PHOTOS holds a folder of whole photos for each person. The first photo of each is filled, under each hole, from the
second with somebody else's face, half as large again, set beside it. Right: the person's face was taken. Warned: a
warning says that it may be the wrong person or face. Margin: of similarity, between the person and the stranger.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from twoface.core.errors import InputError
from twoface.core.frame import Frame
from twoface.core.images import Photo, read_photo
from twoface.core.inpainter import Inpainter

HOLES = ("eyes", "lower")
FACE, STRANGER = 140, 210  # pixels a side of their frames
AROUND = 1.7  # frames: what is seen about a face


def people_of(folder, inpainter, count):
    """-> (photo, reference), each (pixels, frame), of `count` people."""
    found = []
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        pair = []
        for file in sorted(person.glob("*.jpg")):
            pixels = read_photo(file).pixels
            faces = inpainter.faces(Photo(pixels))
            if len(faces) == 1:
                pair.append((pixels, faces[0].frame))
            if len(pair) == 2:
                found.append(pair)
                break
        if len(found) == count:
            break
    if len(found) < 2:
        raise InputError(f"{folder} holds fewer than two people with two photos of one face each")
    return found


def standing(pixels, frame, side):
    """A face with what is around it, its frame `side` pixels wide -> uint8 square."""
    size = round(AROUND * side)
    around = Frame(frame.x, frame.y, frame.side * size / side).transform(size)
    return cv2.warpAffine(pixels, around, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)


def group(person, stranger):
    """Side by side -> uint8 (H, W, 3), and where the person's part ends."""
    one, other = standing(*person, FACE), standing(*stranger, STRANGER)
    one = cv2.copyMakeBorder(one, len(other) - len(one), 0, 0, 0, cv2.BORDER_REPLICATE)  # no face twice
    return np.concatenate([one, other], 1), one.shape[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--people", type=int, default=25)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    inpainter = Inpainter.load(threads=1)
    people = people_of(options.photos, inpainter, options.people)
    print("| hole | right | wrong, warned | wrong, not warned | right, warned |\n|---|---|---|---|---|")
    for hole in HOLES:
        counts = np.zeros(4, int)
        for i, ((photo, frame), reference) in enumerate(people):
            picture, edge = group(reference, people[(i + 1) % len(people)][1])
            result = inpainter.fill(photo, hole=hole, face=frame, reference=picture)
            faces = result.references[0]["faces"]
            taken = faces["frames"][faces["taken"] - 1]
            right = Frame.of(taken).x < edge
            warned = any("face" in text or "two people" in text for text in result.warnings)
            counts += [right, not right and warned, not right and not warned, right and warned]
        print(f"| {hole} | " + " | ".join(f"{n} of {len(people)}" for n in counts) + " |", flush=True)


if __name__ == "__main__":
    main()
