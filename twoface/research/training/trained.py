"""A run's folder -> the generator that it trained, for export and evaluation."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from twoface.core.errors import InputError, TwoFaceError
from twoface.research.models.build import NEED_VGG
from twoface.research.models.pretrained import weights
from twoface.research.models.vgg import VGG16
from twoface.research.training.config import Experiment, parse_experiment
from twoface.research.training.tasks import build_networks


def trained(run: Path) -> tuple[Experiment, nn.Module, dict[str, str]]:
    """The experiment, its averaged generator in eval mode, and the words of its file: `samples`, `experiment`.

    Raises InputError when `run` holds no run, TwoFaceError when its file is damaged.
    """
    path = run / "generator.safetensors"
    if not path.is_file():
        raise InputError(f"{path} not found: give the folder of a training run")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata()
        tensors = load_file(path)
    except SafetensorError as error:
        raise TwoFaceError(f"{path} is damaged ({error}): --resume the run, and it is written again") from error
    experiment = parse_experiment(json.loads(about["experiment"]), str(path))
    vgg = VGG16(weights(experiment.model.vgg16)) if experiment.model.name in NEED_VGG else None
    generator, _ = build_networks(experiment, vgg)
    try:
        generator.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(
            f"{path} is of a version of this network that had other layers: start a new run `--from` the ONNX file that"
            " was exported of it"
        ) from error
    return experiment, generator.eval(), about
