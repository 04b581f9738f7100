"""How far the mesh of a face is off inside a hole, by each way of finding it.

    python benchmarks/meshes.py --data DATA [--cache DIR]

One pair of each person of val; mean distance, in pixels of the 128 frame, of the points inside the hole from the mesh
of the whole face.
"""

import argparse
from pathlib import Path

import numpy as np

from twoface.core.frame import SIZE
from twoface.core.mesh import Mesher, with_reference
from twoface.core.network import FillModel
from twoface.core.parts import named_hole
from twoface.research.data.meshes import meshes_of
from twoface.research.data.portraits import MARGIN, Portraits
from twoface.research.evaluation.pairs import fixed_pairs

HOLES = ("center", "eyes", "lower", "mouth")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    portraits = Portraits.load(options.data, "val", options.cache)
    meshes, pairs = meshes_of(portraits, options.cache).astype(float), fixed_pairs(portraits)
    mesher, network = Mesher(), FillModel()
    print("| hole | through | behind | behind, with the reference's |\n|---|---|---|---|")
    for name in HOLES:
        rows = []
        for target, reference in zip(pairs.target, pairs.reference, strict=True):
            frame = slice(MARGIN, MARGIN + SIZE)
            aligned, truth = np.ascontiguousarray(portraits.crops[target][frame, frame]), meshes[target][:, :2]
            hole = named_hole(name, meshes[target])
            x, y = truth.round().astype(int).clip(0, SIZE - 1).T
            behind = mesher.behind(aligned, hole, network)
            ways = (mesher.through(aligned, hole), behind, with_reference(behind, meshes[reference], hole))
            rows.append([np.linalg.norm(way[:, :2] - truth, axis=1)[hole[y, x]].mean() for way in ways])
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, 0)) + " |", flush=True)


if __name__ == "__main__":
    main()
