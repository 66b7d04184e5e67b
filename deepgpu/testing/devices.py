"""Device "cuda" in tests, also on a machine without a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from deepgpu.backends import cudnn
from deepgpu.backends.cuda import runtime


def emulated_cuda() -> AbstractContextManager[None]:
    """Inside, device "cuda" exists on every machine: the CUDA backend on the CPU, its kernels in the emulator.

    Arrays on it are as strict as a GPU's: they mix with none of the host, and are not converted implicitly. As
    ``DEEPGPU_CUDA=emulate`` does for a whole process. Needs g++ and NVIDIA's headers.

    Examples
    --------
    >>> with dg.testing.emulated_cuda():
    ...     x = dg.ones(2, 3, device="cuda")
    """
    return runtime.emulated()


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
