"""How well a face with a hole finds its person in a collection: hit@1 and hit@5 for each hole and each way to do it.

    python -m twoface.research.fitting.face_space --data DATA --work FOLDER [--cache FOLDER] [--train 8192] [--write]

The collection is train and val; the queries are the first four val crops of everyone who has two or more, each searched
in all the rest (the crop itself is left out). A person is hit when one of the first 1 or 5 crops is his. "zoomed" looks
at the largest square without a hole, the others at all of the face. The space is fitted on train alone; --write keeps
it in twoface/weights/search.npz. The second look, at the best 50 of the first, is measured on the first query of each
person. Embeddings are kept in WORK: a second run only prints. Prints Markdown.
"""

import argparse
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from twoface.core.blend import crop_mask
from twoface.core.faces import SIZE
from twoface.core.files import write_aside
from twoface.core.identity import calibrated_holes, hide
from twoface.core.inpainter import FEATHER
from twoface.core.workers import run_tasks
from twoface.research.data.portraits import MARGIN, Portraits
from twoface.research.evaluation.baselines import mean_colour
from twoface.research.fitting.identity import first_crops
from twoface.search.collection import LOOKED_AT
from twoface.search.face_space import FILE, FaceSpace, unit
from twoface.search.facenet import VIEW, embedding_view
from twoface.search.rank import calibrations

HOLES = ("center 64", "eyes", "lower")
OURS = ("hidden", "filled")  # ways to embed a face with a hole, both of which are mapped into the space
WAYS = ("black", "mean", "zoomed", *OURS)
PER_PERSON = 4  # queries
FITTED = 4096  # train crops that the map of a hole is fitted on
BATCH = 32  # faces a task
PART = 2048  # faces a file


def main():
    parser = arguments(__doc__)
    parser.add_argument("--write", action="store_true", help="keep what was fitted in twoface/weights")
    parser.add_argument("--no-second", action="store_true", help="leave out the second look")
    options = parser.parse_args()
    study = Study(options)
    if options.write:
        write_aside(FILE, partial(save, study.space), force=True)
    print(f"{len(study.queries)} queries of {len(set(study.person.tolist()))} people among {len(study.owner)} crops\n")
    print("| hole | how | hit@1 | hit@5 |\n|---|---|---|---|", flush=True)
    first_looks(study)
    if not options.no_second:
        second_looks(study)


def arguments(about):
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder made by `twoface data prepare`")
    parser.add_argument("--work", required=True, type=Path, help="embeddings are kept here")
    parser.add_argument("--cache", help="decoded crops are kept here, default --work")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--train", type=int, help="only so many crops of train, the first, in the collection")
    return parser


