"""What serves where the reference's face is turned away: its mirrored half, the smeared map, or the synthesis?

    python benchmarks/hidden_half.py --data DATA [--cache DIR]

Pairs of one person of val whose heads are turned differently, the one's face hidden by a centre square of 96. Measured
where the registered reference is not trusted, in the face: PSNR in dB of each way after its colours were matched there
(mean and deviation of each channel, so that only structure counts), by the difference in yaw.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from twoface.core.frame import SIZE
from twoface.core.masks import center_hole
from twoface.core.mesh import POLYGONS, Mesh, mirrored
from twoface.core.network import FillModel, no_reference
from twoface.core.register import at_places, enlarged, pixels, register
from twoface.research.data.meshes import meshes_of
from twoface.research.data.portraits import MARGIN, Portraits, in_crop

BINS = ((10, 30), (30, 50), (50, 90))  # degrees between the yaws
MOST = 60  # pairs a bin
FEWEST = 60  # pixels that are not trusted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    portraits = Portraits.load(options.data, "val", options.cache)
    meshes = meshes_of(portraits, options.cache).astype(float)
    yaw = np.array([Mesh(points, 1.0).pose.yaw for points in meshes])
    network, hole = FillModel(threads=1), center_hole(96)
    print("| yaw apart | pairs | smeared | mirrored half | synthesis |\n|---|---|---|---|---|")
    for low, high in BINS:
        rows = []
        for target, reference in _pairs(portraits, yaw, low, high):
            found = _compare(portraits, meshes, target, reference, hole, network)
            rows += [found] if found else []
            if len(rows) == MOST:
                break
        if rows:
            cells = " | ".join(f"{value:.2f}" for value in np.mean(rows, 0))
            print(f"| {low} to {high} | {len(rows)} | {cells} |", flush=True)


def _pairs(portraits, yaw, low, high):
    """Ordered pairs of one person whose yaws are so far apart, in a fixed random order."""
    first, second = np.nonzero(portraits.identity[:, None] == portraits.identity)
    apart = np.abs(yaw[first] - yaw[second])
    chosen = np.flatnonzero((apart >= low) & (apart < high) & (first != second))
    return [(first[i], second[i]) for i in np.random.default_rng(0).permutation(chosen)]


def _compare(portraits, meshes, target, reference, hole, network):
    """PSNR of the three ways, or None where nearly all is trusted."""
    points, known = meshes[target], in_crop(meshes[reference])
    crop = portraits.crops[reference]
    other = known[mirrored()]
    other[:, 0] = len(crop) - 1 - other[:, 0]
    plain, mirror = register(points, known), register(points, other)
    face = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(face, [np.rint(points[list(POLYGONS["oval"]), :2]).astype(np.int32)], 1)
    hidden = (face > 0) & hole & (enlarged(plain.trust) < 0.3)
    if np.count_nonzero(hidden) < FEWEST:
        return None
    truth = portraits.crops[target, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
    image = np.ascontiguousarray(truth.transpose(2, 0, 1)[None], np.float32) / 255
    fill = network.run(image, hole[None, None].astype(np.float32), *no_reference())["synthesis"][0].transpose(1, 2, 0)
    ways = [
        cv2.remap(picture, at_places(found.map, pixels()), None, cv2.INTER_LINEAR)
        for picture, found in ((crop, plain), (np.ascontiguousarray(crop[:, ::-1]), mirror))
    ]
    return [_psnr(way[hidden].astype(float), truth[hidden].astype(float)) for way in (*ways, fill * 255)]


def _psnr(values, truth):
    matched = (values - values.mean(0)) / (values.std(0) + 1) * truth.std(0) + truth.mean(0)
    return -10 * np.log10(((matched - truth) ** 2).mean() / 255**2)


if __name__ == "__main__":
    main()
