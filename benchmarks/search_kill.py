"""Kill -9 at random moments of adding, removing and tidying: is every acknowledged face still there, and none doubled?

    python benchmarks/search_kill.py --work FOLDER [--kills 100]

A process puts, drops and tidies photos of one to three faces, and writes down what was acknowledged before it goes on.
It writes as the commands do, under the lock and with checksums.
It is killed after a random time; then the index is opened, cleaned and compared with what was written down. At the end
`verify` reads everything. Prints one line.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np

from twoface.core.frame import UPRIGHT
from twoface.core.identity import LENGTH
from twoface.search.face_space import KINDS
from twoface.search.lance import LanceStore
from twoface.search.record import Record, write_record
from twoface.search.rows import FaceRow, PhotoRow


def main():
    from twoface.search.index import verify  # not in each process that is killed

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    place, ledger, rng = options.work / "index", options.work / "ledger.jsonl", random.Random(0)
    store = LanceStore(place, create=True)
    with store.writing():
        write_record(store, Record())
    lost = doubled = back = opened = 0
    for number in range(options.kills):
        process = multiprocessing.get_context("spawn").Process(target=work, args=(place, ledger, number), daemon=True)
        before = lines(ledger)
        process.start()
        while lines(ledger) == before and process.is_alive():
            time.sleep(0.01)  # it is at work
        time.sleep(rng.uniform(0, 0.5))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        store = LanceStore(place)
        opened += 1
        with store.writing():
            store.clean()
        sure, gone = told(ledger)
        there = store.photos()
        lost += len(sure - set(there))
        back += len(gone & set(there))
        faces = [row.path for row in store.faces("path", there)]
        doubled += sum(faces.count(path) != row.faces for path, row in there.items())
    print(f"{options.kills} kills: opened {opened} times; {lost} acknowledged photos lost, {back} removed ones back,")
    print(f"{doubled} with faces missing or doubled; {len(lines(ledger))} steps, {len(there)} photos at the end;")
    print(f"verify finds {len(verify(place))} problems")


def work(place, ledger, number):
    """Change the index for ever, and write down each step before ("begin") and after ("done") it."""
    rng, store, turn = random.Random(number), LanceStore(place), 0
    with store.writing():
        store.clean()
    with open(ledger, "a") as file:

        def note(*words):
            file.write(json.dumps(words) + "\n")
            file.flush()
            os.fsync(file.fileno())

        def step():
            kept = sorted(store.photos())
            if kept and rng.random() < 0.3:
                paths = rng.sample(kept, min(3, len(kept)))
                note("begin", "drop", paths)
                store.drop(paths)
                note("done", "drop", paths)
            elif rng.random() < 0.2:
                store.tidy(really=rng.random() < 0.5)
            else:
                photos = [PhotoRow(f"/{number}/{turn}/{i}", 1, 1, rng.randint(1, 3)) for i in range(4)]
                store.put(photos, [face(photo.path, i) for photo in photos for i in range(photo.faces)])
                note("done", "put", [photo.path for photo in photos])

        while True:
            turn += 1
            with store.writing():
                step()


def face(path, number):
    vectors = np.random.default_rng(abs(hash(path)) % 2**32).standard_normal((len(KINDS), LENGTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return FaceRow(path, number, "", vectors, UPRIGHT, (0, 0, 1, 1), (0,) * 10, *[1.0] * 8)


def lines(ledger):
    return ledger.read_text().splitlines() if ledger.exists() else []


def told(ledger):
    """-> the photos that were acknowledged and not touched again, and those whose removal was acknowledged."""
    sure, gone = set(), set()
    for line in lines(ledger):
        step, what, paths = json.loads(line)
        if what == "put":
            sure |= set(paths)
        else:
            sure -= set(paths)
            gone |= set(paths) if step == "done" else set()
    return sure, gone


if __name__ == "__main__":
    main()
