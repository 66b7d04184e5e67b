"""Device "cuda" in tests, also on a machine without a GPU."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator

from deepgpu.backends import cudnn
from deepgpu.backends.cuda import runtime


@contextlib.contextmanager
def emulated_cuda(*, check: bool = False, seed: int = 0) -> Iterator[None]:
    """Inside, device "cuda" exists on every machine: the CUDA backend on the CPU, its kernels in the emulator.

    Arrays on it are as strict as a GPU's: they mix with none of the host, and are not converted implicitly. As
    ``DEEPGPU_CUDA=emulate`` does for a whole process. Needs g++ and NVIDIA's headers.

    Parameters
    ----------
    check
        Check every access of every kernel: races, bounds, memory that is read before it is written. Much slower.
    seed
        The schedule of blocks, warps and lanes: 0 ascending, 1 descending, others random.

    Examples
    --------
    >>> with dg.testing.emulated_cuda():
    ...     x = dg.ones(2, 3, device="cuda")
    """
    emulator = importlib.import_module("deepgpu.backends.cuda.emulator")
    with runtime.emulated(), emulator.launches(seed, check):
        yield


@contextlib.contextmanager
def usable(device: str) -> Iterator[None]:
    """Inside, a device can be used, and computes with all digits of float32: "cuda" is emulated without a GPU."""
    if device == "cpu":
        yield
        return
    before, cudnn.allow_tf32 = cudnn.allow_tf32, False
    try:
        with contextlib.nullcontext() if runtime.is_available() else emulated_cuda():
            yield
    finally:
        cudnn.allow_tf32 = before
