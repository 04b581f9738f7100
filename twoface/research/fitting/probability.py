"""From similarities to the probability of the same person: the weights of twoface/weights/search.json, and their trust.

    python -m twoface.research.fitting.probability --data DATA --work FOLDER [--cache FOLDER] [--write]
        [--plot FILE.svg]

The arguments are those of twoface/research/fitting/face_space.py. Each of its queries is compared with every other one:
with what an index keeps of the whole face, and with the same hole in both. A logistic regression over all pairs gives
the log odds; what the pairs' own share of the same person adds is taken out, since in a search it is one of N. The
reliability is that of a fit on one half of the people, for the ten best candidates of each search among the other half;
the weights written come from all. Markdown.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np

from twoface.core.files import write_aside
from twoface.core.identity import directions, origin
from twoface.research.fitting.face_space import HOLES, Study, arguments
from twoface.search.face_space import WHOLE
from twoface.search.rank import MAYBE, SAME

EDGES = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)
BEST = 10
SHOWN = ("whole", "center 64", "eyes", "lower")  # in the picture
COLOURS = ("#2a6fbb", "#c8622e", "#3a9a6a", "#8650a6")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--write", action="store_true", help="keep the weights in twoface/weights")
    parser.add_argument("--plot", type=Path, help="write a picture of the reliability, SVG")
    options = parser.parse_args()
    study = Study(options)
    person, weights, points = study.person, {}, {}
    ranges = " | ".join(f"{low:g} to {min(high, 1):g}" for low, high in zip(EDGES, EDGES[1:], strict=False))
    print(f"{len(person)} crops of {len(set(person.tolist()))} people\n")
    print(f"| hole | hit@1 by whole faces | by the same hole | by both | probability: {ranges} |")
    print("|---" * (3 + len(EDGES)) + "|")
    everybody = np.ones(len(person), bool)
    for hole in (WHOLE, *HOLES):
        looks = cosines(study, hole)
        weights[hole] = fit(looks, person, everybody)
        found = [hits(look, person) for look in looks.values()] + [""] * (2 - len(looks))
        found.append(hits(score(weights[hole], looks), person))
        points[hole] = bins(*judged(looks, person))
        cells = [f"{right:.0%} ({count})" if count else "" for _, right, count in points[hole]]
        print(f"| {hole} | {' | '.join([*found, *cells])} |", flush=True)
    print("\nUnder a probability: the share that is the same person (of how many candidates).")
    print(f"{SAME} and more is called very likely, below {MAYBE} nobody.")
    if options.plot:
        write_aside(options.plot, plot({hole: points[hole] for hole in SHOWN}).encode(), force=True)
    if options.write:
        rounded = {hole: {name: round(float(v), 3) for name, v in each.items()} for hole, each in weights.items()}
        text = json.dumps({"holes": rounded}, indent=1) + "\n"
        write_aside(str(resources.files("twoface") / "weights" / "search.json"), text.encode(), force=True)


def cosines(study: Study, hole: str) -> dict[str, np.ndarray]:
    """Of all queries to each other, as of `twoface.search.rank.Calibration` -> {"whole", "again"}: (Q, Q)."""
    looks = {"whole": study.similarities(hole, study.place)[0]}
    if hole != WHOLE:
        seen = directions(study.seen[hole], origin())
        looks["again"] = seen @ seen.T
    return looks


def fit(looks: dict[str, np.ndarray], person: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    """Logistic regression over the pairs of the chosen -> {"bias", and a weight for each of `looks`}."""
    pairs = chosen[:, None] & chosen[None] & ~np.eye(len(person), dtype=bool)
    same = (person[:, None] == person[None])[pairs].astype(float)
    values = np.stack([np.ones(len(same)), *(look[pairs] for look in looks.values())], 1)
    weights = np.zeros(values.shape[1])
    weights[0] = -6.0
    for _ in range(50):  # Newton's steps
        chance = 1 / (1 + np.exp(-values @ weights))
        slope = (values * (chance * (1 - chance))[:, None]).T @ values + 1e-6 * np.eye(len(weights))
        step = np.linalg.solve(slope, values.T @ (same - chance))
        weights = weights + step * min(1, 5 / np.abs(step).max())
        if np.abs(step).max() < 1e-6:
            break
    bias = weights[0] - np.log(same.sum() / (len(same) - same.sum()))
    return {"bias": bias, **dict(zip(looks, weights[1:].tolist(), strict=True))}


def score(weights: dict[str, float], looks: dict[str, np.ndarray]) -> np.ndarray:
    return np.sum([weights[name] * look for name, look in looks.items()], axis=0) + weights["bias"]


def hits(scores: np.ndarray, person: np.ndarray) -> str:
    """The share of queries whose best other crop is of the same person."""
    scores = scores - np.where(np.eye(len(person), dtype=bool), np.inf, 0)
    return f"{np.mean(person[scores.argmax(1)] == person):.1%}"


def judged(looks: dict[str, np.ndarray], person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best candidates, fitted on the other half of the people -> their probabilities (N,), whether right (N,)."""
    half = person % 2 == 0
    chances, rights = [], []
    for known, asked in ((half, ~half), (~half, half)):
        weights = fit(looks, person, known)
        odds = score(weights, looks)[np.ix_(asked, asked)] - np.log(asked.sum() - 1)
        np.fill_diagonal(odds, -np.inf)
        best = np.argsort(-odds, 1)[:, :BEST]
        chances.append(1 / (1 + np.exp(-np.take_along_axis(odds, best, 1))).ravel())
        rights.append((person[asked][best] == person[asked][:, None]).ravel())
    return np.concatenate(chances), np.concatenate(rights)


