"""The similarity below which photo and reference look like two people, measured on people never trained on.

    python -m twoface.research.fitting.identity --data DATA [--split val] [--per-person 4] [--write FILE]

The origin from which embeddings are compared is fitted on another split. Writes JSON. `docs/evaluation.md` says what
we chose from it.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from twoface.core.arrays import Mask, Vector
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import write_aside
from twoface.core.frame import SIZE
from twoface.core.identity import LENGTH, Embedder, calibrated_holes, directions, face_view, visible
from twoface.core.mesh import invented
from twoface.core.network import FillModel, Network
from twoface.research.data.portraits import FRAME, MARGIN, Portraits

BATCH = 64  # faces
ORIGIN = 0.8  # of the mean of all faces; with all of it taken away people are told apart less well beside a hole
WARNED = 0.01  # the share of same-person pairs that may be warned
LEVELS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)  # similarities that one threshold for all holes might take


def calibrate(
    portraits: Portraits,
    start: Vector,
    per_person: int = 4,
    holes: Mapping[str, Mask] | None = None,
    embedder: Embedder | None = None,
    network: Network | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """How well one similarity tells the same person from two, for whole faces and for the part a hole leaves.

    start: (128,), the `origin_of` other people. per_person: crops of each person that take part, the first by path, 2
    or more; among them all pairs of the same person and all pairs of two people count. holes: {name: bool (128, 128)},
    default `calibrated_holes()`; the hole is hidden in both pictures of a pair, as `twoface.core.identity.visible`
    does it. network: that fills it, default the one that ships.
    Returns {"people", "crops", "views": {"whole" or the hole's name: {"hole_share"} | `thresholds`}}.
    """
    if per_person < 2:
        raise InputError(f"a pair needs 2 crops of a person or more, not {per_person}")
    embedder, network = embedder or Embedder(1), network or FillModel(threads=1)
    taken = first_crops(portraits, per_person)
    frames = portraits.crops[taken, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
    person = portraits.identity[taken]
    first, second = np.triu_indices(len(taken), 1)
    same = person[first] == person[second]
    views = {}
    holes = calibrated_holes() if holes is None else holes
    for name, hole in tqdm(holes.items(), "calibrating", unit="hole", disable=not progress):
        embeddings = [visible(embedder, frame, invented(frame, hole, network), hole) for frame in frames]
        seen = directions(np.stack(embeddings), start)
        scores = (seen @ seen.T)[first, second]
        views[name] = {"hole_share": float(hole.mean())} | thresholds(scores[same], scores[~same])
    return {"people": len(set(person.tolist())), "crops": len(taken), "views": views}


def origin_of(portraits: Portraits, embedder: Embedder | None = None, progress: bool = True) -> Vector:
    """From where embeddings of faces are to be compared: `ORIGIN` of the mean of all crops' -> float32 (128,)."""
    embedder, total = embedder or Embedder(1), np.zeros(LENGTH)
    for start in tqdm(range(0, len(portraits.crops), BATCH), "embedding", unit="batch", disable=not progress):
        views = np.stack([face_view(crop, FRAME) for crop in portraits.crops[start : start + BATCH]])
        total = total + embedder.embed(views).sum(0, dtype=np.float64)
    return (ORIGIN * total / len(portraits.crops)).astype(np.float32)


def thresholds(same: Vector, different: Vector) -> dict[str, Any]:
    """What a threshold on similarity does, given those of same-person pairs (N,) and two-people pairs (M,).

    A pair is called the same person at the threshold or above. `accuracy` is the mean of both kinds' shares judged
    right, at `best`; `eer` the equal error rate, at `eer_at`; `warn` the threshold that warns `WARNED` of the
    same-person pairs, and `strangers_warned` the share of two-people pairs that it warns. `levels` gives both shares
    for each of `LEVELS`: {level: [of same-person pairs, of two-people pairs]}.
    """
    same, different = np.sort(same), np.sort(different)
    at = np.concatenate([same, different])
    missed = np.searchsorted(same, at) / len(same)
    accepted = 1 - np.searchsorted(different, at) / len(different)
    best, equal = np.argmin(missed + accepted), np.argmin(np.abs(missed - accepted))
    warn = np.quantile(same, WARNED)
    figures = {
        "same_pairs": len(same),
        "different_pairs": len(different),
        "same_mean": same.mean(),
        "different_mean": different.mean(),
        "accuracy": 1 - (missed + accepted)[best] / 2,
        "best": at[best],
        "eer": (missed + accepted)[equal] / 2,
        "eer_at": at[equal],
        "warn": warn,
        "strangers_warned": np.mean(different < warn),
    }
    levels = {str(v): [round(float(np.mean(kind < v)), 4) for kind in (same, different)] for v in LEVELS}
    return {k: v if isinstance(v, int) else round(float(v), 4) for k, v in figures.items()} | {"levels": levels}


def chosen(report: Mapping[str, Any], start: Vector) -> dict[str, Any]:
    """What `twoface.core.identity` reads, from what `calibrate` gave and the origin it took."""
    holes = {
        name: {"threshold": round(view["warn"], 3), "strangers_warned": round(view["strangers_warned"], 3)}
        for name, view in report["views"].items()
    }
    return {"same_person_warned": WARNED, "origin": [round(float(v), 5) for v in start], "holes": holes}


def first_crops(portraits: Portraits, per_person: int) -> list[int]:
    """The places of up to `per_person` crops of everyone who has two or more."""
    chosen: list[int] = []
    for person in range(len(portraits.names)):
        members = sorted(np.flatnonzero(portraits.identity == person).tolist(), key=portraits.paths.__getitem__)
        if len(members) > 1:
            chosen += members[:per_person]
    if len(set(portraits.identity[chosen].tolist())) < 2:
        raise InputError("two people with two pictures each are needed: add pictures")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: exit code 0 done, 2 bad input, 1 failure."""
    parser = argparse.ArgumentParser(
        prog="python -m twoface.research.fitting.identity", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", required=True, help="a folder made by `twoface data prepare`")
    parser.add_argument("--split", default="val")
    parser.add_argument("--origin-split", default="train", help="of other people, for the origin (default train)")
    parser.add_argument("--per-person", type=int, default=4, help="crops of each person that take part (default 4)")
    parser.add_argument("--cache", help="a folder for the decoded crops, so that they are read once")
    parser.add_argument("--write", help="write the thresholds here too, such as twoface/weights/identity.json")
    options = parser.parse_args(arguments)
    try:
        start = origin_of(Portraits.load(options.data, options.origin_split, options.cache))
        report = calibrate(Portraits.load(options.data, options.split, options.cache), start, options.per_person)
        if options.write:
            write_aside(options.write, (json.dumps(chosen(report, start), indent=1) + "\n").encode(), force=True)
    except TwoFaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
