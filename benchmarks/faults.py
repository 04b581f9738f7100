"""What callers of `twoface serve` see of faults: killed, stopped, given corrupt networks, crowded, kept waiting.

    python benchmarks/faults.py [--seconds 20] [--only NAME,...] [--model FILE]
    python benchmarks/faults.py --replicas 2     SIGTERM with callers, and at moments of the start, under Ray

Prints a Markdown table of counts. Every answer is compared with what the network itself makes of the same crop, and
each request has a connection of its own. Speeds are not what this is for: it may run beside other work.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections import Counter
from importlib import resources
from pathlib import Path

import onnx
import serve_faults
from onnx import numpy_helper
from serve_doors import OipBinary, Pictures, TfServing
from serve_load import AWAY, TWOFACE, children, running

MARK = "TWOFACE_FAULTS"
SHIPPED = resources.files("twoface") / "weights" / "twoface.onnx"
PORTS, NO_PHOTOS = ("--port", "0", "--grpc-port", "0"), ("--photo-workers", "0")
SENT = 100_000_000  # bytes of a body that is far too large


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="of load in each part (default 20)")
    parser.add_argument("--only", help=f"some of: {', '.join(FAULTS)}")
    parser.add_argument("--model", type=Path, help="another network than the one that ships")
    parser.add_argument("--replicas", metavar="N", type=int, help="instead: the end of that many Ray replicas")
    options = parser.parse_args()
    os.environ[MARK] = uuid.uuid4().hex  # by which processes that are left are found
    pictures = Pictures(options.model)
    print("| fault | what was seen |\n|---|---|", flush=True)
    if options.replicas:
        stop_replicas(pictures, options.seconds, options.replicas)
        return stop_starts()
    for name in options.only.split(",") if options.only else FAULTS:
        print(f"| {name} | {FAULTS[name](pictures, options.seconds)} |", flush=True)


class Crowd:
    """Callers in threads of their own, from entering the context until its end; `seen` counts what they saw."""

    def __init__(self, callers):
        self.seen, self._callers, self._stop = Counter(), callers, threading.Event()
        self._lock, self._threads = threading.Lock(), []

    def __enter__(self):
        self._threads = [threading.Thread(target=self._work, args=[caller]) for caller in self._callers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, caller):
        while not self._stop.is_set():
            what = self._ask(caller)
            caller.close()
            with self._lock:
                self.seen[what] += 1
            if what == "refused":
                time.sleep(0.05)

    def _ask(self, caller):
        try:
            answered, answer = caller.ask()
        except ConnectionRefusedError:
            return "refused"
        except AWAY as error:
            return type(error).__name__
        if not answered:
            return str(caller.status)
        return "200" if caller.right(answer) else "WRONG"

    def wait(self, answers, seconds=120):
        """Until so many more answers have come."""
        enough, end = self.seen["200"] + answers, time.monotonic() + seconds
        while self.seen["200"] < enough and time.monotonic() < end:
            time.sleep(0.05)

    def told(self):
        """In words: the answers, those that were wrong, and the rest by status or error."""
        rest = [f"{count} {what}" for what, count in sorted(self.seen.items()) if what not in ("200", "WRONG")]
        return ", ".join([f"{self.seen['200']} answers, {self.seen['WRONG']} wrong", *rest])


class Health(OipBinary):
    """Asks whether the server is ready."""

    path, method = "/v2/health/ready", "GET"

    def make(self):
        return None

    def right(self, answer):
        return True


def crowd(server, pictures, count, doors=(OipBinary,)):
    return Crowd([doors[number % len(doors)](server, pictures, number) for number in range(count)])


def left(pids=()):
    """How many processes of ours there still are 30 s after the end: of these ids, or with our mark."""
    end = time.monotonic() + 30
    while (there := _marked() | {pid for pid in pids if Path(f"/proc/{pid}").exists()}) and time.monotonic() < end:
        time.sleep(0.2)
    return len(there)


def _marked():
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and os.environ[MARK].encode() in (folder / "environ").read_bytes():
                found.add(int(folder.name))
    return found


def kill(pictures, seconds):
    """SIGKILL for the whole server while 4 callers ask, and another one on the same port."""
    ports = ["--port", str(serve_faults.free_port()), "--grpc-port", str(serve_faults.free_port())]
    with running(*ports, *pictures.served, "--photo-workers", "1") as server, crowd(server, pictures, 4) as callers:
        callers.wait(20)
        workers = children(server.process.pid)
        server.process.kill()
        server.process.wait()
        remain = left(workers)
        with running(*ports, *pictures.served, "--photo-workers", "0"):
            callers.wait(20)
            time.sleep(seconds)
            callers.stop()
    return f"4 callers: {callers.told()}; {remain} processes left, and the next server went on"


def stop(pictures, seconds):
    """SIGTERM while 8 callers ask."""
    with running(*PORTS, *pictures.served, "--photo-workers", "1") as server, crowd(server, pictures, 8) as callers:
        callers.wait(40)
        return f"8 callers: {_stopped(server, callers)}"


def _stopped(server, callers):
    """SIGTERM, and the callers go on until the server has ended -> words."""
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(120)
    callers.stop()
    log = server.log.read_text()
    traces = log.count("Traceback") + log.count("*** SIG")
    return f"{callers.told()}; exit code {code}, {left()} processes left, {traces} traces in the log"


def switch(pictures, seconds):
    """Networks come and go under 4 callers: two that differ, and between them files that are corrupt."""
    with tempfile.TemporaryDirectory() as folder:
        other = _other(Path(folder) / "other.onnx")
        both, versions = [SHIPPED.read_bytes(), other.read_bytes()], Path(folder) / "versions"
        known = Known([Pictures(None), Pictures(other)])
        data = both[0]
        corrupt = [data[: len(data) // 2], b"", os.urandom(100_000), data[:-100_000] + bytes(100_000)]
        _put(versions / "1", data)
        with running(*PORTS, *NO_PHOTOS, "--model", str(versions)) as server, crowd(server, known, 4) as callers:
            for number, damaged in enumerate(corrupt):
                for version, content in ((2 * number + 2, damaged), (2 * number + 3, both[(number + 1) % 2])):
                    _put(versions / str(version), content)
                    time.sleep(seconds / 4)
                end = time.monotonic() + 60
                while server.figures()["twoface_model_version"] != version and time.monotonic() < end:
                    time.sleep(0.5)
                shutil.rmtree(versions / str(2 * number + 1))
            callers.stop()
            figures = server.figures()
    refused, serving = (figures[f"twoface_model_{name}"] for name in ("refused_total", "version"))
    return (
        f"4 callers: {callers.told()}; {known.told()}; {refused:.0f} refusals of {len(corrupt)} corrupt files,"
        f" version {serving:.0f} of {2 * len(corrupt) + 1} serves at the end"
    )


class Known:
    """As `Pictures`, of several networks: an answer of any of them is right."""

    def __init__(self, several):
        self._several, self.crops, self._counts = several, several[0].crops, Counter()
        assert not several[1].right(0, several[0].answer(0)), "the networks must differ"

    def right(self, number, picture):
        found = [i for i, pictures in enumerate(self._several) if pictures.right(number, picture)]
        self._counts.update(found)
        return bool(found)

    def told(self):
        return " and ".join(f"{self._counts[i]} of network {i + 1}" for i in range(len(self._several)))


def _other(path):
    """The network that ships with other weights -> path."""
    network = onnx.load(str(SHIPPED))
    largest = max(network.graph.initializer, key=lambda weights: len(weights.raw_data))
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) * 0.5, largest.name))
    onnx.save(network, str(path))
    return path


def _put(folder, content):
    """A version's file, written aside and renamed."""
    folder.mkdir(parents=True)
    (folder / "aside").write_bytes(content)
    (folder / "aside").rename(folder / "model.onnx")


