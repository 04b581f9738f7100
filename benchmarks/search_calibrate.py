"""From similarities to the probability of the same person: fits `twoface/weights/search.json`, and says how reliable it is.

    python benchmarks/search_calibrate.py --data DATA --work FOLDER [--cache FOLDER] [--write twoface/weights/search.json]

FOLDER as of benchmarks/search_holes.py, whose embeddings are taken (and made where they are missing). Each of its
queries is compared with every other one, whole, and with the hole hidden in both. A logistic regression over all pairs
gives the log odds; what the pairs' own share of the same person adds is taken out, since in a search it is one of N.
The reliability is that of a fit on one half of the people, for the ten best candidates of searches among the other half,
who were not in it; the weights written come from all. Prints Markdown.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
from search_holes import FIRST_LOOK, HOLES, PER_PERSON, combined, embeddings

from twoface.data.portraits import Portraits
from twoface.evaluation.calibrate import first_crops
from twoface.files import write_aside
from twoface.search.rank import MAYBE, SAME

NAMES = {"none": "whole", "center": "center 64", "eyes": "eyes", "lower": "lower"}
EDGES = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)
BEST = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--cache")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--holes", nargs="+", default=HOLES, choices=HOLES)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    load = partial(Portraits.load, options.data, cache=options.cache or options.work)
    val = load("val")
    queries = np.array(first_crops(val, PER_PERSON))
    person = val.identity[queries]
    embed = partial(embeddings, load, options.work, options.workers, "val")
    whole = embed("whole", None, np.arange(len(val)))[queries]
    weights = {}
    print(f"{len(queries)} crops of {len(set(person.tolist()))} people\n")
    print("| hole | hit@1 first look | second look | both | probability: " +
          " | ".join(f"{a:g} to {min(b, 1):g}" for a, b in zip(EDGES, EDGES[1:], strict=False)) + " |")  # fmt: skip
    print("|---" * (4 + len(EDGES)) + "|")
    for hole in ("none", *options.holes):
        first, second = whole @ whole.T, np.zeros((len(whole), len(whole)))
        if hole != "none":
            ways = {way: embed(way, hole, queries) for way in ("black", "mean", "hidden", "filled")}
            first, second = combined(ways)[FIRST_LOOK] @ whole.T, ways["hidden"] @ ways["hidden"].T
        weights[NAMES[hole]] = fit(first, second, person, np.ones(len(person), bool))
        print(f"| {hole} | {hits(first, person)} | {hits(second, person) if hole != 'none' else ''} |"
              f" {hits(score(weights[NAMES[hole]], first, second), person)} | {reliability(first, second, person)} |")  # fmt: skip
    print(f"\nCells of a probability: the share that is the same person (of how many). {SAME} and more is called very"
          f" likely, below {MAYBE} nobody.")  # fmt: skip
    if options.write:
        rounded = {name: {k: round(v, 3) for k, v in values.items()} for name, values in weights.items()}
        write_aside(options.write, (json.dumps({"holes": rounded}, indent=1) + "\n").encode(), force=True)


def fit(first, second, person, chosen):
    """Logistic regression over the pairs of the chosen -> {"bias", "first", "second"}."""
    pairs = chosen[:, None] & chosen[None] & ~np.eye(len(person), dtype=bool)
    same = (person[:, None] == person[None])[pairs].astype(float)
    columns = [np.ones(len(same)), first[pairs]] + ([second[pairs]] if second.any() else [])
    values, weights = np.stack(columns, 1), np.zeros(len(columns))
    weights[0] = -6.0
    for _ in range(50):  # Newton's steps
        chance = 1 / (1 + np.exp(-values @ weights))
        slope = (values * (chance * (1 - chance))[:, None]).T @ values + 1e-6 * np.eye(len(weights))
        step = np.linalg.solve(slope, values.T @ (same - chance))
        weights = weights + step * min(1, 5 / np.abs(step).max())
        if np.abs(step).max() < 1e-6:
            break
    bias = weights[0] - np.log(same.sum() / (len(same) - same.sum()))
    return {"bias": bias, "first": weights[1], "second": weights[2] if second.any() else 0.0}


def score(weights, first, second):
    return weights["bias"] + weights["first"] * first + weights["second"] * second


def hits(scores, person):
    """The share of queries whose best other crop is of the same person."""
    scores = scores - np.where(np.eye(len(person), dtype=bool), np.inf, 0)
    return f"{np.mean(person[scores.argmax(1)] == person):.1%}"


def reliability(first, second, person):
    """Cells of the table: fitted on half of the people, read off the searches among the others, and the reverse."""
    half = person % 2 == 0
    chances, rights = [], []
    for known, asked in ((half, ~half), (~half, half)):
        weights = fit(first, second, person, known)
        odds = score(weights, first, second)[np.ix_(asked, asked)] - np.log(asked.sum() - 1)
        np.fill_diagonal(odds, -np.inf)
        best = np.argsort(-odds, 1)[:, :BEST]
        chances.append(1 / (1 + np.exp(-np.take_along_axis(odds, best, 1))).ravel())
        rights.append((person[asked][best] == person[asked][:, None]).ravel())
    chances, rights = np.concatenate(chances), np.concatenate(rights)
    cells = []
    for low, high in zip(EDGES, EDGES[1:], strict=False):
        inside = (chances >= low) & (chances < high)
        cells.append(f"{rights[inside].mean():.0%} ({inside.sum()})" if inside.any() else "")
    return " | ".join(cells)


if __name__ == "__main__":
    main()
