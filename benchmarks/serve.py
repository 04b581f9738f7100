"""What `twoface serve` takes of the time: its doors beside each other and beside the engine alone.

    python benchmarks/serve.py [--callers 1,4,16,64] [--seconds 2] [--rounds 3]   the tables, about 6 minutes
    python benchmarks/serve.py --replicas 2       the doors of Ray replicas (pip install -e .[scale])
    python benchmarks/serve.py --soak 10          minutes at 80 % of what it can do
    python benchmarks/serve.py --kill             kill -9 of a process under load

Prints Markdown. Everything talks to 127.0.0.1; callers share the machine with the server. Doors take turns within a
round, so what they have in common cancels out; absolute figures are those of the machine.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import json
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np
import orjson
import serve_faults
import simdjson
from serve_doors import DOORS, OipBinary, Photo, Pictures, TfServing
from serve_load import Laps, load, running

from twoface.service.engine import Engine
from twoface.service.metrics import Metrics
from twoface.service.settings import Settings
from twoface.service.tfserving import read_request

ENGINE = "engine alone"
PORTS = ("--port", "0", "--grpc-port", "0")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="another network than the one that ships")
    parser.add_argument("--callers", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=2, help="of each cell in each round (default 2)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--replicas", metavar="N", type=int, help="instead: the doors of that many Ray replicas")
    parser.add_argument("--soak", metavar="MINUTES", type=float, help="instead: a steady load")
    parser.add_argument("--kill", action="store_true", help="instead: kill -9 of a photo worker and of a Ray replica")
    options = parser.parse_args()

    pictures = Pictures(options.model)
    model = pictures.served
    if options.soak:
        with running(*PORTS, *model, "--photo-workers", "0") as server:
            serve_faults.soak(server, pictures, options.soak * 60)
    elif options.kill:
        kill(model, pictures)
    elif options.replicas:
        with serve_faults.replicas(*model, number=options.replicas) as server:
            doors = {name: door for name, door in DOORS.items() if door is not Photo}
            print_doors(measure(server, pictures, doors, options)[0], options.callers)
    else:
        compare(model, pictures, options)


def compare(model, pictures, options):
    """All tables of one server."""
    with running(*PORTS, *model) as server:
        laps, stages = measure(server, pictures, DOORS, options)
        print_doors(laps, options.callers)
        print_stages(stages)
        print_json(pictures, laps["v1 JSON (TF Serving)", min(options.callers)].percentile(50), 5 * options.rounds)
    print_batching(model, pictures, options)


def kill(model, pictures):
    with running(*PORTS, *model) as server:
        serve_faults.kill_photo_worker(server, pictures)
    if importlib.util.find_spec("ray"):
        with serve_faults.replicas(*model) as server:
            serve_faults.kill_replica(server, pictures)
    else:
        print("\nno Ray here, so no replica was killed: pip install -e .[scale]")


def measure(server, pictures, doors, options):
    """Every door and number of callers in turn -> {(door, callers): Laps}, and the figures before and after its
    fewest callers: {door: [(before, after)]}."""
    laps, stages = defaultdict(Laps), defaultdict(list)
    for turn in range(options.rounds + 1):
        kept = defaultdict(Laps) if turn == 0 else laps  # the first round warms up
        for count in options.callers:
            kept[ENGINE, count].add(engine_laps(options.model, pictures, count, options.seconds))
            for name, door in doors.items():
                before = server.figures()
                kept[name, count].add(door_laps(server, pictures, door, count, options.seconds))
                if turn and count == min(options.callers):
                    stages[name].append((before, server.figures()))
    return laps, stages


def print_doors(laps, columns):
    """Times and rates, and what a door adds to the engine's time."""
    names = list(dict.fromkeys(name for name, _ in laps))
    print("p50 / p99 ms, answers a second\n")
    print("| door | " + " | ".join(f"{n} caller{'s' * (n > 1)}" for n in columns) + " | CPU ms each |")
    print("|---" * (len(columns) + 2) + "|")
    for name in names:
        row = [laps[name, count] for count in columns]
        each = sum(lap.cpu for lap in row) / max(1, sum(len(lap.seconds) for lap in row)) * 1000
        print(f"| {name} | " + " | ".join(map(cell, row)) + f" | {each:.1f} |")
    fewest = min(columns)
    alone = laps[ENGINE, fewest].percentile(50)
    print(f"\nwith {fewest} caller{'s' * (fewest > 1)}, the median beyond the engine's {alone:.1f} ms:")
    for name in names[1:]:
        print(f"* {name}: {laps[name, fewest].percentile(50) - alone:+.1f} ms")


