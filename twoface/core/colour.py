"""Colour spaces: what a file says its samples mean; to sRGB, which the network sees, and back.

RGB and grey spaces of a matrix and curves are computed here, at any depth; profiles of tables (CMYK, Lab, printers) go
through LittleCMS at 8 bits.
"""

import functools
import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from twoface.core.arrays import Colours, Matrix, Numbers, Picture, Samples, Vector
from twoface.core.bands import by_bands
from twoface.core.errors import TwoFaceError

# Linear sRGB -> XYZ of D50, the white of profiles.
_SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D65 = (0.3127, 0.3290)
_SRGB_PRIMARIES = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
# CICP (ITU-T H.273) -> x and y of white, red, green and blue; what is not here counts as sRGB's.
_PRIMARIES = {
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}  # CICP transfers that are powers; the others but PQ and HLG count as sRGB's
_PQ, _HLG = 16, 18
_WHITE = 203 / 10_000  # BT.2408: the light of a white paper, of PQ's whole
_STEPS = 65_536

Chunks: TypeAlias = tuple[tuple[bytes, bytes], ...]  # of a PNG: name and content
DType: TypeAlias = np.dtype[Any] | type[np.generic]


class ProfileError(TwoFaceError):
    """A colour profile that cannot be used."""


@dataclass(frozen=True, eq=False)
class Space:
    """An RGB space, or a grey one where `matrix` is None.

    curves: float64 (3, _STEPS), or (1, _STEPS) for grey: linear light of each sample, 1 = white; HDR goes beyond.
    matrix: float64 (3, 3), linear light of the space -> that of sRGB.
    """

    curves: Matrix
    matrix: Matrix | None

    def to_srgb(self, samples: Samples) -> Picture:
        """uint8 or uint16 (H, W, 3), grey (H, W) -> uint8 (H, W, 3)."""
        tables = self.curves[:, :: 257 if samples.dtype == np.uint8 else 1].astype(np.float32)
        if self.matrix is None:
            grey = _encoded(tables[0])
            return by_bands(lambda part: np.repeat(grey[part][..., None], 3, axis=-1), samples)
        tables, matrix = np.ascontiguousarray(tables.T)[None], self.matrix.astype(np.float32)

        def seen(part: Samples) -> Picture:
            return _encoded(cv2.transform(cv2.LUT(np.ascontiguousarray(part), tables), matrix))

        return by_bands(seen, samples)

    def from_srgb(self, pixels: Colours, dtype: DType) -> Samples:
        """uint8 (N, 3) -> `dtype` (N, 3), grey (N,): the nearest samples that show these colours."""
        light = _srgb_curve(np.arange(256) / 255)[pixels]
        top = np.iinfo(dtype).max
        places = np.linspace(0, top, _STEPS)
        if self.matrix is None:
            grey = np.interp(light @ _SRGB[1], self.curves[0], places)
            return np.rint(grey).astype(dtype)
        light = light @ np.linalg.inv(self.matrix).T
        samples = [np.interp(light[:, channel], curve, places) for channel, curve in enumerate(self.curves)]
        return np.rint(np.stack(samples, -1)).astype(dtype)


@dataclass(frozen=True, eq=False)
class Tables:
    """The space of a profile that only LittleCMS can read, at 8 bits. mode: Pillow's, of its samples."""

    profile: bytes
    mode: str

    def to_srgb(self, samples: Samples) -> Picture:
        """uint8 or uint16 (H, W, C), grey (H, W) -> uint8 (H, W, 3)."""

        def seen(part: Samples) -> Picture:
            return np.asarray(self._transform(Image.fromarray(eight_bits(part), self.mode), inward=True))

        return by_bands(seen, samples)

    def from_srgb(self, pixels: Colours, dtype: DType) -> Samples:
        """uint8 (N, 3) -> `dtype` (N, C), grey (N,)."""
        samples = np.array(self._transform(Image.fromarray(pixels[None]), inward=False))[0]
        return samples if dtype == np.uint8 else samples.astype(np.uint16) * 257

    def _transform(self, image: Image.Image, inward: bool) -> Image.Image:
        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(self.profile)), ImageCms.createProfile("sRGB")
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        try:
            if inward:
                changed = ImageCms.profileToProfile(image, own, srgb, intent, "RGB", flags=flags)
            else:
                changed = ImageCms.profileToProfile(image, srgb, own, intent, self.mode, flags=flags)
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            raise ProfileError(f"the colour profile cannot be used: {error}") from error
        assert changed is not None  # as only where it works in place
        return changed


class PlainCmyk:
    """CMYK of which no profile tells more: each ink takes its share of the light."""

    def to_srgb(self, samples: Samples) -> Picture:
        """uint8 (H, W, 4) -> uint8 (H, W, 3)."""
        return by_bands(lambda part: np.asarray(Image.fromarray(part, "CMYK").convert("RGB")), samples)

    def from_srgb(self, pixels: Colours, dtype: DType) -> Samples:
        """uint8 (N, 3) -> uint8 (N, 4)."""
        return np.array(Image.fromarray(pixels[None]).convert("CMYK"))[0]


