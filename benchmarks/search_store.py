"""The store at size: synthetic embeddings that resemble real ones -> query times, recall, memory, build time, disk.

    python benchmarks/search_store.py --data DATA --work FOLDER --store OTHER [--faces 494414]

DATA and FOLDER are those of twoface/research/fitting/face_space.py; its embeddings of train are the real ones.
Identities and faces are drawn from normal distributions with the covariance between and within people that these have,
and brought to unit length. 46 faces an identity, as in CASIA-WebFace. Queries are further faces of people in the store,
and such faces mixed with a stranger's until they are as far from their person as one with its eyes covered. Prints
Markdown.
"""

import os
import time
from pathlib import Path

import numpy as np

from twoface.core.frame import UPRIGHT
from twoface.core.identity import LENGTH, directions
from twoface.research.fitting.face_space import Study, arguments
from twoface.search.face_space import KINDS, WHOLE
from twoface.search.lance import LanceStore
from twoface.search.rows import FaceRow, PhotoRow

PER_PERSON = 46
PART = 20_000  # faces a commit
QUERIES = 200
SAMPLE = 4000  # real faces whose similarities are told


def main():
    parser = arguments(__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the stores are made in this folder")
    parser.add_argument("--faces", type=int, default=494_414)
    options = parser.parse_args()

    study = Study(options)
    real = directions(study.kept[WHOLE][: study.trains], study.space.kept[WHOLE])
    draw = Drawn(real, study.owner[: study.trains], options.faces)
    share = eyes_share(study)
    del study, real
    Path("/proc/self/clear_refs").write_text("5")  # the peak memory is counted from here
    print(f"similarity within a person, between two: real {draw.real_means}, drawn {draw.means()}", flush=True)
    start, cpu = time.perf_counter(), cpu_seconds()
    store = LanceStore(options.store / f"faces-{options.faces}", create=True)
    kept = store.counts()["faces"]
    for first in range(kept, options.faces, PART):  # goes on where it was stopped
        add(store, draw, first, min(first + PART, options.faces))
    tell("rows written", start, cpu)
    start, cpu = time.perf_counter(), cpu_seconds()
    store.tidy(really=True)
    tell("search structure built", start, cpu)
    size, peak = store.counts()["bytes"] / 1e6, memory_mb("VmHWM")
    print(f"disk {size:.0f} MB; peak memory of the build {peak:.0f} MB", flush=True)

    for name, queries in (("whole", draw.queries(QUERIES)), ("eyes covered", draw.queries(QUERIES, share))):
        exact = draw.exact(queries, 10)
        for count in (10, 50):
            measure(name, store, queries, exact, count)
    changes(store, draw)


def eyes_share(study):
    """How near faces with their eyes covered are to their person, as a share of what whole faces are."""
    same = (study.person[:, None] == study.person) & ~np.eye(len(study.person), dtype=bool)
    near = [study.similarities(hole, study.place)[0][same].mean() for hole in (WHOLE, "eyes")]
    print(f"cosine to a person's other faces: whole {near[0]:.3f}, eyes covered {near[1]:.3f}")
    return near[1] / near[0]


def measure(name, store, queries, exact, count):
    """Query times, and how many of the ten nearest are among the first ten found."""
    times, hits = [], 0
    store.nearest(queries[0], count)
    cpu = cpu_seconds()
    for query, right in zip(queries, exact, strict=True):
        start = time.perf_counter()
        found = store.nearest(query, count)
        times.append(time.perf_counter() - start)
        hits += len({int(f.row.path) for f in found[:10]} & set(right.tolist()))
    cpu = (cpu_seconds() - cpu) / len(queries)
    p50, p99 = np.quantile(times, (0.5, 0.99)) * 1e3
    print(f"| {name} | {count} nearest | p50 {p50:.1f} ms | p99 {p99:.1f} ms | {cpu * 1e3:.1f} CPU ms |"
          f" recall@10 {hits / 10 / len(queries):.4f} | memory {memory_mb('VmRSS'):.0f} MB |", flush=True)  # fmt: skip


def changes(store, draw):
    """Add 1,000 faces to the store and take them out again."""
    start = time.perf_counter()
    add(store, draw, draw.count, draw.count + 1000)
    added = time.perf_counter() - start
    start = time.perf_counter()
    gone = store.drop([str(i) for i in range(draw.count, draw.count + 1000)])
    print(f"add 1,000: {added * 1e3:.0f} ms; delete {gone}: {(time.perf_counter() - start) * 1e3:.0f} ms", flush=True)


def add(store, draw, first, last):
    faces = [row(i, vector) for i, vector in zip(range(first, last), draw.part(first, last), strict=True)]
    store.put([PhotoRow(face.path, 1, 1, 1) for face in faces], faces)


def row(number, vector):
    """Each kind of a face is taken for the whole one: their number, and not what they are, costs time."""
    return FaceRow(str(number), 0, "", np.tile(vector, (len(KINDS), 1)), UPRIGHT, (0, 0, 1, 1), (0,) * 10, *[1.0] * 8)


class Drawn:
    """Embeddings drawn part by part, each part for ever the same."""

    def __init__(self, real, person, count):
        same = np.bincount(person)[person] > 1
        mean = real.mean(0)
        centers = np.stack([real[person == p].mean(0) for p in np.unique(person[same])])
        within = np.concatenate([real[person == p] - real[person == p].mean(0) for p in np.unique(person[same])])
        degrees = len(within) - len(centers)
        self.within = root(within.T @ within / degrees)
        spread = np.cov((centers - mean).T) - within.T @ within / degrees / np.bincount(person)[person[same]].mean()
        self.between, self.mean, self.count = root(spread), mean, count
        some = np.flatnonzero(same)[:SAMPLE]
        similar, alike = real[some] @ real[some].T, person[some][:, None] == person[some]
        others = ~alike
        np.fill_diagonal(alike, False)
        self.real_means = f"{similar[alike].mean():.3f}, {similar[others].mean():.3f}"

    def part(self, first, last, seed=0):
        """Faces `first` to `last` -> unit float32 (last - first, 128)."""
        people = np.arange(first, last) // PER_PERSON
        centers = {p: self._normal((1, p)) @ self.between for p in np.unique(people).tolist()}
        own = np.random.default_rng((2, seed, first)).standard_normal((last - first, LENGTH)) @ self.within
        vectors = self.mean + np.stack([centers[p] for p in people.tolist()]) + own
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def queries(self, count, share=1.0):
        """Further faces (N, 128) of people drawn, their cosine to them brought down to `share` of what it is."""
        places = np.random.default_rng(3).integers(0, self.count, 2 * count)
        faces = np.concatenate([self.part(place, place + 1, seed=1) for place in places.tolist()])
        mixed = share * faces[:count] + (1 - share**2) ** 0.5 * faces[count:]
        return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)

    def exact(self, queries, count):
        """The `count` nearest of all -> places (Q, count)."""
        best = np.full((len(queries), count), -1), np.full((len(queries), count), -np.inf)
        for first in range(0, self.count, PART):
            scores = queries @ self.part(first, min(first + PART, self.count)).T
            places = np.concatenate([best[0], np.broadcast_to(np.arange(scores.shape[1]) + first, scores.shape)], 1)
            scores = np.concatenate([best[1], scores], 1)
            order = np.argsort(-scores, 1)[:, :count]
            best = np.take_along_axis(places, order, 1), np.take_along_axis(scores, order, 1)
        return best[0]

    def means(self):
        vectors = self.part(0, 100 * PER_PERSON).reshape(100, PER_PERSON, LENGTH)
        within = np.mean([(v @ v.T)[np.triu_indices(PER_PERSON, 1)].mean() for v in vectors])
        first = vectors[:, 0]
        return f"{within:.3f}, {(first @ first.T)[np.triu_indices(100, 1)].mean():.3f}"

    def _normal(self, seed):
        return np.random.default_rng(seed).standard_normal(LENGTH)


def root(covariance):
    """A matrix that turns standard normal rows into ones of this covariance; what is negative counts as none."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def tell(what, start, cpu):
    print(f"{what}: {time.perf_counter() - start:.0f} s, {cpu_seconds() - cpu:.0f} CPU s", flush=True)


def cpu_seconds():
    times = os.times()
    return times.user + times.system


def memory_mb(what):
    """VmRSS: now; VmHWM: the peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) / 1e3


if __name__ == "__main__":
    main()
