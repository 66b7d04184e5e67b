"""Where to train."""

from __future__ import annotations

from typing import Any

from deepgpu.cuda import is_available
from deepgpu.device import device as as_device


def choose_device(name: Any = "auto") -> as_device:
    """The device of that name; for "auto" the GPU if there is one, else the CPU.

    Raises
    ------
    DeviceUnavailableError
        If the machine does not have it.
    """
    if str(name) == "auto":
        return as_device("cuda" if is_available() else "cpu")
    chosen = as_device(name)
    assert chosen.backend  # asks for the device
    return chosen
