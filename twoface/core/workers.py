"""Many tasks in a few processes. One that dies takes its task with it, not the rest.

`run_tasks` does a list of tasks; `twoface.serving.pool` takes calls as they come. Both use `Worker`.
"""

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

from twoface.core.errors import TwoFaceError, is_out_of_memory, no_memory

# Loads what a process keeps, and gives the function that does a task.
Setup: TypeAlias = Callable[[], Callable[[Any], Any]]


def run_tasks(setup: Setup, tasks: Sequence[Any], workers: int) -> Generator[tuple[int, Any]]:
    """Do `tasks` in `workers` spawned processes -> iterator of (index of the task, outcome), as they finish.

    setup: picklable () -> (task -> result); each process calls it once and keeps what it loads. The outcome is the
    result, or the TwoFaceError or OSError that the task raised, or a TwoFaceError that says that the process died
    (killed, out of memory, a bug: its traceback is on stderr); another process then takes its place.
    Raises what `setup` raises. Closing the iterator ends the processes.
    """
    queue = deque(enumerate(tasks))
    running: dict[Any, Worker] = {}  # by its end of the pipe

    def start() -> None:
        worker = Worker(setup)
        running[worker.connection] = worker

    try:
        for _ in range(min(workers, len(queue))):
            start()
        while running:
            ready: list[Any] = wait(list(running))
            for connection in ready:
                worker = running[connection]
                try:
                    outcome = connection.recv()
                except (EOFError, OSError):
                    if worker.task is None:
                        raise worker.start_failure() from None
                    error = TwoFaceError(f"the worker process {worker.death()}: run again, perhaps with fewer workers")
                    yield worker.task, error
                    del running[connection]
                    if queue:
                        start()
                    continue
                if worker.task is not None:
                    yield worker.task, outcome
                elif isinstance(outcome, Exception):
                    raise outcome
                if queue:
                    worker.give(*queue.popleft())
                else:
                    worker.stop()
                    del running[connection]
    finally:
        for worker in running.values():
            worker.stop()


def usable_cores() -> int:
    """How many cores this process may use, which in a container are fewer than there are; at least 1.

    Systems without `os.sched_getaffinity`, such as macOS, tell all that there are.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_each(workers: int) -> int:
    """How many cores each of so many processes has for itself, at least 1."""
    return max(1, usable_cores() // workers)


class Worker:
    """One process. It sends None (or what `setup` raised) once it is set up, then an outcome for each task.

    task: what it is at, in its owner's terms; None while it sets itself up. memory: as of
    `twoface.serving.pool.Pool`.
    """

    def __init__(self, setup: Setup, memory: int | None = None) -> None:
        context = get_context("spawn")
        self.task: Any = None
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, setup, memory), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, index: Any, task: Any) -> None:
        self.task = index
        try:
            self.connection.send(task)
        except BrokenPipeError:
            return  # it died between two tasks: the end of its pipe says so at the next wait

    def death(self) -> str:
        """How the process ended, in words."""
        while (code := self.process.exitcode) is None:  # also while another thread is about to learn it
            self.process.join(1)
        return f"was killed (signal {-code})" if code < 0 else f"stopped (exit code {code})"

    def start_failure(self) -> TwoFaceError:
        """The error for a process that died in `setup`."""
        return TwoFaceError(
            f"a worker process {self.death()} before its first task: is there memory for so many workers?"
        )

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, setup: Setup, memory: int | None) -> None:
    """A worker's life: set up, say so, then a task in and an outcome out until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda *_: sys.exit(0))  # unwinds, so that a file half written is removed
    if memory:
        import resource  # not on every system

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        work = setup()
    except (TwoFaceError, OSError) as error:
        connection.send(error)
        return
    connection.send(None)
    try:
        while True:
            # A task is unpickled where memory may lack; and not kept: a whole photo may be in it.
            connection.send(_outcome(lambda message: work(pickle.loads(message)), connection.recv_bytes()))
    except (EOFError, BrokenPipeError):
        return  # the parent is gone


def _outcome(work: Callable[[Any], Any], task: Any) -> Any:
    """What a task gives, or the error that it raised, without the frames that hold its pictures."""
    try:
        return work(task)
    except (TwoFaceError, OSError) as error:
        return error.with_traceback(None)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return no_memory()
