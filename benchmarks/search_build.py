"""How fast an index is built, beside what the embedding network alone could do.

    python benchmarks/search_build.py PHOTOS [--workers 1 2]

PHOTOS: a folder of photos. Times FaceNet alone on one thread (batches of 1 and 16) and, for each number of processes, a
whole build: reading, decoding, detection, embedding, description, writing. Prints Markdown.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from twoface.research.models.facenet_graph import BatchEmbedder
from twoface.search.index import build
from twoface.search.store import LanceStore


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    print("| | photos/s | faces/s | MB on disk |\n|---|---|---|---|")
    embedder = BatchEmbedder(1)
    for count in (1, 16):
        views = np.random.default_rng(0).integers(0, 256, (count, 160, 160, 3), np.uint8)
        print(f"| FaceNet alone, batches of {count} | | {count / median(seconds(embedder, views)):.1f} | |", flush=True)
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as folder:
            summary = build([options.photos], Path(folder) / "index", workers=workers, progress=False)
            size = LanceStore(Path(folder) / "index").counts()["bytes"] / 1e6
        rates = summary.photos / summary.seconds, summary.faces / summary.seconds
        print(f"| whole build, processes: {workers} | {rates[0]:.1f} | {rates[1]:.1f} | {size:.1f} |", flush=True)
    print(f"\n{summary.photos} photos, {summary.faces} faces. A build's time includes the start of its processes.")


def seconds(embedder, views, rounds=9):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        embedder.embed(views)
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
