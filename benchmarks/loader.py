"""How many pictures a second the training loader gives, and where its time goes.

    python benchmarks/loader.py --data DATA [--cache DIR] [--split train] [--samples 2000] [--first-fills]

Prints a Markdown table. Absolute figures depend on what else the machine does; the shares less so.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

from twoface.core.mesh import template_mesh
from twoface.research.data.meshes import meshes_of
from twoface.research.data.portraits import PortraitPairs, Portraits
from twoface.research.data.random_holes import random_hole

BATCH = 16


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder made by `twoface data prepare`")
    parser.add_argument("--split", default="train")
    parser.add_argument("--cache", type=Path, help="a folder where meshes are kept, as `twoface train` does")
    parser.add_argument("--samples", type=int, default=2000, help="how many samples to draw for each row")
    parser.add_argument("--first-fills", action="store_true", help="meshes are found in first fills (data.first_fills)")
    options = parser.parse_args()

    portraits, decode = timed(lambda: Portraits.load(options.data, options.split))
    meshes = meshes_of(portraits, options.cache)
    pairs = PortraitPairs(portraits, meshes, seed=0, length=options.samples, first_fills=options.first_fills)
    samples = range(len(pairs))
    drawn, draw = timed(lambda: [pairs[i]["reference_index"] for i in samples])
    pictures = len(pairs) + sum(i >= 0 for i in drawn)  # a target each, and most have a reference
    _, holes = timed(lambda: [random_hole(np.random.default_rng((1, i)), template_mesh()) for i in samples])

    print(f"{len(portraits)} crops of {options.split}, {len(pairs)} samples of {pictures} pictures\n")
    print("| | seconds | pictures/s |\n|---|---|---|")
    row("decode all crops, once a run, two threads", decode, len(portraits))
    row("draw samples in this process", draw, pictures)
    for workers in (1, 2):
        loader = DataLoader(pairs, batch_size=BATCH, num_workers=workers, prefetch_factor=4)
        _, seconds = timed(lambda loader=loader: sum(len(batch["mask"]) for batch in loader))
        row(f"the loader, {workers} worker{'s' * (workers > 1)}, its start included", seconds, pictures)
    each, drawing = decode / len(portraits), draw / pictures
    print(f"\nof drawing, the holes take {holes / draw:.0%}; decoding a picture each time it is drawn")
    print(f"would be at least {each / (each + drawing):.0%} of the work of a picture, so each is decoded once")


def timed(work):
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def row(name, seconds, pictures):
    print(f"| {name} | {seconds:.2f} | {pictures / seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
