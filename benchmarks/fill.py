"""Where the time of a fill goes: the network alone, and whole fills of three sizes of photo, on one and two threads.

    python benchmarks/fill.py [--model FILE.onnx] [--photo FILE] [--reference FILE] [--rounds 7] [--busy 1]

Prints a Markdown table of medians in ms. Sizes and threads take turns within a round, so their ratios hold on a busy
machine, where absolute times do not. No hole comes twice, so that no embedding is remembered from a fill before.
--busy: so many other processes compute all the while, as on a machine that has other work.
"""

import argparse
import dataclasses
import io
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from PIL import Image

from twoface.core.images import encode_photo
from twoface.core.inpainter import Inpainter
from twoface.core.network import FillModel

SAMPLES = Path(__file__).parent.parent / "samples"
PIXELS = {"250 px": 250 * 250, "2 MP": 2_000_000, "12 MP": 12_000_000}
THREADS = (1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="another network than the one that ships")
    parser.add_argument("--photo", type=Path, default=SAMPLES / "photo.jpg", help="scaled to each size")
    parser.add_argument("--reference", type=Path, default=SAMPLES / "reference.jpg", help="as it is")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it")
    options = parser.parse_args()
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        measure(options)
    finally:
        for process in beside:
            process.kill()


def measure(options):
    photos = {name: scaled(options.photo, pixels) for name, pixels in PIXELS.items()}
    reference = options.reference.read_bytes()
    networks = {threads: FillModel(options.model, threads) for threads in THREADS}
    inpainters = {threads: Inpainter.load(options.model, threads) for threads in THREADS}
    laps = defaultdict(lambda: defaultdict(list))  # stage -> (size, threads) -> seconds
    for turn in range(options.rounds + 1):
        kept = defaultdict(lambda: defaultdict(list)) if turn == 0 else laps  # the first round warms up
        for threads in THREADS:
            cv2.setNumThreads(threads)
            kept["network alone"]["", threads].append(network_seconds(networks[threads]))
            for number, (size, photo) in enumerate(photos.items()):
                side = 48 + len(photos) * turn + number
                for stage, seconds in fill_seconds(inpainters[threads], photo, reference, side).items():
                    kept[stage][size, threads].append(seconds)

    print_table(laps)


def scaled(path, pixels):
    """The photo as JPEG bytes of about `pixels` pixels."""
    image = Image.open(path).convert("RGB")
    factor = (pixels / (image.width * image.height)) ** 0.5
    buffer = io.BytesIO()
    image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS).save(
        buffer, "JPEG", quality=95
    )
    return buffer.getvalue()


def network_seconds(network):
    image = np.full((1, 3, 128, 128), 0.5, np.float32)
    mask = np.zeros((1, 1, 128, 128), np.float32)
    mask[:, :, 32:96, 32:96] = 1
    began = time.perf_counter()
    network.run(image, mask, image)
    return time.perf_counter() - began


def fill_seconds(inpainter, photo, reference, side):
    result = inpainter.fill(photo, hole="center", center_size=side, reference=reference)
    began = time.perf_counter()
    encode_photo(dataclasses.replace(result.photo, format="JPEG"), "JPEG")
    encode = time.perf_counter() - began
    stages = {name: seconds for name, seconds in result.timing.items() if name != "total"}
    return stages | {"encode": encode, "total": result.timing["total"] + encode}


def print_table(laps):
    alone = [median(laps["network alone"]["", threads]) * 1e3 for threads in THREADS]
    print(f"network alone: {alone[0]:.1f} ms on one thread, {alone[1]:.1f} on two: x{alone[0] / alone[1]:.2f}\n")
    columns = [(size, threads) for size in PIXELS for threads in THREADS]
    print("| ms | " + " | ".join(f"{size}, {threads}t" for size, threads in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for stage, cells in laps.items():
        if stage != "network alone":
            print(f"| {stage} | " + " | ".join(f"{median(cells[column]) * 1e3:.1f}" for column in columns) + " |")


if __name__ == "__main__":
    main()
