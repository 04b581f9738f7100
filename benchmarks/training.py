"""Samples per second of training, waiting for data included, of every experiment: the real loop on real data.

    python benchmarks/training.py --faces DATA --mnist DATA [--seconds 30] [EXPERIMENT.toml ...]

Prints a Markdown table: for the first stage and for the last, whose objective is the whole one, float32 beside
bfloat16. Each row is a process of its own, so that its peak memory is its own: what it and its loader held at most,
pictures included. Absolute figures depend on what else the machine does; ratios less so.
"""

import argparse
import io
import json
import multiprocessing
import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
PRECISIONS = ("32-true", "bf16-mixed")
WARM_UP = 3  # steps that do not count, where there are more


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", type=Path, default=sorted(EXPERIMENTS.glob("*.toml")))
    parser.add_argument("--faces", type=Path, required=True, help="prepared faces, as for `twoface train --data`")
    parser.add_argument("--mnist", type=Path, required=True, help="the folder with MNIST's four files")
    parser.add_argument("--cache", type=Path, help="as for `twoface train`")
    parser.add_argument("--seconds", type=float, default=30, help="of training for each row (default 30)")
    options = parser.parse_args()
    print("| experiment | stage | float32 samples/s | bfloat16 samples/s | ratio | waiting | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for path in options.experiments:
        for stage in ("first", "last"):
            plain, brain = (in_own_process(path, stage, precision, options) for precision in PRECISIONS)
            ratio = brain["samples_per_second"] / plain["samples_per_second"]
            speeds = " | ".join(f"{figures['samples_per_second']:.1f}" for figures in (plain, brain))
            rest = f"{ratio:.2f} | {brain['waiting']:.1%} | {brain['peak']:.0f}"
            print(f"| {path.stem} | {stage} | {speeds} | {rest} |", flush=True)


def in_own_process(*arguments):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def measure(path, stage, precision, options):
    """Samples per second of a short run, the share of its time that it waited for data, and its peak memory in MB."""
    from twoface.research.training.config import load_experiment
    from twoface.research.training.loop import train

    experiment = load_experiment(path)
    chosen = replace(experiment.stages[0 if stage == "first" else -1], start=0, ramp=0)
    often = replace(experiment.train, log_every=1, validate_every=10**9, save_every_minutes=10**9)
    experiment = replace(experiment, stages=(chosen,), train=often)
    data = options.mnist if experiment.data.kind == "mnist" else options.faces
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        out = Path(folder)
        train(experiment, data, out, max_minutes=options.seconds / 60, precision=precision, cache=options.cache)
        rows = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    rows = rows[min(WARM_UP, len(rows) - 1) :]
    seconds = [experiment.train.batch / row["samples_per_second"] for row in rows]
    waited = sum(row["waiting"] * time for row, time in zip(rows, seconds, strict=True))
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    speed = experiment.train.batch * len(rows) / sum(seconds)
    return {"samples_per_second": speed, "waiting": waited / sum(seconds), "peak": peak}


if __name__ == "__main__":
    main()
