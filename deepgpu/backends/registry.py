"""Which backend computes: found from an array, or asked for by device type and index."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from deepgpu.backends.base import Array, Backend
from deepgpu.backends.cpu.backend import CPUBackend

_CPU = CPUBackend()


def backend_of(array: Array) -> Backend:
    """The backend of the device that holds a raw array.

    Raises
    ------
    TypeError
        If the array is neither NumPy's nor CuPy's.
    """
    if isinstance(array, np.ndarray):
        return _CPU
    for name in ("cupy", "deepgpu.backends.cuda.emulator"):
        cupy = sys.modules.get(name)  # who holds an array of theirs has imported them
        if cupy is not None and isinstance(array, cupy.ndarray):
            return _cuda(array.device.id, cupy)
    if isinstance(array, np.generic):  # NumPy's operations make scalars of 0-d arrays
        return _CPU
    raise TypeError(f"`backend_of`: `array` takes a NumPy or a CuPy array, but got {type(array).__name__}")


def get(type: str, index: int | None = None) -> Backend:
    """The backend of a device.

    Parameters
    ----------
    type
        ``"cpu"`` or ``"cuda"``.
    index
        Which device of that type; None is the CPU itself, or the current CUDA device.

    Raises
    ------
    DeviceUnavailableError
        If this machine has no such device; the message says what is missing and how to get it.
    """
    if type == "cpu":
        return _CPU
    from deepgpu.backends.cuda import runtime

    return _cuda(runtime.checked_index(index), runtime.cupy())


@functools.cache
def _cuda(index: int, cupy: Any) -> Any:
    from deepgpu.backends.cuda.backend import CUDABackend

    return CUDABackend(index, cupy)
