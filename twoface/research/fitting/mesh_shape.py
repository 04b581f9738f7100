"""Fits `twoface/weights/mesh_shape.npz`: the mean mesh of the training crops, and how meshes differ from it.

    python -m twoface.research.fitting.mesh_shape --data DATA [--cache DIR] [--write twoface/weights/mesh_shape.npz]

Prints how much of the variance the modes hold. `benchmarks/meshes.py` measures what they are good for.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from twoface.core.arrays import Meshes, Vector
from twoface.core.files import write_aside
from twoface.core.mesh_shape import MeshShape
from twoface.research.data.meshes import meshes_of
from twoface.research.data.portraits import Portraits

MODES = 40


def fit(meshes: Meshes) -> tuple[MeshShape, Vector]:
    """Principal components of meshes (M, N, 2 or 3) -> a MeshShape of 40 modes, and all variances, largest first."""
    flat = meshes[..., :2].reshape(len(meshes), -1).astype(np.float64)
    mean = flat.mean(0)
    variance, axes = np.linalg.eigh(np.cov((flat - mean).T))
    variance, axes = np.maximum(variance[::-1], 0), axes[:, ::-1]
    return MeshShape(mean.reshape(-1, 2), axes[:, :MODES] * np.sqrt(variance[:MODES])), variance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    meshes = meshes_of(Portraits.load(options.data, "train", options.cache), options.cache)
    shape, variance = fit(meshes)
    left = np.sqrt(variance[MODES:].sum() / len(variance))
    print(f"{len(meshes)} meshes: {MODES} modes hold {variance[:MODES].sum() / variance.sum():.2%} of the variance,")
    print(f"and leave a deviation of {left:.2f} pixels of each point")
    if options.write:
        halved: dict[str, Any] = {"mean": shape.mean.astype(np.float32), "modes": shape.modes.astype(np.float16)}
        write_aside(options.write, lambda path: np.savez_compressed(path, **halved), force=True)


if __name__ == "__main__":
    main()
