"""Faces that belong together: people of an index, grouped by their embeddings, whom one may name, merge and split.

Two faces are near when a search would give them a probability of `NEAR` and more. Each face takes over the person that
the near faces around it have, weighed by how near they are, until nothing changes (Chinese whispers, Biemann 2006); a
chain of doubtful pairs joins nobody so. A face that has a person keeps it: numbers are stable, and what a user decided
stays.
"""

import zlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from twoface.core.arrays import Indices, Matrix, Vector
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.identity import LENGTH
from twoface.search.face_space import WHOLE, space_version
from twoface.search.rank import calibrations
from twoface.search.record import read_record, write_record
from twoface.search.rows import FaceRow
from twoface.search.store import Store
from twoface.search.sums import seal, unseal

Face = tuple[str, int]  # a photo's path, and the number of a face in it

NEAR = 0.3  # that two faces are one person's: few groups are mixed, few people in parts (docs/search.md)
NEAREST = 64  # near faces that a face listens to
ROUNDS = 30  # at most
FEWEST = 1000  # faces: a smaller collection is grouped as one of so many
CLEAR = (80.0, 0.9)  # least size (photo pixels) and score: unclear faces look alike, whosever they are
BLOCK = 1024  # faces that are compared with all others at once
PURE = 0.97  # two faces of one group are the same person's (docs/search.md)
RENEWED = -1  # the mark of a face whose embedding is being made anew, by another version of it
OVERLAP = 0.5  # of two boxes, their intersection to their union: it is the same face in a photo that was written anew


@dataclass(frozen=True)
class Placed:
    """A face of a person. mark: of its embedding, which tells whether the photo is still the same. box: of
    `FaceRow.box` where a user placed it, else ()."""

    mark: int
    box: tuple[float, ...] = ()


