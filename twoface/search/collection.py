"""The question that an index is for: which photos of the collection are the best references for this hole?"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np

from twoface.core.copies import same_picture
from twoface.core.detect import FaceDetector
from twoface.core.errors import TwoFaceError
from twoface.core.faces import SIZE, TEMPLATE, choose, crop, frame_of, frame_transform, scale_of
from twoface.core.images import Photo, read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.mesh import Mesh
from twoface.core.network import FillModel
from twoface.search.describe import described
from twoface.search.face_space import FaceSpace, holed_views
from twoface.search.facenet import BatchEmbedder, face_view
from twoface.search.index import check_space, settle
from twoface.search.people import PURE, People
from twoface.search.rank import (
    VERDICTS,
    Wanted,
    calibration_for,
    donor_quality,
    hides,
    probability,
    verdict,
)
from twoface.search.store import Found, open_store

BATCH = 32  # views that are embedded together
LOOKED_AT = 50  # of the nearest faces of the index, those whose photos are read and compared again
MORE = 20  # photos of the person found that are not among the nearest, and are read as well


@dataclass(frozen=True)
class Candidate:
    """A face that may serve as the reference.

    path, frame: as `Inpainter.fill` takes a reference and its face. identity: by the folder's name, or "".
    similarity: cosine of the two faces with the same hole in both (`FaceSpace.holed`); first_similarity: of the
    query to what the index keeps. probability: that it is the same person, for a collection of this size; verdict: a
    key of `twoface.search.rank.VERDICTS`. quality: what it can give to the hole, 0..1, the product of `parts`.
    face: its number in the photo. person: of `twoface.search.people`, by name or number, or ""; all photos of a person
    share the probability of the one that is most like the query.
    """

    path: str
    frame: tuple
    identity: str
    similarity: float
    first_similarity: float
    probability: float
    verdict: str
    quality: float
    parts: dict
    face: int = 0
    person: str = ""


@dataclass(frozen=True)
class Answer:
    """What a search found.

    candidates: the best first. verdict: of the best, "nobody" also when there is none. faces: in the index.
    left_out: how many of the nearest were the photo itself or a copy of it ("copies"), and how many could not be read.
    face: the frame that was searched. seconds: by stage. person: of the best candidate, when it is not "nobody".
    """

    candidates: list
    verdict: str
    faces: int
    left_out: dict
    face: tuple
    seconds: dict
    person: str = ""

    def report(self):
        """Ready for JSON -> dict."""
        return asdict(self) | {"verdict_text": VERDICTS[self.verdict]}


class Collection:
    """An index and the networks that search it; may be used from several threads. Make one with `open`."""

    def __init__(self, store, network, inpainter, embedder, space):
        self.store, self._network, self.inpainter = store, network, inpainter
        self._embedder, self._space = embedder, space
        self._people = (None, {})

    @classmethod
    def open(cls, place, model=None, threads=None, detector=None, embedder=None):
        """place: as of `twoface.search.store.open_store`; model: as of `Inpainter.load`. detector, embedder: a
        FaceDetector and a BatchEmbedder that are loaded already.

        Raises as `open_store`, and InputError for an index of another version.
        """
        store, network = open_store(place), model if hasattr(model, "run") else FillModel(model, threads)
        check_space(settle(store))
        inpainter = Inpainter(network, detector or FaceDetector(threads))
        return cls(store, network, inpainter, embedder or BatchEmbedder(threads), FaceSpace.load())

    def references(self, photo, frame=None, mask=None, k=10, *, hole=None, frame_mask=None, center_size=64):
        """The best references for the hole of a photo -> Answer with up to `k` candidates.

        photo: a path, bytes or a Photo. frame: its face as a square, (x0, y0, x1, y1) or with degrees, default the
        face found. mask, hole, frame_mask, center_size: what is missing, as of `Inpainter.fill`; none of them asks
        who this is by the whole face. Raises InputError as that does, TwoFaceError when the index cannot be used.
        """
        start = time.perf_counter()
        photo = photo if isinstance(photo, Photo) else read_photo(photo)
        given = {"mask": mask, "hole": hole, "frame_mask": frame_mask}
        if all(value is None for value in given.values()):
            query = self._whole(photo, frame)
        else:
            query = self._holed(photo, self.inpainter.fill(photo, face=frame, center_size=center_size, **given))
        looked = time.perf_counter()
        faces = len(self.store)
        nearest = self.store.nearest(query.vector, LOOKED_AT)
        found = time.perf_counter()
        candidates, left_out = self._look_again(query, nearest, faces)
        candidates = self._share(query, candidates, nearest, faces, left_out)
        candidates.sort(key=_order)
        end = time.perf_counter()
        return Answer(
            candidates=candidates[:k],
            verdict=candidates[0].verdict if candidates else "nobody",
            faces=faces,
            left_out=left_out,
            face=frame_of(query.transform),
            person=candidates[0].person if candidates and candidates[0].verdict != "nobody" else "",
            seconds={"photo": looked - start, "index": found - looked, "again": end - found, "total": end - start},
        )

    def reach(self):
        """Raises Unavailable, code "backend_away", while the index is."""
        self.store.reach()

    def view(self, candidate):
        """What FaceNet sees of a candidate -> uint8 (160, 160, 3)."""
        return face_view(read_photo(candidate.path).pixels, frame_transform(candidate.frame))

    def embed(self, views):
        """As `twoface.search.facenet.BatchEmbedder.embed`."""
        return self._embedder.embed(views)

    def _whole(self, photo, frame):
        """The query of a face without a hole."""
        if frame is None:
            frame = choose(self.inpainter.faces(photo)).frame
        transform = frame_transform(frame)
        vector = self._space.index(self._embedder.embed(face_view(photo.pixels, transform)[None]))[0]
        nothing = np.zeros((SIZE, SIZE), bool)
        mesh = self.inpainter.mesher.find(photo.pixels, transform)
        return _Query(photo, transform, nothing, vector, _wanted(mesh, transform, nothing))

    def _holed(self, photo, result):
        """The query of a face with a hole, from a fill without reference."""
        hole = result.mask_crop
        vector = self._holed_vectors([result.masked_crop], hole)[0]
        wanted = _wanted(Mesh(result.mesh, 1.0), result.transform, hole)
        return _Query(photo, result.transform, hole, vector, wanted)

    def _holed_vectors(self, crops, hole):
        """Crops (128, 128, 3), the hole in each of them -> unit (N, 512), of `FaceSpace.holed`."""
        views = holed_views(crops, hole, self._network)
        parts = (np.stack(views[i : i + BATCH]) for i in range(0, len(views), BATCH))
        embeddings = np.concatenate([self._embedder.embed(part) for part in parts])
        return self._space.holed(embeddings[::2], embeddings[1::2], hole)

    def _look_again(self, query, nearest, faces):
        """Read the photos of the nearest faces, and compare them with the same hole -> candidates, left out."""
        left_out = {"copies": 0, "unreadable": 0}
        own = crop(query.photo.pixels, query.transform)
        with ThreadPoolExecutor(2) as pool:
            pictures = list(pool.map(_picture, [found.row for found in nearest]))
        kept = []
        for found, picture in zip(nearest, pictures, strict=True):
            if picture is None:
                left_out["unreadable"] += 1
            elif same_picture(own, picture.aligned, ~query.hole):
                left_out["copies"] += 1
            else:
                kept.append((found, picture))
        if not kept:
            return [], left_out
        seconds = self._second_similarities(query, kept)
        known = calibration_for(query.hole)
        return [
            self._candidate(query, found, picture, second, known.log_odds(found.similarity, second, faces))
            for (found, picture), second in zip(kept, seconds, strict=True)
        ], left_out

    def _candidate(self, query, found, picture, second, log_odds):
        chance = probability(log_odds)
        told, hidden = verdict(chance), np.zeros_like(query.hole)
        if told != "nobody":  # who is not the person is no donor anyway
            hidden = self.inpainter.covered(picture.aligned)
        parts = donor_quality(query.wanted, found.row, picture.aligned, picture.size, hidden)
        return Candidate(
            path=found.row.path,
            frame=tuple(found.row.frame),
            identity=found.row.identity,
            similarity=float(second),
            first_similarity=float(found.similarity),
            probability=chance,
            verdict=told,
            quality=float(np.prod(list(parts.values()))),
            parts=parts,
            face=found.row.face,
        )

    def _owners(self):
        """-> {(path, face): Person}, read anew when it changed."""
        texts = self.store.people()
        if texts != self._people[0]:
            people = People.read(self.store)
            self._people = (texts, people.owners() if people else {})
        return self._people[1]

    def _share(self, query, candidates, nearest, faces, left_out):
        """Say who the candidates are; a hit on one photo of a person counts for all -> candidates.

        Photos of the likeliest person that were not among the nearest are looked at as well, the largest first.
        """
        owners = self._owners()
        known = [(owners[c.path, c.face], c) for c in candidates if (c.path, c.face) in owners]
        best = max(known, key=lambda pair: pair[1].probability, default=None)
        if best and best[1].verdict != "nobody":
            candidates = candidates + self._more(query, best[0], nearest, faces, left_out)
        chances = {}
        for person, candidate in known:
            chances[person.number] = max(candidate.probability, chances.get(person.number, 0.0))
        return [_shared(c, owners.get((c.path, c.face)), chances) for c in candidates]

    def _more(self, query, person, nearest, faces, left_out):
        seen = {(found.row.path, found.row.face) for found in nearest}
        paths = sorted({path for path, face in person.faces if (path, face) not in seen})
        rows = [r for r in self.store.faces("path", paths) if (r.path, r.face) in person.faces.keys() - seen]
        rows = sorted(rows, key=lambda row: -row.size)[:MORE]
        similarities = self._first_similarities(query, rows)
        found = [Found(row, value) for row, value in zip(rows, similarities, strict=True) if value is not None]
        more, others = self._look_again(query, found, faces)
        left_out["copies"] += others["copies"]
        left_out["unreadable"] += len(rows) - len(found) + others["unreadable"]
        return more

    def _first_similarities(self, query, rows):
        """The cosine of each row's face to the query, None where its photo cannot be read."""
        views = [_view(row) for row in rows]
        read = [view for view in views if view is not None]
        if not read:
            return [None] * len(rows)
        values = iter((self._space.index(self._embedder.embed(np.stack(read))) @ query.vector).tolist())
        return [None if view is None else next(values) for view in views]

    def _second_similarities(self, query, kept):
        if not query.hole.any():
            return [found.similarity for found, _ in kept]
        return (self._holed_vectors([picture.aligned for _, picture in kept], query.hole) @ query.vector).tolist()


