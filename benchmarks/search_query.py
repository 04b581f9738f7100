"""How long a whole search takes: from the photo's file to the candidates, their photos read and compared again.

    python benchmarks/search_query.py PHOTOS --index INDEX [--holes none eyes lower] [--count 40] [--threads 1]

INDEX: of `twoface index build`; PHOTOS: a folder of photos, of which `--count` are searched, spread evenly over it.
Seconds by stage: median, and the 90th percentile of the whole. One search goes before and is not counted: it loads the
networks. Prints Markdown.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from twoface.core.errors import InputError
from twoface.search.collection import Collection
from twoface.search.index import pictures

STAGES = ("photo", "index", "again", "total")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--index", required=True)
    parser.add_argument("--holes", nargs="+", default=["none", "eyes", "lower"])
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        cv2.setNumThreads(options.threads)
    found = [path for path, _, _ in pictures(str(options.photos))[0]]
    chosen = [found[i] for i in np.linspace(0, len(found) - 1, min(options.count, len(found))).astype(int)]
    collection = Collection.open(options.index, threads=options.threads)
    print("| hole | searches | photo | index | again | total | 90 % of totals below | CPU s |\n|" + "---|" * 8)
    for name in options.holes:
        hole = None if name == "none" else name
        searched(collection, chosen[0], hole)
        start = time.process_time()
        answers = [answer for path in chosen if (answer := searched(collection, path, hole))]
        cpu = (time.process_time() - start) / len(chosen)
        seconds = np.array([[answer.seconds[stage] for stage in STAGES] for answer in answers])
        cells = [*np.median(seconds, 0), np.quantile(seconds[:, -1], 0.9), cpu]
        print(f"| {name} | {len(answers)} |", *(f"{cell:.2f} |" for cell in cells), flush=True)
    print(f"\n{len(collection.store)} faces in the index")


def searched(collection, path, hole):
    """None where the photo shows no face."""
    try:
        return collection.references(path, hole=hole)
    except InputError:
        return None


if __name__ == "__main__":
    main()
