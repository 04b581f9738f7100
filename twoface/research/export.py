"""A trained run -> the ONNX file that everything else uses: fp16 weights, metadata inside, parity checked."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import check_output, write_aside
from twoface.core.frame import SIZE
from twoface.core.network import INPUT_DEPTHS, OUTPUT_SHAPES, REQUIRED_METADATA
from twoface.research.models.build import OURS
from twoface.research.models.generator import FIELD
from twoface.research.training.start import start_from
from twoface.research.training.trained import trained

INPUTS = INPUT_DEPTHS  # depth of (N, depth, 128, 128)
OUTPUTS = tuple(OUTPUT_SHAPES)
MESH = "twoface.mesh"  # metadata of the see-through network
HELPER_CONTRACTS = {  # inputs, outputs and metadata of the networks that fill nothing
    "see_through": (("image", "mask"), ("points",), {MESH: "1", "twoface.mask": "1=hole"}),
    "occlusion": (("image",), ("covered",), {"twoface.occlusion": "1"}),
}
PARITY = 0.02  # largest difference of a pixel, 0..1, between PyTorch in float32 and the file with its fp16 weights


def export(
    run: Path,
    output: Path,
    force: bool = False,
    data: str = "",
    license: str = "research use only",
    average_with: Sequence[Path] = (),
) -> dict[str, Any]:
    """Write the averaged generator of a run as ONNX.

    average_with: other runs, or files that this wrote, of the same network: what is written has the mean of all their
    weights and the run's; one that is given twice counts twice. Where some were trained on from the others, the mean
    may do well what each does well (Wortsman et al. 2022).
    data, license: words for the file's metadata. Returns {"path", "bytes", "samples", "largest_difference"}.
    A generator of the thesis has no fields to give, and no use for trust; its file says in `twoface.hole` which part of
    the frame it fills. A helper's takes and gives what `HELPER_CONTRACTS` says.
    Raises InputError when `run` holds no run, or one on digits, or `output` exists (without `force`), TwoFaceError when
    the file does not agree with PyTorch.
    """
    check_output(output, force)
    experiment, generator, about = trained(run)
    if experiment.data.kind == "mnist":
        raise InputError(f"{run} was trained on digits of 28x28, and what fills photos wants faces: there is no export")

    average(generator, average_with)
    own = HELPER_CONTRACTS.get(experiment.model.name)
    inputs, outputs, contract = own or (tuple(INPUTS), OUTPUTS, REQUIRED_METADATA)
    module = generator if own or experiment.model.name in OURS else Thesis(generator)
    model = half_weights(to_onnx(module, inputs, outputs))
    metadata = contract | {
        "twoface.size": str(SIZE),
        "twoface.range": "0..1",
        "twoface.name": experiment.name,
        "twoface.data": data,
        "twoface.license": license,
        "twoface.commit": _commit(),
        "twoface.samples_seen": about["samples"],
        "twoface.config_sha256": hashlib.sha256(about["experiment"].encode()).hexdigest(),
    }
    if experiment.data.sets == "triples":
        start = (SIZE - experiment.data.hole) // 2
        end = start + experiment.data.hole
        metadata["twoface.hole"] = f"{start},{start},{end},{end}"
    helper.set_model_props(model, metadata)
    content = model.SerializeToString()
    difference = largest_difference(module, content, inputs, outputs[0]) / (SIZE if outputs[0] == "points" else 1)
    if difference > PARITY:
        raise TwoFaceError(
            f"the exported network differs from PyTorch by {difference:.4f} (at most {PARITY} is allowed)"
        )
    write_aside(output, content, force=force)
    return {
        "path": str(output),
        "bytes": len(content),
        "samples": int(about["samples"]),
        "largest_difference": difference,
    }


class Thesis(nn.Module):
    """A generator of the thesis as one of ours: what it makes is all synthesis, and trust is not asked for."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(
        self, image: torch.Tensor, mask: torch.Tensor, reference: torch.Tensor, trust: torch.Tensor
    ) -> dict[str, Any]:
        fill = self.generator(image, mask, reference)["fill"]
        return _neutral(mask) | {"fill": fill, "synthesis": fill}


def to_onnx(generator: nn.Module, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> onnx.ModelProto:
    """float32, batch of any size, inputs and outputs named as docs/architecture.md says."""
    example = tuple(torch.rand(2, INPUTS[name], SIZE, SIZE) for name in inputs)
    batch = torch.export.Dim("batch", min=1)

    class Tuple(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = generator

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            out = self.generator(*tensors)
            return tuple(out[name] for name in outputs)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            Tuple().eval(),
            example,
            path,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(tuple({0: batch} for _ in inputs),),
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(path)
    for node in model.graph.node:  # source paths and stack traces of this machine
        del node.metadata_props[:]
    return model


def _neutral(mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Fields that leave all to the synthesis, for a generator that has none."""
    zero = nn.functional.avg_pool2d(mask, SIZE // FIELD) * 0
    none = zero.expand(-1, 3, -1, -1)
    offset = mask.expand(-1, 3, -1, -1) * 0
    return {"flow": none[:, :2], "gain": none + 1, "offset": offset, "weight": zero * 1}


def average(generator: nn.Module, sources: Sequence[Path]) -> None:
    """Give a network the mean of its own weights and others'."""
    total = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    for source in sources:
        start_from(generator, source)
        total = {name: total[name] + tensor for name, tensor in generator.state_dict().items()}
    generator.load_state_dict({name: tensor / (1 + len(sources)) for name, tensor in total.items()})


def half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large float32 weights as float16, cast back when the file is loaded: half the size, the same arithmetic."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    del half.graph.initializer[:], half.graph.node[:]
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < 256:
            half.graph.initializer.append(tensor)
            continue
        name = tensor.name + ".fp16"
        half.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), name))
        half.graph.node.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
    half.graph.node.extend(model.graph.node)
    onnx.checker.check_model(half)
    return half


def largest_difference(
    generator: nn.Module, content: bytes, inputs: tuple[str, ...], output: str, seed: int = 0
) -> float:
    """Largest |PyTorch - ONNX Runtime| over all of an output, for batches of 1 and 3, with and without a reference."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rng = torch.Generator().manual_seed(seed)
    largest = 0.0
    for batch in (1, 3):
        image, reference = (_smooth_picture(batch, rng) for _ in range(2))
        reference[-1] *= batch == 1  # the last of three has none
        mask = torch.zeros(batch, 1, SIZE, SIZE)
        mask[:, :, 40:90, 30:100] = 1
        known = {"image": image, "mask": mask, "reference": reference, "trust": mask * 0.5}
        given = [known[name] for name in inputs]
        with torch.no_grad():
            expected = generator(*given)[output].numpy()
        feed = {name: x.numpy() for name, x in zip(inputs, given, strict=True)}
        largest = max(largest, float(np.abs(session.run([output], feed)[0] - expected).max()))
    return largest


def _smooth_picture(batch: int, rng: torch.Generator) -> torch.Tensor:
    coarse = torch.rand(batch, 3, 8, 8, generator=rng)
    return nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(0, 1)


def _commit() -> str:
    found = subprocess.run(["git", "-C", Path(__file__).parent, "rev-parse", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"
