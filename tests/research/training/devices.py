"""A run of tiny networks in as many processes as asked for: python devices.py KIND DATA OUT DEVICES NODES.

Not a test: Fabric starts the same script again for each of its processes. Several nodes are forks of this one, for
importing takes longer than the run.
"""

import os
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from small import SmallFaceNet, SmallVGG

from twoface.research.training.config import parse_experiment
from twoface.research.training.loop import train
from twoface.research.training.tasks import Frozen

SLOW = 1e-6  # Adam makes whole steps of gradients that are nothing but float error; such steps shall not matter
EVERYTHING = {
    "lr": SLOW,
    "discriminator_lr": SLOW,
    "perceptual": 0.1,
    "identity": 0.1,
    "adv_local": 0.01,
    "adv_global": 0.01,
    "transfer": 0.01,
    "smooth": 0.01,
    "discriminate": ["adv_local", "adv_global"],
}
OURS = {
    "name": "ours",
    "model": {"widths": [8, 8, 8, 8]},
    "data": {"drop_reference": 0.4},
    "train": {"samples": 16, "batch": 4, "log_every": 1, "validate_every": 8, "r1_every": 2},
    "stages": [{"lr": SLOW, "discriminator_lr": SLOW, "discriminate": ["adv_local"]}, {"start": 8, **EVERYTHING}],
}
DIGITS = {  # batch normalisation and dropout
    "name": "digits",
    "model": {"name": "mnist_two"},
    "data": {"kind": "mnist", "sets": "triples", "shares": [0.4, 0.4, 0.2], "hole": 7},
    "train": {"samples": 16, "batch": 8, "log_every": 1, "validate_every": 16, "clip": 0.0, "r1": 0.0},
    "stages": [{"lr": SLOW, "discriminator_lr": SLOW, "rec": 0.0, "adv_global": 1.0, "discriminate": ["adv_global"]}],
}


class Reader(torch.nn.Module):
    """Reads digits at random."""

    def forward(self, picture):
        return torch.stack([picture.flatten(1).sum(1) * np.cos(k) for k in range(10)], 1)


def run(kind, data, out, devices=1, nodes=1):
    table, frozen = (OURS, Frozen(SmallVGG(), SmallFaceNet())) if kind == "ours" else (DIGITS, Frozen(digits=Reader()))
    experiment, options = parse_experiment(table), {"accelerator": "cpu", "precision": "32-true", "frozen": frozen}
    options |= {"threads": 1, "cache": Path(data) / "cache"}
    train(experiment, Path(data), Path(out), devices=int(devices), nodes=int(nodes), **options)


def be_node(rank, *arguments):
    os.environ["NODE_RANK"] = str(rank)
    run(*arguments)


if __name__ == "__main__":
    arguments, nodes = sys.argv[1:], int(sys.argv[5])
    if nodes == 1:
        run(*arguments)
    else:
        process = get_context("fork").Process
        started = [process(target=be_node, args=(rank, *arguments)) for rank in range(nodes)]
        for node in started:
            node.start()
        for node in started:
            node.join()
        sys.exit(any(node.exitcode for node in started))