@dataclass
class Person:
    """number: never given twice in an index. name: "" until a user gives one. faces: {(path, face): Placed}."""

    number: int
    name: str = ""
    faces: dict[Face, Placed] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What a person is called, as `People.find` takes it."""
        return self.name or str(self.number)


class People:
    """The people of an index. Read them with `read`; what a user decides is kept by `write`."""

    def __init__(self, people: Iterable[Person] = (), following: int = 1) -> None:
        self.people, self.following = {person.number: person for person in people}, following

    @classmethod
    def read(cls, store: Store) -> "People | None":
        """None for an index whose faces were never grouped. Where they are damaged, their copy is read.

        Raises TwoFaceError when that is damaged, too.
        """
        texts = store.people()
        people = next(filter(None, map(_parse, texts)), None)
        if people is None and (any(texts) or read_record(store).grouped):
            text = "the people of the index cannot be read: 'twoface index people --clear' starts them anew"
            raise TwoFaceError(text)
        return people

    def write(self, store: Store) -> None:
        people = [
            {"number": one.number, "name": one.name, "faces": [[*key, p.mark, p.box] for key, p in one.faces.items()]}
            for one in self.people.values()
        ]
        store.set_people(seal({"following": self.following, "people": people}))
        _remember(store, True)

    def find(self, who: str) -> Person:
        """A person by name or number. Raises InputError, code "no_person"."""
        for person in self.people.values():
            if who in (person.name, str(person.number)):
                return person
        raise InputError(f"nobody is called '{who}': 'twoface index people' lists all", code="no_person")

    def owners(self) -> dict[Face, Person]:
        """-> {(path, face): Person}."""
        return {place: person for person in self.people.values() for place in person.faces}

    def name(self, who: str, name: str) -> None:
        """Name a person; "" takes the name away.

        Raises InputError for a name that is taken (code "name_taken", with the other's number) or a number.
        """
        person, name = self.find(who), " ".join(name.split())
        if name.isdigit():
            raise InputError(f"'{name}' is a number: give a name", code="name_is_number")
        others = [other.number for other in self.people.values() if other.name == name and other is not person]
        if name and others:
            text = f"another person is called '{name}': merge the two"
            raise InputError(text, code="name_taken", person=others[0])
        person.name = name

    def merge(self, first: str, *others: str) -> None:
        """The faces of all go to the first, who keeps his name, or takes that of one who has one."""
        kept, merged = self.find(first), [self.find(other) for other in others]
        for other in merged:
            if other is not kept and self.people.get(other.number):
                del self.people[other.number]
                kept.faces |= other.faces
                kept.name = kept.name or other.name

    def move(self, rows: dict[FaceRow, int], who: str | None = None) -> Person:
        """Give faces ({FaceRow: its mark}, as of `place`), whosever they are, to a person -> Person.

        who: None makes a new one. People left without a face are removed.
        """
        person = self._new() if who is None else self.find(who)
        for other in self.people.values():
            for row in rows:
                other.faces.pop((row.path, row.face), None)
        person.faces |= {(row.path, row.face): Placed(mark, tuple(row.box)) for row, mark in rows.items()}
        self._sweep()
        return person

    def bring_up(self, store: Store) -> None:
        """Follow the index: drop faces that are gone, place those that are new and clear."""
        places, marks, vectors = _read(store)
        self._follow(store, dict(zip(places, marks, strict=True)))
        owners = self.owners()
        clear = _clear(store, [path for path, face in places if (path, face) not in owners])
        chosen = [i for i, place in enumerate(places) if place in owners or place in clear]
        known = [owners[places[i]].number if places[i] in owners else 0 for i in chosen]
        labels = whisper(vectors[chosen], np.array(known, int), near_from(len(places)))
        together: dict[int, dict[Face, Placed]] = {}
        for i, label in zip(chosen, labels.tolist(), strict=True):
            if places[i] not in owners:
                together.setdefault(label, {})[places[i]] = Placed(marks[i])
        for label, faces in together.items():
            if label > 0 or len(faces) > 1:  # nobody is made of one face
                person = self.people[label] if label > 0 else self._new()
                person.faces |= faces

    def renew(self, paths: Container[str]) -> None:
        """The embeddings of these photos, which have not changed, are about to be made anew: their faces stay."""
        for person in self.people.values():
            for place, placed in person.faces.items():
                if place[0] in paths:
                    person.faces[place] = replace(placed, mark=RENEWED)

    def keep(self, paths: Container[str]) -> None:
        """Drop the faces of all other photos."""
        for person in self.people.values():
            person.faces = {place: placed for place, placed in person.faces.items() if place[0] in paths}
        self._sweep()

    def _new(self) -> Person:
        person = Person(self.following)
        self.people[person.number] = person
        self.following += 1
        return person

    def _follow(self, store: Store, there: dict[Face, int]) -> None:
        """Drop what is gone or changed; a face that a user placed stays where its photo was only written anew.

        there: {(path, face): mark}.
        """
        for person in self.people.values():
            for place, old in person.faces.items():
                if old.mark == RENEWED and place in there:
                    person.faces[place] = replace(old, mark=there[place])
            changed = {place: p for place, p in person.faces.items() if there.get(place) != p.mark}
            for place in changed:
                del person.faces[place]
            placed = {place: p for place, p in changed.items() if p.box}
            rows = store.faces("path", sorted({path for path, _ in placed})) if placed else []
            for (path, _), gone in placed.items():
                near = [row for row in rows if row.path == path and _overlap(row.box, gone.box) > OVERLAP]
                for row in near[:1]:
                    person.faces[row.path, row.face] = Placed(there[row.path, row.face], row.box)
        self._sweep()

    def _sweep(self) -> None:
        self.people = {number: person for number, person in self.people.items() if person.faces}


def clear(store: Store) -> None:
    """Remove all groups and names for good; a store that is held for `writing`."""
    store.set_people("")
    _remember(store, False)
    store.tidy(really=True)


def damaged(store: Store) -> bool:
    """Has the file of the people, or its copy, gone, or cannot be read?"""
    texts = store.people()
    return (any(texts) or read_record(store).grouped) and not all(map(_parse, texts))


def mend(store: Store) -> None:
    """Write anew what is damaged and has a copy."""
    people = People.read(store) if damaged(store) else None
    if people:
        people.write(store)


def bring_up(store: Store) -> None:
    """As `People.bring_up`, when the faces of this index were ever grouped: nobody is grouped without being asked.

    In an index of another version nobody is placed, and who is gone is dropped.
    """
    people = People.read(store)
    if people:
        if read_record(store).space == space_version():
            people.bring_up(store)
        else:
            people.keep(store.photos())
        people.write(store)


def renew(store: Store, paths: Container[str]) -> None:
    """As `People.renew`."""
    people = People.read(store)
    if people:
        people.renew(paths)
        people.write(store)


def place(store: Store, path: str, face: int) -> dict[FaceRow, int]:
    """A face of the index -> {its FaceRow: its mark}, as `People.move` takes it. Raises InputError."""
    rows = [row for row in store.faces("path", [path]) if row.face == face]
    if not rows:
        raise InputError(f"the index has no face {face} of {path}", code="not_indexed")
    places, marks, _ = _read(store)
    return {rows[0]: marks[places.index((path, face))]}


def near_from(faces: int) -> float:
    """The cosine from which two faces of a collection of so many are near: a search would say `NEAR`."""
    whole = calibrations()[WHOLE]
    return float((np.log(NEAR / (1 - NEAR)) + np.log(max(faces, FEWEST)) - whole.bias) / whole.whole)


def whisper(vectors: Matrix, known: Indices, limit: float) -> Indices:
    """Faces (N, 128), unit, and the person that each has, int (N,) above 0, 0 for none -> the person of each, (N,).

    New ones are numbered below 0. limit: the least cosine of near faces. Faces that have a person keep it.
    """
    labels = np.where(known > 0, known, -1 - np.arange(len(known)))
    free = np.nonzero(known == 0)[0]
    near = list(_near(vectors, free, limit))
    for _ in range(ROUNDS):
        before = labels.copy()
        for i, (others, weights) in zip(free, near, strict=True):
            if len(others):
                heard, which = np.unique(labels[others], return_inverse=True)
                labels[i] = heard[np.argmax(np.bincount(which, weights))]
        if (labels == before).all():
            break
    return labels


def _remember(store: Store, grouped: bool) -> None:
    """That there are people, so that their loss is known."""
    record = read_record(store)
    if record.grouped != grouped:
        record.grouped = grouped
        write_record(store, record)


def _parse(text: str) -> People | None:
    """None for what is no people."""
    try:
        told = unseal(text)
        people = [
            Person(one["number"], one["name"], {(p, f): Placed(m, tuple(b)) for p, f, m, b in one["faces"]})
            for one in told["people"]
        ]
        return People(people, told["following"])
    except (ValueError, KeyError, TypeError):
        return None


def _near(vectors: Matrix, rows: Indices, limit: float) -> Iterator[tuple[Indices, Vector]]:
    """For each of the rows: the others above the limit, the nearest `NEAREST` of them, and how far above they are."""
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        cosines = vectors[part] @ vectors.T
        cosines[np.arange(len(part)), part] = -1
        for row in cosines:
            others = np.nonzero(row > limit)[0]
            if len(others) > NEAREST:
                others = others[np.argpartition(-row[others], NEAREST)[:NEAREST]]
            yield others, row[others] - limit


def _read(store: Store) -> tuple[list[Face], list[int], Matrix]:
    """All faces of an index, in the order of their places -> [(path, face)], [mark], (N, 128)."""
    places: list[Face] = []
    parts = [np.zeros((0, LENGTH), np.float32)]
    for paths, faces, some in store.vectors():
        places += zip(paths, faces, strict=True)
        parts.append(some)
    order = sorted(range(len(places)), key=places.__getitem__)
    vectors = np.concatenate(parts)[order]
    return [places[i] for i in order], [zlib.crc32(v.astype(np.float16).tobytes()) for v in vectors], vectors


def _clear(store: Store, paths: Iterable[str]) -> set[Face]:
    """The faces of these photos that are clear enough to be grouped -> set of (path, face)."""
    size, score = CLEAR
    rows = store.faces("path", sorted(set(paths)))
    return {(row.path, row.face) for row in rows if row.size >= size and row.score >= score}


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Two boxes (x0, y0, x1, y1): their intersection to their union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0, width) * max(0, height)
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)
