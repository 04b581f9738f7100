"""What the server does when it is loaded for long, and when a process of it is killed."""

import contextlib
import os
import random
import re
import signal
import socket
import tempfile
import threading
import time
from itertools import count, pairwise
from pathlib import Path

import numpy as np
from serve_doors import OipBinary, OipGrpc, Photo
from serve_load import children, load, running

SHARE = 0.8


def soak(server, pictures, seconds):
    """A steady load at `SHARE` of capacity, half binary REST and half gRPC, every answer compared."""
    callers = [(OipBinary, OipGrpc)[n % 2](server, pictures, n) for n in range(16)]
    load(callers, min(3, seconds / 2))
    rate = SHARE * load(callers, min(10, seconds)).rate
    print(f"capacity {rate / SHARE:.1f} answers a second; {seconds / 60:g} minutes at {rate:.1f}\n")
    print("| minute | answers | refused or failed | wrong | p50 / p99 ms | memory MB |\n|---|---|---|---|---|---|")
    turn, lock, began = count(), threading.Lock(), time.monotonic()

    def due():
        with lock:
            return began + next(turn) / rate

    memory = [server.memory()]
    while (left := began + seconds - time.monotonic()) > min(1, seconds / 2):
        laps = load(callers, min(60, left), every=True, due=due)
        memory.append(server.memory())
        minute = f"{(time.monotonic() - began) / 60:.1f}"
        said = f"{laps.percentile(50):.1f} / {laps.percentile(99):.0f} | {memory[-1] / 1e6:.1f}"
        print(f"| {minute} | {len(laps.seconds)} | {laps.refused} | {laps.wrong} | {said} |", flush=True)
    slope = np.polyfit(range(len(memory[1:])), memory[1:], 1)[0] if len(memory) > 2 else 0
    print(f"\nmemory before {memory[0] / 1e6:.1f} MB; from the first row on {slope / 1e6:+.2f} MB a row")


def kill_photo_worker(server, pictures, callers=2, seconds=20):
    """SIGKILL for the process of the photo API while it fills."""

    def workers():
        return [pid for pid in children(server.process.pid) if "spawn_main" in _command(pid)]

    print("## kill -9 of a photo worker\n")
    _under_load([Photo(server, pictures, number) for number in range(callers)], workers, seconds)


@contextlib.contextmanager
def replicas(*options, number=2):
    """A server of that many Ray replicas, with a key, as its gRPC asks for one."""
    with tempfile.NamedTemporaryFile("w", suffix=".keys") as keys:
        keys.write(key := "benchmark" * 3)
        keys.flush()
        ports = ["--port", str(free_port()), "--grpc-port", str(free_port())]
        line = ["--replicas", str(number), "--photo-workers", "0", "--api-key", keys.name]
        with running(*line, *ports, *options, wait=240) as server:
            server.headers["x-api-key"] = key
            yield server


def kill_replica(server, pictures, callers=4, seconds=30):
    """SIGKILL for one of two Ray replicas while both answer, over REST and over gRPC."""

    def replicas():
        """All that ever said something: the log has their ids."""
        return [int(pid) for pid in re.findall(r"ServeReplica:\S+ pid=(\d+)", server.log.read_text())]

    print("\n## kill -9 of one of two Ray replicas\n")
    _under_load([(OipBinary, OipGrpc)[n % 2](server, pictures, n) for n in range(callers)], replicas, seconds)


def _under_load(callers, processes, seconds):
    """Load, kill one process after a third of the time, and say what the callers saw.

    processes: () -> the ids of those that do the work.
    """
    killed, replaced = [], []

    def kill():
        time.sleep(seconds / 3)
        before = set(processes())
        killed.append(time.monotonic())
        os.kill(min(before), signal.SIGKILL)
        while set(processes()) <= before and time.monotonic() < killed[0] + 2 * seconds:
            time.sleep(0.05)
        if set(processes()) - before:
            replaced.append(time.monotonic() - killed[0])

    thread = threading.Thread(target=kill)
    thread.start()
    laps = load(callers, seconds, every=True)
    thread.join()
    failed = [moment - killed[0] for moment, answered in laps.ends if not answered]
    after = [moment - killed[0] for moment, answered in laps.ends if answered and moment > killed[0]]
    gap = max(later - sooner for sooner, later in pairwise([0, *after]))
    print(f"* {len(callers)} callers, {len(laps.seconds)} answers in {laps.wall:.0f} s, {laps.wrong} wrong")
    print(f"* {len(failed)} requests failed, and said so", end="")
    print(f": {min(failed):.2f} to {max(failed):.2f} s after the kill" if failed else "")
    print(f"* the first answer {after[0]:.2f} s after the kill; the longest time without one {gap:.2f} s")
    print(f"* another process {replaced[0]:.1f} s after" if replaced else "* NO other process took its place")


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def free_port():
    """None of those that the system gives to whoever asks for any: Ray's processes ask for many while it starts."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("0.0.0.0", port)):
            return port
    raise SystemExit("no port is free")
