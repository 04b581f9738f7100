"""How well is the background continued where a hole lies beside a face? Clean photos of val people, true pixels known.

    python benchmarks/background.py --photos DATA/photos [--count N] [--pictures FOLDER]

Outlines of hands, microphones and the like (benchmarks/occluders.json), moved by the faces' frames onto photos with
nothing in front of the face, are the holes. Prints a Markdown table of what each way fills in beside the face, with the
means over the photos: PSNR in dB, and the fine detail relative to the truth's (1 is as sharp). `network` is what a fill
without a reference gives as far as its crop reaches, compared with the others there; Telea is OpenCV's, radius 5. Then
what a fill takes with and without such a part.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

from twoface.core import background
from twoface.core.affine import apply, invert
from twoface.core.blend import crop_mask
from twoface.core.errors import InputError
from twoface.core.frame import SIZE
from twoface.core.images import read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.mesh import inside
from twoface.core.occlusion import grown
from twoface.research.evaluation.panel import not_beside

OUTLINES = Path(__file__).with_name("occluders.json")
THINGS = ("hand", "microphone", "cup")
DETAIL = 1.5  # pixels: what a blur of this deviation removes is fine detail


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=50, help="photos (default 50)")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures: the photo, the hole, the fill")
    options = parser.parse_args()
    told, engine = json.loads(OUTLINES.read_text()), Inpainter.load()
    shapes = list(outlines(engine, options.photos, told["covered"]))
    rows, shown, seconds = [], [], []
    for number, name in enumerate(told["clean"][: options.count]):
        found = judged(engine, options.photos / name, shapes[number % len(shapes)])
        if found is not None:
            rows.append(found["figures"])
            shown.append(found["picture"])
            seconds.append(found["seconds"])
    print(f"{len(rows)} photos, {len(shapes)} outlines\n")
    print("| beside the face | PSNR | fine detail | in the crop: PSNR | fine detail |\n|---|---|---|---|---|")
    for way in rows[0]:
        figures = np.mean([row[way] for row in rows], 0)
        print(f"| {way} | " + " | ".join("-" if np.isnan(figure) else f"{figure:.2f}" for figure in figures) + " |")
    gain = np.array([np.subtract(row["background"], row["Telea"])[0] for row in rows])
    drawn = np.random.default_rng(0).integers(0, len(gain), (10_000, len(gain)))
    low, high = np.percentile(gain[drawn].mean(1), (2.5, 97.5))
    print(f"\nbackground - Telea: {gain.mean():.2f} dB ({low:.2f} to {high:.2f})")
    with_it, without = np.median(seconds, 0)
    print(f"prepare: {1000 * with_it:.0f} ms, on the face alone {1000 * without:.0f} ms (median)")
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(shown), 12):
            path = options.pictures / f"{start // 12:02d}.png"
            cv2.imwrite(str(path), np.vstack(shown[start : start + 12])[:, :, ::-1])


def outlines(engine, photos, covered):
    """The polygons of things that go on beside a face, in crop pixels, a list for each photo."""
    for item in covered:
        covers = [cover for cover in not_beside(item["covers"]) if cover["kind"] in THINGS]
        if covers:
            photo = read_photo(photos / item["photo"])
            faces = engine.faces(photo)
            if faces:
                yield [apply(faces[0].frame.transform(), cover["polygon"]) for cover in covers]


def judged(engine, path, polygons):
    """The figures of one photo, or None where no part of the hole lies beside its face."""
    photo = read_photo(path)
    try:
        bare = engine.prepare(photo, hole="nose")
    except InputError:
        return None
    frame = bare.frame
    drawn = np.zeros(photo.pixels.shape[:2], np.uint8)
    for polygon in polygons:
        cv2.fillPoly(drawn, [np.rint(apply(invert(frame.transform()), polygon)).astype(np.int32)], 1)
    hole = drawn.view(bool)
    face = grown(inside(bare.mesh, "oval"), frame, hole.shape)
    where = background.beside(hole, bare.mesh, frame)
    crop = grown(np.ones((SIZE, SIZE), bool), frame, hole.shape, 0)
    if np.count_nonzero(where & crop) < 100 or not (hole & face).any():
        return None
    covered = np.where(hole[..., None], np.uint8(0), photo.pixels)
    start = time.perf_counter()
    prepared = engine.prepare(covered, mask=hole, face=frame)
    middle = time.perf_counter()
    engine.prepare(covered, mask=hole & face, face=frame)
    seconds = middle - start, time.perf_counter() - middle
    with mock.patch("twoface.core.prepared._guess", return_value=None):
        unguided = engine.prepare(covered, mask=hole, face=frame)
    ways = {
        "background": prepared.pixels,
        "background, no guess": unguided.pixels,
        "network": network_alone(engine, prepared, covered, hole & crop),
        "Telea": cv2.inpaint(photo.pixels, drawn, 5, cv2.INPAINT_TELEA),
        "mean colour": np.where(hole[..., None], photo.pixels[~hole].mean(0).round().astype(np.uint8), photo.pixels),
    }
    figures = {way: told(filled, photo.pixels, where, crop) for way, filled in ways.items()}
    figures["network"][:2] = np.nan  # it sees no more than the crop
    tiles = [cut_out(pixels, frame) for pixels in (photo.pixels, covered, engine.fill(covered, mask=hole).photo.pixels)]
    return {"figures": figures, "picture": np.hstack(tiles), "seconds": seconds}


def network_alone(engine, prepared, covered, hole):
    """What a fill without a reference gives where all of the hole is the network's -> uint8 (H, W, 3)."""
    frame = prepared.frame
    crop, unknown = frame.crop(covered), crop_mask(hole, frame)
    alone = dataclasses.replace(prepared, pixels=covered, inner=hole, crop=crop, unknown=unknown)
    return engine.paste(alone, engine.predict(alone))


def told(filled, truth, where, crop):
    """PSNR and fine detail where it lies beside the face, and the same where the crop shows it -> (4,)."""
    high = [p - cv2.GaussianBlur(p, (0, 0), DETAIL) for p in (filled.astype(np.float32), truth.astype(np.float32))]
    found = []
    for place in (where, where & crop):
        wrong = np.square(filled[place].astype(float) - truth[place]).mean()
        found += [10 * np.log10(255**2 / max(wrong, 1e-3)), high[0][place].std() / max(high[1][place].std(), 1e-3)]
    return np.array(found)


def cut_out(pixels, frame):
    """The face and what is about it -> uint8 (240, 240, 3)."""
    return dataclasses.replace(frame, side=1.8 * frame.side, angle=0.0).crop(pixels, 240)


if __name__ == "__main__":
    main()
