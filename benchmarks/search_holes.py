"""How well a face with a hole finds its person in a collection: hit@1 and hit@5 for each hole and each way to embed it.

    python benchmarks/search_holes.py --data DATA --work FOLDER [--cache FOLDER] [--workers 2]

The collection is train and val; the queries are the first four val crops of everyone who has two or more, each searched
in all the rest (the crop itself is left out). A person is hit when one of the first 1 or 5 crops is
his. Embeddings are kept in WORK, so that a second run only prints. Prints Markdown.
"""

import argparse
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from twoface.blend import SIZE, crop_mask
from twoface.data.portraits import MARGIN, Portraits
from twoface.engine import FEATHER
from twoface.evaluation.baselines import mean_colour
from twoface.evaluation.calibrate import first_crops
from twoface.files import write_aside
from twoface.identity import embedding_view, hide
from twoface.masks import named_hole
from twoface.workers import run_tasks

HOLES = ("center", "eyes", "lower")
BATCH = 32  # faces a task
PART = 2048  # faces a file
RERANKED = (20, 50)
PER_PERSON = 4  # queries
FIRST_LOOK = "hidden + filled"
WAYS = ("black", "mean", "hidden", "filled")  # to embed a face with a hole


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder made by `twoface data prepare`")
    parser.add_argument("--work", required=True, type=Path, help="embeddings are kept here")
    parser.add_argument("--cache", help="decoded crops are kept here, default --work")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--train", type=int, help="only so many crops of train, the first, in the collection")
    parser.add_argument("--holes", nargs="+", default=HOLES, choices=HOLES)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    load = partial(Portraits.load, options.data, cache=options.cache or options.work)
    train, val = load("train"), load("val")
    queries = np.array(first_crops(val, PER_PERSON))
    embed = partial(embeddings, load, options.work, options.workers)
    hidden = {hole: {way: embed("val", way, hole, queries) for way in WAYS} for hole in options.holes}

    trains = min(options.train or len(train), len(train))
    person = np.concatenate([train.identity[:trains] + len(val.names), val.identity])
    rows = {"train": np.arange(trains), "val": np.arange(len(val))}
    everything = np.concatenate([embed(split, "whole", None, places) for split, places in rows.items()])
    gallery = Gallery(everything, person, queries + trains)
    print(f"{len(queries)} queries of {len(set(val.identity[queries].tolist()))} people among {len(person)} crops\n")
    print("| hole | the query is embedded | hit@1 | hit@5 |\n|---|---|---|---|", flush=True)
    gallery.show("none", "whole", gallery.scores(everything[gallery.places]))
    for hole, ways in hidden.items():
        for way, embedded in combined(ways).items():
            gallery.show(hole, way, gallery.scores(embedded))
    for hole, ways in hidden.items():
        again(gallery, embed, hole, ways, trains)


def combined(ways):
    """The ways, and averages of several."""
    sums = [("hidden", "filled"), ("mean", "filled"), ("hidden", "mean", "filled")]
    return ways | {" + ".join(names): unit(sum(ways[name] for name in names)) for names in sums}


def again(gallery, embed, hole, ways, trains):
    """The rows of the second look: the best of the first compared anew, the same hole hidden in both."""
    coarse = gallery.scores(combined(ways)[FIRST_LOOK])
    best = np.argpartition(-coarse, RERANKED[-1], axis=1)[:, : RERANKED[-1]]
    rows = np.unique(best)
    places = {"train": rows[rows < trains], "val": rows[rows >= trains] - trains}
    parts = [embed(split, "hidden", hole, part) for split, part in places.items()]
    fine = np.full_like(coarse, -np.inf)
    fine[:, rows] = ways["hidden"] @ np.concatenate(parts).T
    for count in RERANKED:
        gallery.show(hole, f"{FIRST_LOOK}; the best {count} again, hidden in both", rerank(coarse, fine, count))
        for weight in (0.5, 1, 2):
            mixed = rerank(coarse, coarse + weight * fine, count)
            gallery.show(hole, f"the same, first + {weight:g} second", mixed)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rerank(coarse, fine, count):
    """Scores that put the `count` best by `coarse` first, in the order of `fine`."""
    best = np.argpartition(-coarse, count, axis=1)[:, :count]
    scores = np.full_like(coarse, -np.inf)
    np.put_along_axis(scores, best, np.take_along_axis(fine, best, 1), 1)
    return scores


