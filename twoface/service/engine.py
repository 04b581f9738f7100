"""The engine behind every door: the versions of the model, which one answers, and whether it works. Knows no HTTP."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.frame import SIZE
from twoface.core.mesh import Mesher
from twoface.core.network import FillModel
from twoface.core.workers import usable_cores
from twoface.service.batching import Batcher
from twoface.service.metrics import Metrics
from twoface.service.settings import Settings
from twoface.service.statistics import Statistics
from twoface.service.tensors import CENTER, Array, Crops, Floats, generated, with_registered
from twoface.service.tracing import tracer
from twoface.service.versions import Found, find_labels, find_versions

MODEL = "two_face_model"
STUCK_SECONDS = 30.0  # seconds: a batch that takes longer is no sign of health
PROBE_INTERVAL = 5.0  # seconds between two probes of a network that fails

log = logging.getLogger(__name__)


class UnknownModel(InputError):
    """No model of that name, or no such version of it."""


@dataclass(frozen=True)
class Served:
    """One version that answers: its file, its network, the batcher in front of that, and what it has done."""

    version: int
    found: Found
    network: FillModel
    batcher: Batcher
    statistics: Statistics


@dataclass(frozen=True)
class Refused:
    """A file that was not taken, and why."""

    found: Found
    error: Exception


class Engine:
    """Answers crops by the served versions of the model; the highest answers who asks for none.

    settings: `Settings`. metrics: `Metrics`. Use it as `async with`: it watches the model's files meanwhile.
    switched: functions that are called with the path of the file that answers by default, when that changes.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._served: dict[int, Served] = {}
        self._refused: dict[int, Refused] = {}
        self._labels: dict[str, int] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._executor = ThreadPoolExecutor(1, "network")
        self._mesher: Mesher | None = None  # loaded with the first network
        self._healthy, self._leaving = True, False
        self._watching: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._newest: Found | None = None
        self.needs: list[Callable[[], bool]] = []  # what else must be there to be ready
        self.switched: list[Callable[[Path], None]] = []
        metrics.ready.set_function(lambda: float(self.ready))

    async def __aenter__(self) -> "Engine":
        await self._refresh()
        if not self._served:
            raise self._nothing()
        self._watching = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        for task in (self._watching, self._probing):
            if task is not None:
                task.cancel()
        await asyncio.gather(*self._retiring, *(served.batcher.close() for served in self._served.values()))
        self._executor.shutdown()

    @property
    def ready(self) -> bool:
        """Whether a request would be answered now: a version is loaded, works, is not stuck, and we are not leaving."""
        works = bool(self._served) and self._healthy and not self._leaving and not self._stuck()
        return works and all(need() for need in self.needs)

    @property
    def versions(self) -> list[int]:
        """The versions that are served, ascending."""
        return sorted(self._served)

    @property
    def leaving(self) -> bool:
        """Whether the server is on its way out."""
        return self._leaving

    def index(self) -> list[tuple[int, str | None]]:
        """The versions that are there, served or not -> [(version, why it is not served, or None)], ascending."""
        refused = {version: str(no.error) for version, no in self._refused.items() if version not in self._served}
        known: dict[int, str | None] = {**dict.fromkeys(self._served), **refused}
        return sorted(known.items())

    def served(self, version: int | None = None, name: str = MODEL, label: str | None = None) -> Served:
        """-> Served; by default the highest version, or the one that a label names. Raises UnknownModel."""
        if name != MODEL:
            raise UnknownModel(f"no model {name[:80]!r}: the one here is {MODEL}")
        if label is not None:
            if label not in self._labels:
                raise UnknownModel(f"no label {label[:80]!r}: there is {', '.join(sorted(self._labels)) or 'none'}")
            version = self._labels[label]
        version = max(self._served) if version is None else version
        if version not in self._served:
            raise UnknownModel(f"no version {version} of {MODEL}: there is {', '.join(map(str, self.versions))}")
        return self._served[version]

    async def predict(
        self, crops: Crops, version: int | None = None, seconds: float | None = None
    ) -> tuple[dict[str, Array], int]:
        """Crops -> (dict of outputs, version): those of `FillModel.run` and `generated`, the filled picture.

        seconds: how long the answer is of use; default, and at most, the settings' timeout.
        Raises UnknownModel, Unavailable, and TwoFaceError when the network fails.
        """
        served = self.served(version)
        limit = self._settings.timeout
        deadline = asyncio.get_running_loop().time() + min(limit if seconds is None else seconds, limit)
        assert self._mesher is not None  # there since the first network was loaded
        with self.stage("register", served.version):
            crops = await asyncio.to_thread(with_registered, crops, self._mesher, served.network)
        served = self.served(version)  # while that took its time, another network may have taken its place
        with tracer.start_as_current_span("predict"), served.statistics.request(len(crops)):
            outputs = await served.batcher.submit(crops, deadline)
        return {"generated": generated(crops, outputs["fill"]), **outputs}, served.version

    @contextlib.contextmanager
    def stage(self, name: str, version: int) -> Iterator[None]:
        """A context whose time counts as that stage of a request to a version."""
        start = time.perf_counter()
        with tracer.start_as_current_span(name), self._metrics.stage_seconds.labels(name).time():
            yield
        if version in self._served:  # else it is gone meanwhile
            self._served[version].statistics.stages[name].add(time.perf_counter() - start)

    def leave(self) -> None:
        """From now on not ready, so that nobody is sent here; what comes is still answered."""
        self._leaving = True

    def _nothing(self) -> TwoFaceError:
        """Why there is nothing to serve."""
        for refused in self._refused.values():
            return refused.error if isinstance(refused.error, TwoFaceError) else TwoFaceError(str(refused.error))
        where = self._settings.model
        return InputError(f"no network to serve at {where}: give an ONNX file, or a folder that holds 1/model.onnx")

    def _stuck(self) -> bool:
        since = (served.batcher.running_since for served in self._served.values())
        return any(start is not None and time.monotonic() - start > STUCK_SECONDS for start in since)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._settings.watch)
            try:
                await self._refresh()
            except OSError as error:
                log.error("cannot look for models: %s", error)

    async def _refresh(self) -> None:
        """Load what is new beside what is served, then switch; let go of what is gone, unless nothing would be left."""
        wanted = await asyncio.to_thread(find_versions, self._settings.model, self._settings.device)
        self._refused = {version: refused for version, refused in self._refused.items() if version in wanted}
        for version, found in sorted(wanted.items()):
            served, refused = self._served.get(version), self._refused.get(version)
            if (refused is None or refused.found != found) and (served is None or served.found != found):
                await self._take(version, found)
        self._labels = await asyncio.to_thread(find_labels, self._settings.model)
        if wanted.keys() & self._served.keys():
            for version in self._served.keys() - wanted.keys():
                log.info("version %s is gone", version)
                self._retire(self._served.pop(version))
        self._announce()

    async def _take(self, version: int, found: Found) -> None:
        try:
            network = await asyncio.to_thread(self._load, found.path)
        except Exception as error:  # whatever it is: the versions that work go on
            self._refused[version] = Refused(found, error)
            self._metrics.model_refused.inc()
            log.error("version %s refused: %s", version, error)
            return
        settings, statistics = self._settings, Statistics()
        batcher = Batcher(
            network.run,
            self._executor,
            size=settings.batch_size,
            wait=settings.batch_wait,
            queue=settings.queue,
            metrics=self._metrics,
            statistics=statistics,
            failed=self._suspect,
        )
        old = self._served.get(version)
        self._refused.pop(version, None)
        self._served[version] = Served(version, found, network, batcher, statistics)
        log.info("version %s serves %s", version, found.path.name)
        if old:
            self._retire(old)

    def _load(self, path: Path) -> FillModel:
        """In a thread: the network, warmed up with one crop and with a full batch."""
        network = FillModel(path, self._settings.threads or usable_cores(), self._settings.device)
        for rows in (1, self._settings.batch_size):
            network.run(*_blank(rows))
        self._mesher = self._mesher or Mesher(self._settings.threads)
        return network

    def _retire(self, served: Served) -> None:
        closing = asyncio.ensure_future(served.batcher.close())
        self._retiring.add(closing)
        closing.add_done_callback(self._retiring.discard)

    def _announce(self) -> None:
        newest = self.served() if self._served else None
        if newest is not None and newest.found != self._newest:
            self._newest = newest.found
            self._metrics.model_version.set(newest.version)
            for tell in self.switched:
                tell(newest.found.path)

    def _suspect(self) -> None:
        if self._probing is None or self._probing.done():
            self._probing = asyncio.ensure_future(self._probe())

    async def _probe(self) -> None:
        """After a run that failed: not ready while the network does not answer a blank crop either."""
        loop = asyncio.get_running_loop()
        while True:
            run = loop.run_in_executor(self._executor, self.served().network.run, *_blank(1))
            await asyncio.wait([run])
            self._healthy = run.exception() is None
            if self._healthy:
                return
            log.error("the network fails: %s", run.exception())
            await asyncio.sleep(PROBE_INTERVAL)


def _blank(rows: int) -> tuple[Floats, Floats, Floats, Floats]:
    picture, mask = np.zeros((rows, 3, SIZE, SIZE), np.float32), np.zeros((rows, 1, SIZE, SIZE), np.float32)
    mask[:, :, CENTER, CENTER] = 1  # the one hole that every network fills
    return picture, mask, picture, np.zeros_like(mask)
