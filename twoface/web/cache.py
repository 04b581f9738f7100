"""Decoded photos, their fills and what was found for them, kept in a worker's memory for a while, never on disk.

The browser is the keeper of the user's work; this only spares decoding a photo anew for every look at it. What is gone
from here is uploaded again by the page.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twoface.core.errors import InputError
from twoface.core.images import Photo

Pixels = NDArray[np.uint8]

LIMIT = 600_000_000  # bytes of pixels: sixteen photos of 12 megapixels
SECONDS = 15 * 60  # after its last use a photo is forgotten
FILLS, SEARCHES = 16, 4  # of one photo; the oldest goes first
GONE = {
    "photo_gone": ("photo", "send it again"),
    "fill_gone": ("filled photo", "fill it again"),
    "search_gone": ("search", "search again"),
}


@dataclass(frozen=True)
class Filled:
    """What a fill leaves behind.

    box: (x0, y0, x1, y1), the part of the photo that changed; pixels: uint8 of that part; alpha: likewise, or None.
    crops: {"masked", "filled", "reference"}: uint8 (128, 128, 3) each, without "reference" where there was none.
    """

    box: tuple[int, int, int, int]
    pixels: Pixels
    crops: dict[str, Pixels]
    alpha: Pixels | None = None

    @property
    def nbytes(self) -> int:
        alpha = 0 if self.alpha is None else self.alpha.nbytes
        return self.pixels.nbytes + alpha + sum(crop.nbytes for crop in self.crops.values())


@dataclass
class _Kept:
    photo: Photo
    used: float
    fills: OrderedDict[str, Filled] = field(default_factory=OrderedDict)
    searches: OrderedDict[str, Any] = field(default_factory=OrderedDict)

    @property
    def nbytes(self) -> int:
        return self.photo.nbytes + sum(fill.nbytes for fill in self.fills.values())


class Cache:
    """Photos by (session, id), each with its fills and searches: the least recently used go first, all go with time.

    limit: bytes of pixels. seconds: since the last use. clock: () -> seconds. A photo of one session is not found
    from another. Safe to sweep from another thread.
    """

    def __init__(
        self, limit: int = LIMIT, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._seconds, self._clock = limit, seconds, clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()  # the least recently used first
        self._lock = threading.Lock()

    def add(self, session: str, photo: Photo) -> str:
        """Keep a photo -> its id, which nobody can guess."""
        id = secrets.token_hex(16)
        with self._lock:
            self._kept[session, id] = _Kept(photo, self._clock())
            self._evict()
        return id

    def photo(self, session: str, id: str) -> Photo:
        """-> Photo; InputError, code photo_gone, when it is not here."""
        with self._lock:
            return self._use(session, id, "photo_gone").photo

    def add_fill(self, session: str, photo: str, filled: Filled) -> str:
        """Keep a fill of a photo -> its id."""
        return self._add(session, photo, "fills", filled, FILLS)

    def fill(self, session: str, id: str) -> tuple[Photo, Filled]:
        """-> Photo, Filled; InputError, code fill_gone, when it is not here."""
        kept, filled = self._made(session, id, "fills", "fill_gone")
        return kept.photo, filled

    def add_search(self, session: str, photo: str, candidates: list[Any]) -> str:
        """Keep what was found for a photo, a list of `twoface.search.collection.Candidate` -> its id."""
        return self._add(session, photo, "searches", candidates, SEARCHES)

    def search(self, session: str, id: str) -> list[Any]:
        """-> list of Candidate; InputError, code search_gone, when it is not here."""
        candidates: list[Any] = self._made(session, id, "searches", "search_gone")[1]
        return candidates

    def forget(self, session: str, id: str) -> None:
        """A photo with its fills and searches; nothing happens when it is not here."""
        with self._lock:
            self._kept.pop((session, id), None)

    def forget_session(self, session: str) -> None:
        """All photos of a session."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == session]:
                del self._kept[key]

    def sweep(self) -> None:
        """Forget what has not been used for too long."""
        with self._lock:
            oldest = self._clock() - self._seconds
            for key in [key for key, kept in self._kept.items() if kept.used < oldest]:
                del self._kept[key]

    def _add(self, session: str, photo: str, kind: str, what: Any, most: int) -> str:
        id = f"{photo}-{secrets.token_hex(8)}"
        with self._lock:
            made = getattr(self._use(session, photo, "photo_gone"), kind)
            made[id] = what
            if len(made) > most:
                made.popitem(last=False)
            self._evict()
        return id

    def _made(self, session: str, id: str, kind: str, code: str) -> tuple[_Kept, Any]:
        with self._lock:
            kept = self._use(session, id.partition("-")[0], code)
            if id not in getattr(kept, kind):
                raise _gone(code)
            return kept, getattr(kept, kind)[id]

    def _use(self, session: str, id: str, code: str) -> _Kept:
        kept = self._kept.get((session, id))
        if kept is None:
            raise _gone(code)
        kept.used = self._clock()
        self._kept.move_to_end((session, id))
        return kept

    def _evict(self) -> None:
        """The photo used last stays, however large."""
        total = sum(kept.nbytes for kept in self._kept.values())
        while total > self._limit and len(self._kept) > 1:
            total -= self._kept.popitem(last=False)[1].nbytes


def _gone(code: str) -> InputError:
    what, todo = GONE[code]
    return InputError(f"the {what} is no longer in the server's memory: {todo}", code=code)
