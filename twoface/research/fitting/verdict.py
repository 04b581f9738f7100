"""What the words of `twoface.core.verdict` are worth, on people that the network never saw; and a fit of its weights.

    python -m twoface.research.fitting.verdict --data DATA [--split val] [--people 100]

For each person and hole a crop is filled from another of the same person and from two of others. Half of the people fit
the weights, the other half are counted. Prints the fitted weights, then a Markdown table: which share of right and of
wrong references gets which word from the weights that ship.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from twoface.core.arrays import Vector
from twoface.core.inpainter import Inpainter
from twoface.core.verdict import TONES, features
from twoface.research.data.portraits import FRAME, Portraits

HOLES = ("eyes", "nose", "mouth", "lower", "left", "right", "center")
OTHERS = (1, 7)  # of whom the wrong references are: so many people further on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--people", type=int, default=100)
    options = parser.parse_args()
    people = crops_of(Portraits.load(options.data, options.split))[: options.people]
    engine = Inpainter.load()
    judged = [row for hole in HOLES for row in tqdm(fills(engine, people, hole), hole, len(people) * 3)]
    print("weights", fit([row for row in judged if row["person"] % 2 == 0]).round(1).tolist())
    print("\n| hole | reference |", " | ".join(word for word in TONES if word != "none"), "|")
    for hole in HOLES:
        for right in (True, False):
            rows = [row for row in judged if row["person"] % 2 and (row["hole"], row["right"]) == (hole, right)]
            words = [row["identity"].verdict.word for row in rows]
            shares = [f"{words.count(word) / len(words):.0%}" for word in TONES if word != "none"]
            print(f"| {hole} | {'right' if right else 'wrong'} |", " | ".join(shares), "|")


def crops_of(portraits: Portraits) -> list[np.ndarray]:
    """The crops of each person with two or more."""
    people = [np.flatnonzero(portraits.identity == number) for number in range(len(portraits.names))]
    return [portraits.crops[crops[:2]] for crops in people if len(crops) > 1]


def fills(engine: Inpainter, people: Sequence[np.ndarray], hole: str) -> Iterator[dict[str, Any]]:
    """Fill each person's first crop from the right and from wrong references -> dicts."""
    for number, (photo, own) in enumerate(people):
        others = [people[(number + step) % len(people)][0] for step in OTHERS]
        for right, reference in ((True, own), *((False, other) for other in others)):
            filled = engine.fill(photo, hole=hole, face=FRAME, reference=reference, reference_face=FRAME)
            yield {"person": number, "hole": hole, "right": right, "identity": filled.identity}


def fit(rows: Sequence[dict[str, Any]], steps: int = 30) -> Vector:
    """Logistic regression by Newton's method; right and wrong references weigh the same under each hole -> (4,)."""
    x = np.stack([features(row["identity"]) for row in rows])
    y = np.array([row["right"] for row in rows], float)
    weight = np.where(y, 1 / y.sum(), 1 / (1 - y).sum())
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ weights))
        curve = x.T @ (x * (weight * p * (1 - p))[:, None])
        weights += np.linalg.solve(curve + 1e-6 * np.eye(len(weights)), x.T @ (weight * (y - p)))
    return weights


if __name__ == "__main__":
    main()
