"""Several processes that train as one on the same global batch: what each has to know of the others' part.

DistributedDataParallel averages the gradients of equal parts. That is the whole batch's gradient only where a loss is a
mean over samples, each on its own. These are the places where it is not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


def processes() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def over_processes(value: Tensor) -> Tensor:
    """The mean of `value` over the processes, without a gradient; every process must ask.

    A sum over this process' samples divided by the mean count gives, averaged over processes, the mean over all samples
    - however unevenly what is counted (a hole's pixels, samples with a reference) is spread.
    """
    if processes() == 1:
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / processes()


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the whole batch's mean and variance.

    torch's SyncBatchNorm is this for GPUs alone; this one runs wherever all_reduce does. In one process, and in eval
    mode, it is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or processes() == 1:
            return super().forward(x)
        values = x.float()
        count = values.numel() // values.shape[1] * processes()
        mean = _Sum.apply(values.sum((0, 2, 3))) / count
        centred = values - mean[None, :, None, None]
        variance = _Sum.apply(centred.square().sum((0, 2, 3))) / count
        assert self.num_batches_tracked is not None and self.momentum is not None  # torch's defaults
        assert self.running_mean is not None and self.running_var is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[None, :, None, None] + self.bias[None, :, None, None]).to(x.dtype)


class Dropout(nn.Dropout):
    """Dropout that draws for the whole batch and keeps its own part, so that two processes drop what one would.

    The processes must be seeded alike, and hold the batch's parts in the order of their ranks.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        first = len(x) * (distributed.get_rank() if processes() > 1 else 0)
        kept = torch.rand(len(x) * processes(), *x.shape[1:], device=x.device)[first : first + len(x)] >= self.p
        return x * kept / (1 - self.p)


class _Sum(torch.autograd.Function):
    """Sum over the processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total