def many(pictures, seconds):
    """90 callers at once."""
    with (
        running(*PORTS, *NO_PHOTOS, *pictures.served) as server,
        crowd(server, pictures, 90, (OipBinary, TfServing)) as callers,
    ):
        time.sleep(seconds)
        callers.stop()
    return f"binary and TF Serving's JSON: {callers.told()}"


def slow_heads(pictures, seconds):
    """150 connections whose headers never end, beside 4 callers."""
    return _dripping(pictures, 150, b"POST /v2/models/two_face_model/infer HTTP/1.1\r\nHost: a\r\nX-Drip: ")


def slow_bodies(pictures, seconds):
    """60 connections whose bodies come a byte at a time, beside 4 callers."""
    head = f"POST {OipBinary.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n"
    return _dripping(pictures, 60, head.encode())


def _dripping(pictures, count, begin):
    """Connections that send `begin`, and then a byte a second until the server ends them -> words."""
    with running(*PORTS, *NO_PHOTOS, *pictures.served) as server, crowd(server, pictures, 4) as callers:
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
        began, ends, answers = time.monotonic(), [], Counter()
        for connection in connections:
            connection.sendall(begin)
            connection.settimeout(0)
        while connections and time.monotonic() < began + 120:
            time.sleep(1)
            for connection in list(connections):
                if (answer := _drip(connection)) is not None:
                    answers[answer] += 1
                    ends.append(time.monotonic() - began)
                    connections.remove(connection)
                    connection.close()
        callers.stop()
    ended = ", ".join(f"{n} {what}" for what, n in sorted(answers.items()))
    took = f"after {min(ends):.0f} to {max(ends):.0f} s" if ends else ""
    return f"{ended} {took}, {len(connections)} never ended; beside them 4 callers: {callers.told()}"


