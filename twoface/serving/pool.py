"""Processes that take calls as they come, for asyncio, with limits of time, memory and waiting."""

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from typing import Any

from twoface.core.errors import TwoFaceError, Unavailable
from twoface.core.workers import Worker

Setup = Callable[[], Callable[[Any], Any]]  # picklable; what it gives does a task

PAUSES = (0.5, 30.0)  # seconds between attempts to start a process: the first, doubled up to the last


class Pool:
    """Processes that each hold what `setup` loaded and do one call at a time. Use it from one event loop.

    setup: picklable () -> (task -> result), as of `twoface.core.workers.run_tasks`. workers: processes. queue: calls
    that may wait for one. memory: bytes of address space that a process may map, None for no limit.
    """

    def __init__(self, setup: Setup, workers: int = 1, queue: int = 16, memory: int | None = None) -> None:
        self._setup, self._queue, self._memory = setup, queue, memory
        self._workers: list[Worker | None] = [None] * workers  # a place is None while its process starts
        self._waiting: list[_Call] = []  # calls that no process has begun
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio keeps no hold of its own on them
        self._threads = ThreadPoolExecutor(4 * workers, "pool")  # for what blocks: starting, the pipes, joining

    @property
    def ready(self) -> bool:
        """True while at least one process is up."""
        return any(self._workers)

    @property
    def waiting(self) -> int:
        """How many calls wait for a process."""
        return len(self._waiting)

    async def start(self) -> None:
        """Start the processes; back when all have set themselves up. Raises what `setup` raises."""
        for place, worker in enumerate(await self._start_all(self._setup)):
            self._add(place, worker)

    async def call(self, task: Any, timeout: float, key: str | None = None) -> Any:
        """Let a process do a task -> its result.

        timeout: seconds, waiting included. key: calls of one key go to the same process while it lives, which may
        therefore keep something for them. A call that is cancelled before it has begun is not done.
        Raises what the task raised (the TwoFaceError family, OSError); Unavailable, code "busy", when too many calls
        wait or the pool closes; Unavailable, code "timeout", when it is late: a process that has begun is killed, and
        another takes its place; TwoFaceError, code "worker_died", when its process died, with the same consequence.
        """
        if self._closing.is_set():
            raise _stopping()
        place = None if key is None else zlib.crc32(str(key).encode()) % len(self._workers)
        call = _Call(ForkingPickler.dumps(task), place)
        self._waiting.append(call)
        self._dispatch()
        if len(self._waiting) > self._queue and call in self._waiting:
            self._waiting.remove(call)
            raise Unavailable("too many calls wait already: ask again in a second", code="busy", retry_after=1)
        call.timer = asyncio.get_running_loop().call_later(timeout, self._expire, call, timeout)
        try:
            return await call.answer
        finally:
            if call in self._waiting:
                self._waiting.remove(call)
                call.timer.cancel()  # of one that has begun it goes on: nobody waits, but it may hang

    async def replace(self, setup: Setup) -> None:
        """Start processes with another `setup`, give them all further calls, and end the old ones after their work.

        Raises what `setup` raises; the old processes then stay.
        """
        fresh = await self._start_all(setup)
        old, self._setup = list(filter(None, self._workers)), setup
        for worker in old:
            self._remove_exit_watch(worker)
        for place, worker in enumerate(fresh):
            self._add(place, worker)
        await asyncio.gather(*(self._retire(worker) for worker in old))

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Take no more calls, finish those that were taken if `drain_seconds` are enough, and end the processes."""
        self._closing.set()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain_seconds
        while (self._waiting or any(w and w.task for w in self._workers)) and loop.time() < deadline:
            await asyncio.sleep(0.01)
        workers = list(filter(None, self._workers))
        for call in [*self._waiting, *(worker.task for worker in workers if worker.task)]:
            call.end(_stopping())
        for worker in workers:
            self._remove_exit_watch(worker)
            worker.process.kill()
        self._workers = [None] * len(self._workers)
        await asyncio.gather(*self._tasks, *(self._in_thread(worker.stop) for worker in workers))
        self._threads.shutdown()

    def _dispatch(self) -> None:
        """Give each free process the first call that it may do."""
        for place, worker in enumerate(self._workers):
            if worker is None or worker.task:
                continue
            for call in self._waiting:
                if call.place in (None, place) and not call.answer.done():
                    self._waiting.remove(call)
                    call.worker, worker.task = worker, call
                    self._spawn(self._do(place, worker, call))
                    break

    async def _do(self, place: int, worker: Worker, call: "_Call") -> None:
        call.end(await self._in_thread(_exchange, worker, call.task))
        worker.task = None
        if not worker.process.is_alive():
            self._on_exit(place, worker)
        self._dispatch()

    def _expire(self, call: "_Call", timeout: float) -> None:
        if call.worker:
            call.worker.process.kill()
        call.end(Unavailable(f"this took longer than {timeout:g} seconds: ask again later", code="timeout"))

    def _add(self, place: int, worker: Worker) -> None:
        self._workers[place] = worker
        asyncio.get_running_loop().add_reader(worker.process.sentinel, self._on_exit, place, worker)
        self._dispatch()

    def _on_exit(self, place: int, worker: Worker) -> None:
        """The process is dead: have another in its place."""
        if self._workers[place] is worker:
            self._remove_exit_watch(worker)
            self._workers[place] = None
            self._spawn(self._refill(place))

    async def _refill(self, place: int) -> None:
        pause, longest = PAUSES
        while self._workers[place] is None and not self._closing.is_set():
            try:
                worker = await self._in_thread(_start_worker, self._setup, self._memory)
            except (TwoFaceError, OSError) as error:
                for call in self._waiting:
                    if call.place == place or not self.ready:
                        call.end(error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), pause)
                pause = min(2 * pause, longest)
                continue
            if self._workers[place] is None and not self._closing.is_set():
                self._add(place, worker)
            else:  # `replace` was faster, or the pool closes
                await self._in_thread(worker.stop)

    async def _retire(self, worker: Worker) -> None:
        if worker.task:
            await asyncio.wait([worker.task.answer])
        worker.process.kill()
        await self._in_thread(worker.stop)

    async def _start_all(self, setup: Setup) -> list[Worker]:
        starting = [self._in_thread(_start_worker, setup, self._memory) for _ in self._workers]
        outcomes = await asyncio.gather(*starting, return_exceptions=True)
        started = [outcome for outcome in outcomes if isinstance(outcome, Worker)]
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failed:
            for worker in started:
                await self._in_thread(worker.stop)
            raise failed[0]
        return started

    def _remove_exit_watch(self, worker: Worker) -> None:
        asyncio.get_running_loop().remove_reader(worker.process.sentinel)

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Call:
    """task: pickled; place: the number of the worker that must do it, None for any. worker: None until it has begun."""

    def __init__(self, task: Any, place: int | None) -> None:
        self.task, self.place = task, place
        self.worker: Worker | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def end(self, outcome: Any) -> None:
        if self.timer:
            self.timer.cancel()
        if self.answer.done():  # late, or nobody waits for it any more
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


def _start_worker(setup: Setup, memory: int | None) -> Worker:
    """-> a Worker that has set itself up."""
    worker = Worker(setup, memory)
    try:
        failure = worker.connection.recv()
    except (EOFError, OSError):
        raise worker.start_failure() from None
    if failure is not None:
        worker.stop()
        raise failure
    return worker


def _exchange(worker: Worker, task: Any) -> Any:
    """A task's outcome; TwoFaceError, not raised, for a process that died at it."""
    try:
        worker.connection.send_bytes(task)
        return worker.connection.recv()
    except (EOFError, OSError):
        return TwoFaceError(f"the worker process {worker.death()}: try again", code="worker_died")


def _stopping() -> Unavailable:
    return Unavailable("the server is stopping: ask again later", code="busy", retry_after=5)
