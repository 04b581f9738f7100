"""Is what covers a face found? Whole photos of val people, their covers outlined by hand (benchmarks/occluders.json).

    python benchmarks/occlusion.py --photos DATA/photos [--network FILE.onnx] [--against FILE.onnx] [--pictures FOLDER]

Prints a Markdown table: for each kind of cover, and all, how many photos; the mean overlap (intersection over union)
of what is marked with the outlines, both cut by the face's frame; found, an overlap of .3 and more; and which share of
the outlined part in front of the face the proposed hole, which is grown by a rim, holds. Then overlap and found of all
with the middle 95 % of 10,000 bootstrap samples of the photos, and, --against another network, by how much they are
more, photo by photo; the share of clean photos with anything marked, in how many of the others closed eyes are offered,
and what a look takes; in how many photos a hole over the left half of the outlines is told to hold its thing in part,
and in how many one over all of them is. Photos in which no face is found count as not found. Covers marked "beside" do
not touch the face in the photo: they are left out, and so is a photo that has no others, which is not taken as a clean
one. The pictures show outlines green, marks red.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from twoface.core.affine import apply
from twoface.core.blend import crop_mask
from twoface.core.errors import InputError
from twoface.core.faces import choose
from twoface.core.frame import SIZE
from twoface.core.images import read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.mesh import inside
from twoface.core.occlusion import Occlusion, closed_eyes, grown, marked, partly_inside, proposed
from twoface.research.evaluation.panel import not_beside

OUTLINES = Path(__file__).with_name("occluders.json")
FOUND = 0.3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--network", type=Path, help="another than the one that ships")
    parser.add_argument("--against", type=Path, help="another network, to be compared with")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of what was marked")
    options = parser.parse_args()
    told, engine, look = json.loads(OUTLINES.read_text()), Inpainter.load(), Occlusion(network=options.network)
    in_front = [(item["photo"], not_beside(item["covers"])) for item in told["covered"]]
    in_front = [(name, covers) for name, covers in in_front if covers]

    def all_covered(look):
        return [judged(engine, look, options.photos / name, covers) for name, covers in in_front]

    covered = all_covered(look)
    clean = [judged(engine, look, options.photos / name, []) for name in told["clean"]]
    print("| in front | photos | overlap | found | of it in the hole |\n|---|---|---|---|---|")
    kinds = [[cover["kind"] for cover in covers] for _, covers in in_front]
    for name in (*dict.fromkeys(kind for some in kinds for kind in some), "all"):
        rows = [row for row, some in zip(covered, kinds, strict=True) if name in (*some, "all")]
        overlap, held = ([row[key] for row in rows] for key in ("overlap", "held"))
        found = np.mean(np.array(overlap) >= FOUND)
        print(f"| {name} | {len(rows)} | {np.mean(overlap):.2f} | {found:.0%} | {np.mean(held):.0%} |")
    measured = figures(covered)
    print(f"\nall: overlap {interval(measured[0])}, found {interval(measured[1])}")
    if options.against:
        more = measured - figures(all_covered(Occlusion(network=options.against)))
        print(f"more than {options.against}: overlap {interval(more[0])}, found {interval(more[1])}")
    seen = [row for row in clean if row["face"]]
    false = sum(row["marked"] for row in seen)
    print(f"\nclean: {false} of {len(seen)} have something marked ({false / len(seen):.1%})")
    closed = [row for row in seen if row["closed"]]
    print(f"closed eyes are offered in {len(closed)} of the others")
    for name in ("half", "whole"):
        print(f"told to be held in part, {name}: {np.mean([row[name] for row in covered]):.0%}")
    print(f"a look: {1000 * seconds(look):.1f} ms")
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        shown = [row for row in covered if row["face"]], [row for row in seen if row["marked"]], closed
        for name, rows in zip(("covered", "false", "closed"), shown, strict=True):
            if rows:
                cv2.imwrite(str(options.pictures / f"{name}.png"), sheet([row["picture"] for row in rows])[:, :, ::-1])


def figures(rows):
    """Of each photo its overlap and whether its cover is found -> (2, photos)."""
    overlap = np.array([row["overlap"] for row in rows])
    return np.stack([overlap, overlap >= FOUND])


def interval(values, times=10_000):
    """The mean, and the middle 95 % of the means of bootstrap samples of the photos -> str."""
    drawn = np.random.default_rng(0).integers(0, len(values), (times, len(values)))
    low, high = np.percentile(values[drawn].mean(1), (2.5, 97.5))
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def judged(engine, look, path, covers):
    """What is marked in a photo, and how it agrees with the outlines -> dict."""
    photo = read_photo(path)
    truth = drawn(covers, photo)
    people = drawn([cover for cover in covers if cover["kind"] == "person"], photo)
    try:
        frame = framed(engine, photo, truth, people)
    except InputError:
        return {"face": False, "overlap": 0.0, "held": 0.0, "half": False, "whole": False}
    aligned = frame.crop(photo.pixels)
    nothing = np.zeros((SIZE, SIZE), bool)
    hidden = marked(look.look(aligned), engine.mesher.through(aligned, nothing))
    seen = grown(np.ones((SIZE, SIZE), bool), frame, truth.shape, 0)
    truth = truth & seen
    bare = grown(hidden, frame, truth.shape, 0) & seen
    points = engine.mesher.through(aligned, hidden)
    hole = proposed(hidden, points, frame, truth.shape)[0]
    before = truth & grown(inside(points, "oval"), frame, truth.shape, 0)
    either = np.count_nonzero(truth | bare)
    half = truth & (np.arange(truth.shape[1]) < np.median(np.nonzero(truth)[1])) if truth.any() else truth

    def told(hole):
        return partly_inside(hidden, crop_mask(hole, frame), points)

    return {
        "face": True,
        "marked": bool(hidden.any()),
        "closed": not hidden.any() and closed_eyes(engine.mesher.find(photo.pixels, frame)),
        "overlap": np.count_nonzero(truth & bare) / either if either else 1.0,
        "held": np.count_nonzero(before & hole) / max(np.count_nonzero(before), 1),
        "half": told(half),
        "whole": told(truth),
        "picture": outlined(aligned, hidden, covers, frame),
    }


def drawn(covers, photo):
    """The outlines filled -> bool (H, W)."""
    mask = np.zeros(photo.pixels.shape[:2], np.uint8)
    for cover in covers:
        cv2.fillPoly(mask, [np.rint(cover["polygon"]).astype(np.int32)], 1)
    return mask > 0


def framed(engine, photo, hidden, people):
    """The frame of the face that is covered.

    hidden: bool (H, W), the outlines; people: of other people, whose faces are not meant.
    """
    faces = [face for face in engine.faces(photo) if not people[middle(face, people.shape)]]
    return choose(faces, hidden if hidden.any() else None).frame


def middle(face, shape):
    """Where the landmarks' mean lies -> (row, column)."""
    x, y = np.clip(np.rint(face.landmarks.mean(0)), 0, (shape[1] - 1, shape[0] - 1)).astype(int)
    return y, x


def outlined(aligned, hidden, covers, frame):
    picture = cv2.resize(aligned, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    marks = cv2.resize(hidden.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    cv2.drawContours(picture, cv2.findContours(marks, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0], -1, (255, 0, 0), 1)
    for cover in covers:
        outline = np.rint(apply(frame.transform(), cover["polygon"]) * 2).astype(np.int32)
        cv2.polylines(picture, [outline], True, (0, 255, 0), 1)
    return picture


def sheet(pictures, across=9):
    pictures = pictures + [np.zeros_like(pictures[0])] * (-len(pictures) % across)
    return np.vstack([np.hstack(pictures[i : i + across]) for i in range(0, len(pictures), across)])


def seconds(look, times=50):
    aligned = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        look.look(aligned)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
