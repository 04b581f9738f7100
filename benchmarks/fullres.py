"""What the photo's own resolution gains: the reference photo's own pixels and texture, the seam correction.

    python benchmarks/fullres.py PHOTOS [--model FILE] [--hole eyes] [--people 40]

PHOTOS holds a folder for each person with two photos or more. The first photo of each is filled from the second, six
ways. PSNR (dB) is of the hole at the photo's resolution, against the untouched photo; detail is the deviation of the
high-pass (what a blur of half a crop pixel removes) in the hole, relative to the truth's; step is by how much the mean
jump across the hole's edge exceeds the truth's, in levels of 255. No grain or softening is applied here.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from twoface.core.affine import apply
from twoface.core.blend import beside, crop_mask, render, seam_correction, smoothed
from twoface.core.errors import InputError
from twoface.core.holes import part_of_face
from twoface.core.images import read_photo
from twoface.core.mesh import Mesher
from twoface.core.mtcnn import Mtcnn
from twoface.core.network import FillModel, both_ways
from twoface.core.parts import HOLES
from twoface.core.prepared import FEATHER
from twoface.core.reference import registered


def upscaled(fields, places):
    """The network's 128 px answer, enlarged."""
    picture = np.ascontiguousarray(fields["fill"].transpose(1, 2, 0))
    return cv2.remap(picture, places.astype(np.float32), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def measure(network, detector, mesher, photo, reference, name):
    """-> {way: (psnr, detail, step)} of one pair, or None where no face is found."""
    faces, others = detector.detect(photo), detector.detect(reference)
    if not faces or not others:
        return None
    frame, other = faces[0].frame, others[0].frame
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    places = apply(frame.transform(), np.stack([x, y], -1))
    glance = mesher.through(frame.crop(photo), np.zeros((128, 128), bool))
    hole = part_of_face(name, 64, glance, frame, photo.shape)
    detail = frame.detail
    unknown, blended = (crop_mask(hole, frame, px) for px in (0, FEATHER * detail))
    aligned = frame.crop(photo)
    (_, points), mesh = mesher.behind(aligned, unknown, network), mesher.find(reference, other).points
    moved = registered(points, unknown, reference, mesh)
    source = (reference, moved.map)
    image = np.ascontiguousarray(aligned.transpose(2, 0, 1)[None], np.float32) / 255
    fields = both_ways(network, image * ~unknown, unknown[None, None].astype(np.float32), *moved.planes())
    fields = beside({key: field[0] for key, field in fields.items()}, aligned, unknown, moved)
    seam = seam_correction(aligned, fields["fill"], unknown, blended)
    seam = cv2.remap(seam, places.astype(np.float32), None, cv2.INTER_LINEAR)
    ways = {
        "128 px answer enlarged": upscaled(fields, places),
        "fields at full resolution": render(fields, places, source, detail),
        "the same with texture": render(fields, places, source, detail, smoothed(fields, source, detail)),
    }
    ways |= {f"{way}, seam corrected": np.clip(fill + seam, 0, 1) for way, fill in ways.items()}
    return {way: _scores(fill, photo.astype(np.float32) / 255, hole, detail) for way, fill in ways.items()}


def _scores(fill, truth, hole, detail):
    composite = np.where(hole[..., None], fill, truth)
    psnr = -10 * np.log10(np.square(composite - truth)[hole].mean())

    def high(picture):
        return (picture - cv2.GaussianBlur(picture, (0, 0), detail / 2))[hole].std()

    edge = hole[:, 1:] != hole[:, :-1]
    jump, natural = (np.abs(np.diff(picture, axis=1))[edge].mean() for picture in (composite, truth))
    return psnr, high(fill) / high(truth), 255 * (jump - natural)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--hole", choices=HOLES, default="eyes")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--min-scale", type=float, default=1.5, help="photo pixels per crop pixel, at least")
    arguments = parser.parse_args()
    network, detector, mesher, rows = FillModel(arguments.model), Mtcnn(), Mesher(), []
    for folder in sorted(path for path in arguments.photos.iterdir() if path.is_dir()):
        files = sorted(folder.glob("*.jpg"))[:2]
        if len(files) < 2 or len(rows) == arguments.people:
            continue
        photo, reference = (read_photo(file).pixels for file in files)
        faces = detector.detect(photo)
        if faces and faces[0].frame.detail >= arguments.min_scale:
            found = measure(network, detector, mesher, photo, reference, arguments.hole)
            rows += [found] if found else []
    if not rows:
        raise InputError(f"{arguments.photos} holds no pair of photos with faces large enough")
    print(f"hole {arguments.hole}, {len(rows)} photos\nway | PSNR dB | detail | step\n---|---|---|---")
    for way in rows[0]:
        psnr, detail, step = np.mean([row[way] for row in rows], axis=0)
        print(f"{way} | {psnr:.2f} | {detail:.2f} | {step:.1f}")


if __name__ == "__main__":
    main()
