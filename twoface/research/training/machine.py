"""What a run ran on: enough to judge its speed by, nothing that names the machine."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import torch
from lightning.fabric import Fabric

import twoface
from twoface.core.workers import usable_cores


def describe(fabric: Fabric, precision: str) -> dict[str, str | int | float]:
    """Processor, cores and memory, accelerator, precision, processes and versions."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpu = {"gpu": torch.cuda.get_device_name(fabric.device)} if fabric.device.type == "cuda" else {}
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory GB": round(pages / 1e9, 1),
        **gpu,
        "device": fabric.device.type,
        "processes": fabric.world_size,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "twoface": twoface.__version__,
    }


def free_cores(seconds: float = 0.2) -> int:
    """How many of the cores that this process may use nobody uses now; 1 at least, all where that cannot be told."""
    cores = usable_cores()
    before = _ticks()
    if before is None:
        return cores
    time.sleep(seconds)
    after = _ticks()
    assert after is not None  # as before
    idle, everything = (now - then for now, then in zip(after, before, strict=True))
    free = round(cores * idle / max(1, everything))
    if free < cores:
        print(f"others keep {cores - free} of {cores} cores busy: {max(1, free)} thread (--threads says otherwise)")
    return max(1, free)


def _ticks() -> tuple[int, int] | None:
    """The processor's idle ticks, and all, since the start; None where the system does not tell."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return None
    ticks = [int(number) for number in stat.read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
