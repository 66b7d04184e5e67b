"""PyTorch's ``torch.accelerator``: the GPU, whatever it is called. Here it is device "cuda"."""

from __future__ import annotations

from typing import Any

from deepgpu import cuda, dtypes
from deepgpu.cuda import (
    current_stream,
    device_count,
    empty_cache,
    is_available,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_peak_memory_stats,
    set_stream,
    synchronize,
)
from deepgpu.device import device as as_device

__all__ = [
    "current_accelerator",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "get_device_capability",
    "get_memory_info",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_peak_memory_stats",
    "set_device_index",
    "set_stream",
    "synchronize",
]

current_device_index = cuda.current_device
device_index = cuda.device
get_memory_info = cuda.mem_get_info
set_device_index = cuda.set_device


def current_accelerator(check_available: bool = False) -> as_device | None:
    """Device "cuda", or None if there is no GPU."""
    return as_device("cuda") if is_available() else None


def get_device_capability(device: Any = None) -> dict[str, Any]:
    """What the device can do, under PyTorch's key: the dtypes of tensors that can be there."""
    cuda.get_device_name(device)  # an error if there is none
    return {"supported_dtypes": set(dtypes.ALL)}
