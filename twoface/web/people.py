"""The people of an index as the page sees and changes them. Each function takes a store of `twoface.search.store`.

A browser knows a face by its person's number and a key; where the photo lies it does not learn.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twoface.core.errors import InputError
from twoface.search.people import People
from twoface.search.people import clear as clear_people

if TYPE_CHECKING:
    from twoface.search.people import Person
    from twoface.search.rows import FaceRow
    from twoface.search.store import Store

SALT = secrets.token_bytes(16)
LOOKED_AT = 20  # faces of a person among which the largest stands for all


def key(*face: object) -> str:
    """Of a face by its path and whatever tells it from others there: the same in this process, and tells nothing."""
    return hashlib.blake2b(repr(face).encode(), digest_size=8, key=SALT).hexdigest()


def overview(store: Store) -> dict[str, Any]:
    """-> {"grouped", "people": [{"number", "name", "faces": how many}] the most faces first, "alone": how many}."""
    people = People.read(store)
    shown = sorted(people.people.values(), key=lambda one: (-len(one.faces), one.number)) if people else []
    return {
        "grouped": people is not None,
        "people": [{"number": one.number, "name": one.name, "faces": len(one.faces)} for one in shown],
        "alone": len(store) - sum(len(one.faces) for one in shown),
    }


def group(store: Store) -> dict[str, Any]:
    """Group the faces that have nobody yet -> as `overview`."""
    with store.writing():
        people = People.read(store) or People()
        people.bring_up(store)
        people.write(store)
    return overview(store)


def clear(store: Store) -> dict[str, Any]:
    """Remove all groups and names for good -> as `overview`."""
    with store.writing():
        clear_people(store)
    return overview(store)


def person(store: Store, number: int) -> dict[str, Any]:
    """-> {"number", "name", "faces": [{"key", "name": the file's}]}. Raises InputError, code "no_person"."""
    return _words(_read(store).find(str(number)))


def name(store: Store, number: int, name: str) -> dict[str, Any]:
    """Name a person, or with "" take the name away -> as `person`. Raises InputError as `People.name`."""
    return _change(store, lambda people: people.name(str(number), name), number)


def merge(store: Store, number: int, others: Iterable[int]) -> dict[str, Any]:
    """The faces of the others (numbers) go to a person -> as `person`."""
    return _change(store, lambda people: people.merge(str(number), *map(str, others)), number)


def move(store: Store, number: int, keys: Sequence[str], to: int | None = None) -> dict[str, Any]:
    """Faces of a person go to another one, by default to a new one -> as `person` of that one.

    Raises InputError, code "face_gone", for a face that the person does not have.
    """

    def change(people: People) -> Person:
        places = _places(people.find(str(number)))
        if not keys or not places.keys() >= set(keys):
            raise InputError("this person has not got these faces, or no longer", code="face_gone")
        marks = {places[k]: people.find(str(number)).faces[places[k]].mark for k in keys}
        rows = {(row.path, row.face): row for row in store.faces("path", sorted({path for path, _ in marks}))}
        return people.move({rows[place]: mark for place, mark in marks.items()}, None if to is None else str(to))

    return _change(store, change)


def face(store: Store, number: int, key: str | None = None) -> FaceRow:
    """The row of a person's face, by default of the largest of some. Raises as `move`."""
    found = _read(store).find(str(number))
    places = _places(found)
    if key is not None and key not in places:
        raise InputError("this person has not got this face, or no longer", code="face_gone")
    wanted = sorted(found.faces)[:LOOKED_AT] if key is None else [places[key]]
    rows = [row for row in store.faces("path", sorted({path for path, _ in wanted})) if (row.path, row.face) in wanted]
    return max(rows, key=lambda row: row.size)


def _read(store: Store) -> People:
    return People.read(store) or People()


def _change(store: Store, change: Callable[[People], Person | None], number: int | None = None) -> dict[str, Any]:
    """number: of the person to be told of, by default of the one that `change` gives."""
    with store.writing():
        people = _read(store)
        changed = change(people)
        people.write(store)
    if number is not None:
        changed = people.find(str(number))
    assert changed is not None  # `change` gives a person, or `number` says whom
    return _words(changed)


def _words(person: Person) -> dict[str, Any]:
    places = sorted(_places(person).items(), key=lambda item: item[1])
    faces = [{"key": key, "name": Path(path).name} for key, (path, _) in places]
    return {"number": person.number, "name": person.name, "faces": faces}


def _places(person: Person) -> dict[str, tuple[str, int]]:
    """-> {key: (path, face)}."""
    return {key(*place): place for place in person.faces}
