"""What covers a face: a small network's marks in an aligned crop, and the hole that they propose. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import cv2
import numpy as np

from twoface.core.arrays import Field, Mask, Picture, Points, Shape
from twoface.core.bands import bands
from twoface.core.files import PathLike
from twoface.core.frame import SIZE, Frame
from twoface.core.masks import grow
from twoface.core.mesh import POLYGONS, Mesh, inside
from twoface.core.network import open_session

COVERED = 0.4  # probability from which a pixel shows something in front of the face
SURE = 0.8  # which some pixel of a part must reach
FEWEST = 45  # crop pixels: a smaller part is an error
TOUCHES = 0.05  # the share of a part, or of the face, that must lie in front of the face or at its edge
GROWN = 3.0  # crop pixels that the proposed hole reaches further: of a rim, its shadow and its sharpening nothing stays
BESIDE = 0.5  # the share of a part beside the face from which on it is a thing that goes on there: a hand, a microphone
OUTLINE = 1.0  # crop pixels that the hole of such a thing reaches over the face's outline
EDGE = 2  # crop pixels that what is marked may reach over a hole which holds it all the same, or near its view's edge
LEFT = 3  # crop pixels about a hole in which what is left of a thing is no part of the face
WIDER = 1.4  # the side of the wider view, of the frame's, that tells whether such a thing goes on
SURER = 0.6  # as `COVERED`, there
RIMS = 8.0  # crop pixels about eyes and brows that rims and lenses reach
ABOUT_EYES = 0.5  # the share of a part that lies there, if it is glasses
# By how much the logarithm of brightness may lie below the skin's where glasses are lightest, in its upper quarter: at
# most .15 behind clear and tinted ones, .4 and more behind sunglasses (of 59 and 6 faces).
TINTED, LIGHTER = 0.3, 75.0
BLACK = 12  # of 0..255, added to brightness: what is darker than that differs by noise
CLOSED = 0.08  # `Mesh.eye_open` of both eyes, below which they are closed and not only narrow
WINK = (0.11, 0.2)  # of one eye that is closed while the other, open by more than this, is not
WORDS = {
    "something": "something in front of the face",
    "eyes": "closed eyes",
    "left-eye": "a closed eye, the left one as seen",
    "right-eye": "a closed eye, the right one as seen",
}


@dataclass(frozen=True)
class Cover:
    """What is to be filled: hole, bool (H, W), in photo pixels. what: a key of `WORDS`. share: of the face's frame.

    goes_on: whether some of it lies beside the face, and stays there.
    """

    hole: Mask
    what: str
    share: float
    goes_on: bool = False

    def report(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"code": self.what, "what": WORDS[self.what], "share": round(self.share, 4), "goes_on": self.goes_on}


class Occlusion:
    """Our network (`twoface.research.models.occlusion`) on ONNX Runtime.

    threads: as `twoface.core.network.open_session`; network: a file of `twoface export`, default the one that ships.
    """

    def __init__(self, threads: int | None = None, network: PathLike | None = None) -> None:
        self._session = open_session(network or resources.files("twoface") / "weights" / "occlusion.onnx", threads)

    def look(self, aligned: Picture) -> Field:
        """The probability of each pixel of a crop, uint8 (128, 128, 3), to show something in front of the face.

        -> float32 (128, 128); the mean of the crop's and its mirror image's.
        """
        image = np.ascontiguousarray(aligned.transpose(2, 0, 1)[None], np.float32) / 255
        both = np.concatenate([image, image[..., ::-1]])
        one, mirrored = self._session.run(None, {"image": both})[0][:, 0]
        return (one + mirrored[:, ::-1]) / 2


def marked(chance: Field, points: Points) -> Mask:
    """Where something covers the face -> bool (128, 128).

    chance: as of `Occlusion.look`; points: (478, 3), the face's mesh in crop pixels. Gaps are closed; parts that are
    small, unsure, or beside the face are left out.
    """
    above = _above(chance, COVERED).view(np.uint8)
    face = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(np.rint(points[list(POLYGONS["oval"]), :2]).astype(np.int32)), 1)
    face = cv2.dilate(face, np.ones((9, 9), np.uint8))
    kept = np.zeros((SIZE, SIZE), bool)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    for number in range(1, count):
        part, size = labels == number, stats[number, cv2.CC_STAT_AREA]
        before = np.count_nonzero(face[part])
        if size >= FEWEST and chance[part].max() >= SURE and before >= TOUCHES * min(size, face.sum()):
            kept |= part
    return kept


def beside(hidden: Mask, points: Points) -> Mask:
    """Of what is in front of a face, the pieces that lie beside it for their greater part -> bool (128, 128).

    hidden: as of `marked`; points: (478, 3), the face's mesh in crop pixels. A hand or a microphone is such a piece,
    and goes on where the crop ends; of glasses only the temples lie beside the face.
    """
    face, found = inside(points, "oval"), np.zeros((SIZE, SIZE), bool)
    for part in _parts(hidden):
        if np.count_nonzero(part & face) < (1 - BESIDE) * np.count_nonzero(part):
            found |= part
    return found


def glasses(hidden: Mask, points: Points, aligned: Picture) -> Mask:
    """Of what is in front of a face, glasses that its eyes are seen through -> bool (128, 128).

    They lie about both eyes, and where the lenses are it is about as light as the rest of the face: behind sunglasses
    it is not. hidden: as of `marked`; points: (478, 3), the face's mesh in crop pixels; aligned: uint8 (128, 128, 3).
    """
    about, eyes = _about_eyes(points), [inside(points, name) for name in ("left_eye", "right_eye")]
    light = brightness(aligned)
    skin, found = inside(points, "oval") & ~hidden, np.zeros((SIZE, SIZE), bool)
    for part in _parts(hidden):
        lenses = part & about
        on_eyes = all(2 * np.count_nonzero(part & eye) > np.count_nonzero(eye) for eye in eyes)
        if on_eyes and skin.any() and np.count_nonzero(lenses) > ABOUT_EYES * np.count_nonzero(part):
            darker = np.median(light[skin]) - np.percentile(light[lenses], LIGHTER)
            if darker < TINTED:
                found |= part
    return found


def brightness(picture: Picture) -> Field:
    """Its logarithm, without noise -> float32 (H, W). picture: (H, W, 3), of 0..255, or a little beyond."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.GaussianBlur(np.log(np.maximum(grey, 0) + BLACK), (0, 0), 1)


