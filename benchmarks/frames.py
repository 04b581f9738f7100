"""What a fill loses when the face's square is given roughly: 15 % too large or small, and turned by 20 degrees.

    python benchmarks/frames.py PHOTOS [--people 40]

PHOTOS holds a folder for each person with two photos or more. The first photo of each is filled from the second, the
same pixels each time: with the frame that the detector gives, and with four that are off. dB is of the hole against the
untouched photo, cosine that of FaceNet to its face; the differences are paired, with 95 % bootstrap intervals.
"""

import argparse
from pathlib import Path

import numpy as np

from twoface.core.errors import InputError
from twoface.core.frame import Frame
from twoface.core.holes import part_of_face
from twoface.core.images import read_photo
from twoface.core.inpainter import Inpainter
from twoface.research.evaluation.metrics import bootstrap_interval, hole_psnr
from twoface.research.models.facenet_graph import BatchEmbedder, face_view

HOLES = ("center", "eyes", "lower")
OFF = ((1.15, 20), (1.15, -20), (1 / 1.15, 20), (1 / 1.15, -20))  # of the side, degrees
SMALLEST = 50  # photo pixels a side of a face


def pairs(photos, engine, people):
    """(photo, reference, frame of the photo's face) of each person."""
    found = 0
    for folder in sorted(path for path in photos.iterdir() if path.is_dir()):
        files = sorted(folder.glob("*.jpg"))[:2]
        if len(files) < 2 or found == people:
            continue
        photo, reference = map(read_photo, files)
        faces, others = engine.faces(photo), engine.faces(reference)
        if faces and others and min(faces[0].area, others[0].area) >= SMALLEST**2:
            found += 1
            yield photo, reference, faces[0].frame


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--people", type=int, default=40)
    arguments = parser.parse_args()
    engine, embedder = Inpainter.load(), BatchEmbedder()
    rows = {hole: [] for hole in HOLES}
    for photo, reference, right in pairs(arguments.photos, engine, arguments.people):
        truth = embedder.embed(face_view(photo.pixels, right)[None])[0]
        points = engine.mesher.through(right.crop(photo.pixels), np.zeros((128, 128), bool))
        for hole in HOLES:
            mask, scores = part_of_face(hole, 64, points, right, photo.pixels.shape), []
            for frame in (right, *(Frame(right.x, right.y, s * right.side, right.angle + turn) for s, turn in OFF)):
                filled = engine.fill(photo, mask=mask, face=frame, reference=reference).photo.pixels
                cosine = float(truth @ embedder.embed(face_view(filled, right)[None])[0])
                scores.append((hole_psnr(photo.pixels, filled, mask), cosine))
            rows[hole].append(scores)
    if not rows[HOLES[0]]:
        raise InputError(f"{arguments.photos} holds no pair of photos with faces large enough")
    print(f"{len(rows[HOLES[0]])} people\n| hole | dB | cosine | lost dB | lost cosine |\n|---|---|---|---|---|")
    for hole, found in rows.items():
        found = np.array(found)  # (people, frames, figures)
        psnr, cosine = found[:, 0].mean(0)
        lost = (found[:, :1] - found[:, 1:]).mean(1).T
        cells = [f"{v.mean():.3f} ({' to '.join(f'{b:.3f}' for b in bootstrap_interval(v, 10_000, 0))})" for v in lost]
        print(f"| {hole} | {psnr:.2f} | {cosine:.3f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
