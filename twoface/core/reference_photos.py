"""The reference photos of a fill: looked at, compared with the photo, and one of them chosen."""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from twoface.core.arrays import Picture, Vector
from twoface.core.choice import Worth, best, worth
from twoface.core.copies import same_picture, shows_the_same
from twoface.core.detect import FaceDetector
from twoface.core.errors import InputError
from twoface.core.faces import Face, Taken, most_alike, no_face, rounded
from twoface.core.frame import Frame, FrameLike
from twoface.core.identity import Embedder, face_view, similarity, visible
from twoface.core.images import Photo, PhotoSource, as_photo
from twoface.core.mesh import PRESENT, Mesh, Mesher, corrected, invented
from twoface.core.network import Network
from twoface.core.occlusion import Occlusion, glasses, marked
from twoface.core.prepared import Prepared
from twoface.core.reference import Registered, registered, shrunk, uncovered, without_fringe
from twoface.core.verdict import Identity

HELD = 16_000_000  # bytes of a reference that are kept while others are looked at; more are read again when it is used


@dataclass(frozen=True)
class Reference:
    """What is used of a reference photo, whose face is known. crop: uint8 (128, 128, 3), upright, not registered.

    name: of the photo. faces: which of its it is. view: as of `face_view`. registered: to the face that is filled.
    pixels: uint8 (h, w, 3), the part of the photo that the fill takes, in no more detail than that has, and
    `registered.map` lies in them; None where they are to be read again. similarity: cosine of what is visible of the
    photo and the same of it; worth: what it can give to the hole. copy: whether it is the photo or a copy of it.
    """

    name: str
    faces: Taken
    crop: Picture
    view: Picture
    registered: Registered
    pixels: Picture | None
    similarity: float
    worth: Worth
    copy: bool

    def report(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "name": self.name,
            "similarity_visible": self.similarity,
            "worth": {name: round(value, 3) for name, value in dataclasses.asdict(self.worth).items()},
            "face": rounded(self.faces.face),
            "faces": self.faces.report(),
            "copy": self.copy,
        }

    def doubts(self, photo: str, identity: Identity) -> list[str]:
        """Warnings of one that may be the wrong reference, or show the wrong face. photo: the photo's name."""
        warnings = []
        if not identity.same_person:
            warnings.append(
                f"{photo} and {self.name} look like two people (similarity of what is visible"
                f" {self.similarity:.2f}, below {identity.threshold:.2f}): is this the right reference?"
            )
        if self.faces.close:
            warnings.append(
                f"{self.name} shows {len(self.faces.frames)} faces, and more than one is about as much like the"
                f" photo's: is number {self.faces.number + 1} the right one? If not, give the square of another:"
                f" {self.faces.squares}"
            )
        return warnings


@dataclass(frozen=True)
class Chosen:
    """Which reference a fill uses.

    references: a Reference for each that was given. number: of the one to use, None without any. warnings: sentences
    for the user.
    """

    references: Sequence[Reference] = ()
    number: int | None = None
    warnings: Sequence[str] = ()

    @property
    def used(self) -> Reference | None:
        return None if self.number is None else self.references[self.number]

    @property
    def why(self) -> str:
        """For a report."""
        count = len(self.references)
        if count > 1:
            return f"of {count}, the one of the person that shows the hole's part best"
        return "the only one given" if count else "none given"


@dataclass(frozen=True)
class _ReferenceFace:
    """A face of a reference photo. picture: its crop."""

    frame: Frame
    picture: Picture
    mesh: Mesh


@dataclass(frozen=True)
class ReferencePhoto:
    """A reference photo and the faces in it: found, or the one whose frame was given. owned: it was decoded for this
    fill.
    """

    photo: Photo
    found: Sequence[Face]
    faces: Sequence[_ReferenceFace]
    given: Frame | None
    owned: bool


