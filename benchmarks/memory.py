"""The most memory that a fill takes: a tight portrait of 50 megapixels, its lower face filled, from several formats.

    python benchmarks/memory.py [--megapixels 50] [--hole lower] [--only "JPEG, its reference as large"]

The face of the sample photo is scaled up to the whole picture, with some grain. Each case is a `twoface fill` of its
own; memory is the peak of its resident set, as Linux tells, in MB of a million bytes. Prints a Markdown table.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from twoface.core.formats import png, tiff
from twoface.core.images import Photo
from twoface.core.mtcnn import Mtcnn

SAMPLES = Path(__file__).parent.parent / "samples"
SMALL = SAMPLES / "reference.jpg"
# The peak is asked of /proc: what wait4 tells of a process begins with that of the one that started it.
RUN = """import re, sys, time
from twoface.cli import main
code = main(sys.argv[1:])
print(*re.findall(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()), time.process_time())
sys.exit(code)"""
LARGE = "large.jpg"  # the reference, as large as the photo
BAR = "bar.png"  # a mask: from a corner to the middle of the face
# case -> the photo, its references, the result, and a mask in place of the hole.
CASES = {
    "JPEG": ("photo.jpg", [SMALL], "out.jpg"),
    "JPEG, turned by EXIF": ("turned.jpg", [SMALL], "out.jpg"),
    "JPEG, its reference as large": ("photo.jpg", [LARGE], "out.jpg"),
    "JPEG, three references as large": ("photo.jpg", [LARGE] * 3, "out.jpg"),
    "JPEG, a bar that goes on beside the face": ("photo.jpg", [SMALL], "out.jpg", BAR),
    "JPEG to PNG": ("photo.jpg", [SMALL], "out.png"),
    "PNG, 8 bits": ("photo.png", [SMALL], "out.png"),
    "PNG with transparency": ("clear.png", [SMALL], "out.png"),
    "JPEG to WebP": ("photo.jpg", [SMALL], "out.webp"),
    "PNG, 16 bits": ("deep.png", [SMALL], "out.png"),
    "TIFF, 16 bits": ("deep.tif", [SMALL], "out.tif"),
    "TIFF, 16 bits, its reference as large": ("deep.tif", [LARGE], "out.tif"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=50)
    parser.add_argument("--hole", default="lower")
    parser.add_argument("--only", choices=CASES, action="append", help="one case; may be given several times")
    options = parser.parse_args()

    cases = {name: CASES[name] for name in options.only or CASES}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in {name for photo, references, _, *mask in cases.values() for name in (photo, *references, *mask)}:
            if name != SMALL:
                make(name, round((options.megapixels * 1e6) ** 0.5))
        print("| case | peak MB | processor s |\n|---|---|---|")
        for name, (photo, references, out, *mask) in cases.items():
            hole = ["--mask", *mask] if mask else ["--hole", options.hole]
            peak, seconds = fill(photo, references, out, hole)
            print(f"| {name} | {peak / 1e6:.0f} | {seconds:.1f} |", flush=True)


def fill(photo, references, out, hole):
    """-> the peak of the resident set in bytes, CPU seconds."""
    given = ["fill", photo, *(f"--reference={name}" for name in references), *hole, "-o", out, "--force"]
    child = subprocess.run([sys.executable, "-c", RUN, *given], stdout=subprocess.PIPE, text=True)
    if child.returncode:
        raise SystemExit(f"twoface {' '.join(given)} failed")
    peak, seconds = child.stdout.splitlines()[-1].split()
    return int(peak) * 1024, float(seconds)


def make(name, side):
    """Write the face of a sample, or a mask of it, `side` pixels large, as a file of this name."""
    if name == BAR:
        bar = np.zeros((side, side), np.uint8)
        cv2.line(bar, (0, side - 1), (side // 2, side // 2), 255, side // 8)
        cv2.imwrite(name, bar)
        return
    photo = Image.open(SMALL if name == LARGE else SAMPLES / "photo.jpg").convert("RGB")
    x0, y0, x1, y1 = Mtcnn().detect(np.asarray(photo))[0].frame.box
    inner = 0.02 * (x1 - x0)
    face = photo.crop(tuple(round(v) for v in (x0 + inner, y0 + inner, x1 - inner, y1 - inner)))
    pixels = cv2.resize(np.asarray(face), (side, side), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(0)
    for row in range(side):
        grain = rng.normal(0, 3, (side, 1)).astype(np.float32)
        pixels[row] = np.clip(pixels[row] + grain, 0, 255).astype(np.uint8)
    if name == "deep.png":
        Path(name).write_bytes(png.write_deep(pixels.astype(np.uint16) * 257, 1))
    elif name == "deep.tif":
        Path(name).write_bytes(tiff.write(pixels.astype(np.uint16) * 257, "RGB", Photo(pixels[:1]), None, None))
    elif name == "clear.png":
        Image.fromarray(np.dstack([pixels, np.full((side, side), 200, np.uint8)])).save(name, compress_level=1)
    elif name == "turned.jpg":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(np.rot90(pixels)).save(name, quality=92, exif=exif)
    else:
        Image.fromarray(pixels).save(name, quality=92, compress_level=1)


if __name__ == "__main__":
    main()
