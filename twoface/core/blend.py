"""The network's fields at the photo's own resolution.

The network answers at 128 pixels, but what it moves, it moves from the reference *photo*: its fields (residual warp,
gain, offset, weight) are looked up at every photo pixel, and the reference is sampled once, in its own detail, through
the registration's map and the residual warp together.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, TypeAlias

import cv2
import numpy as np

from twoface.core.arrays import (
    Colours,
    Field,
    Fields,
    FloatPicture,
    Mask,
    Numbers,
    Picture,
    Places,
    Shape,
    Vector,
)
from twoface.core.bands import bands, widened
from twoface.core.frame import SIZE, Frame
from twoface.core.masks import distance_to, fading, grow
from twoface.core.reference import Registered, shrunk
from twoface.core.register import at_places
from twoface.core.tone import toned

RING = 8  # crop pixels: the width of the known surroundings that sharpness and grain are measured in
SEAM_BLUR, SEAM_REACH = 4.0, 8.0  # crop pixels: how far the seam's colour error is averaged, and how deep it is mended
MAX_SEAM = 0.2  # of the range 0..1: more than this is not an error of the fill
FINE = 1.5  # crop pixels: texture is what a blur of this deviation removes
TRUSTED = (0.2, 0.4)  # weight times gain, where the reference gives none and all of its texture
ALIKE = 0.9  # of a reference's brightness: so bright a photo counts as bright as it
RIM, TOLD = 4, 300  # pixels: of what both show a rim is left out, and so many tell how sharp each is
FLAT = 0.3  # levels: mean fine texture below which a reference has none to tell by
SMOOTH = 3  # pixels for each of the crop's that a picture without fine texture has, at most
TILE = 256  # pixels a side that are rendered at a time: what is computed then stays in the processor's cache
STRIPS, STRIP = 5, 64  # in which texture is measured, and the rows of each
MEASURED = 100_000  # pixels of a strip, evenly spread, that its texture is told from
TOO_SHARP, FAINT = 1.5, 0.0003  # times the photo's texture that is too much, and texture of the range 0..1 that is none
# What a blur of deviation s leaves of the high-pass at its pixels, of about three pixels a wave: exp(-(s / this)**2).
BLURRED = 0.675
MAX_GRAIN = 0.16  # deviation of the grain that may be added, of the range 0..1

Source: TypeAlias = tuple[Picture, Places]  # a reference photo, and where the crop lies in it
HighPasses: TypeAlias = list[tuple[Vector, Vector]]  # the photo's and the fill's, at each level


def crop_mask(hole: Mask, frame: Frame, feather_px: float = 0) -> Mask:
    """The hole as the network shall see it -> bool (128, 128).

    hole: bool (H, W) in photo pixels. Every crop pixel that it touches, but for a corner, is hole: nothing of what
    covers the face is to be seen, and all that is near it, for that tells most. Beyond the photo's border the hole is
    reflected, as the crop is. feather_px: photo pixels about the hole that count as hole too.
    """
    touch = feather_px + 0.71 * frame.detail + 0.25  # from a crop pixel's middle to its corner, and a little
    near = grow(hole, touch).view(np.uint8)
    flags, border = cv2.INTER_NEAREST, cv2.BORDER_REFLECT_101
    inside = cv2.warpAffine(near, frame.transform(), (SIZE, SIZE), flags=flags, borderMode=border)
    return inside.astype(bool)


def blend(
    pixels: Picture,
    hole: Mask,
    frame: Frame,
    fields: Mapping[str, Any],
    reference: Source | None = None,
    feather_px: float = 0.0,
    seam: Field | None = None,
    tone: Colours | None = None,
    seed: int = 0,
) -> None:
    """Put a fill into a photo, in place; it stays bit for bit wherever `feather(hole, feather_px)` is 0.

    pixels: uint8 (H, W, 3); hole: bool (H, W).
    fields: the network's outputs for this crop, (C, h, w) each. reference: the reference photo's pixels and where the
    crop lies in them (`twoface.core.register.Registration.map`), or None for the synthesis alone. feather_px: photo
    pixels. seam: what `seam_correction` says. tone: what `twoface.core.tone.tone_of` says. seed: of the grain.
    """
    detail = frame.detail
    reach = feather_px + RING * detail
    x0, y0, width, height = cv2.boundingRect(hole.view(np.uint8))
    rows = slice(max(0, int(y0 - reach)), int(np.ceil(y0 + height + reach)))
    columns = slice(max(0, int(x0 - reach)), int(np.ceil(x0 + width + reach)))
    part, hole = pixels[rows, columns], hole[rows, columns]
    frame = frame.shifted(columns.start, rows.start)
    source = reference and shrunk(*reference, max(detail, 1))
    low = reference and smoothed(fields, reference, detail)

    def look(band: slice, halo: int, reach: float) -> tuple[FloatPicture, FloatPicture, Field, Places]:
        """Rows, and `halo` more: the fill, the photo, distances to the hole to `reach`, places in the crop."""
        wide = widened(band, halo, len(part))
        around = widened(wide, int(np.ceil(reach)) + 1, len(part))
        places = _places(frame.shifted(0, wide.start), part[wide].shape)
        fill = render(fields, places, source, detail, low)
        if seam is not None:
            fill += _sample(seam, places, cv2.INTER_LINEAR)
            np.clip(fill, 0, 1, out=fill)
        outside = distance_to(hole[around])[wide.start - around.start :][: wide.stop - wide.start].copy()
        return fill, np.multiply(part[wide], 1 / 255, dtype=np.float32), outside, places

    def measured(band: slice) -> HighPasses:
        fill, photo, outside, places = look(band, 0, reach)
        ring = (outside > feather_px) & (outside <= reach)
        ring[ring] = (np.abs(places[ring] - SIZE / 2 + 0.5) <= SIZE / 2).all(-1)
        return _high_passes(fill, photo, ring, outside == 0, detail)

    plan = _texture_plan([measured(strip) for strip in _strips(hole)], detail)
    halo = int(np.ceil(4 * plan[0])) + 1  # OpenCV's kernels reach four deviations
    for band in bands(*part.shape[:2]):
        fill, photo, outside, _ = look(band, halo, feather_px)
        start = band.start - max(0, band.start - halo)
        own = slice(start, start + band.stop - band.start)
        fill = _textured(fill, plan, (seed, band.start))[own]
        alpha = fading(outside[own], feather_px)[..., None]
        mixed = fill - photo[own]  # in place from here on: at full resolution every new array costs
        mixed *= alpha
        mixed += photo[own]
        mixed *= 255
        shown = np.rint(mixed, out=mixed).astype(np.uint8)
        if tone is not None:
            shown = toned(part[band], shown, tone)
        np.copyto(part[band], shown, where=alpha > 0)


def seam_correction(known: Picture, fill: Field, hole: Mask, blended: Mask) -> Field:
    """What to add to a fill so that it meets its surroundings without a step -> float32 (128, 128, 3).

    known: uint8 (128, 128, 3), the photo's crop; fill: float32 (3, 128, 128) in [0, 1], the network's answer.
    hole, blended: bool (128, 128), the hole, and that with its feather. In the band between them the photo tells how
    wrong the fill is; the error, averaged along the band, fades with the depth into the hole.
    """
    band = (blended & ~hole).astype(np.float32)
    error = np.clip(known.astype(np.float32) / 255 - _picture(fill), -MAX_SEAM, MAX_SEAM) * band[..., None]
    near = cv2.GaussianBlur(band, (0, 0), SEAM_BLUR)
    mean = cv2.GaussianBlur(error, (0, 0), SEAM_BLUR) / np.maximum(near, 1e-4)[..., None]
    return mean * np.exp(-distance_to(~hole) / SEAM_REACH)[..., None].astype(np.float32)


def beside(fields: Fields, crop: Picture, unknown: Mask, registered: Registered) -> dict[str, Any]:
    """The network's outputs and what `render` asks of the reference they were made from, by name.

    crop: uint8 (128, 128, 3); unknown: bool (128, 128), what of it is not known; registered: as of
    `twoface.core.reference.Registered`. Added: "contrast", as of `contrast_of`, and its "within".
    """
    contrast = contrast_of(crop, registered.picture, ~unknown & (registered.trust > 0.5))
    return fields | {"contrast": contrast, "within": registered.within}


def contrast_of(crop: Picture, reference: Picture, shared: Mask) -> float:
    """How strong a photo's fine texture is by its reference's, where both show the face -> float, 1 at most.

    A darker photo has less (from `ALIKE` of the brightness on it counts as bright), and a blurred one has.
    crop, reference: uint8 (128, 128, 3), registered; shared: bool (128, 128).
    """
    if not shared.any():
        return 1.0
    ours, theirs = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in (crop, reference))
    light = np.median(ours[shared]) / (ALIKE * max(np.median(theirs[shared]), 1))
    within = cv2.erode(shared.view(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8), borderValue=0).view(bool)
    if within.sum() < TOLD:
        return float(np.clip(light, 0.02, 1))
    fine = [np.abs(grey - cv2.GaussianBlur(grey, (0, 0), FINE))[within].mean() for grey in (ours, theirs)]
    return float(np.clip(min(light, fine[0] / max(fine[1], FLAT)), 0.02, 1))


def render(
    fields: Mapping[str, Any], places: Numbers, reference: Source | None, detail: float, low: FloatPicture | None = None
) -> FloatPicture:
    """The fill at places in the crop frame -> float32 (H, W, 3) in [0, 1].

    places: (H, W, 2) crop coordinates. detail: photo pixels per crop pixel; a finer reference is shrunk to it.
    low: what `smoothed` made, to bring the reference's own fine texture to its natural contrast (in a darker or softer
    photo to less, by `fields["contrast"]`, as of `contrast_of`) where the network takes enough of the reference, inside
    the face (`fields["within"]`, (128, 128), as of `twoface.core.reference.Registered`): at its outline and beyond it
    would be another background's. The network, taught by L1, damps what might lie half a pixel off, and it cannot see
    what is finer than its pixels: both make a fill look out of focus.
    None gives the network's own answer.
    """
    places = places.astype(np.float32, copy=False)
    synthesis, offset = _picture(fields["synthesis"]), _picture(fields["offset"])
    if reference is None:
        return np.clip(_sample(synthesis, places, cv2.INTER_CUBIC), 0, 1)
    smooth = _smooth(fields)
    source, contrast = shrunk(*reference, max(detail, 1)), fields.get("contrast", 1)
    within = None if low is None else fields["within"]
    fill = np.empty((*places.shape[:2], 3), np.float32)

    def render_tile(tile: tuple[slice, slice]) -> None:
        fill[tile] = _tile(synthesis, offset, smooth, source, low, contrast, within, places[tile])

    rows, columns = ([slice(start, start + TILE) for start in range(0, side, TILE)] for side in fill.shape[:2])
    tiles = list(product(rows, columns))
    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as threads:
        list(threads.map(render_tile, tiles))
    return fill


def smoothed(fields: Mapping[str, Any], reference: Source, detail: float) -> FloatPicture:
    """The moved reference without its fine texture -> float32 (S, S, 3), over the crop frame. Arguments as of `render`.

    It is as smooth in a large photo as in a small one, so a few pixels for each of the crop's are enough.
    """
    finer = int(np.clip(round(detail), 1, SMOOTH))
    along = (np.arange(finer * SIZE, dtype=np.float32) + 0.5) / finer - 0.5
    places = np.stack(np.meshgrid(along, along), -1)
    moved = _moved(_smooth(fields)[0], shrunk(*reference, finer), places)
    return cv2.GaussianBlur(moved, (0, 0), FINE * finer)


def _smooth(fields: Mapping[str, Any]) -> list[Field]:
    return [_enlarged(_picture(fields[name])) for name in ("flow", "gain", "weight")]


def _moved(flow: Field, source: Source, places: Numbers) -> FloatPicture:
    """The reference where the network moved it, at some places -> float32 (H, W, 3)."""
    picture, grid = source
    moved = at_places(grid, np.clip(places + _sample(flow, places, cv2.INTER_LINEAR), 0, SIZE - 1))
    needed = np.multiply(_needed(picture, moved), 1 / 255, dtype=np.float32)
    return _sample(needed, moved, cv2.INTER_CUBIC, cv2.BORDER_REFLECT_101)


def _tile(
    synthesis: FloatPicture,
    offset: Field,
    smooth: list[Field],
    source: Source,
    low: FloatPicture | None,
    contrast: float,
    within: Field | None,
    places: Places,
) -> FloatPicture:
    """A part of `render`."""
    gain, weight = (_sample(field, places, cv2.INTER_LINEAR) for field in smooth[1:])
    weight = weight.reshape(*places.shape[:2], 1)
    pixels = _moved(smooth[0], source, places)
    invented, added = (_sample(picture, places, cv2.INTER_CUBIC) for picture in (synthesis, offset))
    fill = weight * (gain * pixels + added - invented) + invented
    if low is not None:
        given = weight * (gain @ np.full((3, 1), 1 / 3, np.float32))
        trust = np.clip((given / contrast - TRUSTED[0]) / (TRUSTED[1] - TRUSTED[0]), 0, 1)
        assert within is not None  # whoever gives `low` gives it
        trust *= _sample(within, places, cv2.INTER_LINEAR)[..., None]
        finer = len(low) / SIZE
        pixels -= _sample(low, (places + 0.5) * np.float32(finer) - 0.5, cv2.INTER_LINEAR)
        pixels *= np.maximum(0, contrast * trust - given)
        fill += pixels
    return np.clip(fill, 0, 1, out=fill)


def _high_passes(fill: FloatPicture, photo: FloatPicture, ring: Mask, hole: Mask, detail: float) -> HighPasses:
    """What a plan is made of, at the pixels of the photo, at half of them and so on to the crop's.

    The photo's high-pass in the ring, and the fill's in the hole.
    """
    found = []
    for level in range(1 + int(np.log2(max(detail, 1)))):
        if level:
            size = [max(side >> level, 1) for side in hole.shape[::-1]]
            fill, photo = (cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (fill, photo))
            ring, hole = (
                cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(bool)
                for mask in (ring, hole)
            )
        found.append((_high_pass(photo, ring), _high_pass(fill, hole)))
    return found


def _texture_plan(parts: list[HighPasses], detail: float) -> tuple[float, float]:
    """How a fill gets the texture of its surroundings -> deviations: of a blur, in pixels, and of the grain to add.

    parts: what `_high_passes` gave of some of the picture. Texture is the robust deviation of a high-pass of luminance.
    A fill with half as much again is softened, by no more than half a crop pixel: in a photo that is out of focus, or
    was enlarged, its fill would be finer than all about it. One with less gets seeded gaussian grain, at most
    `MAX_GRAIN`.
    """
    levels = [tuple(map(np.concatenate, zip(*of_all, strict=True))) for of_all in zip(*parts, strict=True)]
    around, inside = levels[0]
    if len(around) < 64 or len(inside) < 64:
        return 0.0, 0.0
    blur = 0.0
    for number, (around, inside) in enumerate(levels):
        if min(len(around), len(inside)) < 64:
            break
        wanted, has = _deviation(around) + FAINT, _deviation(inside)
        if has > TOO_SHARP * wanted:
            blur = max(blur, 2**number * BLURRED * float(np.log(has / wanted)) ** 0.5)
    blur = min(blur, detail / 2) if detail >= 1 else 0.0
    wanted, has = map(_deviation, levels[0])
    has *= float(np.exp(-((blur / BLURRED) ** 2)))
    return blur, min(max(wanted**2 - has**2, 0) ** 0.5, MAX_GRAIN)


def _textured(fill: FloatPicture, plan: tuple[float, float], seed: int | tuple[int, int]) -> FloatPicture:
    blur, deviation = plan
    if blur:
        fill = cv2.GaussianBlur(fill, (0, 0), blur)
    if not deviation:
        return fill
    grain = np.random.default_rng(seed).standard_normal(fill.shape[:2], np.float32)
    grain *= deviation
    return np.clip(fill + grain[..., None], 0, 1)


def _high_pass(picture: FloatPicture, where: Mask) -> Vector:
    """The pixel noise of a picture (Immerkaer 1996) at some of its places -> float32 (N,), of the range 0..1."""
    kernel = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32) / 6
    values = cv2.filter2D(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), -1, kernel)[where]
    return values[:: 1 + len(values) // MEASURED].copy()


def _deviation(values: Vector) -> float:
    """The robust deviation of values about 0."""
    return 1.4826 * float(np.median(np.abs(values)))


def _strips(hole: Mask) -> list[slice]:
    """Rows in which the texture of a part of a photo with a hole, bool (H, W), is measured.

    All of it, or of a large one up to `STRIPS` strips, about rows that hold some of the hole.
    """
    height, width = hole.shape
    if height <= STRIPS * STRIP:
        return bands(height, width)
    rows = np.flatnonzero(hole.any(1))
    middles = rows[np.linspace(0, len(rows) - 1, STRIPS).astype(int)]
    starts = np.unique(np.clip(middles - STRIP // 2, 0, height - STRIP))
    return [slice(start, start + STRIP) for start in starts.tolist()]


def _places(frame: Frame, shape: Shape) -> Places:
    """Where the pixels of a picture lie in the crop -> float32 (H, W, 2)."""
    transform = frame.transform()
    places = np.empty((*shape[:2], 2), np.float32)
    for axis in (0, 1):
        along = transform[axis, 0] * np.arange(shape[1])
        down = transform[axis, 1] * np.arange(shape[0]) + transform[axis, 2]
        np.add(down[:, None], along, out=places[..., axis], casting="same_kind")
    return places


def _needed(picture: Picture, places: Places) -> Picture:
    """The part of a picture that a cubic lookup at `places` needs, which are moved to it in place.

    Where they reach over its border, as much inside as its reflection needs.
    """
    size = np.array(picture.shape[1::-1])
    least = np.floor(places.min((0, 1))).astype(int) - 2
    most = np.ceil(places.max((0, 1))).astype(int) + 3
    low = np.clip(np.minimum(least, 2 * size - most - 1), 0, size - 1)
    high = np.clip(np.maximum(most, 1 - least), low + 1, size)
    places -= low.astype(np.float32)
    return picture[low[1] : high[1], low[0] : high[0]]


def _picture(planes: Field) -> Field:
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _enlarged(field: Field) -> Field:
    """Bilinear to 128x128 with half-pixel centres, as the network does it."""
    return cv2.resize(field, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def _sample(picture: Numbers, places: Numbers, how: int, border: int = cv2.BORDER_REPLICATE) -> Field:
    return cv2.remap(picture, places, None, how, borderMode=border)
