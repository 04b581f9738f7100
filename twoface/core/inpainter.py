"""The whole walk of one photo: `Inpainter.load().fill(photo, mask=..., reference=...)`. No torch.

`fill` tells it: `prepare` finds the face and the hole (`prepared.py`), a reference is chosen (`reference_photos.py`),
`predict` asks the network (`network.py`), `paste` lays its answer into the photo (`blend.py`): `fill_result.py`.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, partial

import cv2
import numpy as np

from twoface.core import occlusion
from twoface.core.arrays import Fields, Mask, Picture, Points
from twoface.core.blend import beside, blend, crop_mask, seam_correction
from twoface.core.detect import SURE, FaceDetector
from twoface.core.errors import InputError
from twoface.core.faces import Face, Taken, choose, distinct, no_face, touched, why
from twoface.core.files import PathLike
from twoface.core.fill_result import FillResult
from twoface.core.frame import SIZE, UPRIGHT, Frame, FrameLike
from twoface.core.holes import check_on_face, check_told, given_hole, part_of_face
from twoface.core.identity import VIEW, Embedder, face_view, similarity, threshold_for
from twoface.core.images import MaskSource, Photo, PhotoSource, as_photo
from twoface.core.mesh import PRESENT, Mesher, corrected, moved, to_template
from twoface.core.network import FillModel, Network, asked, both_ways, no_reference
from twoface.core.occlusion import Cover, Occlusion, closed_eyes, marked, partly_inside, rim
from twoface.core.outlook import Outlook, outlook
from twoface.core.parts import AUTO, parse_hole
from twoface.core.prepared import FEATHER, WIDEST, Prepared, background_continued, crop_and_hole, holds, window
from twoface.core.reference_photos import Chooser, Chosen, Reference, reference_frames
from twoface.core.tone import tone_of
from twoface.core.verdict import Identity

SMALL = 50  # photo pixels that a face's frame is wide: below it results are soft


class Inpainter:
    """Fills holes in face photos. Make one with `load` and use it for many photos, from several threads too.

    network, detector, mesher, occlusion: what it was made of, for others to use too.
    """

    def __init__(
        self,
        network: Network,
        detector: FaceDetector,
        embedder: Embedder | None = None,
        mesher: Mesher | None = None,
        occlusion: Occlusion | None = None,
    ) -> None:
        self.network = network
        self.detector = detector
        if embedder is not None:
            self._embedder = embedder
        if mesher is not None:
            self.mesher = mesher
        if occlusion is not None:
            self.occlusion = occlusion

    @classmethod
    def load(cls, model: PathLike | Network | None = None, threads: int | None = None) -> "Inpainter":
        """model: an ONNX file that `twoface export` wrote, default the one that ships; or whatever has a `run` as
        `FillModel`, such as `twoface.client.connect` gives. threads: default at most 2.
        """
        network = model if isinstance(model, Network) else FillModel(model, threads)
        # The small networks gain nothing by a second thread, which a photo and its reference would fight for.
        return cls(network, FaceDetector(1), Embedder(threads), Mesher(1), Occlusion(1))

    @cached_property
    def mesher(self) -> Mesher:
        return Mesher()

    @cached_property
    def occlusion(self) -> Occlusion:
        return Occlusion()

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder()

    @property
    def _chooser(self) -> Chooser:
        return Chooser(self.network, self.detector, self.mesher, self.occlusion, self._embedder)

    def warm_up(self) -> None:
        """Load and run what the first photo would wait for; the fill network, which may be far away, is not asked."""
        blank = np.zeros((1, VIEW, VIEW, 3), np.uint8)
        self.detector.detect(blank[0])
        self.mesher.find(blank[0], UPRIGHT)
        self.occlusion.look(blank[0, :SIZE, :SIZE])
        self._embedder.embed(blank)

    def faces(self, photo: PhotoSource) -> list[Face]:
        """All faces of a photo, the largest first -> list of `twoface.core.faces.Face`. photo: as of `fill`.

        What the detector doubts, and is larger than all of which it is sure, may be a hand: the mesh decides.
        """
        pixels = as_photo(photo).pixels
        found = self.detector.detect(pixels)
        sure = max((face.area for face in found if face.score >= SURE), default=np.inf)
        return [
            face
            for face in found
            if face.score >= SURE or face.area <= sure or self.mesher.find(pixels, face.frame).presence >= PRESENT
        ]

    def cover(self, photo: PhotoSource, face: FrameLike | None = None) -> Cover:
        """What is in front of a face, or else closed eyes. photo, face: as of `prepare`.

        Raises InputError, code "nothing_found", when there is neither.
        """
        photo = as_photo(photo)
        frame, faces = self._frame(photo, face)
        return self._cover(photo, frame, partial(self._others, photo, faces))

    def covered(self, aligned: Picture, points: Points | None = None) -> Mask:
        """Where something is in front of the face in a crop, uint8 (128, 128, 3) -> bool (128, 128).

        points: (478, 3), its mesh in crop pixels, where it is known.
        """
        if points is None:
            points = self.mesher.through(aligned, np.zeros((SIZE, SIZE), bool))
        return marked(self.occlusion.look(aligned), points)

    def fill(
        self,
        photo: PhotoSource,
        *,
        mask: MaskSource | None = None,
        hole: str | Sequence[float] | None = None,
        reference: PhotoSource | None = None,
        references: Sequence[PhotoSource] = (),
        face: FrameLike | None = None,
        reference_face: FrameLike | Sequence[FrameLike | None] | None = None,
        feather: float | None = None,
        center_size: int = 64,
        same_photo: bool = False,
    ) -> FillResult:
        """Fill a part of a face.

        photo, reference, each of references: a path, bytes, a Photo, a picture of Pillow's, or uint8 (H, W, 3) RGB.
        With several, of those most alike to the visible part of the photo the one that shows the hole's part best is
        used (`twoface.core.choice`); with none the network invents.
        mask, hole, face, feather, center_size: as of `prepare`. reference_face: as `face`, for the reference; or a
        list with one for each reference, None where it is to be found. A face that is found there is the one most like
        the photo's. same_photo: use a reference too that is the photo itself or a copy of it, and so shows what is
        covered; else it is left out, and the only one is refused, code "same_photo".
        Raises InputError for every input that cannot be used.
        """
        if isinstance(reference, list | tuple):
            raise InputError("give several references as references, not as reference")
        if not isinstance(references, Sequence) or isinstance(references, str | bytes):
            raise InputError("references are a list: give a single one as reference")
        clock = _Clock()
        given = [*([] if reference is None else [reference]), *references]
        frames = reference_frames(reference_face, len(given))
        owned = not isinstance(photo, Photo | np.ndarray)  # a file that is decoded here
        photo = as_photo(photo)
        with ThreadPoolExecutor(1) as meanwhile:
            ahead = [meanwhile.submit(self._chooser.look, *each) for each in zip(given[:1], frames, strict=False)]
            prepared = self.prepare(photo, mask=mask, hole=hole, face=face, feather=feather, center_size=center_size)
        clock.lap("photo")
        chosen = self._chooser.choose(given, frames, ahead, prepared, same_photo) if given else Chosen()
        used = chosen.used
        clock.lap("references")
        fields = self.predict(prepared, used)
        clock.lap("network")
        pixels = self.paste(prepared, fields, used, owned or prepared.pixels is not prepared.photo.pixels)
        clock.lap("blend")
        identity = self._identity(pixels, prepared, used)
        warnings = [*(note.text for note in prepared.photo.notes), *prepared.warnings, *chosen.warnings]
        if used is not None and identity is not None:
            warnings += used.doubts(prepared.photo.name, identity)
        clock.lap("identity")
        return FillResult(
            photo=prepared.photo.filled(pixels, prepared.hole, prepared.feather),
            crop=prepared.frame.crop(pixels),
            masked_crop=prepared.masked,
            mask_crop=prepared.unknown,
            mesh=prepared.mesh,
            reference_crop=None if used is None else used.crop,
            registered_crop=None if used is None else used.registered.picture,
            faces=prepared.faces,
            frame=prepared.frame,
            hole=prepared.hole,
            box=prepared.box,
            identity=identity,
            outlook=self._outlook(prepared, used),
            cover=prepared.cover,
            references=[reference.report() for reference in chosen.references],
            reference_used=chosen.number,
            reference_why=chosen.why,
            warnings=warnings,
            timing=clock.laps(),
        )

    def prepare(
        self,
        photo: PhotoSource,
        *,
        mask: MaskSource | None = None,
        hole: str | Sequence[float] | None = None,
        face: FrameLike | None = None,
        feather: float | None = None,
        center_size: int = 64,
    ) -> Prepared:
        """Find the face and the hole of a photo. photo: as of `fill`.

        One of two says what to fill. mask: bool (H, W), or a picture (>= 128 is hole): its path, its bytes, or
        Pillow's. hole: a name of `twoface.core.parts.HOLES`, `AUTO` for what `cover` finds, or a box (x0, y0, x1, y1)
        in photo pixels.
        face: a square of the photo with the face in it, a `Frame`, or (x0, y0, x1, y1) in pixels, or (x0, y0, x1, y1,
        degrees), turned clockwise about its centre; nothing is detected then. It may reach over the photo's border
        (the border is reflected) if its centre lies inside. Without it, the face that the mask touches, else the
        largest. The mesh corrects a frame that does not fit the face: as seen through the hole, and once more as seen
        in a first fill.
        feather: the seam's width in photo pixels, default that of `FEATHER` crop pixels. center_size: the side of
        the hole `center` in crop pixels.
        Raises InputError for every input that cannot be used.
        """
        if (mask is None) == (hole is None):
            told = " that says what to fill" if hole is None else ", not both"
            raise InputError(f"give a mask or a hole{told}")
        if feather is not None and not 0 <= feather < float("inf"):
            raise InputError(f"the feather must be 0 pixels or more, not {feather}")
        hole = parse_hole(hole) if isinstance(hole, str) else hole
        photo = as_photo(photo)
        mask = given_hole(mask, hole, photo)
        frame, faces = self._frame(photo, face, mask)
        others = cache(partial(self._others, photo, faces))
        cover = self._cover(photo, frame, others) if hole == AUTO else None
        if cover is not None:
            mask = cover.hole
        hidden = np.zeros(photo.pixels.shape[:2], bool) if mask is None else mask
        shown = crop_and_hole(photo.pixels, hidden, frame)
        points = self.mesher.through(*shown)
        better = corrected(frame, points)
        if better is not frame and holds(better, frame, mask) and self.mesher.shows_face(*shown):
            points = moved(points, to_template(points))
            frame = better
        warnings: list[str] = []
        if mask is None:
            assert isinstance(hole, str)  # the other of the two
            mask = part_of_face(hole, center_size, points, frame, photo.pixels.shape)
        else:
            check_on_face(mask, frame)
        if faces.why == "largest":
            warnings.append(faces.several(photo.name))
        check_told(photo, mask, faces.face)
        for closer_look in (True, False):
            seam = FEATHER * frame.detail if feather is None else min(feather, WIDEST)
            pixels, inner = background_continued(photo, mask, points, frame, others, seam, self.network)
            aligned, unknown = crop_and_hole(pixels, inner, frame)
            marks = self.covered(aligned, points)
            partly = cover is None and partly_inside(marks, unknown, points)  # a hole made of the marks holds them
            unknown |= rim(marks, unknown)
            filled, mesh = self.mesher.behind(aligned, unknown, self.network)
            better = corrected(frame, mesh)
            if not closer_look or better is frame or not holds(better, frame, mask):
                break
            frame, points = better, moved(mesh, to_template(mesh))
        if frame.side < SMALL:
            warnings.append(f"the face in {photo.name} is small: below {SMALL} pixels results are soft")
        if inner is not mask and (mask & ~inner & others()).any():
            warnings.append(
                "the mask lies on another face too, and what is there became background: fill that face apart"
            )
        looked = aligned, unknown, filled, mesh, partly
        return Prepared(photo, mask, pixels, inner, faces, frame, seam, *looked, warnings, cover)

    def predict(self, prepared: Prepared, reference: Reference | None = None) -> Fields:
        """Run the network -> its outputs, {name: (C, h, w)}. reference: a Reference, or None to invent."""
        given = no_reference() if reference is None else reference.registered.planes()
        fields = asked(partial(both_ways, self.network), prepared.crop, prepared.unknown, *given)
        return fields if reference is None else beside(fields, prepared.crop, prepared.unknown, reference.registered)

    def paste(
        self, prepared: Prepared, fields: Fields, reference: Reference | None = None, in_place: bool = False
    ) -> Picture:
        """Put a fill into its photo -> uint8 (H, W, 3), bit for bit the photo's outside the hole and its feather.

        fields: what `predict` gave; reference: the Reference that it was given. in_place: write over the photo's own
        pixels, which spares the memory of a copy.
        """
        pixels = prepared.pixels if in_place else prepared.pixels.copy()
        part, hole, frame = window(pixels, prepared.inner, prepared.frame)
        blended = crop_mask(hole, frame, prepared.feather)
        seam = seam_correction(prepared.crop, fields["fill"], prepared.unknown, blended)
        source = None
        if reference is not None:
            if reference.pixels is None:
                raise ValueError("the reference has no pixels")
            source = (reference.pixels, reference.registered.map)
        blend(part, hole, frame, fields, source, prepared.feather, seam, tone_of(part, hole))
        return pixels

    def _frame(self, photo: Photo, given: FrameLike | None, mask: Mask | None = None) -> tuple[Frame, Taken]:
        if given is not None:
            frame = Frame.of(given)
            frame.check(photo.size, photo.name)
            return frame, Taken.given(frame)
        faces = list(self.faces(photo))
        if mask is not None and 2 * max((touched(face, mask) for face in faces), default=0) < np.count_nonzero(mask):
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
            near = distinct(faces, self.detector.detect(photo.pixels, near=(x, y, x + width, y + height)))
            faces += [face for face in near[len(faces) :] if self._is_face(photo, face, mask)]
        if not faces:
            raise no_face(photo.name)
        face = choose(faces, mask)
        return face.frame, Taken.found(faces, faces.index(face), why(faces, face, mask))

    def _is_face(self, photo: Photo, face: Face, mask: Mask) -> bool:
        """Whether the mesh too sees a face that was found only because a hole said where to look."""
        return self.mesher.shows_face(*crop_and_hole(photo.pixels, mask, face.frame))

    def _others(self, photo: Photo, faces: Taken) -> Mask:
        """Where other people's faces lie in a photo -> bool (H, W); they are looked for where a frame was given."""
        known = faces.among(self.faces(photo)) if faces.why == "given" else faces
        return known.others(photo.pixels.shape)

    def _cover(self, photo: Photo, frame: Frame, others: Callable[[], Mask]) -> Cover:
        aligned, shape = frame.crop(photo.pixels), photo.pixels.shape
        hidden, what = self.covered(aligned), "something"
        points = self.mesher.through(aligned, hidden)
        pieces, things = occlusion.beside(hidden, points), None
        if pieces.any():
            things = occlusion.whole(pieces, points, self.occlusion, photo.pixels, frame, others())
        hole, goes_on = occlusion.proposed(hidden, points, frame, shape, things)
        if not hole.any():
            mesh = self.mesher.find(photo.pixels, frame)
            closed = closed_eyes(mesh)
            if closed is None:
                found = "only something beside the face" if goes_on else "nothing in front of the face"
                text = f"{found} was found in {photo.name}, and its eyes are open"
                raise InputError(f"{text}: name a part of the face to fill, or paint a mask", code="nothing_found")
            what, goes_on = closed, False
            hole = part_of_face(what, SIZE, mesh.moved(frame.transform()).points, frame, shape)
        share = float(np.count_nonzero(hole) / frame.side**2)
        return Cover(hole, what, share, goes_on)

    def _identity(self, pixels: Picture, prepared: Prepared, used: Reference | None) -> Identity | None:
        if used is None:
            return None
        views = np.stack([face_view(pixels, prepared.frame), used.view])
        known = threshold_for(prepared.unknown)
        return Identity(
            similarity_result_reference=similarity(*self._embedder.embed(views)),
            similarity_visible_reference=used.similarity,
            same_person=used.similarity >= known.threshold,
            threshold=known.threshold,
            strangers_warned=known.strangers_warned,
        )

    def _outlook(self, prepared: Prepared, used: Reference | None) -> Outlook:
        worth = None if used is None else used.worth
        small = prepared.frame.side < SMALL
        return outlook(prepared.mesh, prepared.unknown, prepared.continued, worth, small, prepared.partly)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name], self._last = now - self._last, now

    def laps(self) -> dict[str, float]:
        return self._laps | {"total": sum(self._laps.values())}
