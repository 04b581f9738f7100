"""The prepared faces in memory, and the pairs of the same person that training draws from them. No torch here."""

from __future__ import annotations

import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from twoface.core.arrays import Field, Indices, Mask, Meshes, Numbers, Picture, Pictures, Plane, Points, Transform
from twoface.core.errors import InputError
from twoface.core.files import write_aside
from twoface.core.frame import SIZE, Frame
from twoface.core.mesh import Mesher, fitted, mirrored, moved
from twoface.core.network import FillModel
from twoface.core.reference import registered as registered_reference
from twoface.core.reference import without_fringe
from twoface.core.register import at_places, enlarged, pixels, register
from twoface.research.data.containers import entries, read_index
from twoface.research.data.random_holes import random_hole

CROP = 160  # px, the side of a stored crop
MARGIN = (CROP - SIZE) // 2
FRAME = Frame(CROP / 2, CROP / 2, SIZE)  # of a stored crop: without its margin


@dataclass(frozen=True)
class Portraits:
    """All crops of one split.

    crops: uint8 (N, 160, 160, 3) RGB; may be memory-mapped.
    identity: int (N,), an index into `names`.
    source: str (N,), the collection a crop comes from ("lfw", "celeb", ...).
    paths: the N paths inside the shards; names: the identities' labels.
    """

    crops: Pictures
    identity: Indices
    source: Numbers
    paths: list[str]
    names: list[str]

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def key(self) -> int:
        """Tells these crops from others, in a file that was made of them."""
        return zlib.crc32("\n".join(self.paths).encode())

    def read_made(self, path: str | Path, maker: str) -> dict[str, Any]:
        """The arrays of an .npz file that the module `maker` made of these crops.

        Raises InputError for a file that is missing or of other crops.
        """
        if not Path(path).is_file():
            raise InputError(f"{path} not found: make it with python -m {maker}")
        with np.load(path) as held:
            if held["key"] != self.key:
                raise InputError(f"{path} is of other crops: make it anew with python -m {maker}")
            return dict(held)

    @classmethod
    def load(cls, data: str | Path, split: str, cache: str | Path | None = None) -> Portraits:
        """Read a split of a folder that `twoface data prepare` made, or of 160x160 crops at IDENTITY/PICTURE in a
        folder, a tar or a zip file (`twoface.research.data.containers.read_index`).

        Every crop is decoded once, into memory. With `cache`, a folder, the decoded crops are kept there (77 kB each)
        and memory-mapped the next time.

        Raises InputError when the data or the split is missing, or a shard lacks a crop.
        """
        data = Path(data)
        everything = read_index(data)
        rows = [row for row in everything if row["split"] == split]
        if not rows:
            raise InputError(f"{data} has no split {split!r}; it has {sorted({row['split'] for row in everything})}")
        names = sorted({row["identity"] for row in rows})
        number = {name: i for i, name in enumerate(names)}
        return cls(
            crops=_cached(data, rows, cache),
            identity=np.array([number[row["identity"]] for row in rows]),
            source=np.array([row["source"] for row in rows]),
            paths=[row["path"] for row in rows],
            names=names,
        )


def _cached(data: Path, rows: list[dict[str, Any]], cache: str | Path | None) -> Pictures:
    if cache is None:
        return _decode(data, rows)
    key = repr([(row["shard"], row["path"]) for row in rows]) + repr(_stamps(data, rows))
    path = Path(cache) / f"crops-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        crops = _decode(data, rows)
        write_aside(path, lambda aside: np.save(aside, crops))
    return np.load(path, mmap_mode="r")


def _stamps(data: Path, rows: list[dict[str, Any]]) -> list[Any]:
    """What tells these crops from others that were at the same places: shards' sizes, loose files' sizes and times."""
    shards = sorted({row["shard"] for row in rows if row["shard"]})
    loose = [data / row["path"] for row in rows if not row["shard"]] if data.is_dir() else [data]
    stats = [path.stat() for path in loose]
    return [(data / shard).stat().st_size for shard in shards] + [(s.st_size, s.st_mtime_ns) for s in stats]


def _decode(data: Path, rows: list[dict[str, Any]]) -> Pictures:
    crops = np.empty((len(rows), CROP, CROP, 3), np.uint8)

    def decode(item: tuple[int, str, bytes]) -> None:
        i, path, content = item
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if picture is None or picture.shape != crops.shape[1:]:
            raise InputError(f"{path} is not a {CROP}x{CROP} picture: prepare the data with `twoface data prepare`")
        crops[i] = picture[:, :, ::-1]

    for shard in sorted({row["shard"] for row in rows}):
        where = {row["path"]: i for i, row in enumerate(rows) if row["shard"] == shard}
        container = data / shard if shard else data
        if not container.exists():
            raise InputError(f"{container} not found, though index.csv names it: prepare the data again")
        with ThreadPoolExecutor(2) as pool:
            list(
                pool.map(decode, ((where.pop(name), name, content) for name, content in entries(container, set(where))))
            )
        if where:
            raise InputError(f"{container} lacks {len(where)} crops that index.csv names, {next(iter(where))} first")
    return crops


