"""How well a face with a hole finds its person in a collection: hit@1 and hit@5 for each hole and each way to do it.

    python -m twoface.research.fitting.face_space --data DATA --work FOLDER [--cache FOLDER] [--train 8192] [--write]

The collection is train and val; the queries are the first four val crops of everyone who has two or more, each searched
in all the rest (the crop itself is left out). A person is hit when one of the first 1 or 5 crops is his. Holes have the
shape of each face's mesh, as in an index. The means are those of train alone; --write keeps them in
twoface/weights/search.npz. The second look, at the best of the first, is measured on the first queries of each person.
The weights are those of twoface/weights/search.json, which `probability.py` fits. Embeddings are kept in WORK: a second
run only prints. Prints Markdown.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from twoface.core.files import write_aside
from twoface.core.frame import SIZE
from twoface.core.identity import calibrated_holes, directions, origin, visible
from twoface.core.mesh import invented
from twoface.core.parts import PARTS, part_hole
from twoface.core.workers import run_tasks
from twoface.research.data.meshes import meshes_of
from twoface.research.data.portraits import FRAME, Portraits
from twoface.research.fitting.identity import first_crops
from twoface.search.collection import LOOKED_AT
from twoface.search.face_space import FILE, KIND_OF, KINDS, WHOLE, FaceSpace, flat_view, kind_hole, kind_views, share_of
from twoface.search.rank import calibrations

PER_PERSON = 4  # queries
FITTED = 512  # train crops whose embeddings beside each hole give the mean
BATCH = 16  # faces a task
PART = 2048  # faces a file
HOLES = tuple(name for name in calibrated_holes() if name != WHOLE)
AGAIN = ("lower", "eyes", "center 64")  # holes whose second look is measured


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--write", action="store_true", help="keep what was fitted in twoface/weights")
    parser.add_argument("--second", type=int, default=1, help="queries of each person that are looked at twice (0..4)")
    options = parser.parse_args()
    study = Study(options)
    if options.write:
        write_aside(str(FILE), partial(save, study.space), force=True)
    print(f"{len(study.queries)} queries of {len(set(study.person.tolist()))} people among {len(study.owner)} crops\n")
    print("| hole | how | hit@1 | hit@5 |\n|---|---|---|---|", flush=True)
    looks = {hole: first_look(study, hole) for hole in (WHOLE, *HOLES)}
    chosen = study.first_queries(options.second)
    for hole in AGAIN if len(chosen) else ():
        second_look(study, hole, *looks[hole], chosen)


def arguments(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder made by `twoface data prepare`")
    parser.add_argument("--work", required=True, type=Path, help="embeddings are kept here")
    parser.add_argument("--cache", type=Path, help="decoded crops and meshes are kept here, default --work")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--train", type=int, help="only so many crops of train, the first, in the collection")
    return parser


class Study:
    """All embeddings, raw, and the space fitted on train.

    kept: {kind: (N, 128)} of the collection; seen, hidden: {hole: (Q, 128)} of the queries, as `FaceSpace.query` takes
    them and with the kind's part in the mean colour; shares: {hole: (Q,)}, as of `share_of`.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._load = partial(load, options.data, options.cache or options.work)
        self._work, self._workers = options.work, options.workers
        train, val = self._load("train")[0], self._load("val")[0]
        trains = np.arange(min(options.train or len(train), len(train)))
        self.queries = np.array(first_crops(val, PER_PERSON))
        self.person = val.identity[self.queries]
        self.owner = np.concatenate([train.identity[trains] + len(val.names), val.identity])
        self.place = self.queries + len(trains)  # of each query in the collection
        self.trains = len(trains)
        drawn = np.sort(np.random.default_rng(0).choice(len(trains), min(FITTED, len(trains)), replace=False))
        wanted = [(split, "kept", "", rows) for split, rows in (("train", trains), ("val", np.arange(len(val))))]
        for hole in HOLES:
            wanted += [("train", "visible", hole, drawn), ("val", "visible", hole, self.queries)]
            if hole in KIND_OF:
                wanted.append(("val", "hidden", hole, self.queries))
        known = self.embed(wanted)
        train_kept = known["train", "kept", ""]
        kept = np.concatenate([train_kept, known["val", "kept", ""]])
        self.kept = {kind: kept[:, i] for i, kind in enumerate(KINDS)}
        self.seen = {hole: known["val", "visible", hole] for hole in HOLES}
        self.hidden = {hole: known["val", "hidden", hole] for hole in HOLES if hole in KIND_OF}
        meshes = self._load("val")[1][self.queries]
        self.shares = {hole: np.array([_share(hole, points) for points in meshes]) for hole in self.hidden}
        means = {kind: train_kept[:, i].mean(0) for i, kind in enumerate(KINDS)}
        seen = {hole: known["train", "visible", hole].mean(0) for hole in HOLES}
        self.space = FaceSpace(means, {WHOLE: means[WHOLE], **seen})

    def embed(self, wanted: Iterable[tuple[str, str, str, np.ndarray]]) -> dict[tuple[str, str, str], np.ndarray]:
        """(split, way, hole, rows) each -> {(split, way, hole): embeddings}; made where they are missing."""
        parts = [(s, way, hole, rows[i : i + PART]) for s, way, hole, rows in wanted for i in range(0, len(rows), PART)]
        missing = [part for part in parts if not self._file(part).exists()]
        tasks = [(n, i) for n, part in enumerate(missing) for i in range(0, len(part[3]), BATCH)]
        orders = [(*missing[n][:3], missing[n][3][i : i + BATCH]) for n, i in tasks]
        made: dict[int, dict[int, np.ndarray]] = {}
        for index, outcome in tqdm(run_tasks(partial(setup, self._load), orders, self._workers), total=len(orders)):
            if isinstance(outcome, Exception):
                raise outcome
            n, i = tasks[index]
            made.setdefault(n, {})[i] = outcome
            if len(made[n]) == -(-len(missing[n][3]) // BATCH):
                whole = np.concatenate([made[n][i] for i in sorted(made[n])])
                write_aside(self._file(missing[n]), partial(np.save, arr=whole), force=True)
        known: dict[tuple[str, str, str], list[np.ndarray]] = {}
        for part in parts:
            known.setdefault(part[:3], []).append(np.load(self._file(part)))
        return {about: np.concatenate(found) for about, found in known.items()}

    def embed_collection(self, hole: str, rows: np.ndarray) -> np.ndarray:
        """What is seen of the collection's crops `rows`, in order, beside a hole -> embeddings (R, 128)."""
        wanted = [("train", "visible", hole, rows[rows < self.trains])]
        wanted += [("val", "visible", hole, rows[rows >= self.trains] - self.trains)]
        return np.concatenate(list(self.embed([part for part in wanted if len(part[3])]).values()))

    def first_queries(self, count: int) -> np.ndarray:
        """The places of the first `count` queries of each person."""
        return np.concatenate([np.flatnonzero(self.person == p)[:count] for p in np.unique(self.person)])

    def similarities(self, hole: str, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray | None]:
        """Cosines of all queries to the collection's crops `rows`, (Q, R): to whole ones, and to those of the hole's
        kind, None for a hole without one."""
        whole = directions(self.kept[WHOLE][rows], self.space.kept[WHOLE])
        if hole == WHOLE:
            return directions(self.kept[WHOLE][self.place], self.space.kept[WHOLE]) @ whole.T, None
        first = directions(self.seen[hole], self.space.seen[hole]) @ whole.T
        kind = KIND_OF.get(hole)
        if kind is None:
            return first, None
        mean = self.space.kept[kind]
        return first, directions(self.hidden[hole], mean) @ directions(self.kept[kind][rows], mean).T

    def show(self, hole: str, how: str, scores: np.ndarray, chosen: np.ndarray | slice = slice(None)) -> None:
        """scores: (Q, N), of the `chosen` queries."""
        best = np.argpartition(-scores, 5, axis=1)[:, :5]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
        right = self.owner[best] == self.person[chosen][:, None]
        first, five = right[:, 0], right.any(1)
        print(f"| {hole} | {how} | {first.mean():.1%} ({first.sum()}) | {five.mean():.1%} ({five.sum()}) |", flush=True)

    def _file(self, part: tuple[str, str, str, np.ndarray]) -> Path:
        split, way, hole, rows = part
        return self._work / f"{split}-{way}-{hole.replace(' ', '')}-{zlib.crc32(rows.tobytes()):08x}.npy"


def first_look(study: Study, hole: str) -> tuple[np.ndarray, np.ndarray]:
    """What the index tells -> cosines to whole faces and how alike by all that is kept, a query to itself -inf."""
    whole, hidden = study.similarities(hole)
    for scores in (whole, hidden):
        if scores is not None:
            scores[np.arange(len(study.place)), study.place] = -np.inf
    study.show(hole, "against whole faces", whole)
    if hidden is None:
        return whole, whole
    study.show(hole, f"against faces with the same part hidden ({KIND_OF[hole]})", hidden)
    both = whole + study.shares[hole][:, None] * hidden
    study.show(hole, "both", both)
    return whole, both


def second_look(study: Study, hole: str, whole: np.ndarray, both: np.ndarray, chosen: np.ndarray) -> None:
    """The best of the first look of the `chosen` queries again, with the same hole in both."""
    order = both[chosen]
    study.show(hole, f"first look, {len(chosen)} queries", order, chosen)
    best = np.argpartition(-order, LOOKED_AT, axis=1)[:, :LOOKED_AT]
    rows = np.unique(best)
    again = directions(study.seen[hole][chosen], origin()) @ directions(study.embed_collection(hole, rows), origin()).T
    again = np.take_along_axis(again, np.searchsorted(rows, best), 1)
    odds = calibrations()[hole].log_odds(np.take_along_axis(whole[chosen], best, 1), again, 1)
    for how, scores in ((f"the best {LOOKED_AT} again, by that alone", again), ("by all, as calibrated", odds)):
        spread = np.full(order.shape, -np.inf)
        np.put_along_axis(spread, best, scores, 1)
        study.show(hole, how, spread, chosen)


def _share(hole: str, points: np.ndarray) -> float:
    return share_of(hole_of(hole, points), kind_hole(KIND_OF[hole], points))


def save(space: FaceSpace, path: Path) -> None:
    """Write what `FaceSpace.load` reads."""
    arrays = {f"kept/{kind}": mean for kind, mean in space.kept.items()}
    arrays |= {f"seen/{hole}": mean for hole, mean in space.seen.items()}
    kept: dict[str, Any] = {name: mean.astype(np.float32) for name, mean in arrays.items()}
    np.savez_compressed(path, **kept)


def load(data: str, cache: Path, split: str) -> tuple[Portraits, np.ndarray]:
    """A split, and the meshes of its crops."""
    portraits = Portraits.load(data, split, cache=cache)
    return portraits, meshes_of(portraits, cache)


def setup(load: Callable[[str], tuple[Portraits, np.ndarray]]) -> Callable[[Any], np.ndarray]:
    """In a worker: (split, way, hole, rows) -> embeddings: (R, K, 128) of the way "kept", else (R, 128)."""
    from twoface.core.identity import Embedder
    from twoface.core.network import FillModel

    cv2.setNumThreads(1)
    splits, embedder, model = {s: load(s) for s in ("train", "val")}, Embedder(1), FillModel(threads=1)

    def one(way: str, hole: str, stored: np.ndarray, points: np.ndarray) -> np.ndarray:
        if way == "kept":
            return embedder.embed(kind_views(stored, FRAME, points))
        aligned, unknown = FRAME.crop(stored), hole_of(hole, points)
        if way == "visible":
            return visible(embedder, aligned, invented(aligned, unknown, model), unknown)
        return embedder.embed(flat_view(aligned, unknown | kind_hole(KIND_OF[hole], points))[None])[0]

    def embed(task: tuple[str, str, str, np.ndarray]) -> np.ndarray:
        split, way, hole, rows = task
        portraits, meshes = splits[split]
        return np.stack([one(way, hole, portraits.crops[row], meshes[row]) for row in rows])

    return embed


def hole_of(name: str, points: np.ndarray) -> np.ndarray:
    """A calibrated hole with the shape of this face -> bool (128, 128)."""
    return part_hole(name, points, (SIZE, SIZE)) if name in PARTS else calibrated_holes()[name]


if __name__ == "__main__":
    main()
