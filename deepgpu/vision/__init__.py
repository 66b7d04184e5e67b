"""Models, layers, data sets, transforms and utilities under torchvision's names."""

from __future__ import annotations

import importlib
from typing import Any

_PARTS = ("datasets", "models", "ops", "transforms", "utils")


def __getattr__(name: str) -> Any:
    # imported at the first access: reading images needs no models, and a model no images
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_PARTS]