@dataclass(frozen=True)
class Augmentation:
    """How far a training picture may be moved and recoloured, and how wrong its mesh may be."""

    rotation: float = 15.0  # degrees either way, in the share of pictures below; the others turn by a fifth of it
    rotated_share: float = 0.3  # a square chosen by hand is not upright
    scale: float = 0.08  # log scale either way
    shift: float = 4.0  # px either way
    colour: float = 0.15  # strength of exposure, contrast, gamma and tint changes; of the reference's apart
    toned_share: float = 0.1  # of pictures, and of references, that are grey or sepia
    blur: float = 0.1  # share of pictures that lose resolution: the fill shall be as soft as they are
    reference_blur: float = 0.1  # share of references that do
    reference_covered: float = 0.15  # share of references in front of which something is
    mesh_bend: float = 1.0  # px, deviation of a smooth error of the picture's mesh; it and the shift not of first fills
    mesh_shift: float = 0.7  # px, deviation of its shift


class PortraitPairs:
    """An endless, random-access list of training samples.

    Sample `i` depends on (seed, i) alone, so a run resumes exactly and its order does not change with the
    number of workers or processes. A sample is a dict of
    `target`, `reference`: uint8 (128, 128, 3) RGB, the reference registered to the target, black when there is none;
    `trust`: uint8 (128, 128), how far the registered reference shows what the target would, 255 fully, 0 without one;
    `mask`: uint8 (128, 128), 1 = hole; `target_index`, `reference_index`: places in `portraits` (-1 = none).

    meshes: float (N, 478, 3), of the crops, in the pixels of their 128 frames (`twoface.research.data.meshes`).
    Half the weight of a big identity is taken away (drawn by the square root of its number of pictures).
    `single_share` of the samples are people with one picture, who never have a reference;
    `drop_reference` of the others lose theirs.
    first_fills: the mesh of a target that has a reference is found as `twoface fill` finds it, in a first fill of the
    hole by the network that ships; else it is the true one with a drawn error, which is quicker.
    """

    def __init__(
        self,
        portraits: Portraits,
        meshes: Meshes,
        seed: int,
        length: int,
        augmentation: Augmentation | None = None,
        single_share: float = 0.12,
        drop_reference: float = 0.1,
        first_fills: bool = False,
    ) -> None:
        counts = np.bincount(portraits.identity)
        order = np.argsort(portraits.identity, kind="stable")
        members = np.split(order, np.cumsum(counts)[:-1])
        self.groups = [group for group in members if len(group) > 1]
        self.singles = np.concatenate([group for group in members if len(group) == 1] or [np.empty(0, int)])
        if not self.groups:
            raise InputError("no identity has two pictures, so there is no pair to learn from: add more pictures")
        weight = np.sqrt([len(group) for group in self.groups])
        self.cumulative = np.cumsum(weight / weight.sum())
        self.portraits, self.meshes, self.seed, self.length = portraits, meshes, seed, length
        self.augmentation = augmentation or Augmentation()
        self.single_share = single_share if len(self.singles) else 0.0
        self.drop_reference, self.first_fills = drop_reference, first_fills

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, index))
        target, reference = self._draw(rng)
        flip = rng.random() < 0.5  # picture and reference together: faces are not symmetric
        how = self.augmentation
        crop, points = stored(self.portraits, self.meshes, target, flip)
        move = moved_frame(rng, how)
        points = moved(points, move)
        mask = random_hole(rng, points)
        view = cv2.warpAffine(crop, move, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        view = recoloured(rng, view, how)
        sample: dict[str, Any] = {
            "target": _lose_resolution(rng, view) if rng.random() < how.blur else view,
            "mask": mask.astype(np.uint8),
            "reference": np.zeros((SIZE, SIZE, 3), np.uint8),
            "trust": np.zeros((SIZE, SIZE), np.uint8),
            "target_index": target,
            "reference_index": reference,
        }
        if reference >= 0:
            crop, known = stored(self.portraits, self.meshes, reference, flip)
            if self.first_fills:
                view, trust = self._as_filled(sample["target"], mask, crop, known)
            else:
                view, trust = registered(crop, _estimated(rng, points, known, mask, how), known)
            view = recoloured(rng, view, how)
            sample["reference"] = _lose_resolution(rng, view) if rng.random() < how.reference_blur else view
            if rng.random() < how.reference_covered:
                thing = random_hole(rng, points)
                sample["reference"] = np.where(thing[..., None], self._anything(rng), sample["reference"])
                trust = np.where(thing, 0, trust)
            sample["trust"] = np.rint(trust * 255).astype(np.uint8)
        return sample

    def _as_filled(self, target: Picture, mask: Mask, crop: Picture, known: Points) -> tuple[Picture, Field]:
        """As `registered`, by the mesh that a first fill of the target shows; hair over a forehead is not trusted."""
        mesher, network = self._finders
        filled, points = mesher.behind(target, mask, network)
        found = without_fringe(registered_reference(points, mask, crop, known), filled)
        return found.picture, found.trust

    @cached_property
    def _finders(self) -> tuple[Mesher, FillModel]:
        """Opened by the process that draws samples: a session cannot be handed on."""
        return Mesher(1), FillModel(threads=1)

    def _anything(self, rng: np.random.Generator) -> Picture:
        """Part of any picture, enlarged, uint8 (128, 128, 3): what may be in front of a reference's face."""
        side = int(rng.integers(16, SIZE))
        x, y = rng.integers(0, CROP - side, 2)
        part = self.portraits.crops[rng.integers(len(self.portraits)), y : y + side, x : x + side]
        return cv2.resize(part, (SIZE, SIZE))

    def _draw(self, rng: np.random.Generator) -> tuple[int, int]:
        if rng.random() < self.single_share:
            return int(rng.choice(self.singles)), -1
        group = self.groups[min(int(np.searchsorted(self.cumulative, rng.random())), len(self.groups) - 1)]
        target, reference = rng.choice(group, 2, replace=False)
        return int(target), -1 if rng.random() < self.drop_reference else int(reference)


def stored(portraits: Portraits, meshes: Meshes, index: int, flip: bool) -> tuple[Picture, Points]:
    """A crop, uint8 (160, 160, 3), and its mesh (478, 3) in the crop's pixels, both mirrored or neither."""
    crop, points = portraits.crops[index], in_crop(meshes[index])
    if not flip:
        return crop, points
    points = points[mirrored()]
    points[:, 0] = CROP - 1 - points[:, 0]
    return crop[:, ::-1], points


def in_crop(points: Points) -> Points:
    """A mesh (478, 3) in the pixels of a 128 frame -> float64, in the pixels of the stored crop."""
    return points.astype(np.float64) + (MARGIN, MARGIN, 0)


def registered(crop: Picture, points: Points, reference: Points) -> tuple[Picture, Field]:
    """A reference's crop, uint8 RGB, as the network gets it -> uint8 (128, 128, 3) and its trust, float32 (128, 128).

    points: (478, 3), the photo's mesh in its 128 frame; reference: (478, 3), the reference's in the pixels of `crop`.
    """
    found = register(points, reference)
    places = at_places(found.map, pixels())
    view = cv2.remap(crop, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return view, enlarged(found.trust)


def moved_frame(rng: np.random.Generator, how: Augmentation) -> Transform:
    """From a stored crop to a turned, scaled and shifted 128 frame, 2x3."""
    reach = how.rotation if rng.random() < how.rotated_share else how.rotation / 5
    angle, scale = rng.uniform(-reach, reach), np.exp(rng.uniform(-how.scale, how.scale))
    middle = (CROP - 1) / 2
    move = cv2.getRotationMatrix2D((middle, middle), angle, scale)
    move[:, 2] += rng.uniform(-how.shift, how.shift, 2) - MARGIN
    return move


def _estimated(rng: np.random.Generator, points: Points, reference: Points, mask: Mask, how: Augmentation) -> Points:
    """The photo's mesh as it might be found through the hole: partly the reference's expression, and a bit off."""
    x, y = points[:, :2].round().astype(int).clip(0, SIZE - 1).T
    guessed = rng.beta(1.2, 1.2)
    estimate = points + guessed * (fitted(reference, points, (~mask[y, x]).astype(float)) - points)
    bend = cv2.resize(rng.normal(0, how.mesh_bend, (3, 3, 2)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    estimate[:, :2] += bend[y, x] + rng.normal(0, how.mesh_shift, 2)
    return estimate


def recoloured(rng: np.random.Generator, view: Picture, how: Augmentation) -> Picture:
    view = cv2.LUT(view, _colour_table(rng, how.colour))
    return _toned(rng, view) if rng.random() < how.toned_share else view


def _toned(rng: np.random.Generator, view: Picture) -> Picture:
    """Grey, or on a curve from black over a colour to white, as sepia and cyanotype are."""
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
    if rng.random() < 0.6:
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    gamma = np.exp(rng.normal(0, 0.25, 3))
    level = np.linspace(0, 1, 256)[:, None] ** gamma
    return cv2.LUT(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), (level * 255 + 0.5).astype(np.uint8)[:, None, :])


def _colour_table(rng: np.random.Generator, strength: float) -> Plane:
    """Exposure, contrast and gamma for all channels, and a tint for each: a (256, 1, 3) table."""
    level = np.linspace(0, 1, 256)[:, None]
    gamma, contrast = np.exp(rng.normal(0, strength, 2))
    gain = np.exp(rng.normal(0, strength) + rng.normal(0, strength / 3, 3))
    table = (np.power(level, gamma) - 0.5) * contrast + 0.5
    return np.clip(table * gain * 255 + 0.5, 0, 255).astype(np.uint8)[:, None, :]


def _lose_resolution(rng: np.random.Generator, view: Picture) -> Picture:
    small = int(rng.integers(SIZE // 3, SIZE))
    return cv2.resize(cv2.resize(view, (small, small), interpolation=cv2.INTER_AREA), (SIZE, SIZE))
