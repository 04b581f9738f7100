"""Many tasks in a few processes. One that dies takes its task with it, not the rest."""

import signal
import sys
from collections import deque
from multiprocessing import get_context
from multiprocessing.connection import wait

from twoface.errors import TwoFaceError


def run_tasks(setup, tasks, workers):
    """Do `tasks` in `workers` spawned processes -> iterator of (index of the task, outcome), as they finish.

    setup: picklable () -> (task -> result); each process calls it once and keeps what it loads. The outcome is the
    result, or the TwoFaceError or OSError that the task raised, or a TwoFaceError that says that the process died
    (killed, out of memory, a bug: its traceback is on stderr); another process then takes its place.
    Raises what `setup` raises. Closing the iterator ends the processes.
    """
    queue = deque(enumerate(tasks))
    crew = {}

    def hire():
        worker = _Worker(setup)
        crew[worker.connection] = worker

    try:
        for _ in range(min(workers, len(queue))):
            hire()
        while crew:
            for connection in wait(list(crew)):
                worker = crew[connection]
                try:
                    outcome = connection.recv()
                except (EOFError, OSError):
                    yield worker.index, worker.bury()
                    del crew[connection]
                    if queue:
                        hire()
                    continue
                if worker.index is not None:
                    yield worker.index, outcome
                elif outcome is not None:
                    raise outcome
                if queue:
                    worker.give(*queue.popleft())
                else:
                    worker.stop()
                    del crew[connection]
    finally:
        for worker in crew.values():
            worker.stop()


class _Worker:
    def __init__(self, setup):
        context = get_context("spawn")
        self.index = None  # of the task it is at; None while it sets itself up
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, setup), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, index, task):
        self.index = index
        try:
            self.connection.send(task)
        except BrokenPipeError:
            return  # it died between two tasks: the end of its pipe says so at the next wait

    def bury(self):
        """The error for the task that it died at; raises it when it never came up."""
        self.process.join()
        code = self.process.exitcode
        how = f"was killed (signal {-code})" if code < 0 else f"stopped (exit code {code})"
        if self.index is None:
            raise TwoFaceError(f"a worker process {how} before its first task: is there memory for so many workers?")
        return TwoFaceError(f"the worker process {how}: run again, perhaps with fewer workers")

    def stop(self):
        self.process.terminate()
        self.process.join()
        self.connection.close()


def _serve(connection, setup):
    """A worker's life: set up, say so, then a task in and an outcome out until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # unwinds, so that a file half written is removed
    try:
        work = setup()
    except (TwoFaceError, OSError) as error:
        connection.send(error)
        return
    connection.send(None)
    try:
        while True:
            task = connection.recv()
            try:
                outcome = work(task)
            except (TwoFaceError, OSError) as error:
                outcome = error
            connection.send(outcome)
    except (EOFError, BrokenPipeError):
        return  # the parent is gone
