"""Pictures of faces with masks of their parts (CelebAMask-HQ), aligned as the crops are, with meshes. No torch."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from twoface.core.arrays import Meshes, Numbers, Picture, Pictures, Plane, Planes
from twoface.core.errors import InputError
from twoface.core.files import write_aside
from twoface.core.frame import Frame
from twoface.core.mesh import MeshNetwork, to_template
from twoface.research.data.containers import entries
from twoface.research.data.portraits import CROP, MARGIN

BACKGROUND, SKIN, GLASSES, HAIR, HAT, CLOTH = 0, 1, 3, 13, 14, 18  # of its 19 classes
VALIDATION = 11  # every so manieth picture watches the run


@dataclass(frozen=True)
class Parsed:
    """crops: uint8 (N, 160, 160, 3) RGB; parts: uint8 (N, 160, 160), the class of each pixel; meshes: float32
    (N, 478, 3), in the pixels of the 128 frame in the crop's middle.
    """

    crops: Pictures
    parts: Planes
    meshes: Meshes

    def __len__(self) -> int:
        return len(self.crops)

    @classmethod
    def load(cls, source: str | Path, split: str, cache: Path | None = None) -> Parsed:
        """source: a folder, a tar or a zip file with images/NAME.jpg and masks/NAME.png somewhere inside; or a folder
        with one such file. split: "train", or "val", every eleventh picture. cache: as of `Portraits.load`.

        Raises InputError when there are no such pairs.
        """
        source = Path(source)
        inside = sorted(source.glob("*.tar")) if source.is_dir() else []
        source = inside[0] if len(inside) == 1 else source
        path = (
            cache / f"parsed-{zlib.crc32(f'{source.name} {source.stat().st_size}'.encode()):08x}.npz" if cache else None
        )
        if path and path.exists():
            whole = cls(**np.load(path))
        else:
            whole = _read(source)
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_aside(path, lambda aside: _save(aside, whole))
        watching = np.arange(len(whole)) % VALIDATION == 0
        chosen = watching if split == "val" else ~watching
        return cls(whole.crops[chosen], whole.parts[chosen], whole.meshes[chosen])


def _save(path: str, parsed: Parsed) -> None:
    with open(path, "wb") as file:  # NumPy would add .npz to a name
        np.savez(file, crops=parsed.crops, parts=parsed.parts, meshes=parsed.meshes)


def _read(source: Path) -> Parsed:
    pairs: dict[str, dict[str, Any]] = {}
    for name, content in entries(source):
        path = PurePosixPath(name)
        kind = path.parent.name
        if kind in ("images", "masks") and not path.name.startswith("."):
            how = cv2.IMREAD_COLOR_RGB if kind == "images" else cv2.IMREAD_UNCHANGED
            pairs.setdefault(path.stem, {})[kind] = (
                _classes(content) if kind == "masks" else cv2.imdecode(np.frombuffer(content, np.uint8), how)
            )
    whole = [pairs[name] for name in sorted(pairs) if len(pairs[name]) == 2]
    if not whole:
        raise InputError(
            f"{source} holds no images/NAME.jpg with its masks/NAME.png: give pictures with masks of parts"
        )
    network = MeshNetwork(threads=1)
    aligned = [_aligned(network, pair["images"], pair["masks"]) for pair in tqdm(whole, "parts", unit="picture")]
    return Parsed(*(np.stack(each) for each in zip(*aligned, strict=True)))


def _classes(content: bytes) -> Plane:
    """A palette picture's indices: OpenCV would give its colours."""
    import io

    from PIL import Image

    return np.array(Image.open(io.BytesIO(content)))


def _aligned(network: MeshNetwork, picture: Picture, parts: Plane) -> tuple[Numbers, ...]:
    """The face that fills a square picture, and its parts -> crop, parts, mesh."""
    whole = Frame.of((0, 0, *picture.shape[1::-1]))
    mesh = network.find(picture, whole).moved(whole.transform())
    frame = whole.inner(Frame.of_transform(to_template(mesh.points)))
    to_crop = frame.transform() + [[0, 0, MARGIN], [0, 0, MARGIN]]
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    to_half = to_crop @ np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
    crop = cv2.warpAffine(half, to_half, (CROP, CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    classes = cv2.warpAffine(parts, to_crop, (CROP, CROP), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
    points = network.find(picture, frame).moved(frame.transform()).points
    return crop, classes, points.astype(np.float32)
