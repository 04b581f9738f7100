"""The fixed pairs of an evaluation: for each person a target, a reference, and an impostor's reference."""

import zlib
from dataclasses import dataclass

import numpy as np

from twoface.core.arrays import Indices
from twoface.core.errors import InputError
from twoface.research.data.portraits import Portraits


@dataclass(frozen=True)
class Pairs:
    """Places in `Portraits`, int (P,) each, one row for each person."""

    target: Indices
    reference: Indices
    impostor: Indices  # another person's reference; each reference is the impostor of exactly one person

    def __len__(self) -> int:
        return len(self.target)


def fixed_pairs(portraits: Portraits, source: str = "all", seed: int = 0) -> Pairs:
    """One pair of each person of `source` ("all", or a collection such as "lfw") who has two pictures or more.

    A person's pair depends on the seed, the person's label and pictures alone: it is the same whoever else is
    there and in whatever order. Raises InputError when the source is unknown or fewer than two people have a pair.
    """
    sources = sorted(set(portraits.source))
    if source != "all" and source not in sources:
        raise InputError(f"unknown source '{source}': use all or one of {', '.join(sources)}")
    wanted = np.full(len(portraits), source == "all") | (np.asarray(portraits.source) == source)
    drawn = []
    for person, name in enumerate(portraits.names):
        members = np.flatnonzero(wanted & (portraits.identity == person))
        if len(members) > 1:
            named = sorted(members.tolist(), key=portraits.paths.__getitem__)
            rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
            drawn.append(rng.choice(named, 2, replace=False))
    if len(drawn) < 2:
        raise InputError(f"{len(drawn)} people have two pictures, 2 are needed: add pictures or take source all")
    target, reference = np.array(drawn).T
    circle = np.random.default_rng(seed).permutation(len(drawn))
    impostor = np.empty_like(reference)
    impostor[circle] = reference[np.roll(circle, 1)]  # everyone gets the reference of the one before in a random circle
    return Pairs(target, reference, impostor)
