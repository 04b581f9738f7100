"""How far the mesh of a face is off inside a hole, by each way of finding it.

    python benchmarks/meshes.py --data DATA [--cache DIR]

One pair of each person of val; mean distance, in pixels of the 128 frame, of the points inside the hole from the mesh
of the whole face. And how open the eyes are that a hole hides, by their height in their width: the mean, and how far it
tells how open they are in the photo (correlation).
"""

import argparse
from pathlib import Path

import numpy as np

from twoface.core.frame import SIZE
from twoface.core.mesh import Mesh, Mesher, with_reference
from twoface.core.network import FillModel
from twoface.core.parts import named_hole
from twoface.research.data.meshes import meshes_of
from twoface.research.data.portraits import MARGIN, Portraits
from twoface.research.evaluation.pairs import fixed_pairs

HOLES = ("center", "eyes", "lower", "mouth")
WAYS = ("through", "behind", "behind, with the reference's")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    portraits = Portraits.load(options.data, "val", options.cache)
    meshes, pairs = meshes_of(portraits, options.cache).astype(float), fixed_pairs(portraits)
    mesher, network = Mesher(), FillModel()
    print(f"| hole | {' | '.join(WAYS)} |\n|---|---|---|---|")
    opens = {}
    for name in HOLES:
        rows, seen = [], []
        for target, reference in zip(pairs.target, pairs.reference, strict=True):
            frame = slice(MARGIN, MARGIN + SIZE)
            aligned, truth = np.ascontiguousarray(portraits.crops[target][frame, frame]), meshes[target][:, :2]
            hole = named_hole(name, meshes[target])
            x, y = truth.round().astype(int).clip(0, SIZE - 1).T
            _, behind = mesher.behind(aligned, hole, network)
            ways = (mesher.through(aligned, hole), behind, with_reference(behind, meshes[reference], hole))
            seen.append([open_by(mesh) for mesh in (meshes[target], meshes[reference], *ways)])
            rows.append([np.linalg.norm(way[:, :2] - truth, axis=1)[hole[y, x]].mean() for way in ways])
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, 0)) + " |", flush=True)
        opens[name] = np.array(seen).T
    print(f"\n| eyes behind | the photo's | the reference's | {' | '.join(WAYS)} |\n|---|---|---|---|---|---|")
    for name in ("center", "eyes"):
        cells = [f"{of.mean():.2f} ({np.corrcoef(opens[name][0], of)[0, 1]:.2f})" for of in opens[name]]
        print(f"| {name} | " + " | ".join(cells) + " |")


def open_by(points):
    """How open the eyes of a mesh are, the mean of both."""
    mesh = Mesh(points, 1)
    return (mesh.eye_open("left") + mesh.eye_open("right")) / 2


if __name__ == "__main__":
    main()
