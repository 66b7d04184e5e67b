"""CuPy's stand-in on a machine without a GPU: the part of its namespace that deepgpu uses, on the CPU.

Arrays are the strict ones of :mod:`~deepgpu.backends.cuda.array`, and kernels run in :mod:`deepgpu.kernels.emulator`.
There is one device. Nothing here is fast: it is there so that every line of the CUDA backend, its launch
configurations, dtypes and layouts run in tests.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import types
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from deepgpu.backends.cuda import emulated_memory as _memory, emulated_streams as _streams, runtime as _runtime
from deepgpu.backends.cuda.array import ndarray, on_device, to_device

_POISON = 0xFF
"""The byte that fresh memory holds: a NaN in every floating-point format."""

_NUMPY_FUNCTIONS = frozenset(
    (
        "abs", "absolute", "add", "all", "any", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
        "arctanh", "argmax", "argmin", "argpartition", "argsort", "argwhere", "ascontiguousarray", "bitwise_and",
        "bitwise_or", "bitwise_xor", "broadcast_arrays", "broadcast_to", "cbrt", "ceil", "clip", "concatenate",
        "copysign", "cos", "cosh", "count_nonzero", "cumprod", "cumsum", "diag", "diagonal", "divide", "dot", "einsum",
        "equal", "exp", "exp2", "expand_dims", "expm1", "eye", "flip", "floor", "floor_divide", "fmax", "fmin", "fmod",
        "full", "gcd", "full_like", "greater", "greater_equal", "heaviside", "hypot", "identity", "invert", "isfinite",
        "isinf", "isnan", "lcm", "ldexp", "left_shift", "less", "less_equal", "linspace", "log", "log10", "log1p",
        "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor", "matmul", "max",
        "maximum", "may_share_memory", "mean", "min", "minimum", "moveaxis", "multiply", "negative", "nextafter",
        "nonzero", "not_equal", "ones", "ones_like", "outer", "pad", "positive", "power", "prod", "put_along_axis",
        "ravel", "reciprocal", "remainder", "repeat", "reshape", "right_shift", "rint", "roll", "searchsorted",
        "shares_memory", "sign", "signbit", "sin", "sinc", "sinh", "sort", "split", "sqrt", "square", "squeeze",
        "stack", "std", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensordot", "tile",
        "transpose", "tril", "triu", "true_divide", "trunc", "unique", "var", "where", "zeros", "zeros_like",
    )
)  # fmt: skip
"""NumPy's functions that CuPy has too, with the same meaning."""


_SYNCHRONISING = ("argwhere", "nonzero", "unique")
"""Functions whose result has a size that the host must wait for."""


