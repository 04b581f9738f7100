"""The verdict on a filled face: is it the reference's person? One for report, command line and web page.

It weighs three figures of an `Identity`: how alike result and reference are, how far what is visible of the photo lies
above the threshold of its hole, and how blind that threshold is, as the share of wrong references that it finds.
`twoface/research/fitting/verdict.py` fits the weights and measures what each word is worth (docs/web.md).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

WEIGHTS = (16.9, 6.6, 1.9, -7.0)  # of visible - threshold, result, strangers_warned, 1: log-odds of the same person
WORDS = ((0.9, "very_likely"), (0.5, "likely"), (0.05, "unsure"))  # from which probability; below: two people
TONES = {"very_likely": "good", "likely": "good", "unsure": "plain", "two_people": "warn", "none": "plain"}
TEXTS = {
    "very_likely": "very likely the same person",
    "likely": "probably the same person",
    "unsure": "unsure whether it is the same person",
    "two_people": "perhaps two people",
    "none": "no reference was given, so nobody's likeness was sought",
}


class Verdict(NamedTuple):
    """word: a key of `TEXTS`. tone: "good", "plain" or "warn". probability: of the same person, right and wrong
    references being as frequent, or None without a reference.
    """

    word: str
    tone: str
    probability: float | None

    @property
    def text(self) -> str:
        return TEXTS[self.word]


NO_REFERENCE = Verdict("none", TONES["none"], None)


@dataclass(frozen=True)
class Identity:
    """How alike a filled face and its reference are.

    similarity_result_reference, similarity_visible_reference: cosines, of the whole result and of what is visible of
    the photo. same_person: whether the latter reaches the threshold. strangers_warned: the share of wrong references
    that this threshold finds under such a hole.
    """

    similarity_result_reference: float
    similarity_visible_reference: float
    same_person: bool
    threshold: float
    strangers_warned: float

    @cached_property
    def verdict(self) -> Verdict:
        """Below the hole's own threshold it is always that of two people."""
        chance = probability(self)
        fitting = (word for least, word in WORDS if self.same_person and chance >= least)
        word = next(fitting, "two_people")
        return Verdict(word, TONES[word], round(chance, 3))


def features(identity: Identity) -> np.ndarray:
    """What `WEIGHTS` weigh -> float64 (4,)."""
    beyond = identity.similarity_visible_reference - identity.threshold
    return np.array([beyond, identity.similarity_result_reference, identity.strangers_warned, 1.0])


def probability(identity: Identity) -> float:
    """That it is the same person, 0..1."""
    return float(1 / (1 + np.exp(-features(identity) @ np.array(WEIGHTS))))