class Gallery:
    """Embeddings (N, 512) of a collection, whose they are (N,), and where the queries lie in it (Q,)."""

    def __init__(self, embeddings, person, places):
        self.embeddings, self.person, self.places = embeddings, person, places

    def scores(self, queries):
        """Embeddings (Q, 512) -> (Q, N); a query itself scores nothing."""
        scores = queries @ self.embeddings.T
        scores[np.arange(len(self.places)), self.places] = -np.inf
        return scores

    def show(self, hole, way, scores):
        best = np.argpartition(-scores, 5, axis=1)[:, :5]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
        right = self.person[best] == self.person[self.places][:, None]
        first, five = right[:, 0], right.any(1)
        print(f"| {hole} | {way} | {cell(first)} | {cell(five)} |", flush=True)


def cell(hits):
    return f"{hits.mean():.1%} ({hits.sum()})"


def embeddings(load, work, workers, split, way, hole, rows):
    """Embeddings (N, 512) of crops of a split, made in `workers` processes, kept in `work` part by part."""
    parts = [rows[i : i + PART] for i in range(0, len(rows), PART)]
    return np.concatenate([_part(load, work, workers, split, way, hole, part) for part in parts])


def _part(load, work, workers, split, way, hole, rows):
    path = work / f"{split}-{way}-{hole}-{zlib.crc32(rows.tobytes()):08x}.npy"
    if not path.exists():
        tasks = np.array_split(rows, -(-len(rows) // BATCH))
        done = [None] * len(tasks)
        outcomes = run_tasks(partial(setup, load, split, way, hole), tasks, workers)
        for index, outcome in tqdm(outcomes, f"{split} {way} {hole}", len(tasks), unit="batch", mininterval=10):
            if isinstance(outcome, Exception):
                raise outcome
            done[index] = outcome
        write_aside(path, lambda aside: np.save(aside, np.concatenate(done)))
    return np.load(path)


def setup(load, split, way, hole):
    """In a worker: rows -> embeddings."""
    import cv2

    from twoface.model import FillModel
    from twoface.search.facenet import BatchEmbedder

    cv2.setNumThreads(1)
    crops, embedder = load(split).crops, BatchEmbedder(1)
    mask = None if hole is None else crop_mask(named_hole(hole, SIZE), np.eye(2, 3), FEATHER)
    model = FillModel(threads=1) if way == "filled" else None
    return lambda task: embedder.embed(views(crops[task], way, mask, model))


def views(crops, way, mask, model):
    """Crops (N, 160, 160, 3) -> views (N, 160, 160, 3)."""
    frames = crops[:, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
    if way == "whole":
        return np.stack([embedding_view(frame) for frame in frames])
    masked = np.where(mask[..., None], np.uint8(0), frames)
    if way == "mean":
        masked = np.stack([mean_colour(frame, mask, None) for frame in masked])
    elif way.startswith("hidden"):
        masked = np.stack([hide(frame, mask) for frame in masked])
    elif way == "filled":
        masked = filled(model, masked, mask)
    return np.stack([embedding_view(frame) for frame in masked])


def filled(model, masked, mask):
    """Masked frames (N, 128, 128, 3) with the network's own fill, without a reference."""
    pictures = np.ascontiguousarray(masked.transpose(0, 3, 1, 2), np.float32) / 255
    holes = np.broadcast_to(mask[None, None], (len(masked), 1, SIZE, SIZE)).astype(np.float32)
    fills = model.run(pictures, holes, np.zeros_like(pictures))["fill"].transpose(0, 2, 3, 1)
    return np.where(mask[..., None], np.rint(fills * 255).astype(np.uint8), masked)


if __name__ == "__main__":
    main()
