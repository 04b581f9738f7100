"""A photo's samples as its file has them, and as they are after a fill: what was not filled stays bit for bit."""

from dataclasses import dataclass

import numpy as np

from twoface.colour import Colour, grey_of


@dataclass(frozen=True, eq=False)
class Original:
    """The samples of a file, upright.

    samples: uint8 or uint16, grey and indices (H, W), others (H, W, C), without alpha. mode: "L", "RGB", "CMYK", or "P"
    with a palette. alpha: (H, W) of the same dtype, or None. colour: what the samples mean. seen: uint8 (H, W, 3), the
    same in sRGB. palette: uint8 (N, 3), N <= 256, or None.
    """

    samples: np.ndarray
    mode: str
    alpha: np.ndarray | None
    colour: Colour
    seen: np.ndarray
    palette: np.ndarray | None = None

    @property
    def depth(self):
        """Bits of a sample."""
        return self.samples.itemsize * 8

    @property
    def nbytes(self):
        """Bytes of memory beside those of `seen`."""
        samples = 0 if self.samples is self.seen else self.samples.nbytes
        return samples + (0 if self.alpha is None else self.alpha.nbytes)

    def filled(self, pixels):
        """The samples that show `pixels`, uint8 (H, W, 3) sRGB -> the same mode and depth; RGB for P.

        Where the pixels are as they were seen the samples are the file's.
        """
        if self.samples is self.seen:
            return pixels
        samples = self.samples if self.palette is None else self.palette[self.samples]
        changed = self._changed(pixels)
        if changed is None:
            return samples
        samples = samples if self.palette is not None else samples.copy()
        samples[changed] = self._own(pixels[changed])
        return samples

    def indexed(self, pixels):
        """As `filled`, of mode P -> (indices (H, W), palette), or None where the palette has no room."""
        changed = self._changed(pixels)
        if changed is None:
            return self.samples, self.palette
        colours, inverse = np.unique(self._own(pixels[changed]), axis=0, return_inverse=True)
        known = {tuple(colour): index for index, colour in reversed([*enumerate(self.palette.tolist())])}
        new = [colour for colour in colours.tolist() if tuple(colour) not in known]
        if len(self.palette) + len(new) > 256:
            return None
        known |= {tuple(colour): len(self.palette) + i for i, colour in enumerate(new)}
        samples = self.samples.copy()
        samples[changed] = np.array([known[tuple(colour)] for colour in colours.tolist()], np.uint8)[inverse.ravel()]
        return samples, np.concatenate([self.palette, np.array(new, np.uint8).reshape(-1, 3)])

    def filled_alpha(self, alpha):
        """The alpha, uint8 (H, W), at the file's depth; as the file's where it is the same."""
        if self.alpha is None or self.alpha.dtype == np.uint8:
            return alpha
        kept = alpha8(self.alpha) == alpha
        return np.where(kept, self.alpha, alpha.astype(np.uint16) * 257)

    def _changed(self, pixels):
        if pixels is self.seen:
            return None
        changed = (pixels != self.seen).any(-1)
        return changed if changed.any() else None

    def _own(self, pixels):
        """uint8 (N, 3) sRGB -> samples of the file's own space and depth; colours for P."""
        dtype = self.samples.dtype
        if self.colour.space is not None:
            return self.colour.space.from_srgb(pixels, dtype)
        samples = grey_of(pixels) if self.mode == "L" else pixels
        return samples if dtype == np.uint8 else samples.astype(np.uint16) * 257


def alpha8(alpha):
    """uint16 -> uint8, rounded down, so that only what is opaque altogether is 255; uint8 as it is."""
    return alpha if alpha.dtype == np.uint8 else (alpha // 257).astype(np.uint8)