@dataclass(frozen=True)
class _Query:
    photo: Photo
    transform: np.ndarray
    hole: np.ndarray
    vector: np.ndarray
    wanted: Wanted


@dataclass(frozen=True)
class _Picture:
    aligned: np.ndarray
    size: tuple


def _wanted(mesh, transform, hole):
    """mesh: the face's, estimated where the hole hides it; whether eyes and mouth are open under it is not known."""
    facts = described(mesh)
    return Wanted(
        hole=hole,
        pose=(facts["yaw"], facts["pitch"]),
        size=SIZE / scale_of(transform),
        eyes_open=None if hides(hole, TEMPLATE[:2]) else facts["eyes_open"],
        mouth_open=None if hides(hole, TEMPLATE[3:]) else facts["mouth_open"],
    )


def _picture(row):
    """None for a photo that is gone or cannot be read."""
    try:
        photo = read_photo(row.path)
    except (TwoFaceError, OSError):
        return None
    return _Picture(crop(photo.pixels, frame_transform(row.frame)), photo.size)


def _view(row):
    """None for a photo that is gone or cannot be read."""
    try:
        return face_view(read_photo(row.path).pixels, frame_transform(row.frame))
    except (TwoFaceError, OSError):
        return None


def _shared(candidate, person, chances):
    """chances: the best probability of each person, by number."""
    if person is None:
        return candidate
    chance = max(candidate.probability, PURE * chances.get(person.number, 0.0))
    return replace(candidate, person=person.label, probability=chance, verdict=verdict(chance))


def _order(candidate):
    """Who it is first; among those who are very likely the person the best donor, among others the most alike."""
    tier = list(VERDICTS).index(candidate.verdict)
    return tier, -candidate.quality if tier == 0 else -candidate.probability
