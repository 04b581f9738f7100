"""What each of the network's fields gives to a fill: the same fills without residual flow, colours, texture.

    python benchmarks/fields.py --data DATA [--cache DIR] [--hole center]

One pair of each person of val, the right reference, the hole's edges hard. dB is of the hole, detail the deviation of
what a blur of 1.5 px removes, relative to the truth's, cosine FaceNet's to the true face.
"""

import argparse
from pathlib import Path

import numpy as np

from twoface.core.blend import beside, render, smoothed
from twoface.core.frame import SIZE
from twoface.core.mesh import Mesher
from twoface.core.network import FillModel
from twoface.core.parts import HOLES, named_hole
from twoface.core.reference import registered
from twoface.research.data.meshes import meshes_of
from twoface.research.data.portraits import MARGIN, Portraits, in_crop
from twoface.research.evaluation.metrics import hole_detail, hole_psnr
from twoface.research.evaluation.pairs import fixed_pairs
from twoface.research.models.facenet_graph import BatchEmbedder, embedding_view

WAYS = {  # name: (what replaces fields, whether texture is restored)
    "as it is": ({}, True),
    "without texture": ({}, False),
    "without the residual flow": ({"flow": np.zeros_like}, True),
    "without gain and offset": ({"gain": np.ones_like, "offset": np.zeros_like}, True),
    "without the synthesis": ({"weight": np.ones_like}, True),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--hole", choices=HOLES, default="center")
    options = parser.parse_args()
    portraits = Portraits.load(options.data, "val", options.cache)
    meshes, pairs = meshes_of(portraits, options.cache).astype(float), fixed_pairs(portraits)
    mesher, network, embedder = Mesher(), FillModel(), BatchEmbedder()
    y, x = np.mgrid[:SIZE, :SIZE]
    places, frame = np.stack([x, y], -1).astype(np.float32), slice(MARGIN, MARGIN + SIZE)
    scores = {way: [] for way in WAYS}
    for target, reference in zip(pairs.target, pairs.reference, strict=True):
        crop = portraits.crops[target]
        truth, hole = np.ascontiguousarray(crop[frame, frame]), named_hole(options.hole, meshes[target])
        _, points = mesher.behind(truth, hole, network)
        moved = registered(points, hole, portraits.crops[reference], in_crop(meshes[reference]))
        image = np.ascontiguousarray(truth.transpose(2, 0, 1)[None], np.float32) / 255 * ~hole
        fields = network.run(image, hole[None, None].astype(np.float32), *moved.planes())
        fields = beside({name: field[0] for name, field in fields.items()}, truth, hole, moved)
        face = embedder.embed(embedding_view(crop)[None])[0]
        for way, (replaced, texture) in WAYS.items():
            changed = fields | {name: how(fields[name]) for name, how in replaced.items()}
            source = (portraits.crops[reference], moved.map)
            fill = render(changed, places, source, 1, smoothed(changed, source, 1) if texture else None)
            filled = np.where(hole[..., None], np.rint(fill * 255).astype(np.uint8), truth)
            whole = crop.copy()
            whole[frame, frame] = filled
            cosine = float(face @ embedder.embed(embedding_view(whole)[None])[0])
            scores[way].append((hole_psnr(truth, filled, hole), hole_detail(truth, filled, hole), cosine))
    print(f"hole {options.hole}, {len(pairs.target)} people\n| way | dB | detail | cosine |\n|---|---|---|---|")
    for way, found in scores.items():
        psnr, detail, cosine = np.mean(found, 0)
        print(f"| {way} | {psnr:.2f} | {detail:.2f} | {cosine:.3f} |")


if __name__ == "__main__":
    main()
