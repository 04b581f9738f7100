"""Fill a missing or covered part of a face photo, guided by another photo of the same person."""

import os
from importlib import import_module
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker
_PUBLIC = {
    "Inpainter": "inpainter",
    "FillResult": "fill_result",
    "Photo": "images",
    "TwoFaceError": "errors",
    "InputError": "errors",
}
__all__ = tuple(_PUBLIC)
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'twoface' has no attribute '{name}'")
    return getattr(import_module(f"twoface.core.{_PUBLIC[name]}"), name)
