"""How fast an index is built, beside what the embedding network alone could do.

    python benchmarks/search_build.py PHOTOS [--workers 1 2]

PHOTOS: a folder of photos. Times the recogniser alone on one thread (a face as all kinds that an index keeps) and, for
each number of processes, a whole build: reading, decoding, detection, embedding, description, writing. CPU: of all its
processes, which a busy machine changes least. Prints Markdown.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from twoface.core.identity import VIEW, Embedder
from twoface.search.face_space import KINDS
from twoface.search.index import build
from twoface.search.lance import LanceStore

ROUNDS = 32


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    print("| | photos/s | faces/s | CPU ms a face | MB on disk |\n|---|---|---|---|---|")
    embedder, before = Embedder(1), time.process_time()
    rate = ROUNDS / sum(seconds(embedder))
    cpu = (time.process_time() - before) / ROUNDS * 1e3
    print(f"| the recogniser alone, {len(KINDS)} views of each face | | {rate:.1f} | {cpu:.1f} | |", flush=True)
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as folder:
            before = cpu_seconds()
            summary = build([options.photos], Path(folder) / "index", workers=workers, progress=False)
            size = LanceStore(Path(folder) / "index").counts()["bytes"] / 1e6
        cpu = (cpu_seconds() - before) / summary.faces * 1e3
        rates = f"{summary.photos / summary.seconds:.1f} | {summary.faces / summary.seconds:.1f} | {cpu:.1f}"
        print(f"| whole build, processes: {workers} | {rates} | {size:.1f} |", flush=True)
    print(f"\n{summary.photos} photos, {summary.faces} faces. A build's time includes the start of its processes.")


def cpu_seconds():
    """Of this process and of those that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def seconds(embedder):
    """Each face is another: those that it has seen the embedder remembers."""
    times = []
    for seed in range(ROUNDS):
        views = np.random.default_rng(seed).integers(0, 256, (len(KINDS), VIEW, VIEW, 3), np.uint8)
        start = time.perf_counter()
        embedder.embed(views)
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
