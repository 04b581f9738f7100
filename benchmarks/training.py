"""Samples per second of one training step, float32 beside bfloat16, as the curriculum adds its terms.

python benchmarks/training.py [EXPERIMENT.toml] [--steps 5]
"""

import argparse
import time
from pathlib import Path

import torch
from lightning.fabric import Fabric

from twoface.models.build import build_generator
from twoface.models.discriminators import Discriminators
from twoface.training.config import load_experiment
from twoface.training.loop import Frozen
from twoface.training.step import Batch, Networks, train_step

DEFAULT = Path(__file__).parents[1] / "experiments" / "transfer.toml"


def random_batch(size):
    target, reference = torch.rand(2, size, 3, 128, 128)
    mask = torch.zeros(size, 1, 128, 128)
    mask[:, :, 32:96, 32:96] = 1
    target, reference = (x.contiguous(memory_format=torch.channels_last) for x in (target, reference))
    return Batch(target, mask, reference, torch.nn.functional.normalize(torch.rand(size, 512), dim=1))


def samples_per_second(experiment, precision, stage, frozen, steps):
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    generator, judges = build_generator(experiment.model.name, experiment.model.widths), Discriminators()
    networks = [net.to(memory_format=torch.channels_last) for net in (generator, judges)]
    wrapped = [fabric.setup(net, torch.optim.Adam(net.parameters())) for net in networks]
    nets = Networks(wrapped[0][0], wrapped[1][0], wrapped[0][1], wrapped[1][1], frozen.vgg, frozen.facenet)
    batch = random_batch(experiment.train.batch)
    train_step(fabric, nets, batch, stage, experiment.train, 0)
    began = time.perf_counter()
    for step in range(steps):
        train_step(fabric, nets, batch, stage, experiment.train, step)
    return steps * experiment.train.batch / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    experiment, frozen = load_experiment(arguments.experiment), Frozen.load()
    for net in (frozen.vgg, frozen.facenet):
        net.to(memory_format=torch.channels_last)
    print("stage from sample | float32 | bfloat16 | ratio")
    for stage in experiment.stages:
        speeds = [
            samples_per_second(experiment, precision, stage, frozen, arguments.steps)
            for precision in ("32-true", "bf16-mixed")
        ]
        print(f"{stage.start:>17} | {speeds[0]:7.1f} | {speeds[1]:8.1f} | {speeds[1] / speeds[0]:5.2f}")


if __name__ == "__main__":
    main()
