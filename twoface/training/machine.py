"""What a run ran on: enough to judge its speed by, nothing that names the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch
from lightning.fabric import Fabric

import twoface


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
        "precision": precision,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "twoface": twoface.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
