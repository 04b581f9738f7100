"""The record of an index: what it keeps besides faces, sealed by a checksum, so that no loss goes unnoticed."""

import json
from dataclasses import asdict, dataclass, field, fields

from twoface.core.errors import TwoFaceError
from twoface.search.store import Store
from twoface.search.sums import seal, unseal


@dataclass
class Record:
    """What an index keeps besides faces.

    folders: those that `update` looks through. people: each photo's folder is named after the person in it. space:
    `space_version` of the embeddings. forgotten: SHA-256 of paths and "identity/NAME" that are
    left out for ever; a name cannot be read back from it. copies: "BYTES:SHA-256" of the forgotten photos' files.
    unfinished: what is forgotten may still be on the disk. grouped: there are people, as of `twoface.search.people`.
    """

    folders: list[str] = field(default_factory=list)
    people: bool = False
    space: str = ""
    forgotten: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    unfinished: bool = False
    grouped: bool = False


def read_record(store: Store) -> Record:
    """The record of an index. Raises TwoFaceError when it is damaged or gone."""
    record = _parse(store.record()[0], old=not any(store.record()[1:]))
    if record is None and (any(store.record()) or not store.untouched()):
        raise TwoFaceError(
            f"the index at {store.place} is damaged: what it remembers (its folders, who was forgotten) cannot be read;"
            " 'twoface index build' takes it from its copy, and changes nothing where there is none"
        )
    return record or Record()


def restore_record(store: Store) -> tuple[Record, bool]:
    """As `read_record`, and where it is damaged from its copy -> record, whether that was so.

    Raises TwoFaceError when that is damaged, too.
    """
    first, *copies = map(_parse, store.record())
    if first or not any(copies):
        try:
            return read_record(store), False
        except TwoFaceError as error:
            raise TwoFaceError(
                f"the index at {store.place} is damaged: what it remembers (its folders, who was forgotten) is lost,"
                " and it has no copy: remove it, build it again, and forget again whom you had forgotten"
            ) from error
    return next(filter(None, copies)), True


def write_record(store: Store, record: Record) -> None:
    store.set_record(seal(asdict(record)))


def copies_differ(store: Store) -> bool:
    """Is a copy of the record another than it is?"""
    first, *copies = store.record()
    return any(copy != first for copy in copies)


def copy_damaged(store: Store) -> bool:
    """Has a copy of the record gone, or is it unreadable?"""
    return any(_parse(copy) is None for copy in store.record()[1:])


def _parse(text: str, old: bool = False) -> Record | None:
    """None for what is no record. old: without a checksum, as it was written before there was one."""
    try:
        facts = json.loads(text) if old and '"sha256"' not in text else unseal(text)
        if not set(facts) <= {f.name for f in fields(Record)}:
            return None
        record = Record(**facts)
    except (ValueError, TypeError):
        return None
    if not all(isinstance(getattr(record, f.name), type(getattr(Record(), f.name))) for f in fields(Record)):
        return None
    if "unfinished" not in facts:
        record.unfinished = bool(record.forgotten)  # no index of old could tell
    return record