def _drip(connection):
    """Send a byte more -> None while the server waits, else how it ended the connection."""
    try:
        connection.sendall(b"a")
        answer = connection.recv(1000)
    except BlockingIOError:
        return None
    except OSError:
        return "closed"
    return answer.split()[1].decode() if answer else "closed"


def large(pictures, seconds):
    """16 bodies of 100 MB at once, beside 4 callers."""
    with running(*PORTS, *NO_PHOTOS, *pictures.served) as server, crowd(server, pictures, 4) as callers:
        callers.wait(20)
        before, highest, answers = server.memory(), 0, Counter()
        threads = [threading.Thread(target=_send_much, args=[server, answers]) for _ in range(16)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            highest = max(highest, server.memory())
            time.sleep(0.02)
        callers.stop()
    ended = ", ".join(f"{n} {what}" for what, n in sorted(answers.items()))
    grown = (highest - before) / 1e6
    return f"{ended}, memory at most {grown:+.0f} MB; beside them 4 callers: {callers.told()}"


def _send_much(server, answers):
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        try:
            head = f"POST {OipBinary.path} HTTP/1.1\r\nHost: a\r\nContent-Length: {SENT}\r\n\r\n"
            connection.sendall(head.encode())
            for _ in range(SENT // 1_000_000):
                connection.sendall(bytes(1_000_000))
        except OSError:
            pass  # it is refused before the end
        try:
            answer = connection.recv(1000)
        except OSError:
            answer = b""
    answers[answer.split()[1].decode() if answer else "closed"] += 1


def stop_replicas(pictures, seconds, number):
    """SIGTERM while 6 callers ask Ray replicas over REST, and one asks whether they are ready."""
    with serve_faults.replicas(*pictures.served, number=number) as server:
        callers = [(OipBinary, TfServing)[n % 2](server, pictures, n) for n in range(6)]
        with Crowd([*callers, Health(server, pictures, 0)]) as crowd:
            time.sleep(seconds)
            told = _stopped(server, crowd)
    print(f"| SIGTERM, {number} Ray replicas | 6 callers and one of health: {told} |", flush=True)


def stop_starts(moments=range(3, 33, 3)):
    """SIGTERM at moments of the start of a Ray replica, in seconds."""
    codes, remain, traces = Counter(), 0, 0
    for moment in moments:
        with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
            line = [*TWOFACE, "serve", "--replicas", "1", *NO_PHOTOS, "--no-grpc"]
            line += ["--port", str(serve_faults.free_port())]
            process = subprocess.Popen(line, stdout=log, stderr=log)
            time.sleep(moment)
            process.send_signal(signal.SIGTERM)
            codes[process.wait(180)] += 1
            remain += left()
            said = Path(log.name).read_text()
            traces += said.count("Traceback") + said.count("*** SIG")
    ends = ", ".join(f"{n} with {code}" for code, n in sorted(codes.items()))
    moments = f"{min(moments)} to {max(moments)} s after the start of the command"
    print(f"| SIGTERM {moments} | {sum(codes.values())} ends: {ends}; {remain} processes left, {traces} traces |")


FAULTS = {
    "kill -9 of the whole server": kill,
    "SIGTERM": stop,
    "networks switched": switch,
    "90 callers": many,
    "150 slow heads": slow_heads,
    "60 slow bodies": slow_bodies,
    "16 x 100 MB": large,
}


if __name__ == "__main__":
    main()
