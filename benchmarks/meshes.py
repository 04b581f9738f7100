"""How far the mesh of a face is off inside a hole, by each way of finding it.

    python benchmarks/meshes.py --data DATA [--cache DIR] [--off 2]

One pair of each person of val; mean distance, in pixels of the 128 frame, of the points inside the hole from the mesh
of the whole face. With --off frames are shifted, turned and scaled by chance: by so many pixels, and a degree and a
half and 1.5 % for each (deviations). And how open the eyes are that a hole hides, by their height in their width: the
mean, and how far it tells how open they are in the photo (correlation). And what a look through a hole takes.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from twoface.core.frame import SIZE
from twoface.core.mesh import Mesh, Mesher, moved, with_reference
from twoface.core.mesh_shape import mesh_shape
from twoface.core.network import FillModel
from twoface.core.parts import named_hole
from twoface.research.data.meshes import meshes_of
from twoface.research.data.portraits import CROP, MARGIN, Portraits, in_crop
from twoface.research.evaluation.pairs import fixed_pairs

HOLES = ("center", "eyes", "lower", "mouth")
WAYS = ("the mean mesh", "through", "behind", "behind, with the reference's")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--off", type=float, default=0.0, help="crop pixels by which frames are off (default 0)")
    options = parser.parse_args()
    portraits = Portraits.load(options.data, "val", options.cache)
    meshes, pairs = meshes_of(portraits, options.cache).astype(float), fixed_pairs(portraits)
    mesher, network = Mesher(), FillModel()
    print(f"| hole | {' | '.join(WAYS)} |\n|---|---|---|---|---|")
    opens = {}
    for name in HOLES:
        rows, seen, random = [], [], np.random.default_rng(0)
        for target, reference in zip(pairs.target, pairs.reference, strict=True):
            move = frame_off(random, options.off)
            aligned = cv2.warpAffine(portraits.crops[target], move, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT_101)
            truth = moved(in_crop(meshes[target]), move)
            hole = named_hole(name, truth)
            x, y = truth[:, :2].round().astype(int).clip(0, SIZE - 1).T
            _, behind = mesher.behind(aligned, hole, network)
            found = (mesher.through(aligned, hole), behind, with_reference(behind, meshes[reference], hole))
            ways = (mesh_shape().mean, *(way[:, :2] for way in found))
            seen.append([open_by(mesh) for mesh in (truth, meshes[reference], *found)])
            rows.append([np.linalg.norm(way - truth[:, :2], axis=1)[hole[y, x]].mean() for way in ways])
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, 0)) + " |", flush=True)
        opens[name] = np.array(seen).T
    print(f"\na look through a hole: {1000 * seconds(Mesher(1), aligned, hole):.1f} ms on one thread")
    print(f"\n| eyes behind | the photo's | the reference's | {' | '.join(WAYS[1:])} |\n|---|---|---|---|---|---|")
    for name in ("center", "eyes"):
        cells = [f"{of.mean():.2f} ({np.corrcoef(opens[name][0], of)[0, 1]:.2f})" for of in opens[name]]
        print(f"| {name} | " + " | ".join(cells) + " |")


def seconds(mesher, aligned, hole):
    """The median time of a look."""
    laps = []
    for _ in range(50):
        began = time.perf_counter()
        mesher.through(aligned, hole)
        laps.append(time.perf_counter() - began)
    return np.median(laps)


def frame_off(random, pixels):
    """From a stored crop to a 128 frame that is off by chance, 2x3."""
    middle = (CROP - 1) / 2
    angle, scale = random.normal(0, 1.5 * pixels), np.exp(random.normal(0, 0.015 * pixels))
    move = cv2.getRotationMatrix2D((middle, middle), angle, scale)
    move[:, 2] += random.normal(0, pixels, 2) - MARGIN
    return move


def open_by(points):
    """How open the eyes of a mesh are, the mean of both."""
    mesh = Mesh(points, 1)
    return (mesh.eye_open("left") + mesh.eye_open("right")) / 2


if __name__ == "__main__":
    main()
