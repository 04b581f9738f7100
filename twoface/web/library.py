"""The indexes that the page may search. Of their photos a browser learns names and faces, never where they lie."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from twoface.core.arrays import Mask
from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.frame import Frame
from twoface.core.images import Photo, read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.network import FillModel
from twoface.web import people

if TYPE_CHECKING:  # only with an index
    from twoface.search.collection import Answer, Candidate, Collection
    from twoface.search.rows import FaceRow

Place: TypeAlias = str | Path  # of an index: a folder, or the URL of a database
Opener: TypeAlias = "Callable[[Place], Collection]"
CANDIDATES = 12  # of one search

log = logging.getLogger(__name__)


class Library:
    """Indexes, each opened when it is first asked for.

    places: as of `twoface.search.store.open_store`. open_index: (place) -> Collection, as of `opener`.
    """

    def __init__(self, places: Sequence[Place], open_index: Opener) -> None:
        self._places, self._open_index = places, open_index
        self._names = names(places)
        self._opened: dict[Place, Collection] = {}

    def open_all(self) -> None:
        """Raises TwoFaceError, in words for who runs the server, for an index that cannot be opened."""
        for place in self._places:
            self._collection(place)

    def search(self, index: int, photo: Photo, frame: Frame, mask: Mask) -> Answer:
        """The best references for a hole -> `twoface.search.collection.Answer`.

        index: a number of `places`. photo: a Photo; frame: its face's; mask: bool (H, W), the hole.
        Raises InputError and Unavailable as a fill does, and TwoFaceError as `ask`.
        """
        return self.ask(index, lambda found: found.references(photo, frame, mask=mask, k=CANDIDATES))

    def people(self, index: int, what: str, **arguments: Any) -> Any:
        """What a function of `twoface.web.people`, by name, gives for the store of an index.

        Raises as `ask`, and Unavailable, code index_busy, while another process writes.
        """
        try:
            return self.ask(index, lambda found: getattr(people, what)(found.store, **arguments))
        except Unavailable as error:
            if error.code != "busy":
                raise
            text = f"another process writes to the index {self._names[index]}: ask again when it is done"
            raise Unavailable(text, code="index_busy", retry_after=2) from error

    def ask(self, index: int, question: Callable[[Collection], Any]) -> Any:
        """What `question` gives for the Collection of an index, a number of `places`.

        Raises what has a code as it is; TwoFaceError, code search_failed, for all that is no fault of who asks: why
        stands in the log, since it may name folders.
        """
        try:
            collection = self._collection(self._places[index])
        except TwoFaceError as error:
            raise self._failed(index, error) from error
        try:
            return question(collection)
        except TwoFaceError as error:
            if error.code:
                raise
            del self._opened[self._places[index]]  # the next search opens it anew: it may be back
            raise self._failed(index, error) from error

    def _collection(self, place: Place) -> Collection:
        if place not in self._opened:
            self._opened[place] = self._open_index(place)
        return self._opened[place]

    def _failed(self, index: int, error: TwoFaceError) -> TwoFaceError:
        log.warning("%s", error)
        text = f"the index {self._names[index]} cannot be used: the server's log says why"
        return TwoFaceError(text, code="search_failed")


def opener(inpainter: Inpainter) -> Opener:
    """-> (place) -> Collection, which shares what an Inpainter has loaded.

    What it fills to compare faces, it fills here, also where the Inpainter's network is far away: those are faces of
    the index, and nobody has asked for them to be sent.
    """
    shared: dict[str, Any] = {}

    def open_index(place: Place) -> Collection:
        from twoface.core.identity import Embedder
        from twoface.search.collection import Collection  # only with an index

        if not shared:
            ours = isinstance(inpainter.network, FillModel)
            shared["model"] = inpainter.network if ours else FillModel()
            shared["embedder"] = Embedder()
        return Collection.open(place, detector=inpainter.detector, **shared)

    return open_index


def names(places: Sequence[Place]) -> list[str]:
    """What the page calls indexes: a folder's own name, or a server's and its database's -> list, all different."""
    found = [_name(place) for place in places]
    count = [found[: i + 1].count(name) for i, name in enumerate(found)]
    return [f"{name} ({nth})" if found.count(name) > 1 else name for name, nth in zip(found, count, strict=True)]


def read_found(found: Candidate | FaceRow, max_pixels: int) -> Photo:
    """The photo of a candidate or a row of an index, read now -> Photo, its name the file's own.

    Raises InputError without the path: code photo_missing when it has gone or may not be read, else as `read_photo`.
    """
    name = Path(found.path).name
    try:
        return dataclasses.replace(read_photo(found.path, max_pixels), name=name)
    except InputError as error:
        text = str(error).replace(found.path, name)
        raise InputError(text, code=error.code or "photo_missing", **error.facts) from None


def candidate_words(candidate: Candidate) -> dict[str, Any]:
    """What the page gets of a candidate.

    key: the same for the same face in every search of this process, and nothing else can be read from it.
    """
    told = dataclasses.asdict(candidate)
    path = told.pop("path")
    return told | {"name": Path(path).name, "key": people.key(path, candidate.frame)}


def _name(place: Place) -> str:
    if "://" not in str(place):
        return Path(place).resolve().name or "/"
    parts = urlsplit(str(place))
    return f"{parts.hostname or ''}{parts.path}".strip("/") or "PostgreSQL"