def bins(chances: np.ndarray, rights: np.ndarray) -> list[tuple[float, float, int]]:
    """-> for each range of `EDGES` (mean probability, share that is right, count)."""
    found = []
    for low, high in zip(EDGES, EDGES[1:], strict=False):
        inside = (chances >= low) & (chances < high)
        mean, right = (float(values[inside].mean()) if inside.any() else 0.0 for values in (chances, rights))
        found.append((mean, right, int(inside.sum())))
    return found


def plot(points: dict[str, list[tuple[float, float, int]]]) -> str:
    """The reliability of some holes -> SVG. Ranges with fewer than 10 candidates are left out."""
    side, edge = 320, 52

    def place(x: float, y: float) -> str:
        return f"{edge + x * side:.1f},{edge + (1 - y) * side:.1f}"

    box = f'<rect x="{edge}" y="{edge}" width="{side}" height="{side}" fill="none" stroke="#999"/>'
    parts = [box, f'<polyline points="{place(0, 0)} {place(1, 1)}" stroke="#bbb" stroke-dasharray="4"/>']
    for (hole, ranges), colour in zip(points.items(), COLOURS, strict=True):
        places = [place(chance, right) for chance, right, count in ranges if count >= 10]
        parts.append(f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3.5" fill="{colour}"/>' for p in places]
        row = edge + 20 + 18 * COLOURS.index(colour)
        parts.append(f'<text x="{edge + 12}" y="{row}" fill="{colour}">{hole}</text>')
    for share in (0, 0.5, 1):
        x, y = place(share, share).split(",")
        parts.append(f'<text x="{x}" y="{edge + side + 18}" text-anchor="middle">{share:g}</text>')
        parts.append(f'<text x="{edge - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{share:g}</text>')
    middle = edge + side / 2
    parts.append(f'<text x="{middle}" y="{edge + side + 34}" text-anchor="middle">probability that was told</text>')
    turned = f'transform="rotate(-90 14 {middle})"'
    parts.append(f'<text x="14" y="{middle}" text-anchor="middle" {turned}>share that is the same person</text>')
    full = side + 2 * edge
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full} {full}" width="{full}" height="{full}"'
    body = f'<rect width="{full}" height="{full}" fill="#fff"/>' + "".join(parts)
    return f'{head} font-family="sans-serif" font-size="13" fill="#333">{body}</svg>\n'


if __name__ == "__main__":
    main()
