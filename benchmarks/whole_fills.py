"""What whole fills give on the pairs of `twoface evaluate`, which asks the network alone: frame, feather, seam and all.

    python benchmarks/whole_fills.py DATA [--holes center eyes lower] [--people 149]

DATA is what `twoface data prepare` made. Each person of val with two pictures is filled by `twoface.Inpainter`, the
stored crop being the photo, its aligned square the face, another crop of the person the reference. PSNR is of the hole,
cosine that of FaceNet to the true face; "moved" are the fills whose square was corrected, though it is right.
"""

import argparse
from pathlib import Path

import numpy as np

from twoface.core.inpainter import Inpainter
from twoface.core.parts import named_hole
from twoface.research.data.portraits import CROP, FRAME, MARGIN, Portraits
from twoface.research.evaluation.evaluate import Meshes
from twoface.research.evaluation.metrics import bootstrap_interval, hole_psnr
from twoface.research.evaluation.pairs import fixed_pairs
from twoface.research.models.facenet_graph import BatchEmbedder, face_view

INNER = slice(MARGIN, CROP - MARGIN)


def measured(engine, embedder, portraits, meshes, pairs, name):
    """-> (people, 3): PSNR, cosine to the truth, whether the square was moved."""
    rows = []
    for target, reference in pairs:
        photo, hole = portraits.crops[target], np.zeros((CROP, CROP), bool)
        hole[INNER, INNER] = named_hole(name, meshes.frame(target))
        given = {"mask": hole, "face": FRAME, "reference": portraits.crops[reference], "reference_face": FRAME}
        result = engine.fill(photo, **given)
        views = np.stack([face_view(pixels, FRAME) for pixels in (photo, result.photo.pixels)])
        cosine = float(np.prod(embedder.embed(views), axis=0).sum())
        rows.append((hole_psnr(photo, result.photo.pixels, hole), cosine, result.frame != FRAME))
    return np.array(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--holes", nargs="+", default=["center", "eyes", "lower"])
    parser.add_argument("--people", type=int, default=149)
    arguments = parser.parse_args()
    engine, embedder, portraits = Inpainter.load(), BatchEmbedder(), Portraits.load(arguments.data, "val")
    meshes, chosen = Meshes(portraits), fixed_pairs(portraits, "lfw")
    pairs = list(zip(chosen.target, chosen.reference, strict=True))[: arguments.people]
    print(f"{len(pairs)} people\n| hole | PSNR dB | cosine to truth | moved |\n|---|---|---|---|", flush=True)
    for name in arguments.holes:
        figures = measured(engine, embedder, portraits, meshes, pairs, name).T
        ranges = [" to ".join(f"{bound:.3f}" for bound in bootstrap_interval(f, 10_000, 0)) for f in figures[:2]]
        psnr, cosine, moved = figures.mean(1)
        print(f"| {name} | {psnr:.2f} ({ranges[0]}) | {cosine:.3f} ({ranges[1]}) | {moved:.0%} |", flush=True)


if __name__ == "__main__":
    main()