@dataclass(frozen=True, eq=False)
class Colour:
    """What a file says of its samples' colours.

    space: a Space, Tables or PlainCmyk, None where it is sRGB or nothing is said. icc: the file's profile, or one
    that says the same as its tags; None where there is none, and for HDR. chunks: the tags as chunks of a PNG,
    ((name, bytes), ...).
    hdr: PQ or HLG, which no profile and no other format that we write can say.
    """

    space: Space | Tables | PlainCmyk | None = None
    icc: bytes | None = None
    chunks: Chunks = ()
    hdr: bool = False

    def grey(self) -> "Colour":
        """What the same tags say of grey samples."""
        if not isinstance(self.space, Space):  # tags give no other
            return self
        curve = self.space.curves[0]
        if np.abs(curve - _srgb_curve(np.linspace(0, 1, _STEPS))).max() < 1 / 255:
            return Colour(chunks=self.chunks)
        icc = None if self.hdr else _profile(None, _curve_tag(curve))
        return Colour(Space(curve[None], None), icc, self.chunks, self.hdr)


def of_profile(icc: bytes, mode: str) -> Colour:
    """The colours that an ICC profile tells for samples of a `mode` ("L", "RGB", "CMYK").

    A profile of another kind of samples says nothing. Raises ProfileError for one that is damaged.
    """
    if icc[16:20] != {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}[mode]:
        return Colour()
    try:
        tags = _tags(icc)
        shaped = _shaped(tags) if b"A2B0" not in tags else None
    except (struct.error, IndexError, ValueError, np.linalg.LinAlgError) as error:
        raise ProfileError(f"the colour profile is damaged: {error}") from error
    space = shaped or Tables(icc, mode)
    return Colour(None if mode == "RGB" and _is_srgb(space) else _tried(space, mode), icc)


def of_cicp(primaries: int, transfer: int) -> Colour:
    """The colours of CICP numbers, as nclx boxes and cICP chunks hold them."""
    chunks = ((b"cICP", bytes([primaries, transfer, 0, 1])),)
    where = _PRIMARIES.get(primaries, _SRGB_PRIMARIES)
    if transfer in (_PQ, _HLG):
        curve = (_pq_curve if transfer == _PQ else _hlg_curve)(np.linspace(0, 1, _STEPS))
        return Colour(_space(where, curve), None, chunks, hdr=True)
    return _tagged(where, _GAMMAS.get(transfer), chunks)


def of_gamma(gamma: float, chromaticities: Sequence[float] | None = None, chunks: Chunks = ()) -> Colour:
    """The colours of a PNG's gAMA (such as 1 / 2.2) and cHRM (x and y of white, red, green, blue)."""
    like_srgb = abs(gamma * 2.2 - 1) < 0.02
    return _tagged(chromaticities or _SRGB_PRIMARIES, None if like_srgb else 1 / gamma, chunks)


