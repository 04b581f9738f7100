"""How well `twoface index people` groups: the faces of val, whom neither the network nor the space has seen.

    python benchmarks/search_people.py --data DATA [--cache FOLDER]

Near faces are those with a probability of one person from the row's first figure on. Whispered: as used; connected: all
that near pairs connect; in halves: a half of the faces is grouped first, and the rest comes in an update. Of the groups
of two and more: how many hold two people; faces that are of their group's main person; pairs in a group that are one
person's. Of people with two and more crops: those crops that are in the person's largest group. Prints Markdown.
"""

import argparse

import cv2
import numpy as np

from twoface.core.identity import Embedder, directions, face_view
from twoface.research.data.portraits import FRAME, Portraits
from twoface.search import people
from twoface.search.face_space import WHOLE, FaceSpace
from twoface.search.people import whisper

CHANCES = (0.1, 0.2, 0.3, 0.5, 0.9)
BATCH = 32


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder made by `twoface data prepare`")
    parser.add_argument("--cache")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    val, embedder = Portraits.load(options.data, "val", options.cache), Embedder(1)
    views = [face_view(crop, FRAME) for crop in val.crops]
    parts = [embedder.embed(np.stack(views[i : i + BATCH])) for i in range(0, len(views), BATCH)]
    show(directions(np.concatenate(parts), FaceSpace.load().kept[WHOLE]), val.identity)


def show(vectors, person):
    """vectors: unit (N, 128); person: int (N,)."""
    print(f"{len(vectors)} faces of {len(set(person.tolist()))} people\n")
    print("| near from | how | groups | mixed | grouped | main person's | pairs | largest group |\n|---|" + "---|" * 7)
    nobody = np.zeros(len(vectors), int)
    for chance in CHANCES:
        people.NEAR = chance
        limit = people.near_from(len(vectors))
        for how, labels in (
            ("whispered", whisper(vectors, nobody, limit)),
            ("connected", connected(vectors, limit)),
            ("in halves", in_halves(vectors, limit)),
        ):
            print(f"| {chance} ({limit:.3f}) | {how} | {figures(labels, person)} |", flush=True)


def connected(vectors, limit):
    labels, near = np.zeros(len(vectors), int), vectors @ vectors.T > limit
    for start in range(len(vectors)):
        waiting = [] if labels[start] else [start]
        while waiting:
            i = waiting.pop()
            labels[i] = start + 1
            waiting += np.flatnonzero(near[i] & (labels == 0)).tolist()
    return labels


def in_halves(vectors, limit):
    first = np.sort(np.random.default_rng(0).permutation(len(vectors))[: len(vectors) // 2])
    found = whisper(vectors[first], np.zeros(len(first), int), people.near_from(len(first)))
    labels, counts = np.unique(found, return_counts=True)
    numbers = {label: i + 1 for i, label in enumerate(labels[counts > 1])}
    known = np.zeros(len(vectors), int)
    known[first] = [numbers.get(label, 0) for label in found]
    return whisper(vectors, known, limit)


def figures(labels, person):
    _, labels = np.unique(labels, return_inverse=True)
    table = np.zeros((labels.max() + 1, person.max() + 1), int)
    np.add.at(table, (labels, person), 1)
    sizes, several = table.sum(1), table.sum(0) > 1
    groups = table[sizes > 1]
    mixed = ((groups > 0).sum(1) > 1).sum()
    pure, pairs = groups.max(1).sum() / groups.sum(), pairs_of(groups) / pairs_of(groups.sum(1))
    largest = table[:, several].max(0).sum() / table[:, several].sum()
    shares = (groups.sum() / len(labels), pure, pairs, largest)
    return f"{len(groups)} | {mixed} | " + " | ".join(f"{share:.1%}" for share in shares)


def pairs_of(counts):
    return (counts * (counts - 1) / 2).sum()


if __name__ == "__main__":
    main()
