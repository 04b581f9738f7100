"""Is the right face of a group taken as the reference? A larger stranger stands beside the person.

    python benchmarks/groups.py PHOTOS [--people 25]
    python benchmarks/groups.py PHOTOS --real "l*"

PHOTOS holds a folder of whole photos for each person. The first photo of each is filled, under each hole, from the
second with somebody else's face, half as large again, set beside it. Right: the person's face was taken. Warned: a
warning says that it may be the wrong person or face.
--real: of the folders of these names, photos that show several faces are the references as they are; the person is
whoever stands in the middle, as in LFW.
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
REAL_HOLES = ("center", *HOLES)
MIDDLE = 0.5  # of a frame's side: so near the photo's middle is the person's face
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


def real_groups(folder, names, inpainter):
    """-> (another photo of the person, the group's pixels, the frame in its middle), of up to three photos of each."""
    for person in sorted(folder.glob(names)):
        files = sorted(person.glob("*.jpg"))
        for number, file in enumerate(files[:3] if len(files) > 1 else ()):
            pixels = read_photo(file).pixels
            faces = inpainter.faces(Photo(pixels))
            middle = np.array(pixels.shape[1::-1]) / 2
            frame = min((face.frame for face in faces), key=lambda f: off(f, middle), default=None)
            if len(faces) > 1 and off(frame, middle) < MIDDLE:
                yield read_photo(files[0 if number else 1]).pixels, pixels, frame


def off(frame, place):
    return np.hypot(*(np.array([frame.x, frame.y]) - place)) / frame.side


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--people", type=int, default=25)
    parser.add_argument("--real", metavar="NAMES", help="photos that show several faces, of folders of these names")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    inpainter = Inpainter.load(threads=1)
    if options.real:
        found = list(real_groups(options.photos, options.real, inpainter))
        cases = [
            (photo, None, reference, lambda taken, own=own: off(own, (taken.x, taken.y)) < MIDDLE)
            for photo, reference, own in found
        ]
    else:
        people, cases = people_of(options.photos, inpainter, options.people), []
        for i, ((photo, frame), reference) in enumerate(people):
            picture, edge = group(reference, people[(i + 1) % len(people)][1])
            cases.append((photo, frame, picture, lambda taken, edge=edge: taken.x < edge))
    print("| hole | right | wrong, warned | wrong, not warned | right, warned |\n|---|---|---|---|---|")
    for hole in REAL_HOLES if options.real else HOLES:
        counts = np.zeros(4, int)
        for photo, frame, reference, is_right in cases:
            result = inpainter.fill(photo, hole=hole, face=frame, reference=reference)
            faces = result.references[0]["faces"]
            right = is_right(Frame.of(faces["frames"][faces["taken"] - 1]))
            warned = any("face" in text or "two people" in text for text in result.warnings)
            counts += [right, not right and warned, not right and not warned, right and warned]
        print(f"| {hole} | " + " | ".join(f"{n} of {len(cases)}" for n in counts) + " |", flush=True)


if __name__ == "__main__":
    main()
