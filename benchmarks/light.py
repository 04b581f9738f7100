"""Whether a fill has the grain of a noisy photo, and the brightness and fine contrast of a dark one.

    python benchmarks/light.py [--photo FILE] [--reference FILE] [--hole center]

The photo gets noise (of its luma, deviation 5 to 30 of 255), or less light (a half to a tenth, linear), and is filled.
Grain: the pixel noise (Immerkaer 1996) in the hole by that of the noisy photo there. Brightness and fine contrast (what
a blur of 1.5 crop pixels removes): in the hole by those of the darkened photo, and relative to the same at full light.
1 is right. Prints two Markdown tables.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from twoface.core.blend import FINE
from twoface.core.images import read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.parts import HOLES

SAMPLES = Path(__file__).parent.parent / "samples"
NOISES = (0, 5, 10, 15, 20, 30)
LIGHTS = (1, 0.5, 0.25, 0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, default=SAMPLES / "photo.jpg")
    parser.add_argument("--reference", type=Path, default=SAMPLES / "reference.jpg")
    parser.add_argument("--hole", choices=HOLES, default="center")
    options = parser.parse_args()
    inpainter, photo = Inpainter.load(), read_photo(options.photo).pixels
    frame = inpainter.faces(photo)[0].frame  # found once: darkness and noise are not to move it

    def fill(pixels):
        result = inpainter.fill(pixels, hole=options.hole, reference=options.reference, face=frame)
        return result.photo.pixels, result.hole, result.frame.detail

    print("| noise | grain |\n|---|---|")
    for noise in NOISES:
        grain = np.random.default_rng(0).normal(0, noise, (*photo.shape[:2], 1))
        noisy = np.clip(photo + grain, 0, 255).astype(np.uint8)
        filled, hole, _ = fill(noisy)
        print(f"| {noise} | {pixel_noise(filled, hole) / pixel_noise(noisy, hole):.2f} |")

    print("\n| light | brightness | to full light | fine contrast | to full light |\n|---|---|---|---|---|")
    full = None
    for light in LIGHTS:
        dark = darkened(photo, light)
        filled, hole, detail = fill(dark)
        ways = (brightness, contrast)
        found = np.array([measure(filled, hole, detail) / measure(dark, hole, detail) for measure in ways])
        full = found if full is None else full
        cells = [f"{value:.2f}" for pair in zip(found, found / full, strict=True) for value in pair]
        print(f"| {light} | {' | '.join(cells)} |")


def darkened(pixels, light):
    values = pixels / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4) * light
    values = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(values * 255).astype(np.uint8)


def luma(pixels):
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)


def pixel_noise(pixels, hole):
    kernel = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32) / 6
    inside = cv2.erode(hole.astype(np.uint8), np.ones((3, 3))).astype(bool)
    return 1.4826 * np.median(np.abs(cv2.filter2D(luma(pixels), -1, kernel)[inside]))


def brightness(pixels, hole, _):
    return luma(pixels)[hole].mean()


def contrast(pixels, hole, detail):
    picture = luma(pixels)
    return (picture - cv2.GaussianBlur(picture, (0, 0), FINE * detail))[hole].std()


if __name__ == "__main__":
    main()