def _about_eyes(points: Points) -> Mask:
    """Where glasses lie: eyes, brows and what is near them -> bool (128, 128)."""
    names = ("left_eye", "right_eye", "left_brow", "right_brow")
    outline = cv2.convexHull(np.vstack([points[list(POLYGONS[name]), :2] for name in names]).round().astype(np.int32))
    area = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(area, outline, 1)
    return grow(area.view(bool), RIMS)


def whole(pieces: Mask, points: Points, network: Occlusion, pixels: Picture, frame: Frame, others: Mask) -> Mask:
    """The things in front of a face that go on `beside` it, where a wider view holds them whole -> bool (H, W).

    pieces: as of `beside`; points: as there. pixels: uint8 (H, W, 3), the photo; frame: of the crop. others: bool
    (H, W), the faces of other people, which are no such things. What reaches the edge of the wider view goes on outside
    it, unless the photo ends there too, and is left out.
    """
    face, shape = inside(points, "oval"), pixels.shape
    before = np.zeros((SIZE, SIZE), bool)
    for part in _parts(pieces):
        if np.count_nonzero(part & face) >= FEWEST:
            before |= part
    wide, view = replace(frame, side=WIDER * frame.side), np.zeros((SIZE, SIZE), bool)
    view[EDGE:-EDGE, EDGE:-EDGE] = True
    seen = grown(_above(network.look(wide.crop(pixels)), SURER), wide, shape, GROWN / WIDER)
    ours = grown(before, frame, shape)
    things = ours | (seen & ~grown(face, frame, shape, OUTLINE))
    count, labels = cv2.connectedComponents(things.view(np.uint8), connectivity=4)
    kept = np.zeros(count, bool)
    kept[labels[ours]] = True
    kept[labels[things & (others | ~grown(view, wide, shape, 0))]] = False
    return kept[labels]


