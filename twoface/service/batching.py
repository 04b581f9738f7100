"""Dynamic batching: crops that wait together go through the network together, and each caller gets its own rows."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.service.metrics import Metrics
from twoface.service.statistics import Statistics
from twoface.service.tensors import Array, Crops, Floats

Outputs = dict[str, Floats]


@dataclass(eq=False, repr=False)
class _Call:
    crops: Crops
    arrived: float
    deadline: float | None
    answer: asyncio.Future[Outputs]


class Batcher:
    """Calls of one model, gathered and run one batch after the other in `executor`, first come, first served.

    run: (image, mask, reference, trust) -> dict of arrays, N rows each. size: rows in a batch; a larger call goes
    alone. wait: seconds that a call may wait for others to fill its batch. queue: rows that may wait. failed: called
    after a run has failed.
    statistics: `Statistics` of the model, which gets the time of waiting and of each run.
    """

    def __init__(
        self,
        run: Callable[..., Outputs],
        executor: Executor,
        *,
        size: int,
        wait: float,
        queue: int,
        metrics: Metrics,
        statistics: Statistics | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._run, self._executor = run, executor
        self._size, self._wait, self._queue = size, wait, queue
        self._metrics, self._failed = metrics, failed
        self._statistics = statistics or Statistics()
        self._calls: deque[_Call] = deque()
        self._wake, self._closing = asyncio.Event(), False
        self._row_seconds = 0.05  # of one crop, as the last batch took
        self.running_since: float | None = None
        self._worker = asyncio.ensure_future(self._work())

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return sum(len(call.crops) for call in self._calls)

    async def submit(self, crops: Crops, deadline: float | None = None) -> Outputs:
        """Crops -> dict of their outputs.

        deadline: in the loop's time; a call that is late, or cancelled, before its batch begins is not computed.
        Raises Unavailable ("busy", "timeout", "closing"), and what the network raises.
        """
        if self._closing:
            raise Unavailable("this model version is being unloaded: try again later", code="closing")
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self.waiting and self.waiting + len(crops) > self._queue:
            self._metrics.dropped.labels("busy").inc()
            pause = max(1, round(self.waiting * self._row_seconds))
            raise Unavailable("the queue is full: try again later", code="busy", retry_after=pause)
        if deadline is not None and deadline <= now:
            raise self._late()
        call = _Call(crops, now, deadline, loop.create_future())
        self._calls.append(call)
        self._changed()
        try:
            async with asyncio.timeout_at(deadline):
                return await call.answer
        except TimeoutError:
            raise self._late() from None
        except asyncio.CancelledError:
            self._metrics.dropped.labels("cancelled").inc()
            raise
        finally:
            if call in self._calls:  # not in a batch, and never to be
                self._calls.remove(call)
                self._changed()

    async def close(self) -> None:
        """Take nothing more and finish what waits."""
        self._closing = True
        self._wake.set()
        await self._worker

    def _late(self) -> Unavailable:
        self._metrics.dropped.labels("timeout").inc()
        return Unavailable("the deadline has passed: allow more time, or try again later", code="timeout")

    def _changed(self) -> None:
        self._metrics.queue_rows.set(self.waiting)
        self._wake.set()

    async def _work(self) -> None:
        while self._calls or not self._closing:
            self._wake.clear()
            if not self._calls:
                await self._wake.wait()
                continue
            await self._wait_for_batch()
            batch = self._take()
            if batch:
                await self._answer(batch)

    async def _wait_for_batch(self) -> None:
        """Wait until a batch is full or its first call has waited long enough."""
        loop = asyncio.get_running_loop()
        while self._calls and self.waiting < self._size and not self._closing:
            remaining = self._calls[0].arrived + self._wait - loop.time()
            if remaining <= 0:
                return
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), remaining)

    def _take(self) -> list[_Call]:
        batch: list[_Call] = []
        rows, now = 0, asyncio.get_running_loop().time()
        while self._calls and (not batch or rows + len(self._calls[0].crops) <= self._size):
            call = self._calls.popleft()
            if call.answer.done() or (call.deadline is not None and call.deadline <= now):
                continue
            batch.append(call)
            rows += len(call.crops)
            self._metrics.stage_seconds.labels("queue").observe(now - call.arrived)
            self._statistics.stages["queue"].add(now - call.arrived)
        self._changed()
        return batch

    async def _answer(self, batch: list[_Call]) -> None:
        loop = asyncio.get_running_loop()
        self.running_since = start = time.monotonic()
        run = loop.run_in_executor(self._executor, self._compute, [call.crops for call in batch])
        await asyncio.wait([run])
        self.running_since = None
        error = run.exception()
        if error is None:
            self._row_seconds = (time.monotonic() - start) / sum(len(call.crops) for call in batch)
            for call, outputs in zip(batch, run.result(), strict=True):
                if not call.answer.done():
                    call.answer.set_result(outputs)
        elif len(batch) > 1 and isinstance(error, TwoFaceError):
            for call in batch:  # one caller's crops must not fail the others
                await self._answer([call])
        else:
            if not isinstance(error, InputError):  # which is the caller's fault
                self._metrics.engine_errors.inc()
                self._failed()
            for call in batch:
                if not call.answer.done():
                    call.answer.set_exception(error)

    def _compute(self, parts: list[Crops]) -> list[Outputs]:
        """In the executor's thread: one run, and its rows dealt out."""
        rows = [len(part) for part in parts]
        self._metrics.batch_rows.observe(sum(rows))
        names = ("image", "mask", "reference", "trust")
        joined = [_join([getattr(part, name) for part in parts]) for name in names]
        start = time.perf_counter()
        with self._metrics.stage_seconds.labels("compute").time():
            outputs = self._run(*joined)
        for tally in (self._statistics.stages["compute"], self._statistics.batches[sum(rows)]):
            tally.add(time.perf_counter() - start)
        ends = np.cumsum(rows)
        return [{k: v[end - n : end] for k, v in outputs.items()} for n, end in zip(rows, ends, strict=True)]


def _join(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
