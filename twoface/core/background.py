"""What lies beside a face, continued into a hole: exemplar-based inpainting from the photo's own surroundings.

The network knows faces, and only what its crop shows. A hand, a microphone or a scratch goes on beside the face, and
there is no reference for what it hides there. So that part is made of patches of the photo, coarse to fine: each place
takes the mean of what the patches over it say that are most like it (Wexler, Shechtman and Irani, "Space-Time
Completion of Video", 2007). As far as the crop reaches, a fill by the network says roughly what is to be made, hair,
collar or wall, and the patches say how it looks. No face is copied: what is a face is neither source nor surroundings.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from twoface.core.affine import apply
from twoface.core.arrays import Field, FloatPicture, Mask, Matrix, Numbers, Picture, Points, Shape, Vector
from twoface.core.blas import one_blas_thread
from twoface.core.frame import SIZE, Frame
from twoface.core.masks import distances, fading, grow
from twoface.core.mesh import inside
from twoface.core.occlusion import BESIDE, OUTLINE, grown

REACH = 10.0  # crop pixels beside the face that the network fills, of a thing that lies mostly on the face
BEHIND = 12.0  # crop pixels that the background goes on behind the face, so that no patch sees the face
COARSE = 512  # pixels of the longer side at which the pieces of a hole are told apart
WORK = 256  # pixels of the longer side of what is searched
MARGIN = 0.75  # of the longer side of the hole's box: how much of the photo about it is searched
LEAST = 48  # pixels of the shorter side of the coarsest level
RADIUS = 3  # of a patch
STEP = 2  # pixels from one patch to the next, which overlap
KEPT = 24  # numbers that a patch is told by: its principal components
SOURCES = 5_000  # patches, drawn at random, that are searched at each level
ROUNDS = (10, 6, 4, 3)  # of search and vote, coarse to fine
ROW = 1024  # pixels that are looked up in a row
AT_ONCE = 64 * ROW  # pixels of the photo that are made at a time
GUESSED = (0.0, 0.25, 0.5)  # the guess's share of what is voted, fine to coarse
FADE = 1.3  # by which a patch counts less for each pixel that it lies deeper in the hole


def beside(hole: Mask, points: Points, frame: Frame) -> Mask:
    """The part of a hole that the background is continued in -> bool (H, W), in photo pixels.

    hole: bool (H, W), in photo pixels; points: (478, 3), the face's mesh in crop pixels; frame: of the crop.
    It is what lies outside the frame or far from the face; and of each piece of the hole that lies beside the face for
    its greater part, as a hand does, all that is not the face.
    """
    face = inside(points, "oval")
    far, off = (hole & ~grown(face, frame, hole.shape, reach) for reach in (REACH, OUTLINE))
    if not off.any():
        return far
    x, y, width, height = cv2.boundingRect(hole.view(np.uint8))
    place = slice(y, y + height), slice(x, x + width)
    size = np.maximum(np.rint(np.array([height, width]) * min(1, COARSE / max(height, width))), 1)
    whole, outside = (_shrunk(part[place].view(np.uint8) * np.uint8(255), size).astype(float) for part in (hole, off))
    count, labels = cv2.connectedComponents((whole > 0).view(np.uint8))
    shares = [np.bincount(labels.ravel(), part.ravel(), minlength=count) for part in (whole, outside)]
    mostly = (shares[1] > BESIDE * shares[0])[labels]
    mostly = cv2.dilate(mostly.view(np.uint8), np.ones((3, 3), np.uint8))  # what rounding leaves at its edge
    far[place] |= off[place] & cv2.resize(mostly, (width, height), interpolation=cv2.INTER_NEAREST).view(bool)
    return far


def continued(
    pixels: Picture,
    target: Mask,
    barred: Mask,
    behind: float,
    feather: float,
    guess: tuple[Picture, Frame] | None = None,
) -> Picture | None:
    """A photo whose background goes on in a part of it -> uint8 (H, W, 3), a copy; None with nothing to take it from.

    pixels: uint8 (H, W, 3). target: bool (H, W), what is filled, with a seam of `feather` photo pixels about it.
    barred: bool (H, W), what is no background: the rest of the hole, and faces. behind: photo pixels that the
    background goes on behind what is barred. guess: a crop whose hole is filled, uint8 (128, 128, 3), and its frame.
    """
    wide = _window(target, max(feather, behind) + 1)  # so that no mask of the photo's size is made
    part, target, barred = pixels[wide], target[wide], barred[wide]
    unknown = grow(target, feather) | (barred & grow(target, behind))
    place = _window(unknown)
    part, unknown, barred, target = part[place], unknown[place], barred[place], target[place]
    size = np.maximum(np.rint(np.array(unknown.shape) * min(1, WORK / max(unknown.shape))).astype(int), 1)
    coarse = _shrunk(part, size).astype(np.float32) / np.float32(255)
    hidden, closed = (_shrunk(mask.view(np.uint8) * np.uint8(255), size) > 0 for mask in (unknown, barred))
    guessed, reaches = coarse, np.zeros(size, np.float32)
    if guess is not None:
        crop, frame = guess
        x0, y0 = (wide[axis].start + place[axis].start for axis in (1, 0))
        guessed, reaches = _laid(crop, frame.shifted(x0, y0), part.shape, size)
    found = _searched(coarse, hidden, closed, guessed, reaches)
    if found is None:
        return None
    filled, seen = pixels.copy(), barred & ~target
    shown = filled[wide][place]
    for (rows, columns), distance in distances(target, feather):
        alpha = fading(distance, feather)
        alpha[seen[rows, columns]] = 0
        changed = np.argwhere(alpha)
        for some in (changed[start : start + AT_ONCE] for start in range(0, len(changed), AT_ONCE)):
            weight = alpha[tuple(some.T)][:, None]
            y, x = (some + (rows.start, columns.start)).T
            values = 255 * _lifted(np.stack([x, y], -1), part, coarse, *found)
            shown[y, x] = np.rint(weight * values + (1 - weight) * part[y, x]).astype(np.uint8)
    return filled


@dataclass(frozen=True)
class _Patches:
    """The patches that may be copied, and what they are compared by."""

    places: Numbers  # (N, 2), their centres: row and column
    mean: Vector
    axes: Numbers  # (numbers, KEPT), of which they are told by
    told: Numbers  # (N, KEPT)

    @classmethod
    @one_blas_thread()
    def of(cls, picture: FloatPicture, bad: Mask, random: np.random.Generator) -> "_Patches | None":
        """Of a picture; bad: bool (H, W), what no patch may hold. None if there are too few."""
        whole = ~_dilated(bad)
        whole[:RADIUS] = whole[-RADIUS:] = whole[:, :RADIUS] = whole[:, -RADIUS:] = False
        places = np.argwhere(whole)
        if len(places) <= KEPT:
            return None
        places = random.permutation(places)[:SOURCES]
        values = _values(picture, places)
        mean = values.mean(0)
        axes = np.linalg.eigh(np.cov((values - mean).T))[1][:, -KEPT:].astype(np.float32)
        return cls(places, mean, axes, (values - mean) @ axes)

    @one_blas_thread()
    def nearest(self, picture: FloatPicture, places: Numbers) -> tuple[Numbers, Numbers]:
        """Of each patch about some places of a picture, the one most like it -> their places, squared distances."""
        wanted = (_values(picture, places) - self.mean) @ self.axes
        own = (self.told**2).sum(1)
        best = np.empty(len(places), int)
        distance = (wanted**2).sum(1)
        for start in range(0, len(places), 1024):
            rows = slice(start, start + 1024)
            more = own - 2 * wanted[rows] @ self.told.T
            best[rows] = more.argmin(1)
            distance[rows] += more.min(1)
        return self.places[best], np.maximum(distance, 0)


def _laid(crop: Picture, frame: Frame, shape: Shape, size: Numbers) -> tuple[FloatPicture, Field]:
    """A crop, laid over a picture of `shape` that is shrunk to `size` -> float32 (h, w, 3) in [0, 1].

    frame: of the crop, in the picture. And where it reaches, float32 (h, w): 1 there, 0 elsewhere.
    """
    y, x = ((np.arange(count) + 0.5) * side / count - 0.5 for side, count in zip(shape[:2], size, strict=True))
    places = apply(frame.transform(), np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)).reshape(*size, 2)
    laid = cv2.remap(crop, places.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    reaches = np.abs(places - (SIZE - 1) / 2).max(-1) < SIZE / 2
    return laid.astype(np.float32) / np.float32(255), reaches.astype(np.float32)


def _searched(
    picture: FloatPicture, unknown: Mask, barred: Mask, guessed: FloatPicture, reaches: Field
) -> tuple[FloatPicture, Numbers] | None:
    """The picture with what is unknown made of its patches, and where each pixel's patch lies from it (H, W, 2).

    guessed, reaches: what may be there, and 1 where that is said, as of `_laid`.
    """
    random = np.random.default_rng(0)
    levels = [(picture, unknown, barred)]
    while min(unknown.shape) >= 2 * LEAST and cv2.distanceTransform(unknown.view(np.uint8), cv2.DIST_L2, 5).max() > 2:
        size = (np.array(unknown.shape) + 1) // 2
        known = _shrunk((~unknown).astype(np.float32), size)
        picture = _shrunk(np.where(unknown[..., None], np.float32(0), picture), size)
        picture /= np.maximum(known, np.float32(1e-3))[..., None]
        unknown, barred = known < 0.5, _shrunk(barred.astype(np.float32), size) > 0
        levels.append((picture, unknown, barred))
    shown, said = (_shrunk(each, np.array(unknown.shape)) for each in (guessed, reaches))
    picture = np.where((unknown & (said >= 0.5))[..., None], shown, picture)
    left = (unknown & (said < 0.5)).view(np.uint8)
    start = cv2.inpaint((255 * picture).astype(np.uint8), left, RADIUS, cv2.INPAINT_TELEA)
    now = start.astype(np.float32) / np.float32(255)
    found = None
    for number, (picture, unknown, barred) in enumerate(reversed(levels)):
        now = np.where(unknown[..., None], cv2.resize(now, unknown.shape[::-1], interpolation=cv2.INTER_CUBIC), picture)
        patches = _Patches.of(picture, unknown | barred, random)
        if patches is None:
            found = None
            continue
        shown, said = (_shrunk(each, np.array(unknown.shape)) for each in (guessed, reaches))
        said *= np.float32(GUESSED[min(len(levels) - 1 - number, len(GUESSED) - 1)])
        found = _voted(now, unknown, patches, ROUNDS[min(number, len(ROUNDS) - 1)], shown, said[..., None])
        now = found[0]
    return found


def _voted(
    now: FloatPicture, unknown: Mask, patches: _Patches, rounds: int, guessed: FloatPicture, share: Field
) -> tuple[FloatPicture, Numbers]:
    """Rounds of search and vote -> as of `_searched`. share: (H, W, 1), the part of the guess in what is voted."""
    height, width = unknown.shape
    places = STEP * np.argwhere(_dilated(unknown)[::STEP, ::STEP])
    depth = cv2.distanceTransform(unknown.view(np.uint8), cv2.DIST_L2, 5)
    certain = FADE ** -depth[tuple(places.T)]
    moves = np.zeros((height, width, 2), np.float32)
    for _ in range(rounds):
        sources, distance = patches.nearest(now, places)
        weight = (certain * np.exp(-distance / (2 * np.percentile(distance, 75) + 1e-9))).astype(np.float32)
        votes = np.zeros((height + 2 * RADIUS, width + 2 * RADIUS, 4), np.float32)
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                given = votes[places[:, 0] + RADIUS + dy, places[:, 1] + RADIUS + dx]
                given[:, :3] += weight[:, None] * now[sources[:, 0] + dy, sources[:, 1] + dx]
                given[:, 3] += weight
                votes[places[:, 0] + RADIUS + dy, places[:, 1] + RADIUS + dx] = given
        votes = votes[RADIUS:-RADIUS, RADIUS:-RADIUS]
        voted = votes[..., :3] / np.maximum(votes[..., 3:], 1e-12)
        now = np.where(unknown[..., None], voted + share * (guessed - voted), now)
        moves[tuple(places.T)] = sources - places
    rows, columns = (np.arange(side) // STEP * STEP for side in (height, width))
    return now, moves[rows[:, None], columns]


def _lifted(pixels: Points, part: Picture, coarse: FloatPicture, found: FloatPicture, moves: Numbers) -> Matrix:
    """What was found, at pixels of the picture's own resolution -> float32 (N, 3) in [0, 1].

    pixels: (N, 2), x and y; part: uint8 (H, W, 3), the picture, and coarse, as it was searched. What is finer than that
    comes from where the four patches about a pixel lie.
    """
    height, width = part.shape[:2]
    scale = np.array(coarse.shape[1::-1]) / (width, height)
    places = (pixels + 0.5) * scale - 0.5
    values = _sample(found, places)
    first = np.floor(places).astype(int)
    for corner in np.ndindex(2, 2):
        weight = np.prod(np.where(corner, places - first, 1 - places + first), axis=1)
        x, y = np.clip(first + corner, 0, np.array(coarse.shape[1::-1]) - 1).T
        sources = np.clip(np.rint(pixels + moves[y, x, ::-1] / scale), 0, (width - 1, height - 1)).astype(int)
        fine = part[sources[:, 1], sources[:, 0]] / np.float32(255) - _sample(coarse, (sources + 0.5) * scale - 0.5)
        values += weight[:, None].astype(np.float32) * fine
    return np.clip(values, 0, 1)


def _window(unknown: Mask, reach: float = 0) -> tuple[slice, slice]:
    """The part of a photo that is searched for what is unknown, and may be as much larger as `reach` pixels."""
    x, y, width, height = cv2.boundingRect(unknown.view(np.uint8))
    about = int(np.ceil(max(MARGIN * (max(width, height) + 2 * reach), WORK / 4) + reach))
    return slice(max(0, y - about), y + height + about), slice(max(0, x - about), x + width + about)


def _values(picture: FloatPicture, places: Numbers) -> Numbers:
    """The patches about some places -> (N, numbers); beyond the border the picture is reflected."""
    wide = cv2.copyMakeBorder(picture, RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REFLECT_101)
    views = np.lib.stride_tricks.sliding_window_view(wide, (2 * RADIUS + 1, 2 * RADIUS + 1), axis=(0, 1))
    return views[tuple(places.T)].reshape(len(places), -1)


def _dilated(mask: Mask) -> Mask:
    """Where a patch would hold some of a mask."""
    return cv2.dilate(mask.view(np.uint8), np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)).view(bool)


def _shrunk(picture: Numbers, size: Numbers) -> Numbers:
    return cv2.resize(picture, (int(size[1]), int(size[0])), interpolation=cv2.INTER_AREA)


def _sample(picture: FloatPicture, places: Points) -> Matrix:
    """A picture at places (N, 2), x and y -> float32 (N, 3)."""
    rows = np.resize(places, (-(-len(places) // ROW), ROW, 2)).astype(np.float32)  # OpenCV takes no longer ones
    found = cv2.remap(picture, rows, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return found.reshape(-1, 3)[: len(places)]
