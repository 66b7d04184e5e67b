"""Which GPUs there are, and which is the current one."""

from __future__ import annotations

from typing import Any, NamedTuple

from deepgpu.backends.cuda import runtime
from deepgpu.device import device as as_device


def is_available() -> bool:
    """Whether a CUDA device can be used: CuPy, a driver and a GPU are there."""
    return runtime.is_available()


def device_count() -> int:
    """How many CUDA devices can be used."""
    return runtime.device_count()


def is_initialized() -> bool:
    """Whether device "cuda" can be used; there is nothing to initialise."""
    return runtime.is_available()


def init() -> None:
    """Do nothing: the first tensor on a device initialises it."""


def index_of(device: Any) -> int:
    """The index of an existing device given as a string, an int, a device or None for the current one."""
    if device is None:
        return runtime.checked_index(None)
    found = as_device(device)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {found}")
    return runtime.checked_index(found.index)


def current_device() -> int:
    """The index of the device that ``"cuda"`` without an index means."""
    return index_of(None)


def set_device(device: Any) -> None:
    """Make a device the one that ``"cuda"`` without an index means."""
    runtime.cupy().cuda.Device(index_of(device)).use()


class device:
    """Inside, another device is the one that ``"cuda"`` without an index means.

    Parameters
    ----------
    device
        Its index or name; None or a negative index for no change.
    """

    def __init__(self, device: Any) -> None:
        self._unchanged = device is None or (isinstance(device, int) and device < 0)
        self.idx = -1 if self._unchanged else index_of(device)

    def __enter__(self) -> None:
        if not self._unchanged:
            self._device = runtime.cupy().cuda.Device(self.idx)
            self._device.__enter__()

    def __exit__(self, *error: Any) -> None:
        if not self._unchanged:
            self._device.__exit__(*error)


class device_of(device):
    """Inside, the device of a tensor is the current one; no change for a tensor on the CPU."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else -1)


class DeviceProperties(NamedTuple):
    """What a GPU is.

    Attributes
    ----------
    name
        The product's name.
    major, minor
        Its compute capability.
    total_memory
        In bytes.
    multi_processor_count, warp_size, max_threads_per_multi_processor, regs_per_multiprocessor
        Of the multiprocessors, threads and registers.
    shared_memory_per_block, shared_memory_per_block_optin
        Bytes that a block may have, and that it may have if it asks for more.
    L2_cache_size
        In bytes.
    is_integrated, is_multi_gpu_board
        1 or 0.
    """

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int
    max_threads_per_multi_processor: int
    regs_per_multiprocessor: int
    shared_memory_per_block: int
    shared_memory_per_block_optin: int
    L2_cache_size: int
    is_integrated: int
    is_multi_gpu_board: int


_KEYS = (
    "major",
    "minor",
    "totalGlobalMem",
    "multiProcessorCount",
    "warpSize",
    "maxThreadsPerMultiProcessor",
    "regsPerMultiprocessor",
    "sharedMemPerBlock",
    "sharedMemPerBlockOptin",
    "l2CacheSize",
    "integrated",
    "isMultiGpuBoard",
)
"""The fields behind the name, as CUDA calls them."""


def get_device_properties(device: Any = None) -> DeviceProperties:
    """What a device is."""
    found = runtime.cupy().cuda.runtime.getDeviceProperties(index_of(device))
    return DeviceProperties(found["name"].decode(), *[int(found[key]) for key in _KEYS])


def get_device_name(device: Any = None) -> str:
    """The product name of a device."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability of a device, as (major, minor)."""
    properties = get_device_properties(device)
    return properties.major, properties.minor


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether tensors of bfloat16 can be used: on every GPU; with tensor cores from compute capability 8.0 on."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def synchronize(device: Any = None) -> None:
    """Wait until all work on a device is done."""
    runtime.cupy().cuda.Device(index_of(device)).synchronize()
