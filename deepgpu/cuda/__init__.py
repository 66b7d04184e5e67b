"""PyTorch's ``torch.cuda``: which GPUs there are, waiting for them, their memory."""

from __future__ import annotations

from typing import Any

from deepgpu.backends.cuda import runtime
from deepgpu.device import device as as_device
from deepgpu.random import manual_seed as _seed_all

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "set_device",
    "synchronize",
]


def is_available() -> bool:
    """Whether a CUDA device can be used: CuPy, a driver and a GPU are there."""
    return runtime.is_available()


def device_count() -> int:
    """How many CUDA devices can be used."""
    return runtime.device_count()


def _index(device: Any) -> int:
    """The index of a device given as a string, an int, a device or None for the current one."""
    return runtime.checked_index(None if device is None else as_device(device).index)


def current_device() -> int:
    """The index of the device that ``"cuda"`` without an index means."""
    return _index(None)


def set_device(device: Any) -> None:
    """Make a device the one that ``"cuda"`` without an index means."""
    runtime.cupy().cuda.Device(_index(device)).use()


def get_device_name(device: Any = None) -> str:
    """The product name of a device."""
    properties = runtime.cupy().cuda.runtime.getDeviceProperties(_index(device))
    return properties["name"].decode()


def synchronize(device: Any = None) -> None:
    """Wait until all work on a device is done."""
    runtime.cupy().cuda.Device(_index(device)).synchronize()


def manual_seed(seed: int) -> None:
    """Seed the random numbers; all devices draw from one stream, which the host makes."""
    _seed_all(seed)


manual_seed_all = manual_seed


def memory_allocated(device: Any = None) -> int:
    """Bytes of a device's memory that tensors hold."""
    cupy = runtime.cupy()
    with cupy.cuda.Device(_index(device)):
        return cupy.get_default_memory_pool().used_bytes()


def memory_reserved(device: Any = None) -> int:
    """Bytes of a device's memory that the pool holds, for tensors or for later."""
    cupy = runtime.cupy()
    with cupy.cuda.Device(_index(device)):
        return cupy.get_default_memory_pool().total_bytes()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of a device's memory."""
    cupy = runtime.cupy()
    with cupy.cuda.Device(_index(device)):
        return cupy.cuda.runtime.memGetInfo()


def empty_cache() -> None:
    """Give memory that the pool holds for later back to the driver."""
    runtime.cupy().get_default_memory_pool().free_all_blocks()
