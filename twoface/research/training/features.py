"""What frozen first layers say of pictures that never change: computed once, then looked up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from twoface.core.files import write_aside
from twoface.research.data.triples import Triples
from twoface.research.models.discriminators import Discriminators
from twoface.research.models.thesis_generators import PatchGenerator
from twoface.research.training.step import Seen

BATCH = 32


class Table:
    """Activations of some pictures: float16 (n, ...), by the pictures' places."""

    def __init__(self, values: np.ndarray, places: np.ndarray, count: int) -> None:
        self.values, self.row = values, np.full(count, -1)
        self.row[places] = np.arange(len(places))

    def __getitem__(self, places: np.ndarray) -> Tensor:
        """float32 (N, ...), channels last in memory."""
        rows = np.ascontiguousarray(self.values[self.row[places]], np.float32)
        return torch.from_numpy(rows).permute(0, 3, 1, 2)


class Features:
    """The tables of a generator and its judges over the pictures of triples.

    A run keeps about 130 kB of each picture in memory (16x16x256 in float16), twice that of VGG16's 512 channels; with
    `cache`, a folder, they are kept there and memory-mapped.
    """

    def __init__(
        self,
        name: str,
        samples: Triples,
        generator: PatchGenerator,
        judges: Discriminators,
        fabric: Fabric,
        cache: Path | None,
    ) -> None:
        self.samples, self.fabric, self.cache, self.name = samples, fabric, cache, name
        mask = fabric.to_device(torch.from_numpy(samples.mask).float()[None, None])
        masked, real, reference = (
            np.concatenate(members) for members in (samples.roles.masked, samples.roles.real, samples.roles.reference)
        )
        self.masked = self._table("masked", masked, lambda picture: generator.look(picture * (1 - mask)))
        self.reference = self._table("reference", reference, generator.look)
        self.real = {n: self._table(f"real {n}", real, _judge(judges, n, mask)) for n in judges.judges}
        shown = judges.judges if judges.paired else ()
        self.shown = {n: self._table(f"reference {n}", reference, _judge(judges, n, mask)) for n in shown}

    def of(self, target: np.ndarray, real: np.ndarray, reference: np.ndarray) -> Seen:
        """What is known of the samples with these pictures (their places, int (N,))."""
        return Seen(
            tuple(map(self.fabric.to_device, (self.masked[target], self.reference[reference]))),
            {name: self.fabric.to_device(table[real]) for name, table in self.real.items()},
            {name: self.fabric.to_device(table[reference]) for name, table in self.shown.items()},
        )

    def _table(self, what: str, places: np.ndarray, look: Callable[[Tensor], Tensor]) -> Table:
        pictures = self.samples.pictures
        key = hashlib.sha256(f"{self.name} {what} {self.samples.mask.sum()} {pictures.shape}".encode())
        key.update(places.tobytes() + pictures[places[0]].tobytes())
        path = self.cache / f"features-{key.hexdigest()[:16]}.npy" if self.cache else None
        if path is None or not path.exists():
            values = self._compute(places, look, f"{self.name}: {what}")
            if path:
                write_aside(path, lambda aside: np.save(aside, values), force=True)
        return Table(np.load(path, mmap_mode="r") if path else values, places, len(pictures))

    @torch.no_grad()
    def _compute(self, places: np.ndarray, look: Callable[[Tensor], Tensor], label: str) -> np.ndarray:
        parts = []
        for start in tqdm(range(0, len(places), BATCH), label, unit="batch"):
            pictures = torch.from_numpy(self.samples.pictures[places[start : start + BATCH]])
            with self.fabric.autocast():
                seen = look(self.fabric.to_device(pictures.permute(0, 3, 1, 2).float() / 255))
            parts.append(seen.permute(0, 2, 3, 1).half().cpu().numpy())
        return np.concatenate(parts)


def _judge(judges: Discriminators, name: str, mask: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda picture: judges.view(name, picture, mask)
