"""A CUDA device behind the contract, on CuPy's operations until a handwritten kernel takes a method over."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from deepgpu.backends.base import Array, Backend
from deepgpu.backends.composed import ComposedBackend
from deepgpu.backends.cuda import runtime


def _on_own_device(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method`, run with its backend's device as CuPy's current one."""

    @functools.wraps(method)
    def run(self: CUDABackend, *args: Any, **kwargs: Any) -> Any:
        with self._device:
            return method(self, *args, **kwargs)

    return run


class CUDABackend(ComposedBackend):
    """CuPy arrays of one device.

    Parameters
    ----------
    index
        Which CUDA device.

    Raises
    ------
    DeviceUnavailableError
        If the machine has no CUDA.
    """

    type = "cuda"

    def __init__(self, index: int) -> None:
        self.xp = runtime.cupy()
        self.index = index
        self._device = self.xp.cuda.Device(index)

    def from_numpy(self, array: Array) -> Array:
        return self.xp.asarray(array)

    def to_numpy(self, array: Array) -> Array:
        return self.xp.asnumpy(array)

    def erf(self, x: Array) -> Array:
        from cupyx.scipy import special

        return special.erf(x)

    def synchronize(self) -> None:
        self._device.synchronize()


for _name in Backend.__abstractmethods__:
    setattr(CUDABackend, _name, _on_own_device(getattr(CUDABackend, _name)))
