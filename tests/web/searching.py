"""A small index of people who are textures, and workers that search it. Imported by spawned processes too."""

from functools import partial
from pathlib import Path

import numpy as np
from fakes import SPACE, FakeDetector, FakeEmbedder, FakeMesher, placed_face, textured
from studios import FACE, fake_inpainter

from twoface.core.files import write_aside
from twoface.core.frame import Frame
from twoface.core.identity import directions, face_view, origin
from twoface.core.images import Photo, encode_photo
from twoface.search.collection import Answer, Candidate
from twoface.search.face_space import IndexEmbedder
from twoface.search.index import build
from twoface.search.people import People
from twoface.search.rank import probability, verdict
from twoface.search.store import open_store
from twoface.web.tasks import setup_worker

OWN = 1  # the seed of the person whose photos are in the index: `photo_bytes(seed=OWN)` is another of hers
ALIKE = 2  # of one who is like somebody in the index
STRANGER = 9  # of one who is like nobody there
PHOTOS = {  # seed, and how much of it is the photo's own; the first is a copy of `photo_bytes(seed=OWN)`
    "own/0.png": (OWN, 0.05),
    "own/1.png": (OWN, 0.3),
    "own/2.png": (OWN, 0.35),
    "alike/0.png": (ALIKE, 0.45),
    "other/0.png": (3, 0.3),
}


def networks():
    return FakeDetector(placed_face(Frame.of(FACE))), IndexEmbedder(FakeEmbedder(), SPACE), FakeMesher()


def make_index(folder):
    """FOLDER/photos/PERSON/N.png, indexed at FOLDER/my-photos -> its path."""
    for number, (name, (seed, share)) in enumerate(PHOTOS.items()):
        own = textured(320, 400, seed=1000 + number).astype(float)
        pixels = np.clip(textured(320, 400, seed) * (1 - share) + own * share, 0, 255).astype(np.uint8)
        write_photo(folder / "photos" / name, pixels)
    build([folder / "photos"], folder / "my-photos", people=True, workers=1, progress=False, load=networks)
    return folder / "my-photos"


def write_photo(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_aside(path, encode_photo(Photo(pixels), "PNG", generated=False), force=True)


class FakeCollection:
    """As `twoface.search.collection.Collection`, but who somebody is, is the cosine of whole faces to a texture's."""

    def __init__(self, place):
        self.store = open_store(place)

    def _person(self, row):
        people = People.read(self.store)
        owner = people.owners().get((row.path, row.face)) if people else None
        return owner.label if owner else ""

    def references(self, photo, frame, mask, k):
        view = face_view(photo.pixels, frame)
        vector = directions(FakeEmbedder().embed(view[None]), origin())[0]
        candidates, left_out = [], {"copies": 0, "unreadable": 0}
        for found in self.store.nearest(vector, k):
            if not Path(found.row.path).exists():
                left_out["unreadable"] += 1
            elif found.similarity > 0.95:
                left_out["copies"] += 1
            else:
                candidates.append(_candidate(found, self._person(found.row)))
        best = candidates[0].verdict if candidates else "nobody"
        person = candidates[0].person if best != "nobody" else ""
        return Answer(candidates, best, len(self.store), left_out, frame, {"total": 0.1}, person)


def _candidate(found, person):
    chance = probability(40 * (found.similarity - 0.76))
    parts = {"visible": 1.0, "pose": 0.5, "expression": 0.9, "sharp": 0.8, "size": 1.0}
    row, alike = found.row, found.similarity
    quality = float(np.prod(list(parts.values())))
    return Candidate(row.path, row.frame, row.identity, alike, alike, chance, verdict(chance), quality, parts,
                     row.face, person)  # fmt: skip


def fake_opener(inpainter):
    return FakeCollection


def searching_studio(indexes, network, pixels):
    return setup_worker(partial(fake_inpainter, network), pixels, indexes, fake_opener)
