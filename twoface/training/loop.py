"""The training run, told downwards."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from twoface.data.portraits import PortraitPairs, Portraits
from twoface.errors import InputError, TwoFaceError
from twoface.models.build import build_generator
from twoface.models.discriminators import Discriminators
from twoface.models.facenet import FaceNet
from twoface.models.pretrained import weights
from twoface.models.vgg import VGG16Features
from twoface.training import checkpoints
from twoface.training.config import Experiment, to_table
from twoface.training.curriculum import stage_at
from twoface.training.step import Batch, Diverged, Networks, train_step
from twoface.training.validate import Validation, embed_all, write_picture


@dataclass(frozen=True)
class Frozen:
    """The pre-trained networks of the losses; tests put small ones in their place."""

    vgg: torch.nn.Module
    facenet: torch.nn.Module

    @classmethod
    def load(cls) -> Frozen:
        return cls(VGG16Features(weights("vgg16-edges")), FaceNet(weights("facenet-casia")))


def train(
    experiment: Experiment,
    data: Path,
    out: Path,
    resume: bool = False,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    devices: int = 1,
    accelerator: str = "auto",
    precision: str = "bf16-mixed",
    cache: Path | None = None,
    frozen: Frozen | None = None,
) -> int:
    """Train until the experiment's samples are seen, or as many minutes or steps as given; save; say where.

    Writes into `out`: state.pt, generator.safetensors, experiment.json, stats.jsonl, previews/ and TensorBoard's files.
    Returns the number of samples seen. SIGINT and SIGTERM end the run after the step, saved.
    Raises InputError for an `out` that holds another run (without `resume`), TwoFaceError when the loss diverges.
    """
    config = experiment.train
    if config.batch % devices:
        raise InputError(f"a batch of {config.batch} does not divide among {devices} devices")
    if (out / "state.pt").exists() and not resume:
        raise InputError(f"{out} holds a run already: give --resume to go on with it, or another --out")
    fabric = Fabric(accelerator=accelerator, devices=devices, precision=precision)
    fabric.launch()
    fabric.seed_everything(experiment.seed, verbose=False)

    # The faces, decoded once, and what FaceNet says of each.
    frozen = frozen or Frozen.load()
    vgg, facenet = (fabric.to_device(net.to(memory_format=torch.channels_last)) for net in (frozen.vgg, frozen.facenet))
    portraits = Portraits.load(data, experiment.data.split, cache)
    embeddings = embed_all(portraits, facenet, fabric, cache)
    validation = Validation(Portraits.load(data, experiment.data.validation_split, cache), facenet, fabric)

    # The networks that learn.
    generator = build_generator(experiment.model.name, experiment.model.widths).to(memory_format=torch.channels_last)
    judges = Discriminators().to(memory_format=torch.channels_last)
    averaged = AveragedModel(generator, multi_avg_fn=_ema(config.ema), use_buffers=True)
    g_opt = torch.optim.Adam(generator.parameters(), lr=0.0, betas=config.betas)
    d_opt = torch.optim.Adam(judges.parameters(), lr=config.discriminator_lr, betas=config.betas)
    generator, g_opt = fabric.setup(generator, g_opt)
    judges, d_opt = fabric.setup(judges, d_opt)
    averaged = fabric.to_device(averaged)
    nets = Networks(generator, judges, g_opt, d_opt, vgg, facenet)
    learned = {"generator": generator, "averaged": averaged, "judges": judges, "g_opt": g_opt, "d_opt": d_opt}

    # Where an earlier run stopped.
    samples = seconds = 0
    if resume:
        state = checkpoints.load(out)
        if state["experiment"] != json.loads(json.dumps(to_table(experiment))):
            raise InputError(f"{out} was trained with another experiment: see {out / 'experiment.json'}")
        for name, part in learned.items():
            part.load_state_dict(state[name])
        samples, seconds = state["samples"], state["seconds"]

    def save() -> None:
        if fabric.is_global_zero:
            state = {name: part.state_dict() for name, part in learned.items()}
            state |= {"experiment": json.loads(json.dumps(to_table(experiment))), "samples": samples}
            checkpoints.save(out, state | {"seconds": seconds + time.monotonic() - began}, averaged.module)

    def report(row: dict) -> None:
        with (out / "stats.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            board.add_scalar(name, value, samples)
        print(" ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)

    # The samples from there on; sample i is the same whatever the batch, the workers or the resumes.
    pairs = PortraitPairs(
        portraits,
        experiment.seed,
        config.samples,
        experiment.data.augmentation,
        experiment.data.single_share,
        experiment.data.drop_reference,
    )
    share = config.batch // fabric.world_size
    mine = [
        list(range(first + fabric.global_rank * share, first + (fabric.global_rank + 1) * share))
        for first in range(samples, config.samples - config.batch + 1, config.batch)
    ]
    loader = DataLoader(pairs, batch_sampler=mine, num_workers=1, prefetch_factor=4) if mine else []

    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        (out / "experiment.json").write_text(json.dumps(to_table(experiment), indent=1))
        board = SummaryWriter(str(out))
    began = saved = logged = time.monotonic()
    sums: dict[str, list] = {}
    steps, waited = 0, 0.0
    asked = time.monotonic()
    with _signals() as stop:
        for drawn in loader:
            waited += time.monotonic() - asked

            # One turn of each network.
            stage = stage_at(experiment.stages, samples)
            batch = _to_batch(fabric, drawn, embeddings)
            try:
                terms = train_step(fabric, nets, batch, stage, config, samples // config.batch)
            except Diverged as error:
                raise TwoFaceError(
                    f"{error} at sample {samples}: lower a weight or the rate; the save in {out} is good"
                ) from error
            averaged.update_parameters(generator.module)
            samples, steps = samples + config.batch, steps + 1
            for name, value in terms.items():
                sums.setdefault(name, []).append(value)

            # What it did, now and then.
            if steps % config.log_every == 0:
                means = {name: float(torch.stack(values).mean()) for name, values in sums.items()}
                if fabric.is_global_zero:
                    now = time.monotonic()
                    speed = {
                        "samples_per_second": config.log_every * config.batch / (now - logged),
                        "waiting": waited / (now - logged),
                    }
                    report({"samples": samples, "lr": stage.lr} | means | speed)
                sums, waited, logged = {}, 0.0, time.monotonic()
            if (
                samples // config.validate_every != (samples - config.batch) // config.validate_every
                and fabric.is_global_zero
            ):
                report({"samples": samples} | {f"val_{k}": v for k, v in validation.scores(averaged.module).items()})
                write_picture(out / "previews" / f"{samples:08d}.png", validation.preview(averaged.module))
            if time.monotonic() - saved > 60 * config.save_every_minutes:
                save()
                saved = time.monotonic()
            if stop or steps == max_steps or (max_minutes and time.monotonic() - began > 60 * max_minutes):
                break
            asked = time.monotonic()

    save()
    if fabric.is_global_zero:
        board.close()
        print(f"{samples} samples seen; {out / 'generator.safetensors'} and {out / 'state.pt'} are saved")
    return samples


def _to_batch(fabric: Fabric, drawn: dict, embeddings: torch.Tensor) -> Batch:
    def picture(name: str) -> torch.Tensor:
        return drawn[name].permute(0, 3, 1, 2).float() / 255  # channels last in memory

    batch = picture("target"), drawn["mask"][:, None].float(), picture("reference"), embeddings[drawn["target_index"]]
    return Batch(*fabric.to_device(batch))


def _ema(decay: float) -> Callable:
    """Exponential average that follows fast at first: the start's random weights are soon forgotten."""

    def update(averaged: list, current: list, count: torch.Tensor) -> None:
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + float(count)) / (10 + float(count))))

    return update


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM arrives, which inside end nothing by themselves."""
    arrived = []
    before = {n: signal.signal(n, lambda number, _: arrived.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
