"""How pixels between pixels are computed."""

from __future__ import annotations

from enum import Enum
from typing import Any

from deepgpu.errors import takes


class InterpolationMode(Enum):
    """Interpolation; the last three exist on Pillow images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# Pillow's numbers; its NEAREST is exact.
_PILLOW = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.LANCZOS: 1,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
    InterpolationMode.NEAREST_EXACT: 0,
}
_BY_NUMBER = {number: mode for mode, number in reversed(_PILLOW.items())}


def as_mode(interpolation: Any, op: str) -> InterpolationMode:
    """The mode from a mode or from Pillow's number."""
    if isinstance(interpolation, int) and interpolation in _BY_NUMBER:
        return _BY_NUMBER[interpolation]
    if not isinstance(interpolation, InterpolationMode):
        raise TypeError(
            takes(op, "interpolation", "an InterpolationMode or Pillow's number of one", repr(interpolation))
        )
    return interpolation


def pillow_number(mode: InterpolationMode) -> int:
    """Pillow's number of a mode."""
    return _PILLOW[mode]


def for_tensors(mode: InterpolationMode, op: str, modes: tuple[InterpolationMode, ...]) -> InterpolationMode:
    """The mode, if tensors can do it."""
    if mode not in modes:
        names = ", ".join(m.name for m in modes)
        raise ValueError(takes(op, "interpolation", f"one of {names} for tensors", mode.name))
    return mode
