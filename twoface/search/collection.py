"""The question that an index is for: which photos of the collection are the best references for this hole?"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from twoface.core.arrays import Mask, Matrix, Picture, Pictures, Vector
from twoface.core.copies import same_picture
from twoface.core.detect import FaceDetector
from twoface.core.errors import TwoFaceError
from twoface.core.faces import TEMPLATE, choose
from twoface.core.frame import SIZE, Frame, FrameLike
from twoface.core.identity import Embedder, directions, face_view, origin, visible
from twoface.core.images import Photo, read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.mesh import Mesh, invented
from twoface.core.network import FillModel, Network
from twoface.core.prepared import Prepared
from twoface.search.describe import described
from twoface.search.face_space import KINDS, WHOLE, FaceSpace, flat_view, kind_for, kind_hole, share_of
from twoface.search.index import check_space, settle
from twoface.search.people import PURE, People, Person
from twoface.search.rank import (
    VERDICTS,
    Calibration,
    Wanted,
    calibration_for,
    donor_quality,
    hides,
    probability,
    verdict,
)
from twoface.search.rows import FaceRow
from twoface.search.store import Store, open_store

NEAREST = 50  # faces of the index, of each kind that is searched, that are compared by all that it keeps of them
LOOKED_AT = 10  # of these the best, whose photos are read and compared again; more when more are asked for
MORE = 10  # photos of the person found that are not among these, and are read as well


@dataclass(frozen=True)
class Candidate:
    """A face that may serve as the reference.

    path, frame: as `Inpainter.fill` takes a reference and its face. identity: by the folder's name, or "".
    similarity: cosine of the two faces with the same hole in both (`twoface.core.identity.visible`); first_similarity:
    of the query to what the index keeps of the whole face. probability: that it is the same person, for a collection
    of this size; verdict: a key of `twoface.search.rank.VERDICTS`. quality: what it can give to the hole, 0..1, the
    product of `parts`. face: its number in the photo. person: of `twoface.search.people`, by name or number, or "";
    all photos of a person share the probability of the one that is most like the query.
    """

    path: str
    frame: Frame
    identity: str
    similarity: float
    first_similarity: float
    probability: float
    verdict: str
    quality: float
    parts: dict[str, float]
    face: int = 0
    person: str = ""


@dataclass(frozen=True)
class Answer:
    """What a search found.

    candidates: the best first. verdict: of the best, "nobody" also when there is none. faces: in the index.
    left_out: how many of the best were the photo itself or a copy of it ("copies"), and how many could not be read.
    face: the frame that was searched. seconds: by stage. person: of the best candidate, when it is not "nobody".
    """

    candidates: list[Candidate]
    verdict: str
    faces: int
    left_out: dict[str, int]
    face: Frame
    seconds: dict[str, float]
    person: str = ""

    def report(self) -> dict[str, Any]:
        """Ready for JSON -> dict."""
        candidates = [asdict(each) | {"frame": each.frame.numbers} for each in self.candidates]
        told = {"candidates": candidates, "face": self.face.numbers, "verdict_text": VERDICTS[self.verdict]}
        return asdict(self) | told


class Collection:
    """An index and the networks that search it; may be used from several threads. Make one with `open`."""

    def __init__(self, store: Store, inpainter: Inpainter, embedder: Embedder, space: FaceSpace) -> None:
        self.store, self.inpainter = store, inpainter
        self._embedder, self._space = embedder, space
        self._people: tuple[list[str], dict[tuple[str, int], Person]] | None = None

    @classmethod
    def open(
        cls,
        place: str | Path,
        model: Any = None,
        threads: int | None = None,
        detector: FaceDetector | None = None,
        embedder: Embedder | None = None,
    ) -> "Collection":
        """place: as of `twoface.search.store.open_store`; model: as of `Inpainter.load`. detector, embedder: a
        FaceDetector and an Embedder that are loaded already.

        Raises as `open_store`, and InputError for an index of another version.
        """
        store, network = open_store(place), model if isinstance(model, Network) else FillModel(model, threads)
        check_space(settle(store))
        embedder = embedder or Embedder(threads)
        inpainter = Inpainter(network, detector or FaceDetector(threads), embedder)
        return cls(store, inpainter, embedder, FaceSpace.load())

    def references(
        self,
        photo: str | Path | bytes | Photo,
        frame: FrameLike | None = None,
        mask: Mask | None = None,
        k: int = 10,
        *,
        hole: str | Sequence[float] | None = None,
        center_size: int = 64,
    ) -> Answer:
        """The best references for the hole of a photo -> Answer with up to `k` candidates.

        photo: a path, bytes or a Photo. frame: its face, default the one found; mask, hole, center_size: what is
        missing; all as of `Inpainter.fill`. Without a hole it is asked who this is by the whole face.
        Raises InputError as that does, TwoFaceError when the index cannot be used.
        """
        start = time.perf_counter()
        photo = photo if isinstance(photo, Photo) else read_photo(photo)
        if mask is None and hole is None:
            query = self._whole(photo, None if frame is None else Frame.of(frame))
        else:
            query = self._holed(
                self.inpainter.prepare(photo, mask=mask, hole=hole, face=frame, center_size=center_size)
            )
        looked = time.perf_counter()
        faces = len(self.store)
        nearest = self._nearest(query)
        found = time.perf_counter()
        looks = _Looks(faces)
        self._look_again(query, nearest, max(LOOKED_AT, k), looks)
        candidates = self._share(query, looks)
        candidates.sort(key=_order)
        end = time.perf_counter()
        return Answer(
            candidates=candidates[:k],
            verdict=candidates[0].verdict if candidates else "nobody",
            faces=faces,
            left_out=looks.left_out,
            face=query.frame,
            person=candidates[0].person if candidates and candidates[0].verdict != "nobody" else "",
            seconds={"photo": looked - start, "index": found - looked, "again": end - found, "total": end - start},
        )

    def reach(self) -> None:
        """Raises Unavailable, code "backend_away", while the index is."""
        self.store.reach()

    def view(self, candidate: Candidate) -> Picture:
        """What the recogniser sees of a candidate -> uint8 (150, 150, 3)."""
        return face_view(read_photo(candidate.path).pixels, candidate.frame)

    def embed(self, views: Pictures) -> Matrix:
        """As `twoface.core.identity.Embedder.embed`."""
        return self._embedder.embed(views)

    def _whole(self, photo: Photo, frame: Frame | None) -> "_Query":
        """The query of a face without a hole."""
        if frame is None:
            frame = choose(self.inpainter.faces(photo)).frame
        frame.check(photo.size, photo.name)
        embeddings = self._embedder.embed(face_view(photo.pixels, frame)[None])
        nothing = np.zeros((SIZE, SIZE), bool)
        mesh = self.inpainter.mesher.find(photo.pixels, frame)
        vectors = {WHOLE: self._space.query(embeddings, nothing)[0]}
        wanted = _wanted(mesh, frame, nothing)
        return _Query(photo, frame, nothing, vectors, 0.0, embeddings[0], calibration_for(nothing), wanted)

    def _holed(self, prepared: Prepared) -> "_Query":
        """The query of a face with a hole."""
        hole, aligned, frame = prepared.unknown, prepared.crop, prepared.frame
        seen = visible(self._embedder, aligned, prepared.invented, hole)
        vectors = {WHOLE: self._space.query(seen[None], hole)[0]}
        kind, share = kind_for(hole, prepared.mesh), 0.0
        if kind != WHOLE:
            part = kind_hole(kind, prepared.mesh)
            share, view = share_of(hole, part), flat_view(aligned, hole | part)
            vectors[kind] = directions(self._embedder.embed(view[None]), self._space.kept[kind])[0]
        wanted = _wanted(Mesh(prepared.mesh, 1.0), frame, hole)
        return _Query(prepared.photo, frame, hole, vectors, share, seen, calibration_for(hole), wanted)

    def _nearest(self, query: "_Query") -> list["_Near"]:
        """The faces nearest to a query by any of its kinds, compared by all that the index keeps of them, the best
        first."""
        found = [each.row for kind, v in query.vectors.items() for each in self.store.nearest(v, NEAREST, kind)]
        places = {(row.path, row.face) for row in found}
        rows = self.store.faces("path", sorted({path for path, _ in places}), vectors=True)
        return query.compared([row for row in rows if (row.path, row.face) in places])

    def _look_again(self, query: "_Query", nearest: list["_Near"], count: int, looks: "_Looks") -> None:
        """Read the photos of the nearest faces until `count` can be used, and compare them with the same hole."""
        own = query.frame.crop(query.photo.pixels)
        kept: list[tuple[_Near, _Picture]] = []
        waiting = list(nearest)
        with ThreadPoolExecutor(2) as pool:
            while waiting and len(kept) < count:
                some = waiting[: count - len(kept)]
                del waiting[: len(some)]
                looks.seen |= {(near.row.path, near.row.face) for near in some}
                for near, picture in zip(some, pool.map(_picture, [near.row for near in some]), strict=True):
                    if picture is None:
                        looks.left_out["unreadable"] += 1
                    elif same_picture(own, picture.aligned, ~query.hole):
                        looks.left_out["copies"] += 1
                    else:
                        kept.append((near, picture))
        looks.candidates += [self._candidate(query, near, picture, looks.faces) for near, picture in kept]

    def _candidate(self, query: "_Query", near: "_Near", picture: "_Picture", faces: int) -> Candidate:
        again = self._similarity(query, near, picture)
        chance = probability(query.known.log_odds(near.whole, again, faces))
        told, hidden = verdict(chance), np.zeros_like(query.hole)
        if told != "nobody":  # who is not the person is no donor anyway
            hidden = self.inpainter.covered(picture.aligned)
        parts = donor_quality(query.wanted, near.row, picture.aligned, picture.size, hidden)
        return Candidate(
            path=near.row.path,
            frame=near.row.frame,
            identity=near.row.identity,
            similarity=again,
            first_similarity=near.whole,
            probability=chance,
            verdict=told,
            quality=float(np.prod(list(parts.values()))),
            parts=parts,
            face=near.row.face,
        )

    def _similarity(self, query: "_Query", near: "_Near", picture: "_Picture") -> float:
        """Of the two faces, with the same hole in both."""
        if not query.hole.any():
            return near.whole
        filled = invented(picture.aligned, query.hole, self.inpainter.network)
        seen = visible(self._embedder, picture.aligned, filled, query.hole)
        one, other = directions(np.stack([query.seen, seen]), origin())
        return float(one @ other)

    def _owners(self) -> dict[tuple[str, int], Person]:
        """-> {(path, face): Person}, read anew when it changed."""
        texts = self.store.people()
        if self._people is None or texts != self._people[0]:
            people = People.read(self.store)
            self._people = (texts, people.owners() if people else {})
        return self._people[1]

    def _share(self, query: "_Query", looks: "_Looks") -> list[Candidate]:
        """Say who the candidates are; a hit on one photo of a person counts for all -> candidates.

        Photos of the likeliest person that were not among the nearest are looked at as well, the largest first.
        """
        owners = self._owners()
        known = [(owners[c.path, c.face], c) for c in looks.candidates if (c.path, c.face) in owners]
        best = max(known, key=lambda pair: pair[1].probability, default=None)
        if best and best[1].verdict != "nobody":
            self._look_again(query, self._more(query, best[0], looks.seen), MORE, looks)
        chances: dict[int, float] = {}
        for person, candidate in known:
            chances[person.number] = max(candidate.probability, chances.get(person.number, 0.0))
        return [_shared(c, owners.get((c.path, c.face)), chances) for c in looks.candidates]

    def _more(self, query: "_Query", person: Person, seen: set[tuple[str, int]]) -> list["_Near"]:
        places = person.faces.keys() - seen
        rows = self.store.faces("path", sorted({path for path, _ in places}), vectors=True)
        rows = sorted((row for row in rows if (row.path, row.face) in places), key=lambda row: -row.size)
        return query.compared(rows[:MORE])


@dataclass(frozen=True)
class _Query:
    """vectors: by kind, what is compared with the index; share: of the other kind's cosine beside that of whole faces.
    seen: (128,), what is compared with other photos."""

    photo: Photo
    frame: Frame
    hole: Mask
    vectors: dict[str, Vector]
    share: float
    seen: Vector
    known: Calibration
    wanted: Wanted

    def compared(self, rows: list[FaceRow]) -> list["_Near"]:
        """The best first. rows: with their vectors."""
        near = []
        for row in rows:
            cosines = {kind: float(row.kept[KINDS.index(kind)] @ v) for kind, v in self.vectors.items()}
            whole = cosines.pop(WHOLE)
            near.append(_Near(row, whole, whole + self.share * sum(cosines.values())))
        return sorted(near, key=lambda one: -one.alike)


@dataclass(frozen=True)
class _Near:
    """A face of the index. whole: its cosine to the query, as of `Calibration`; alike: by all that the index keeps."""

    row: FaceRow
    whole: float
    alike: float


@dataclass
class _Looks:
    """What was looked at again: which faces, and what came of it. faces: in the index."""

    faces: int
    seen: set[tuple[str, int]] = field(default_factory=set)
    candidates: list[Candidate] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=lambda: {"copies": 0, "unreadable": 0})


@dataclass(frozen=True)
class _Picture:
    aligned: Picture
    size: tuple[int, int]


def _wanted(mesh: Mesh, frame: Frame, hole: Mask) -> Wanted:
    """mesh: the face's, estimated where the hole hides it; whether eyes and mouth are open under it is not known."""
    facts = described(mesh)
    return Wanted(
        hole=hole,
        pose=(facts["yaw"], facts["pitch"]),
        size=frame.side,
        eyes_open=None if hides(hole, TEMPLATE[:2]) else facts["eyes_open"],
        mouth_open=None if hides(hole, TEMPLATE[3:]) else facts["mouth_open"],
    )


def _picture(row: FaceRow) -> _Picture | None:
    """None for a photo that is gone or cannot be read."""
    try:
        photo = read_photo(row.path)
    except (TwoFaceError, OSError):
        return None
    return _Picture(row.frame.crop(photo.pixels), photo.size)


def _shared(candidate: Candidate, person: Person | None, chances: dict[int, float]) -> Candidate:
    """chances: the best probability of each person, by number."""
    if person is None:
        return candidate
    chance = max(candidate.probability, PURE * chances.get(person.number, 0.0))
    return replace(candidate, person=person.label, probability=chance, verdict=verdict(chance))


def _order(candidate: Candidate) -> tuple[int, float]:
    """Who it is first; among those who are very likely the person the best donor, among others the most alike."""
    tier = list(VERDICTS).index(candidate.verdict)
    return tier, -candidate.quality if tier == 0 else -candidate.probability
