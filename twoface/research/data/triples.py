"""Masked, real and reference pictures from sets apart, as in the thesis: for faces and for digits. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from twoface.core.arrays import Indices, Pictures
from twoface.core.errors import InputError
from twoface.core.masks import center_hole


@dataclass(frozen=True)
class Roles:
    """What each picture is for: places in the pictures, by identity; every identity is in all sets that are used."""

    masked: list[Indices]
    real: list[Indices]
    reference: list[Indices]  # empty when nobody has a reference

    @classmethod
    def draw(cls, identity: Indices, shares: tuple[float, float, float], seed: int) -> Roles:
        """identity: int (N,). shares: of masked, real and reference pictures; a reference share of 0 = no references.

        Each identity's pictures are shuffled and dealt out by the shares, one to each set at least; who has too few
        is left out. Raises InputError when that leaves nobody.
        """
        masked, real, reference = [], [], []
        kinds = 3 if shares[2] else 2
        for person in np.unique(identity):
            members = np.random.default_rng((seed, int(person))).permutation(np.flatnonzero(identity == person))
            if len(members) < kinds:
                continue
            spare = max(1, round(len(members) * shares[2])) if shares[2] else 0
            rest = len(members) - spare
            first = min(rest - 1, max(1, round(rest * shares[0] / (shares[0] + shares[1]))))
            masked.append(members[:first])
            real.append(members[first:rest])
            reference.append(members[rest:])
        if not masked:
            raise InputError(f"no identity has {kinds} pictures, one for each set: add more pictures")
        return cls(masked, real, reference if shares[2] else [])


class Triples:
    """An endless, random-access list of training samples, each of one identity.

    pictures: uint8 (N, S, S, C), never changed. Sample `i` depends on (seed, i) alone: a masked picture drawn from all,
    a real one and a reference drawn from its identity's. A sample is a dict of `target`, `real`, `reference`: uint8
    (S, S, C), the reference black when there are none; `mask`: uint8 (S, S), 1 = hole, a centre square of `hole` px;
    `target_index`, `real_index`, `reference_index`: places in `pictures` (-1 = none).
    """

    def __init__(self, pictures: Pictures, roles: Roles, hole: int, seed: int, length: int) -> None:
        self.pictures, self.roles, self.seed, self.length = pictures, roles, seed, length
        self.group = np.repeat(np.arange(len(roles.masked)), [len(members) for members in roles.masked])
        self.masked = np.concatenate(roles.masked)
        self.mask = center_hole(hole, pictures.shape[1]).astype(np.uint8)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, index))
        place = int(rng.integers(len(self.masked)))
        target, group = int(self.masked[place]), self.group[place]
        real = int(rng.choice(self.roles.real[group]))
        reference = int(rng.choice(self.roles.reference[group])) if self.roles.reference else -1
        black = np.zeros_like(self.pictures[target])
        return {
            "target": np.ascontiguousarray(self.pictures[target]),
            "real": np.ascontiguousarray(self.pictures[real]),
            "reference": black if reference < 0 else np.ascontiguousarray(self.pictures[reference]),
            "mask": self.mask,
            "target_index": target,
            "real_index": real,
            "reference_index": reference,
        }