def cell(lap):
    refused = f", {lap.refused} refused" if lap.refused else ""
    wrong = f", {lap.wrong} WRONG" if lap.wrong else ""
    return f"{lap.percentile(50):.1f} / {lap.percentile(99):.0f}, {lap.rate:.1f}{refused}{wrong}"


def door_laps(server, pictures, door, count, seconds):
    callers = [door(server, pictures, number) for number in range(count)]
    used = server.cpu_seconds()
    try:
        laps = load(callers, seconds)
    finally:
        for caller in callers:
            caller.close()
    laps.cpu = server.cpu_seconds() - used
    return laps


def engine_laps(model, pictures, count, seconds):
    """The engine in this process, with its batcher and without any door."""

    async def ask(engine, number, end, laps):
        while (began := time.monotonic()) < end:
            await engine.predict(pictures.crops(number))
            laps.took(began, True)

    async def run():
        laps = Laps()
        async with Engine(Settings(model=model), Metrics()) as engine:
            began, used = time.monotonic(), time.process_time()
            await asyncio.gather(*(ask(engine, number, began + seconds, laps) for number in range(count)))
            laps.wall, laps.cpu = time.monotonic() - began, time.process_time() - used
        return laps

    return asyncio.run(run())


def print_stages(stages):
    names = ("receive", "decode", "queue", "compute", "encode")
    print("\nms of a request by stage, as /metrics says, with the fewest callers\n")
    print("| door | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for door, pairs in stages.items():
        row = [_each(pairs, f'twoface_stage_seconds_%s{{stage="{name}"}}') for name in names]
        print(f"| {door} | " + " | ".join("-" if ms is None else f"{ms:.2f}" for ms in row) + " |")


def _each(pairs, name):
    """The mean ms of what a histogram counted between the figures before and after, or None."""
    total, count = (
        sum(after.get(name % what, 0) - before.get(name % what, 0) for before, after in pairs)
        for what in ("sum", "count")
    )
    return total / count * 1000 if count else None


def print_json(pictures, whole, times):
    """A body of the thesis' clients through parsers, and the door's whole reading. whole: ms of a request."""
    body = TfServing.make_body(pictures.crops(0))
    ways = {
        "json.loads and np.array": lambda: [np.array(v) for v in json.loads(body)["inputs"].values()],
        "orjson.loads and np.array": lambda: [np.array(v) for v in orjson.loads(body)["inputs"].values()],
        "pysimdjson, the parser alone": lambda: simdjson.Parser().parse(body),
        "the door: pysimdjson, checks, NCHW": lambda: read_request(body, 16),
    }
    laps = defaultdict(list)
    for _ in range(times):
        for name, work in ways.items():
            began = time.perf_counter()
            work()
            laps[name].append(time.perf_counter() - began)
    print(f"\nreading a TF Serving body of {len(body) / 1e6:.1f} MB, medians\n\n| | ms | of a request |\n|---|---|---|")
    for name, seconds in laps.items():
        print(f"| {name} | {median(seconds) * 1000:.1f} | {median(seconds) * 1000 / whole:.0%} |")


def print_batching(model, pictures, options):
    """The same load on servers that differ in how many crops go together."""
    count = min(16, 4 * max(options.callers))
    sizes = {1: ("--batch-size", "1"), 4: ("--batch-size", "4"), 8: ("--batch-size", "8")}
    laps = defaultdict(Laps)
    with contextlib.ExitStack() as stack:
        servers = {
            size: stack.enter_context(running(*PORTS, *model, *line, "--photo-workers", "0"))
            for size, line in sizes.items()
        }
        for turn in range(2 * options.rounds + 1):
            for size, server in servers.items():
                lap = door_laps(server, pictures, OipBinary, count, options.seconds)
                if turn:
                    laps[size].add(lap)
    print(f"\nbatching: {count} callers of {OipBinary.__name__}\n\n| batch size | p50 / p99 ms, answers a second |")
    print("|---|---|")
    for size, lap in laps.items():
        print(f"| {size} | {cell(lap)} ({lap.rate / laps[1].rate:.2f} of no batching) |")


if __name__ == "__main__":
    main()