class Study:
    """All embeddings of the first look, raw, and the space fitted on train."""

    def __init__(self, options):
        self.load = partial(Portraits.load, options.data, cache=options.cache or options.work)
        self._work, self._workers = options.work, options.workers
        train, val = self.load("train"), self.load("val")
        trains = np.arange(min(options.train or len(train), len(train)))
        self.queries = np.array(first_crops(val, PER_PERSON))
        self.person = val.identity[self.queries]
        self.owner = np.concatenate([train.identity[trains] + len(val.names), val.identity])
        self.place = self.queries + len(trains)  # of each query in the collection
        self.trains = len(trains)
        drawn = np.sort(np.random.default_rng(0).choice(len(trains), min(FITTED, len(trains)), replace=False))
        wanted = [("train", "whole", "", trains), ("val", "whole", "", np.arange(len(val)))]
        wanted += [("val", way, hole, self.queries) for hole in HOLES for way in WAYS if way not in OURS]
        holes = [name for name in calibrated_holes() if name != "whole"]
        for split, rows in (("train", drawn), ("val", self.queries)):
            wanted += [(split, way, hole, rows) for hole in holes for way in OURS]
        known = self.embed(wanted)
        whole = known["train", "whole", ""]
        self.collection = np.concatenate([whole, known["val", "whole", ""]])
        self.ways = {hole: {way: known["val", way, hole] for way in WAYS} for hole in HOLES}
        self.holed = {h: [known["val", way, h] for way in OURS] for h in holes}
        mean, stretch = whole.mean(0), stretch_of(whole, train.identity[trains]).astype(np.float16).astype(np.float32)
        space = FaceSpace(mean, stretch, {})
        self.seen = {h: [known["train", way, h] for way in OURS] for h in holes}
        kept = space.index(whole[drawn])
        self.space = replace(space, maps={h: map_to(kept, *seen) for h, seen in self.seen.items()})

    def embed(self, wanted):
        """(split, way, hole, rows) each -> {(split, way, hole): embeddings (N, 512)}; made where they are missing."""
        parts = [(*about, rows[i : i + PART]) for *about, rows in wanted for i in range(0, len(rows), PART)]
        missing = [part for part in parts if not self._file(part).exists()]
        tasks = [(n, i) for n, part in enumerate(missing) for i in range(0, len(part[3]), BATCH)]
        orders = [(*missing[n][:3], missing[n][3][i : i + BATCH]) for n, i in tasks]
        made = {}
        for index, outcome in tqdm(run_tasks(partial(setup, self.load), orders, self._workers), total=len(orders)):
            if isinstance(outcome, Exception):
                raise outcome
            n, i = tasks[index]
            made.setdefault(n, {})[i] = outcome
            if len(made[n]) == -(-len(missing[n][3]) // BATCH):
                whole = np.concatenate([made[n][i] for i in sorted(made[n])])
                write_aside(self._file(missing[n]), partial(np.save, arr=whole), force=True)
        known = {}
        for part in parts:
            known.setdefault(part[:3], []).append(np.load(self._file(part)))
        return {about: np.concatenate(found) for about, found in known.items()}

    def embed_collection(self, way, hole, rows):
        """Embeddings (R, 512) of the collection's crops `rows`, in order, with the hole and in this way."""
        wanted = [("train", way, hole, rows[rows < self.trains])]
        wanted += [("val", way, hole, rows[rows >= self.trains] - self.trains)]
        return np.concatenate(list(self.embed([part for part in wanted if len(part[3])]).values()))

    def _file(self, part):
        split, way, hole, rows = part
        return self._work / f"{split}-{way}-{hole.replace(' ', '')}-{zlib.crc32(rows.tobytes()):08x}.npy"

    def scores(self, queries, collection):
        """(Q, 512), (N, 512) -> cosines (Q, N); a query itself scores nothing."""
        scores = queries @ collection.T
        scores[np.arange(len(self.place)), self.place] = -np.inf
        return scores

    def show(self, hole, how, scores, chosen=slice(None)):
        best = np.argpartition(-scores, 5, axis=1)[:, :5]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
        right = self.owner[best] == self.person[chosen][:, None]
        first, five = right[:, 0], right.any(1)
        print(f"| {hole} | {how} | {first.mean():.1%} ({first.sum()}) | {five.mean():.1%} ({five.sum()}) |", flush=True)


def map_to(whole, hidden, filled, penalty=1.0):
    """The linear map from embeddings of faces with a hole to those faces whole -> center (1024,), weights (1024, 512).

    whole: (N, 512), of `FaceSpace.index`; hidden, filled: (N, 512), as of `FaceSpace.holed`. penalty: of the ridge
    regression, on the squared weights. The mean of `whole` is left out, as it tells nobody apart.
    """
    seen = np.concatenate([hidden, filled], 1)
    center = seen.mean(0)
    seen = seen - center
    weights = np.linalg.solve(seen.T @ seen + penalty * np.eye(seen.shape[1]), seen.T @ (whole - whole.mean(0)))
    return center, weights.astype(np.float32)


def stretch_of(embeddings, person, floor=0.3):
    """The matrix (512, 512) that evens out how the photos of one person spread.

    embeddings (N, 512), person (N,): of whole faces. floor: what is added to each direction's variance, as a share of
    the mean one, so that directions that were seen too little are not blown up.
    """
    count = np.bincount(person)
    sums = np.zeros((len(count), embeddings.shape[1]))
    np.add.at(sums, person, embeddings)
    several = count[person] > 1
    apart = (embeddings - (sums / np.maximum(count, 1)[:, None])[person])[several]
    values, vectors = np.linalg.eigh(apart.T @ apart / (several.sum() - (count > 1).sum()))
    return (vectors / np.sqrt(values + floor * values.mean())) @ vectors.T


def save(space, path):
    """Write what `FaceSpace.load` reads, in float16."""
    arrays = {f"center/{hole}": center for hole, (center, _) in space.maps.items()}
    arrays |= {f"weights/{hole}": weights.astype(np.float16) for hole, (_, weights) in space.maps.items()}
    np.savez_compressed(path, mean=space.mean, stretch=space.stretch.astype(np.float16), **arrays)


def first_looks(study):
    """A query's one embedding against the collection's."""
    space, plain = study.space, study.collection
    stretched, moved = space.index(plain), unit(plain - space.mean)
    study.show("none", "FaceNet's cosine", study.scores(plain[study.place], plain))
    study.show("none", "in the space", study.scores(stretched[study.place], stretched))
    for hole in (name for name in study.holed if name not in study.ways):
        mapped = space.holed(*study.holed[hole], mask(hole))
        study.show(hole, "hidden and filled, mapped into the space", study.scores(mapped, stretched))
    for hole, ways in study.ways.items():
        for way in WAYS:
            study.show(hole, way, study.scores(ways[way], plain))
        both = unit(ways["hidden"] + ways["filled"])
        study.show(hole, "hidden + filled", study.scores(both, plain))
        moved = unit((both - unit(np.add(*study.seen[hole])).mean(0)) @ space.stretch)
        study.show(hole, "hidden + filled, mean taken away, in the space", study.scores(moved, stretched))
        mapped = space.holed(*study.holed[hole], mask(hole))
        study.show(hole, "hidden and filled, mapped into the space", study.scores(mapped, stretched))


def second_looks(study):
    """The best of the first look again, with the same hole in both."""
    chosen = np.unique(study.person, return_index=True)[1]  # the first query of each person
    stretched, space, known = study.space.index(study.collection), study.space, calibrations()
    for hole, ways in study.ways.items():
        queries = space.holed(*study.holed[hole], mask(hole))
        first, queries = study.scores(queries, stretched)[chosen], queries[chosen]
        best = np.argpartition(-first, LOOKED_AT, axis=1)[:, :LOOKED_AT]
        rows = np.unique(best)
        hidden, filled = (study.embed_collection(way, hole, rows) for way in OURS)
        center = study.seen[hole][1].mean(0)
        plain = unit((ways["filled"][chosen] - center) @ space.stretch) @ unit((filled - center) @ space.stretch).T
        mapped = queries @ space.holed(hidden, filled, mask(hole)).T
        plain, mapped = (among(best, rows, scores, first.shape) for scores in (plain, mapped))
        study.show(hole, "first look, one query a person", first, chosen)
        study.show(hole, f"the best {LOOKED_AT} again, filled in both, in the space", plain, chosen)
        study.show(hole, f"the best {LOOKED_AT} again, mapped in both", mapped, chosen)
        study.show(hole, "both cosines, as calibrated", known[hole].log_odds(first, mapped, 1), chosen)


def among(best, rows, scores, shape):
    """Scores (Q, R) of the collection's `rows` -> scores (Q, N) in which only each query's `best` count."""
    whole, others = np.full(shape, -np.inf, np.float32), np.ones(shape, bool)
    whole[:, rows] = scores
    np.put_along_axis(others, best, False, 1)
    whole[others] = -np.inf
    return whole


def setup(load):
    """In a worker: (split, way, hole, rows) -> embeddings."""
    from twoface.core.network import FillModel
    from twoface.search.facenet import BatchEmbedder

    cv2.setNumThreads(1)
    crops, embedder, model = {s: load(s).crops for s in ("train", "val")}, BatchEmbedder(1), FillModel(threads=1)

    def embed(task):
        split, way, hole, rows = task
        return embedder.embed(views(crops[split][rows], way, mask(hole) if hole else None, model))

    return embed


def mask(hole):
    """A calibrated hole as the engine sees it: with its feather."""
    return crop_mask(calibrated_holes()[hole], np.eye(2, 3), FEATHER)


def views(crops, way, mask, model):
    """Crops (N, 160, 160, 3) -> views (N, 160, 160, 3)."""
    frames = crops[:, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
    if way == "whole":
        return np.stack([embedding_view(frame) for frame in frames])
    masked = np.where(mask[..., None], np.uint8(0), frames)
    if way == "zoomed":
        y, x, side = largest_square(~mask)
        return np.stack([cv2.resize(frame[y : y + side, x : x + side], (VIEW, VIEW)) for frame in frames])
    if way == "mean":
        masked = np.stack([mean_colour(frame, mask, None) for frame in masked])
    elif way == "hidden":
        masked = np.stack([hide(frame, mask) for frame in masked])
    elif way == "filled":
        masked = filled(model, masked, mask)
    return np.stack([embedding_view(frame) for frame in masked])


def largest_square(visible):
    """The largest square that shows no hole, the one nearest to the middle -> (y, x, side). visible: bool (H, W)."""
    size, total = len(visible), cv2.integral(visible.astype(np.uint8))
    for side in range(size, 0, -1):
        area = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
        places = np.argwhere(area == side * side)
        if len(places):
            return *min(places.tolist(), key=lambda place: np.hypot(*(np.add(place, side / 2) - size / 2))), side
    raise ValueError("the hole covers all")


def filled(model, masked, mask):
    """Masked frames (N, 128, 128, 3) with the network's own fill, without a reference."""
    pictures = np.ascontiguousarray(masked.transpose(0, 3, 1, 2), np.float32) / 255
    holes = np.broadcast_to(mask[None, None], (len(masked), 1, SIZE, SIZE)).astype(np.float32)
    fills = model.run(pictures, holes, np.zeros_like(pictures))["fill"].transpose(0, 2, 3, 1)
    return np.where(mask[..., None], np.rint(fills * 255).astype(np.uint8), masked)


if __name__ == "__main__":
    main()
