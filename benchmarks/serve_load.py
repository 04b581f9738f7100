"""Servers of our own for the benchmarks, on free ports of 127.0.0.1, and callers that load them for a bounded time."""

import contextlib
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TWOFACE = (sys.executable, "-c", "import sys; from twoface.cli import main; sys.exit(main())")
AWAY = (OSError, http.client.HTTPException)
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A `twoface serve` that runs. log: the file of its stderr. started: seconds until it was ready."""

    process: subprocess.Popen
    log: Path
    port: int
    grpc_port: int
    started: float
    headers: dict = field(default_factory=dict)

    def cpu_seconds(self):
        """Processor time of it and of its processes, so far."""
        return sum(_cpu(pid) for pid in [self.process.pid, *children(self.process.pid)])

    def memory(self):
        """Resident bytes of it alone, without the processes of the photo API."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def figures(self):
        """Prometheus' page -> {line's name: value}."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/metrics", headers=self.headers)
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


@contextlib.contextmanager
def running(*options, wait=120):
    """`twoface serve OPTIONS` until the end of the context -> Server."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        line = [*TWOFACE, "serve", *options]
        quiet = {**os.environ, "RAY_DEDUP_LOGS": "0", "PYTHONWARNINGS": "ignore"}
        process = subprocess.Popen(line, stdout=log, stderr=log, env=quiet)
        try:
            while not (ready := re.search(r"HTTP port (\d+), gRPC port (\d+)", Path(log.name).read_text())):
                if process.poll() is not None or time.monotonic() > began + wait:
                    raise SystemExit(f"the server did not start:\n{Path(log.name).read_text()[-2000:]}")
                time.sleep(0.05)
            yield Server(process, Path(log.name), int(ready[1]), int(ready[2]), time.monotonic() - began)
        finally:
            process.terminate()
            process.wait(60)


def children(pid):
    """The ids of all processes below one."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    below = [child for child, parent in parents.items() if parent == pid]
    return below + [deeper for child in below for deeper in children(child)]


def _cpu(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


@dataclass
class Laps:
    """What callers saw. seconds: of each answer. ends: when it came, and whether it was one. wrong: pictures."""

    wall: float = 0.0
    seconds: list = field(default_factory=list)
    ends: list = field(default_factory=list)
    refused: int = 0
    wrong: int = 0
    cpu: float = 0.0

    def add(self, other):
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def rate(self):
        """Answers a second."""
        return len(self.seconds) / self.wall

    def percentile(self, share):
        """Milliseconds."""
        return float(np.percentile(self.seconds, share)) * 1000 if self.seconds else float("nan")

    def took(self, began, answered):
        now = time.monotonic()
        self.ends.append((now, answered))
        if answered:
            self.seconds.append(now - began)
        else:
            self.refused += 1


def load(callers, seconds, *, every=False, due=None):
    """Let all callers ask, each as soon as it is answered, for so long -> Laps.

    every: compare every answer, not only the first of each caller.
    due: () -> the time at which the next request of anyone is to go out, for a steady rate.
    """
    laps, lock, end = Laps(), threading.Lock(), time.monotonic() + seconds

    def work(caller):
        compare = True
        while (began := due() if due else time.monotonic()) < end:
            time.sleep(max(0.0, began - time.monotonic()))
            try:
                answered, answer = caller.ask()
            except AWAY:
                answered = False
            with lock:
                laps.took(began, answered)
            if not answered:
                time.sleep(0.1)
            elif compare:
                right = caller.right(answer)
                with lock:
                    laps.wrong += not right
                compare = every

    began = time.monotonic()
    with ThreadPoolExecutor(len(callers)) as pool:
        list(pool.map(work, callers))  # so that what one of them raises is raised
    laps.wall = time.monotonic() - began
    return laps
