"""What this machine offers of CUDA. CuPy imports fine without a driver, so CuPy itself is asked, not its import."""

from __future__ import annotations

import importlib
from typing import Any

from deepgpu.errors import DeviceUnavailableError


def cupy() -> Any:
    """The CuPy module.

    Raises
    ------
    DeviceUnavailableError
        If CuPy is not installed, or is but finds no driver or device.
    """
    try:
        module = importlib.import_module("cupy")
    except ImportError as error:
        raise DeviceUnavailableError(
            "device 'cuda' needs CuPy, which cannot be imported here "
            f"({error}); install it with `pip install 'deepgpu[cuda13]'` (CUDA 13) or `'deepgpu[cuda12]'` (CUDA 12)"
        ) from error
    if not module.cuda.is_available():
        raise DeviceUnavailableError(
            f"device 'cuda': CuPy {module.__version__} is installed, but finds no NVIDIA driver or device; "
            "`nvidia-smi` shows what the driver sees, and CUDA_VISIBLE_DEVICES what is hidden"
        )
    return module


def is_available() -> bool:
    """Whether a CUDA device can be used."""
    return device_count() > 0


def device_count() -> int:
    """How many CUDA devices can be used; 0 without CuPy or a driver."""
    try:
        return int(cupy().cuda.runtime.getDeviceCount())
    except DeviceUnavailableError:
        return 0


def checked_index(index: int | None) -> int:
    """The index of an existing device: `index`, or the current device's if it is None.

    Raises
    ------
    DeviceUnavailableError
        If there is no CUDA, or no device of that index.
    """
    module = cupy()
    if index is None:
        return int(module.cuda.Device().id)
    count = device_count()
    if not 0 <= index < count:
        have = "1 CUDA device, cuda:0" if count == 1 else f"{count} CUDA devices, cuda:0 to cuda:{count - 1}"
        raise DeviceUnavailableError(f"device 'cuda:{index}' does not exist: this machine has {have}")
    return index
