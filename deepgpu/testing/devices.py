"""Device "cuda" in tests, also on a machine without a GPU."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

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


def usable(device: str) -> AbstractContextManager[Any]:
    """Inside, a device can be used: "cuda" is emulated if this machine has no GPU."""
    return contextlib.nullcontext() if device == "cpu" or runtime.is_available() else emulated_cuda()