def proposed(hidden: Mask, points: Points, frame: Frame, shape: Shape, things: Mask | None = None) -> tuple[Mask, bool]:
    """The hole for what is in front of a face -> bool (H, W), in photo pixels; whether some of it stays.

    hidden: as of `marked`; points: (478, 3), the face's mesh in crop pixels. shape: (H, W) of the photo. things: as of
    `whole`, which are hole altogether. The hole of what else lies `beside` the face ends at the face's outline: what
    stays looks as if it were behind the face.
    """
    face, stays = inside(points, "oval"), np.zeros((SIZE, SIZE), bool)
    things = np.zeros(shape[:2], bool) if things is None else things
    held = cv2.warpAffine(things.view(np.uint8), frame.transform(), (SIZE, SIZE)).view(bool)
    for part in _parts(beside(hidden, points)):
        if not (part & held).any():
            stays |= part if np.count_nonzero(part & face) < FEWEST else part & ~face
    hole = grown(hidden & ~stays, frame, shape)
    if stays.any():
        hole &= grown(face, frame, shape, OUTLINE) | ~grown(stays, frame, shape, 2 * GROWN)
    return hole | things, bool(stays.any())


def partly_inside(hidden: Mask, unknown: Mask, points: Points) -> bool:
    """Whether a hole holds a part of something in front of the face, while more of it, before the face too, stays.

    hidden: as of `marked`; unknown: bool (128, 128), the hole; points: (478, 3), the face's mesh in crop pixels.
    """
    held = cv2.dilate(unknown.astype(np.uint8), np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)) > 0
    stays = hidden & inside(points, "oval") & ~held
    touches = min(FEWEST, int(np.count_nonzero(unknown)) // 2)
    return any(
        np.count_nonzero(part & unknown) > touches and np.count_nonzero(part & stays) > FEWEST
        for part in _parts(hidden)
    )


def rim(hidden: Mask, unknown: Mask) -> Mask:
    """What a hole that is drawn too tightly leaves of the thing that it is drawn over -> bool (128, 128).

    The network would go on with it. hidden: as of `marked`; unknown: bool (128, 128), the hole.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * LEFT + 1, 2 * LEFT + 1))
    near = cv2.dilate(unknown.view(np.uint8), disc).view(bool) & ~unknown
    held = np.zeros((SIZE, SIZE), bool)
    for part in _parts(hidden):
        if 2 * np.count_nonzero(part & unknown) > np.count_nonzero(part):
            held |= part
    return held & near


def grown(hidden: Mask, frame: Frame, shape: Shape, reach: float = GROWN) -> Mask:
    """What `marked` gives, in another picture: grown by `reach` crop pixels, its edge smooth at that resolution.

    hidden: bool (128, 128). shape: (H, W) of the picture -> bool (H, W).
    """
    if not hidden.any():
        return np.zeros(shape[:2], bool)
    inside, outside = (cv2.distanceTransform(m.astype(np.uint8), cv2.DIST_L2, 5) for m in (hidden, ~hidden))
    distance = cv2.GaussianBlur(np.clip(outside - inside, -SIZE, SIZE), (0, 0), 1.0)
    x0, y0, x1, y1 = frame.window(shape)
    how = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_CONSTANT, "borderValue": SIZE}
    hole = np.zeros(shape[:2], bool)
    near = hole[y0:y1, x0:x1]
    for rows in bands(*near.shape):
        to_crop = frame.shifted(x0, y0 + rows.start).transform()
        near[rows] = cv2.warpAffine(distance, to_crop, near[rows].shape[::-1], **how) <= reach
    return hole


def closed_eyes(mesh: Mesh) -> str | None:
    """Which eyes of a `twoface.core.mesh.Mesh` are closed -> their hole, a name of `PARTS`, or None."""
    left, right = mesh.eye_open("left"), mesh.eye_open("right")
    if max(left, right) < CLOSED:
        return "eyes"
    if min(left, right) < WINK[0] and max(left, right) > WINK[1]:
        return "left-eye" if left < right else "right-eye"
    return None


def _above(chance: Field, least: float) -> Mask:
    """Where something is likely enough, gaps closed -> bool (128, 128)."""
    close = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    return cv2.morphologyEx((chance > least).astype(np.uint8), cv2.MORPH_CLOSE, close).view(bool)


def _parts(mask: Mask) -> Iterator[Mask]:
    """The connected pieces of a mask."""
    count, labels = cv2.connectedComponents(mask.view(np.uint8))
    return (labels == number for number in range(1, count))
