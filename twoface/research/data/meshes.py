"""The meshes of prepared crops: found once, then read from the cache. No torch here."""

from __future__ import annotations

import os
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from twoface.core.arrays import Meshes
from twoface.core.files import write_aside
from twoface.core.mesh import POINTS, MeshNetwork
from twoface.research.data.portraits import FRAME, Portraits


def meshes_of(portraits: Portraits, cache: Path | None) -> Meshes:
    """The mesh of every crop in the pixels of its 128 frame -> float32 (N, 478, 3), kept in `cache` when given."""
    key = zlib.crc32("\n".join(portraits.paths).encode())
    path = cache / f"meshes-{len(portraits)}-{key:08x}.npy" if cache else None
    if path and path.exists():
        return np.load(path)
    meshes = _find(portraits)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, lambda aside: np.save(aside, meshes), force=True)
    return meshes


def _find(portraits: Portraits) -> Meshes:
    meshes = np.empty((len(portraits), POINTS, 3), np.float32)
    own = threading.local()

    def find(i: int) -> None:
        if not hasattr(own, "network"):
            own.network = MeshNetwork(threads=1)
        meshes[i] = own.network.find(portraits.crops[i], FRAME).moved(FRAME.transform()).points

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(tqdm(pool.map(find, range(len(portraits))), "meshes", len(portraits), unit="crop"))
    return meshes
