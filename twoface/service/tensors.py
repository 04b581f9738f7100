"""What every door asks of its tensors, and the picture that it answers."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twoface.core.errors import InputError
from twoface.core.frame import SIZE, UPRIGHT
from twoface.core.mesh import Mesher
from twoface.core.network import FillModel
from twoface.core.reference import registered, without_fringe

Array = NDArray[Any]
Floats = NDArray[np.float32]

CENTER = slice(48, 80)  # the hole of whoever sends no mask: 32x32, black
VALUES_A_ROW = 7 * SIZE * SIZE  # image, mask and reference
LETTERS_A_VALUE = 26  # of JSON: the longest double and its comma
BESIDES = 65536  # bytes of a message beside its values


@dataclass(frozen=True)
class Crops:
    """N crops for the network: float32 arrays as `FillModel.run` takes them. as_bytes: the image came as uint8.

    trust: None where the references are not registered yet.
    """

    image: Floats
    mask: Floats
    reference: Floats
    trust: Floats | None = None
    as_bytes: bool = False

    def __len__(self) -> int:
        return len(self.image)


def json_bytes(rows: int) -> int:
    """The largest body of a tensor door: the JSON of so many crops in full precision."""
    return rows * VALUES_A_ROW * LETTERS_A_VALUE + BESIDES


def message_bytes(rows: int) -> int:
    """The largest gRPC message: so many crops in float64."""
    return rows * VALUES_A_ROW * 8 + BESIDES


def check(
    image: Array, mask: Array | None = None, reference: Array | None = None, trust: Array | None = None, *, rows: int
) -> Crops:
    """Arrays of a caller -> Crops.

    image, reference: (N, 3, 128, 128), float32 in [0, 1] or uint8; N at most `rows`. No reference: all black.
    mask: (N, 1, 128, 128) of 0 and 1, uint8 255 also meaning 1; without it the hole is the black centre 32x32.
    trust: (N, 1, 128, 128), float32 in [0, 1] or uint8, of references that are registered already.
    Raises InputError.
    """
    if image.ndim != 4 or image.shape[1:] != (3, SIZE, SIZE):
        raise InputError(f"image must be (N, 3, {SIZE}, {SIZE}), not {image.shape}")
    if not 1 <= len(image) <= rows:
        raise InputError(f"1 to {rows} pictures go into one request, not {len(image)}: send more requests")
    pixels = _colours(image, "image")
    hole = _center(pixels) if mask is None else _mask(mask, len(image))
    if reference is None:
        reference = np.zeros(image.shape, np.float32)
    elif reference.shape != image.shape:
        raise InputError(f"reference must have the shape of image, {image.shape}, not {reference.shape}")
    if trust is not None:
        if trust.shape != (len(image), 1, SIZE, SIZE):
            raise InputError(f"trust must be {(len(image), 1, SIZE, SIZE)}, not {trust.shape}")
        trust = _colours(trust, "trust")
    return Crops(pixels, hole, _colours(reference, "reference"), trust, image.dtype == np.uint8)


def with_registered(crops: Crops, mesher: Mesher, network: FillModel) -> Crops:
    """The crops with their references registered, where their sender did not -> Crops.

    mesher, network: `twoface.core.mesh.Mesher` and the network that will fill them.

    A reference's face may lie anywhere in its crop.
    """
    if crops.trust is not None:
        return crops
    pictures, trusts = np.zeros_like(crops.reference), np.zeros_like(crops.mask)
    for row in np.flatnonzero(crops.reference.any((1, 2, 3))):
        image, reference = (planes[row].transpose(1, 2, 0) for planes in (crops.image, crops.reference))
        unknown = crops.mask[row, 0] == 1
        filled, points = mesher.behind(image * 255, unknown, network)
        mesh = mesher.find(reference * 255, UPRIGHT).points
        found = registered(points, unknown, np.ascontiguousarray(reference), mesh)
        bare = without_fringe(replace(found, picture=found.picture * 255), filled)
        pictures[row], trusts[row] = found.picture.transpose(2, 0, 1).clip(0, 1), bare.trust
    return replace(crops, reference=pictures, trust=trusts)


def generated(crops: Crops, fill: Floats) -> Array:
    """The caller's pictures, untouched outside the hole, `fill` inside -> (N, 3, 128, 128), uint8 if they came so."""
    picture = np.where(crops.mask == 1, fill, crops.image)
    return np.rint(picture * 255).astype(np.uint8) if crops.as_bytes else picture


def _colours(array: Array, name: str) -> Floats:
    if array.dtype == np.uint8:
        return array.astype(np.float32) / np.float32(255)
    if array.dtype != np.float32:
        raise InputError(f"{name} must be float32 or uint8, not {array.dtype}")
    if not (array.min() >= 0 and array.max() <= 1):  # written so that NaN fails too
        found = "NaN" if np.isnan(array).any() else "values outside [0, 1]"
        raise InputError(f"{name} holds {found}: divide by 255, or send uint8")
    return np.ascontiguousarray(array)


def _mask(mask: Array, count: int) -> Floats:
    if mask.shape != (count, 1, SIZE, SIZE):
        raise InputError(f"mask must be {(count, 1, SIZE, SIZE)}, not {mask.shape}")
    hole = mask == 1
    if mask.dtype == np.uint8:
        hole |= mask == 255
    if not (hole | (mask == 0)).all():
        raise InputError("mask must hold only 0 (known) and 1 (hole)")
    holes: Floats = hole.astype(np.float32)
    return holes


def _center(image: Floats) -> Floats:
    lit = image[:, :, CENTER, CENTER].any(axis=(1, 2, 3))
    if lit.any():
        raise InputError(
            f"picture {int(lit.argmax())} has no hole: make rows and columns 48 to 79 black (0), or send mask"
        )
    mask = np.zeros((len(image), 1, SIZE, SIZE), np.float32)
    mask[:, :, CENTER, CENTER] = 1
    return mask
