"""What it saves to compute the frozen VGG16's features of unchanging pictures once: samples a second, with and without.

python benchmarks/features.py [--steps 3] [--batch 16]
"""

import argparse
import time
from pathlib import Path

import torch
from lightning.fabric import Fabric

from twoface.research.models.facenet import FaceNet
from twoface.research.models.pretrained import weights
from twoface.research.models.vgg import VGG16
from twoface.research.training.config import load_experiment
from twoface.research.training.step import Batch, Networks, Seen, train_step
from twoface.research.training.tasks import build_networks

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def random_batch(size, hole):
    target, reference, real = torch.rand(3, size, 3, 128, 128)
    mask = torch.zeros(size, 1, 128, 128)
    start = (128 - hole) // 2
    mask[:, :, start : start + hole, start : start + hole] = 1
    pictures = (x.contiguous(memory_format=torch.channels_last) for x in (target, mask, reference, real))
    return Batch(*pictures, torch.nn.functional.normalize(torch.rand(size, 512), dim=1))


@torch.no_grad()
def known(batch, generator, judges, fabric):
    """What a run's `Features` would give for the batch."""
    names = tuple(judges.judges)
    with fabric.autocast():
        masked, reference = generator.look(batch.target * (1 - batch.mask)), generator.look(batch.reference)
        shown = judges.look(names, batch.reference, batch.mask) if judges.paired else {}
        seen = Seen((masked, reference), judges.look(names, batch.real, batch.mask), shown)
    return Batch(*(getattr(batch, name) for name in ("target", "mask", "reference", "real", "embedding")), seen)


def samples_per_second(fabric, nets, batch, experiment, stage, steps):
    train_step(fabric, nets, batch, stage, experiment.train, 0, experiment.losses)
    began = time.process_time()
    for step in range(steps):
        train_step(fabric, nets, batch, stage, experiment.train, step, experiment.losses)
    return steps * len(batch.target) / (time.process_time() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # processor time then means the same on a machine that has other work
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    vgg, facenet = (
        net.to(memory_format=torch.channels_last)
        for net in (VGG16(weights("vgg16-edges")), FaceNet(weights("facenet-casia")))
    )
    print("samples for each second of processor time")
    print("experiment | stage from sample | computed | known | ratio")
    for name in ("faces_vgg", "faces_final"):
        experiment = load_experiment(EXPERIMENTS / f"{name}.toml")
        generator, judges = build_networks(experiment, vgg)
        g = fabric.setup(generator, torch.optim.Adam(generator.parameters(), 1e-4, fused=True))
        d = fabric.setup(judges, torch.optim.Adam(judges.parameters(), 1e-4, fused=True))
        nets = Networks(g[0], d[0], g[1], d[1], vgg, facenet)
        batch = random_batch(arguments.batch, experiment.data.hole)
        for stage in (experiment.stages[0], experiment.stages[-1])[: len(experiment.stages)]:
            with_features = known(batch, generator, judges, fabric)
            speeds = [
                samples_per_second(fabric, nets, b, experiment, stage, arguments.steps) for b in (batch, with_features)
            ]
            print(
                f"{name:>11} | {stage.start:>17} | {speeds[0]:8.1f} | {speeds[1]:5.1f} | {speeds[1] / speeds[0]:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