@dataclass(frozen=True)
class Chooser:
    """Looks at reference photos, compares them with the photo and chooses one: by the networks of an `Inpainter`."""

    network: Network
    detector: FaceDetector
    mesher: Mesher
    occlusion: Occlusion
    embedder: Embedder

    def choose(
        self,
        given: Sequence[PhotoSource],
        frames: Sequence[Frame | None],
        ahead: list[Future[ReferencePhoto]],
        prepared: Prepared,
        same_photo: bool,
    ) -> Chosen:
        """Which of one or more references serves a fill best. Of large ones only that to be used has its pixels.

        frames: of the face in each, None where it is to be found. ahead: the first of them is looked at already; taken
        out, so that no large one is held longer than needed. same_photo: whether the photo itself or a copy of it may
        be used. Raises InputError as `look`, and, code "same_photo", where there is nothing else.
        """
        embedding = visible(self.embedder, prepared.masked, prepared.invented, prepared.unknown)
        found = []
        for each in zip(given, frames, strict=True):
            # In one go: no photo is kept by a name while the next is read.
            reference = self.compare(ahead.pop().result() if ahead else self.look(*each), prepared, embedding)
            if len(given) > 1 and reference.pixels is not None and reference.pixels.nbytes > HELD:
                reference = dataclasses.replace(reference, pixels=None)
            found.append(reference)
        number, warnings = _best(found, same_photo)
        if found[number].pixels is None:
            found[number] = self.compare(self.look(given[number], frames[number]), prepared, embedding)
        return Chosen(found, number, warnings)

    def look(self, item: PhotoSource, frame: Frame | None) -> ReferencePhoto:
        """A reference photo and its faces, or the one in the frame that is given.

        Raises InputError for what is no photo, without a face, or where the frame lies outside.
        """
        photo = as_photo(item, "the reference")
        photo = dataclasses.replace(photo, original=None)  # the file's own samples are not needed
        try:
            if frame is not None:
                frame.check(photo.size, photo.name)
            found = [] if frame is not None else self.detector.detect(photo.pixels)
            if frame is None and not found:
                raise no_face(photo.name)
        except InputError as error:
            raise InputError(str(error), code=error.code, reference=photo.name) from error
        frames = [face.frame for face in found] if frame is None else [frame]
        faces = [self._face(photo, each) for each in frames]
        return ReferencePhoto(photo, found, faces, frame, not isinstance(item, Photo | np.ndarray))

    def compare(self, looked: ReferencePhoto, prepared: Prepared, embedding: Vector) -> Reference:
        """The face of a reference photo that is given, or most like what is visible of the photo, registered to it.

        embedding: of what is visible of the photo.
        """
        photo = looked.photo
        alike = [self._likeness(face.picture, prepared, embedding) for face in looked.faces]
        taken = most_alike(looked.found, alike) if looked.given is None else Taken.given(looked.given)
        face = looked.faces[taken.number]
        points = face.mesh.moved(face.frame.transform()).points
        laid = registered(prepared.mesh, prepared.unknown, photo.pixels, face.mesh.points)
        hidden = marked(self.occlusion.look(face.picture), points)
        through = glasses(hidden, points, face.picture)
        shown = without_fringe(uncovered(laid, hidden & ~through, face.frame), prepared.invented)
        bare = uncovered(shown, through, face.frame)  # one without glasses is better
        finer = face.frame.side / prepared.frame.side
        value = worth(prepared.mesh, prepared.unknown, (laid.trust, bare.trust), face.picture, points, finer)
        part, grid = shrunk(photo.pixels, shown.map, max(prepared.frame.detail, 1))
        if looked.owned and 2 * part.nbytes < photo.pixels.nbytes:
            part = np.ascontiguousarray(part).copy()  # the rest of a photo that was decoded here is let go
        return Reference(
            name=photo.name,
            faces=taken,
            crop=face.picture,
            view=face_view(photo.pixels, face.frame),
            registered=dataclasses.replace(shown, map=grid),
            pixels=part,
            similarity=alike[taken.number],
            worth=value,
            copy=_is_the_photo(prepared, photo, face.picture),
        )

    def _face(self, photo: Photo, frame: Frame) -> _ReferenceFace:
        mesh = self.mesher.find(photo.pixels, frame)
        if mesh.presence >= PRESENT:
            frame = corrected(frame, mesh.moved(frame.transform()).points)
        return _ReferenceFace(frame, frame.crop(photo.pixels), mesh)

    def _likeness(self, aligned: Picture, prepared: Prepared, embedding: Vector) -> float:
        """How much a face in its crop is like the photo's, with the photo's hole in both -> cosine."""
        filled = invented(aligned, prepared.unknown, self.network)
        return similarity(embedding, visible(self.embedder, aligned, filled, prepared.unknown))


def reference_frames(given: FrameLike | Sequence[FrameLike | None] | None, count: int) -> list[Frame | None]:
    """One frame, None, or a list of them -> list of `count`. Raises InputError for another number of them."""
    if given is None:
        return [None] * count
    several: Any = [given] if isinstance(given, Frame) or any(isinstance(v, Real) for v in given) else given
    if len(several) != count:
        raise InputError(f"reference faces: {len(several)}, references: {count}: give a face for each, or none")
    return [None if frame is None else Frame.of(frame) for frame in several]


def _best(references: Sequence[Reference], same_photo: bool) -> tuple[int, list[str]]:
    """-> the index of the reference to use, and warnings of those that are the photo.

    same_photo: whether one that is the photo or a copy of it may be used.
    """
    copies = [reference.copy and not same_photo for reference in references]
    if all(copies):
        text = (
            f"{references[0].name} is the photo itself or a copy of it, and shows what is to be filled: give another"
            " photo of the person as the reference, or none"
        )
        if len(references[0].faces.frames) > 1:
            text += f"; or give the square of another face in it: {references[0].faces.squares}"
        raise InputError(text, code="same_photo")
    others = [i for i, copy in enumerate(copies) if not copy]
    number = best([references[i].similarity for i in others], [references[i].worth for i in others])
    left_out = [reference.name for reference, copy in zip(references, copies, strict=True) if copy]
    about = "is the photo itself or a copy of it, and was left out"
    return others[number], [f"{name} {about}" for name in left_out]


def _is_the_photo(prepared: Prepared, photo: Photo, aligned: Picture) -> bool:
    """Whether a reference photo is the photo or a copy of it, what the hole hides as well. aligned: its face's crop."""
    ways = [aligned]
    (width, height), (w, h) = prepared.photo.size, photo.size
    if abs(w * height / (h * width) - 1) < 0.02:  # the same place of a copy that is not cut
        x, y, side, angle = dataclasses.astuple(prepared.frame)
        there = Frame(x * w / width, y * h / height, side * (w / width * h / height) ** 0.5, angle)
        ways.append(there.crop(photo.pixels))
    own, hole = prepared.covered
    return any(same_picture(own, way, ~hole) and shows_the_same(own, way, hole) for way in ways)
