"""Where the rows of an index are: a directory, or a server."""

from pathlib import Path
from typing import TypeAlias

from twoface.search.lance import LanceStore
from twoface.search.postgres import PostgresStore

Store: TypeAlias = LanceStore | PostgresStore


def open_store(place: str | Path, create: bool = False, anew: bool = False) -> Store:
    """The store at a directory, or at postgresql://USER@HOST/DATABASE. anew: without what it held, but its record.

    Raises InputError when there is none and not `create`, TwoFaceError when it cannot be used.
    """
    if str(place).startswith(("postgresql://", "postgres://")):
        return PostgresStore(str(place), create, anew)
    return LanceStore(place, create, anew)
