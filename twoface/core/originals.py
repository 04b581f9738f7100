"""A photo's samples as its file has them, and as they are after a fill: what was not filled stays bit for bit."""

from dataclasses import dataclass

import numpy as np

from twoface.core.arrays import Colours, Mask, Picture, Plane, Samples
from twoface.core.bands import bands
from twoface.core.colour import Colour, eight_bits, grey_of

_PACK = np.array([65536, 256, 1], np.int32)  # RGB of 8 bits as one number


@dataclass(frozen=True, eq=False)
class Original:
    """The samples of a file, upright.

    samples: uint8 or uint16, grey and indices (H, W), others (H, W, C), without alpha. mode: "L", "RGB", "CMYK", or "P"
    with a palette. alpha: (H, W) of the same dtype, or None. colour: what the samples mean. palette: uint8 (N, 3),
    N <= 256, or None.

    Rows are slices; a band of them is seen or filled alone, so that nothing of a large photo's size is made in passing.
    """

    samples: Samples
    mode: str
    alpha: Samples | None
    colour: Colour
    palette: Colours | None = None

    @property
    def depth(self) -> int:
        """Bits of a sample."""
        return self.samples.itemsize * 8

    def seen(self, rows: slice | None = None) -> Picture:
        """The samples in sRGB -> uint8 (H, W, 3): the same array where they are that already. rows: None for all."""
        samples, space = self.samples if rows is None else self.samples[rows], self.colour.space
        if self.palette is not None:
            colours = self.palette[None] if space is None else space.to_srgb(self.palette[None])
            return np.concatenate([colours[0], np.zeros((256 - len(self.palette), 3), np.uint8)])[samples]
        if space is not None:
            return space.to_srgb(samples)
        samples = eight_bits(samples)
        return samples if self.mode == "RGB" else np.repeat(samples[..., None], 3, axis=2)

    def filled(self, pixels: Picture, rows: slice = slice(None)) -> Samples:
        """The samples that show `pixels`, uint8 (H, W, 3) sRGB of these rows -> the same mode and depth; RGB for P.

        Where the pixels are as they were seen the samples are the file's.
        """
        samples = self.samples[rows]
        if self._is_plain:
            return pixels
        if self.palette is not None:
            samples = self.palette[samples]
        changed = self._changed(pixels, rows)
        if changed is None:
            return samples
        samples = samples.copy()
        samples[changed] = self._own(pixels[changed])
        return samples

    def indexed(self, pixels: Picture) -> tuple[Plane, Colours] | None:
        """As `filled`, of mode P and all rows -> (indices (H, W), palette), or None where the palette has no room."""
        assert self.palette is not None
        palette = (self.palette @ _PACK).tolist()
        known = {number: index for index, number in reversed([*enumerate(palette)])}
        samples = self.samples.copy()
        for rows in bands(*samples.shape):
            changed = self._changed(pixels[rows], rows)
            if changed is None:
                continue
            numbers, inverse = np.unique(self._own(pixels[rows][changed]) @ _PACK, return_inverse=True)
            new = [number for number in numbers.tolist() if number not in known]
            known |= {number: len(palette) + i for i, number in enumerate(new)}
            palette += new
            if len(palette) > 256:
                return None
            samples[rows][changed] = np.array([known[number] for number in numbers.tolist()], np.uint8)[inverse.ravel()]
        return samples, (np.array(palette)[:, None] // _PACK % 256).astype(np.uint8)

    def filled_alpha(self, alpha: Plane, rows: slice = slice(None)) -> Samples:
        """The alpha, uint8 (H, W) of these rows, at the file's depth; as the file's where it is the same."""
        if self.alpha is None or self.alpha.dtype == np.uint8:
            return alpha
        own = self.alpha[rows]
        return np.where(alpha8(own) == alpha, own, alpha.astype(np.uint16) * 257)

    @property
    def _is_plain(self) -> bool:
        return self.mode == "RGB" and self.samples.dtype == np.uint8 and self.colour.space is None

    def _changed(self, pixels: Picture, rows: slice) -> Mask | None:
        changed = (pixels != self.seen(rows)).any(-1)
        return changed if changed.any() else None

    def _own(self, pixels: Colours) -> Samples:
        """uint8 (N, 3) sRGB -> samples of the file's own space and depth; colours for P."""
        dtype = self.samples.dtype
        if self.colour.space is not None:
            return self.colour.space.from_srgb(pixels, dtype)
        samples = grey_of(pixels) if self.mode == "L" else pixels
        return samples if dtype == np.uint8 else samples.astype(np.uint16) * 257


def alpha8(alpha: Samples) -> Plane:
    """uint16 -> uint8, rounded down, so that only what is opaque altogether is 255; uint8 as it is."""
    return alpha if alpha.dtype == np.uint8 else (alpha // 257).astype(np.uint8)