def eight_bits(samples: Samples) -> NDArray[np.uint8]:
    """uint16 (H, W, ...) -> uint8, rounded; uint8 as it is."""
    if samples.dtype == np.uint8:
        return samples
    return by_bands(lambda part: ((part.astype(np.uint32) + 128) // 257).astype(np.uint8), samples)


def grey_of(pixels: Colours) -> NDArray[np.uint8]:
    """uint8 (N, 3) sRGB -> uint8 (N,): the luma."""
    return cv2.cvtColor(pixels[None], cv2.COLOR_RGB2GRAY)[0]


def _tagged(primaries: Sequence[float], gamma: float | None, chunks: Chunks) -> Colour:
    """gamma: of the curve, None for sRGB's."""
    ramp = np.linspace(0, 1, _STEPS)
    try:
        space = _space(primaries, _srgb_curve(ramp) if gamma is None else ramp**gamma)
    except (np.linalg.LinAlgError, ZeroDivisionError) as error:
        raise ProfileError(f"the chromaticities are no colour space: {error}") from error
    if _is_srgb(space):
        return Colour(chunks=chunks)
    kind, parameters = (0, (gamma,)) if gamma else (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    curve = b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(_number(v) for v in parameters)
    return Colour(space, _profile(_to_d50(primaries), curve), chunks)


def _space(primaries: Sequence[float], curve: Vector) -> Space:
    return Space(np.broadcast_to(curve, (3, _STEPS)), np.linalg.inv(_SRGB) @ _to_d50(primaries))


def _to_d50(primaries: Sequence[float]) -> Matrix:
    """Linear RGB of these chromaticities -> XYZ of D50, (3, 3)."""
    places = zip(primaries[::2], primaries[1::2], strict=True)
    white, *colours = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in places)
    columns = np.stack(colours, 1)
    columns = columns * np.linalg.solve(columns, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ (cones[:, None] * _BRADFORD) @ columns


@functools.cache
def _grid() -> Picture:
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)


def _is_srgb(space: Space | Tables) -> bool:
    return np.abs(space.to_srgb(_grid()).astype(int) - _grid()).max() <= 1


def _tried(space: Space | Tables, mode: str) -> Space | Tables:
    """The space, once it has been shown to go both ways."""
    if isinstance(space, Tables):
        probe = np.zeros((1, 1) if mode == "L" else (1, 1, len(mode)), np.uint8)
        space.from_srgb(space.to_srgb(probe)[0], np.uint8)
    return space


def _encoded(light: Numbers) -> NDArray[np.uint8]:
    """Linear light of sRGB -> uint8."""
    places = (np.clip(light, 0, 1) * np.float32(_STEPS - 1) + np.float32(0.5)).astype(np.uint16)
    return cv2.LUT(places, _ENCODED).reshape(light.shape)


def _srgb_curve(x: Numbers) -> Numbers:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _inverse_srgb_curve(y: Numbers) -> Numbers:
    return np.where(y <= 0.0031308, y * 12.92, 1.055 * y ** (1 / 2.4) - 0.055)


_ENCODED = np.rint(_inverse_srgb_curve(np.linspace(0, 1, _STEPS)) * 255).astype(np.uint8)


def _pq_curve(x: Vector) -> Vector:
    power = x ** (32 / 2523)
    return (np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)) ** (8192 / 1305) / _WHITE


def _hlg_curve(x: Vector) -> Vector:
    """White at three quarters, with the system's gamma of 1.2."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    scene = np.where(x <= 0.5, x * x / 3, (np.exp((x - c) / a) + b) / 12)
    white = (np.exp((0.75 - c) / a) + b) / 12
    return (scene / white) ** 1.2


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    entries = (struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(min(count, 256)))
    return {name: icc[start : start + length] for name, start, length in entries}


def _shaped(tags: dict[bytes, bytes]) -> Space | None:
    """The Space of a profile of a matrix and curves; None for another."""
    if b"kTRC" in tags:
        return Space(_curve(tags[b"kTRC"])[None], None)
    if not {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"} <= tags.keys():
        return None
    columns = [np.array(struct.unpack_from(">3i", tags[c + b"XYZ"], 8)) / 65536 for c in (b"r", b"g", b"b")]
    matrix = np.linalg.inv(_SRGB) @ np.stack(columns, 1)
    np.linalg.inv(matrix)
    return Space(np.stack([_curve(tags[c + b"TRC"]) for c in (b"r", b"g", b"b")]), matrix)


def _curve(tag: bytes) -> Vector:
    """A curv or para tag -> float64 (_STEPS,)."""
    x = np.linspace(0, 1, _STEPS)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return x
        values = np.array(struct.unpack_from(f">{count}H", tag, 12))
        return x ** (values[0] / 256) if count == 1 else np.interp(x, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        raise ValueError(f"a curve of the kind {tag[:4]!r}")
    kind = struct.unpack_from(">H", tag, 8)[0]
    g, a, b, c, d, e, f = (*np.array(struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)) / 65536, *[0.0] * 6)[:7]
    a, e, f = (a if kind else 1.0), (e if kind == 4 else c if kind == 2 else 0.0), (f if kind == 4 else 0.0)
    low = {0: 0 * x, 1: 0 * x, 2: c + 0 * x, 3: c * x, 4: c * x + f}[kind]
    start = {0: 0.0, 1: -b / a, 2: -b / a, 3: d, 4: d}[kind]
    return np.clip(np.where(x >= start, np.maximum(a * x + b, 0) ** g + e, low), 0, 1)


def _number(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _curve_tag(curve: Vector) -> bytes:
    """A curve of 0..1 -> a curv tag of 4096 steps."""
    steps = np.interp(np.linspace(0, 1, 4096), np.linspace(0, 1, len(curve)), curve)
    return b"curv\0\0\0\0" + struct.pack(">I", 4096) + np.rint(steps * 65535).astype(">u2").tobytes()


def _profile(to_d50: Matrix | None, curve: bytes) -> bytes:
    """An ICC profile (version 4) of one curve, a tag, and a matrix; of grey where `to_d50` is None."""

    def text(words: str) -> bytes:
        head = struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", 2 * len(words), 28)
        return head + words.encode("utf-16-be")

    def place(values: Iterable[float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(_number(v) for v in values)

    tags = {b"desc": text("as the photo's tags say"), b"cprt": text("no copyright, use freely"), b"wtpt": place(_D50)}
    if to_d50 is None:
        tags[b"kTRC"] = curve
    else:
        tags |= {c + b"XYZ": place(column) for c, column in zip((b"r", b"g", b"b"), to_d50.T, strict=True)}
        tags |= {c + b"TRC": curve for c in (b"r", b"g", b"b")}
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    space = b"GRAY" if to_d50 is None else b"RGB "
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04300000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + b"".join(_number(v) for v in _D50)
    return head + bytes(128 - len(head)) + table + body
