"""The training run, told downwards."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from twoface.core.errors import InputError, TwoFaceError
from twoface.research.models.together import over_processes
from twoface.research.training import checkpoints
from twoface.research.training.config import Experiment, to_table
from twoface.research.training.curriculum import stage_at
from twoface.research.training.machine import describe, free_cores
from twoface.research.training.start import start_from
from twoface.research.training.step import Diverged, Networks, train_step
from twoface.research.training.tasks import Frozen, build_networks, check, open_task
from twoface.research.training.track import Tracker
from twoface.research.training.validate import write_picture


def train(
    experiment: Experiment,
    data: Path,
    out: Path,
    resume: bool = False,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    precision: str = "bf16-mixed",
    cache: Path | None = None,
    frozen: Frozen | None = None,
    start: Path | None = None,
    watch: Callable[[int, dict[str, float]], None] | None = None,
    threads: int | None = None,
    tracker: Tracker | None = None,
) -> int:
    """Train until the experiment's samples are seen, or as many minutes or steps as given; save; say where.

    Writes into `out`: state.pt, generator.safetensors, best/generator.safetensors (by a figure of validation's, and
    never worse than before), experiment.json, machine.json, stats.jsonl, previews/ and
    TensorBoard's files. devices: processes, or GPUs, of each of the nodes; all share each batch.
    start: a run or an exported file whose weights the generator starts from (`twoface.research.training.start`).
    threads: of each process, by default as many as there are cores that nobody uses now.
    tracker: is told every row of stats.jsonl, and the end.
    watch: is told the samples and the scores after each validation; what it raises ends the run, unsaved.
    Returns the number of samples seen. SIGINT and SIGTERM end the run after the step, saved.
    Raises InputError for an `out` that holds another run (without `resume`), TwoFaceError when the loss diverges.
    """
    config = experiment.train
    if config.batch % (devices * nodes):
        raise InputError(f"a batch of {config.batch} does not divide among {devices * nodes} devices")
    if config.samples < config.batch:
        raise InputError(f"train.samples is {config.samples}, less than a batch of {config.batch}: nothing is trained")
    if not resume:
        checkpoints.begin(out)
    threads = threads or max(1, free_cores() // devices)
    torch.set_num_threads(threads)
    strategy = "ddp_find_unused_parameters_true" if devices * nodes > 1 else "auto"  # a stage may leave a judge out
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        precision=precision,  # type: ignore[arg-type]  # one of its names, which it checks
        strategy=strategy,
    )
    fabric.launch()
    fabric.seed_everything(experiment.seed, verbose=False)

    # The networks that only look on, and those that learn.
    with fabric.rank_zero_first(local=True):  # which fetches what is not there yet
        frozen = (frozen or Frozen.load(experiment)).to(fabric)
    generator, judges = build_networks(experiment, frozen.vgg)
    check(experiment, judges)
    if start and not resume:
        start_from(generator, start)
    averaged = AveragedModel(generator, multi_avg_fn=_ema(config.ema)).eval()  # buffers are those of the last step
    g_opt = torch.optim.Adam(generator.parameters(), lr=0.0, betas=config.betas, fused=True)
    d_opt = torch.optim.Adam(judges.parameters(), lr=0.0, betas=config.betas, fused=True)
    generator, g_opt = fabric.setup(generator, g_opt)
    judges, d_opt = fabric.setup(judges, d_opt)
    fabric.to_device(averaged)  # in place
    nets = Networks(generator, judges, g_opt, d_opt, frozen.vgg, frozen.facenet)
    learned = {"generator": generator, "averaged": averaged, "judges": judges, "g_opt": g_opt, "d_opt": d_opt}

    # The pictures, and how the run is watched.
    task = open_task(experiment, data, cache, frozen, generator.module, judges.module, fabric)

    # Where an earlier run stopped.
    samples = seconds = 0
    kept = "nothing is saved yet"
    if resume:
        state = checkpoints.load(out)
        if state["experiment"] != json.loads(json.dumps(to_table(experiment))):
            raise InputError(f"{out} was trained with another experiment: see {out / 'experiment.json'}")
        for name, part in learned.items():
            part.load_state_dict(state[name])
        samples, seconds = state["samples"], state["seconds"]
        if fabric.is_global_zero:
            checkpoints.forget_after(out / "stats.jsonl", samples)
        kept = f"the last good checkpoint, of {samples} samples, is {out / checkpoints.LAST}"

    def save() -> None:
        nonlocal kept
        if fabric.is_global_zero:
            state = {name: part.state_dict() for name, part in learned.items()}
            state |= {"experiment": json.loads(json.dumps(to_table(experiment))), "samples": samples}
            checkpoints.save(out, state | {"seconds": seconds + time.monotonic() - began}, averaged.module)
        kept = f"the last good checkpoint, of {samples} samples, is {out / checkpoints.LAST}"

    def report(row: dict[str, Any]) -> None:
        with (out / "stats.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            board.add_scalar(name, value, samples)
        if tracker:
            tracker.log(row, samples)
        print(" ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)

    # The samples from there on; sample i is the same whatever the batch, the workers or the resumes.
    share = config.batch // fabric.world_size
    mine = [
        list(range(first + fabric.global_rank * share, first + (fabric.global_rank + 1) * share))
        for first in range(samples, config.samples - config.batch + 1, config.batch)
    ]
    loader: Iterable[Any] = []
    if mine:
        loader = DataLoader(
            task.samples,  # type: ignore[arg-type]  # it asks a Dataset for no more than ours have
            batch_sampler=mine,
            num_workers=1,
            prefetch_factor=4,
            worker_init_fn=_ignore_signals,
        )

    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        (out / "experiment.json").write_text(json.dumps(to_table(experiment), indent=1))
        (out / "machine.json").write_text(json.dumps(describe(fabric, precision), indent=1))
        board = SummaryWriter(str(out))
        if tracker:
            tracker.begin(experiment, out)
    began = saved = logged = time.monotonic()
    sums: dict[str, list[Any]] = {}
    steps, waited = 0, 0.0
    asked = time.monotonic()
    with _signals() as stop:
        for drawn in loader:
            waited += time.monotonic() - asked

            # One turn of each network.
            stage, step = stage_at(experiment.stages, samples), samples // config.batch
            torch.manual_seed((experiment.seed << 32) + step)  # for dropout
            batch = task.batch(drawn)
            try:
                terms = train_step(fabric, nets, batch, stage, config, step, experiment.losses)
            except Diverged as error:
                raise TwoFaceError(
                    f"{error} in step {step}, at {samples} samples: {kept}; lower a weight or the rate"
                ) from error
            averaged.update_parameters(generator.module)
            samples, steps = samples + config.batch, steps + 1
            for name, value in terms.items():
                sums.setdefault(name, []).append(value)

            # What it did, now and then.
            if steps % config.log_every == 0:
                means = {name: float(over_processes(torch.stack(values).mean())) for name, values in sums.items()}
                if fabric.is_global_zero:
                    now = time.monotonic()
                    speed = {
                        "samples_per_second": config.log_every * config.batch / (now - logged),
                        "waiting": waited / (now - logged),
                    }
                    report({"samples": samples, "lr": stage.lr} | means | speed)
                sums, waited, logged = {}, 0.0, time.monotonic()
            due = samples // config.validate_every != (samples - config.batch) // config.validate_every
            if due and fabric.is_global_zero:
                scores = task.validation.scores(averaged.module)
                report({"samples": samples} | {f"val_{name}": value for name, value in scores.items()})
                best = task.validation.best
                checkpoints.save_best(out, averaged.module, samples, to_table(experiment), best, scores[best])
                write_picture(out / "previews" / f"{samples:08d}.png", task.validation.preview(averaged.module))
                if watch:
                    watch(samples, scores)
            if time.monotonic() - saved > 60 * config.save_every_minutes:
                save()
                saved = time.monotonic()
            over = bool(stop) or bool(max_minutes and time.monotonic() - began > 60 * max_minutes)
            if over_processes(fabric.to_device(torch.tensor(float(over)))) or steps == max_steps:  # all together
                break
            asked = time.monotonic()

    save()
    if fabric.is_global_zero:
        board.close()
        if tracker:
            tracker.end()
        print(f"{samples} samples seen; {out / 'generator.safetensors'} and {out / 'state.pt'} are saved")
    return samples


def _ema(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential average that follows fast at first: the start's random weights are soon forgotten."""

    def update(averaged: list[Any], current: list[Any], count: Any) -> None:
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + float(count)) / (10 + float(count))))

    return update


def _ignore_signals(worker: int) -> None:
    """Ctrl-C and a job's end go to the loader's processes too, but it is the loop that stops, when the step is done."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM arrives, which inside end nothing by themselves."""
    arrived: list[int] = []
    before = {n: signal.signal(n, lambda number, _: arrived.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