def _not_captured(name: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        _streams.refuse(f"`{name}`, whose result has a size that depends on values,")
        return getattr(np, name)(*args, **kwargs)

    return call


class _Ufunc:
    """A ufunc with its methods ``at``, ``reduce`` and ``outer``, as far as CuPy's has them."""

    def __init__(self, ufunc: np.ufunc) -> None:
        self._ufunc = ufunc
        self._call = on_device(ufunc)
        self.reduce, self.outer = on_device(ufunc.reduce), on_device(ufunc.outer)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def at(self, out: ndarray, index: Any, values: Any = None) -> None:
        """Unbuffered ``out[index] = ufunc(out[index], values)``, of the dtypes that a GPU has atomics for."""
        if out.dtype.name not in _ATOMIC_DTYPES:  # type: ignore[attr-defined]
            raise TypeError(
                f"`{self._ufunc.__name__}.at` takes an array of {', '.join(_ATOMIC_DTYPES)}, but got {out.dtype}"  # type: ignore[attr-defined]
            )
        on_device(self._ufunc.at)(out, index, values)


_ATOMIC_DTYPES = ("int32", "uint32", "uint64", "float16", "float32", "float64")


def __getattr__(name: str) -> Any:
    """A function of NumPy that CuPy shares, or a constant or dtype."""
    if name in _NUMPY_FUNCTIONS:
        function = _not_captured(name) if name in _SYNCHRONISING else getattr(np, name)
        made = _Ufunc(function) if isinstance(function, np.ufunc) else on_device(function)
        globals()[name] = made
        return made
    found = getattr(np, name, None)
    if isinstance(found, (float, type)) or (found is None and name == "newaxis"):
        return found
    raise AttributeError(f"the emulated CuPy has no `{name}`; if CuPy has it, add it to {__name__}")


# --- arrays whose memory is new ------------------------------------------------------------------------------------


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Uninitialised memory: NaN, so that what reads it computes nonsense instead of looking right."""
    if _launches.check:  # who reads it before it is written is told so
        return ndarray(importlib.import_module("deepgpu.kernels.emulator").empty(shape, dtype))
    host = np.empty(shape, dtype, order)  # type: ignore[call-overload]
    return ndarray(_poisoned(host))


def empty_like(a: ndarray, dtype: Any = None, order: str = "K") -> ndarray:
    """Uninitialised memory in the layout of another array."""
    return ndarray(_poisoned(np.empty_like(a._host, dtype, order)))  # type: ignore[call-overload]


def _poisoned(host: np.ndarray) -> np.ndarray:
    if host.size:
        memory = np.lib.stride_tricks.as_strided(host, (host.size,), (host.itemsize,))
        memory.view(np.uint8).fill(_POISON)
    return host


def array(a: Any, dtype: Any = None, copy: bool = True) -> ndarray:
    """A new array from another one, from a NumPy array (a transfer) or from numbers."""
    if isinstance(a, ndarray):
        return _copied(a, dtype)
    _streams.refuse("a copy from pageable memory")
    return ndarray(np.array(a, dtype, order="K"))


_copied = on_device(lambda host, dtype: np.array(host, dtype, order="K"))


def asarray(a: Any, dtype: Any = None) -> ndarray:
    """The array itself if it is one of that dtype, else a new one: from a NumPy array this is a transfer."""
    if isinstance(a, ndarray) and (dtype is None or a._host.dtype == dtype):
        return a
    return array(a, dtype)


def asnumpy(a: ndarray) -> np.ndarray:
    """A copy on the host."""
    return a.get()


class _Ogrid:
    def __getitem__(self, key: Any) -> Any:
        return to_device(np.ogrid[key])


ogrid = _Ogrid()
linalg = types.SimpleNamespace(
    **{n: on_device(getattr(np.linalg, n)) for n in ("cholesky", "eigh", "inv", "qr", "slogdet", "solve", "svd")}
)
lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(as_strided=on_device(np.lib.stride_tricks.as_strided)))
newaxis = None


# --- how kernels run ------------------------------------------------------------------------------------------------


class _Launches:
    """What all launches have in common."""

    seed = 0
    check = False


_launches = _Launches()


@contextlib.contextmanager
def launches(seed: int = 0, check: bool = False) -> Iterator[None]:
    """Inside, kernels run under another schedule, and with all accesses checked."""
    before = _launches.seed, _launches.check
    _launches.seed, _launches.check = seed, check
    try:
        yield
    finally:
        _launches.seed, _launches.check = before


# --- kernels --------------------------------------------------------------------------------------------------------


class RawModule:
    """``cupy.RawModule`` on :class:`deepgpu.kernels.emulator.RawModule`."""

    def __init__(self, code: str, options: Sequence[str] = (), name_expressions: Sequence[str] | None = None) -> None:
        emulator = importlib.import_module("deepgpu.kernels.emulator")
        self._module = emulator.RawModule(code, options=options, name_expressions=name_expressions)
        if named := re.match(r'#line 1 "(.+)"\n', code):  # errors name the file, as the compiler would
            self._module.name = named[1]

    def get_function(self, name: str) -> RawKernel:
        """The kernel of that name; compiles the module."""
        return RawKernel(self._module.get_function(name))


class RawKernel:
    """``cupy.RawKernel``: takes device arrays, NumPy scalars, and NumPy arrays of one element by value."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """How much dynamic shared memory a launch may ask for."""
        return self._kernel.max_dynamic_shared_size_bytes

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        self._kernel.max_dynamic_shared_size_bytes = size

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        *,
        shared_mem: int = 0,
        reachable: Sequence[ndarray] = (),
    ) -> None:
        self._kernel.module.check = _launches.check
        hosts = [x._host for x in reachable]
        arguments = [self._argument(a) for a in args]

        def run() -> None:
            self._kernel(grid, block, arguments, shared_mem=shared_mem, seed=_launches.seed, reachable=hosts)

        run()
        _streams.record(run)

    def _argument(self, x: Any) -> Any:
        if isinstance(x, ndarray):
            return x._host
        if isinstance(x, np.ndarray):
            if x.size != 1:
                raise TypeError(f"{self._kernel.name}: a NumPy array of shape {x.shape} is no device array")
            return x.reshape(())[()]
        return x


# --- the device -----------------------------------------------------------------------------------------------------


class _Device:
    """``cupy.cuda.Device``. Within it, device "cuda" is the emulated one."""

    def __init__(self, device: int | None = None) -> None:
        self.id = 0 if device is None else int(device)
        self._contexts: list[Any] = []

    def __enter__(self) -> _Device:
        self._contexts.append(_runtime.emulated())
        self._contexts[-1].__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._contexts.pop().__exit__(*error)

    def use(self) -> None:
        """Make it the current device, which it is."""

    def synchronize(self) -> None:
        """Wait for nothing: an emulated launch returns when it is done."""
        _streams.refuse("waiting for the device")


def _memory_of_the_host() -> tuple[int, int]:
    page = os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page


__version__ = "emulated"
get_default_memory_pool = _memory.get_default_memory_pool
_PROPERTIES: dict[str, Any] = {
    "name": b"CUDA emulator",
    "major": 9,
    "minor": 0,
    "totalGlobalMem": _memory_of_the_host()[1],
    "multiProcessorCount": 1,
    "warpSize": 32,
    "maxThreadsPerMultiProcessor": 2048,
    "regsPerMultiprocessor": 65536,
    "sharedMemPerBlock": 48 << 10,
    "sharedMemPerBlockOptin": 227 << 10,
    "l2CacheSize": 0,
    "clockRate": 0,
    "memoryClockRate": 0,
    "memoryBusWidth": 0,
    "integrated": 0,
    "isMultiGpuBoard": 0,
    "uuid": b"\0" * 16,
}
cuda = types.SimpleNamespace(
    Device=_Device,
    Event=_streams.Event,
    ExternalStream=_streams.Stream,
    MemoryPool=_memory.MemoryPool,
    Stream=_streams.Stream,
    alloc_pinned_memory=_memory.alloc_pinned_memory,
    get_current_stream=_streams.get_current_stream,
    get_elapsed_time=_streams.get_elapsed_time,
    is_available=lambda: True,
    memory=types.SimpleNamespace(OutOfMemoryError=_memory.OutOfMemoryError),
    pinned_memory=types.SimpleNamespace(is_memory_pinned=_memory.is_memory_pinned),
    runtime=types.SimpleNamespace(
        getDevice=lambda: 0,
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda index: _PROPERTIES,
        memGetInfo=_memory_of_the_host,
        streamCaptureModeRelaxed=2,
    ),
    set_allocator=_memory.set_allocator,
    using_allocator=_memory.using_allocator,
)
