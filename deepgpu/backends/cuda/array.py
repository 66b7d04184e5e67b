"""The array of the emulated device: NumPy's memory behind the manners of ``cupy.ndarray``.

What would need a copy between a GPU and its host is refused, as CuPy refuses it: implicit conversion to NumPy, and
operations that mix arrays of both. Reductions and single elements are 0-d arrays, not scalars.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from deepgpu.backends.cuda import emulated_streams as streams
from deepgpu.backends.cuda.emulated_memory import hold, is_memory_pinned


class MemoryPointer:
    """Where an array begins."""

    def __init__(self, host: np.ndarray) -> None:
        self.ptr = host.ctypes.data
        self._host = host

    def copy_from_host_async(self, address: int, size: int, stream: Any = None) -> None:
        """Copy bytes from pinned memory, to a dense array; here at once."""
        if not is_memory_pinned(address):
            streams.refuse("a copy from pageable memory")
        memory = np.lib.stride_tricks.as_strided(self._host, (self._host.size,), (self._host.itemsize,)).view(np.uint8)

        def copy() -> None:
            ctypes.memmove(memory.ctypes.data, address, size)

        copy()
        streams.record(copy)


_roots: weakref.WeakValueDictionary[int, ndarray] = weakref.WeakValueDictionary()
"""Arrays that own their memory, by the id of the NumPy array behind."""


class ndarray:
    """An array on the emulated device. Made by the functions of :mod:`~deepgpu.backends.cuda.emulator`."""

    __slots__ = ("__weakref__", "_host", "base")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: np.ndarray) -> None:
        root = hold(host)
        self._host = host
        if root is host:
            self.base: ndarray | None = None  # of a view: the array whose memory it sees, the same object for all views
            _roots[id(host)] = self
        else:
            owner = _roots.get(id(root))
            self.base = ndarray(root) if owner is None else owner

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def device(self) -> Any:
        """The emulated device."""
        from deepgpu.backends.cuda.emulator import cuda

        return cuda.Device(0)

    @property
    def data(self) -> MemoryPointer:
        """The address of the first element, as ``.ptr``."""
        return MemoryPointer(self._host)

    def get(self) -> np.ndarray:
        """A copy on the host."""
        streams.refuse("a copy to the host")
        return self._host.copy(order="K")

    def item(self, *index: int) -> Any:
        """One element as a Python number."""
        streams.refuse("reading an element")
        return self._host.item(*index)

    def __repr__(self) -> str:
        return f"{self._host!r} on the emulated device"

    # --- what it refuses --------------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(
            "an array on device 'cuda' is not converted to a NumPy array implicitly: "
            "use the backend's `to_numpy` (`.get()` in CuPy)"
        )

    # --- NumPy's functions called with device arrays ----------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return on_device(getattr(ufunc, method))(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return on_device(function)(*args, **kwargs)

    # --- elements ---------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        index = to_host(index)
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(p, np.ndarray) and p.dtype == bool for p in parts):
            streams.refuse("indexing by a mask")
        if isinstance(self._host[index], np.generic):  # a view of 0 dimensions, not a copy
            index = parts if Ellipsis in [p for p in parts if p is Ellipsis] else (*parts, Ellipsis)
        return _run(lambda: self._host[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        index, value = to_host(index), to_host(value)

        def store() -> None:
            self._host[index] = value

        _run(store)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        streams.refuse("reading an element")
        return bool(self._host)

    def __int__(self) -> int:
        streams.refuse("reading an element")
        return int(self._host)

    def __float__(self) -> float:
        streams.refuse("reading an element")
        return float(self._host)

    def __index__(self) -> int:
        streams.refuse("reading an element")
        return self._host.__index__()


def to_host(x: Any) -> Any:
    """Arguments of a function of NumPy: device arrays as the NumPy arrays behind them.

    Raises
    ------
    TypeError
        If there is a NumPy array among them: on a GPU its values would not be at hand.
    """
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError(
            f"an array on device 'cuda' met a NumPy array of shape {x.shape}: use the backend's `from_numpy`"
        )
    if isinstance(x, (tuple, list)):
        made = [to_host(y) for y in x]
        return made if isinstance(x, list) else tuple(made)
    return x


def to_device(x: Any) -> Any:
    """Results of a function of NumPy as device arrays; numbers become arrays of 0 dimensions."""
    if isinstance(x, np.ndarray):
        return ndarray(x)
    if isinstance(x, np.generic):
        return ndarray(np.asarray(x))
    if isinstance(x, (tuple, list)):
        made = [to_device(y) for y in x]
        return made if isinstance(x, list) else tuple(made)
    return x


def on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy arrays as one of device arrays. Like a GPU's it says nothing of overflows and NaN."""

    def call(*args: Any, **kwargs: Any) -> Any:
        hosts, named = [to_host(a) for a in args], {k: to_host(v) for k, v in kwargs.items()}
        result = _run(lambda: function(*hosts, **named))
        out = kwargs.get("out")
        return result if out is None else out

    return call


def _run(function: Callable[[], Any]) -> Any:
    """Call a function of the arrays behind device arrays, as work of the current stream; its result on the device."""

    def quiet() -> Any:
        with np.errstate(all="ignore"):
            return function()

    made = to_device(quiet())
    streams.record(quiet, _behind(made))
    return made


def _behind(made: Any) -> Any:
    """The NumPy arrays behind device arrays."""
    if isinstance(made, (tuple, list)):
        return [_behind(m) for m in made]
    return made._host if isinstance(made, ndarray) else made


def _attribute(name: str) -> property:
    return property(lambda self: to_device_views(getattr(self._host, name)))


def to_device_views(x: Any) -> Any:
    """An attribute's value: only arrays become device arrays."""
    return ndarray(x) if isinstance(x, np.ndarray) else x


def _method(name: str) -> Any:
    function = on_device(lambda host, *args, **kwargs: getattr(host, name)(*args, **kwargs))

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = name
    return method


def _operator(name: str) -> Any:
    def method(self: ndarray, *operands: Any) -> Any:
        hosts = [to_host(x) for x in operands]
        return _run(lambda: getattr(self._host, name)(*hosts))

    method.__name__ = name
    return method


def _inplace(name: str) -> Any:
    def method(self: ndarray, operand: Any) -> ndarray:
        host = to_host(operand)

        def update() -> None:
            getattr(self._host, name)(host)

        _run(update)
        return self

    method.__name__ = name
    return method


_ATTRIBUTES = ("T", "dtype", "flags", "itemsize", "nbytes", "ndim", "shape", "size", "strides")
_METHODS = (
    "all", "any", "argmax", "argmin", "argsort", "astype", "clip", "copy", "cumprod", "cumsum", "diagonal", "dot",
    "fill", "flatten", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "reshape", "round", "sort",
    "squeeze", "std", "sum", "swapaxes", "take", "trace", "transpose", "var", "view",
)  # fmt: skip
_BINARY = (
    "add", "and", "divmod", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift", "sub", "truediv",
    "xor",
)  # fmt: skip
_OTHER = ("abs", "eq", "ge", "gt", "invert", "le", "lt", "ne", "neg", "pos")

for _name in _ATTRIBUTES:
    setattr(ndarray, _name, _attribute(_name))
for _name in _METHODS:
    setattr(ndarray, _name, _method(_name))
for _name in (*_BINARY, *(f"r{n}" for n in _BINARY), *_OTHER):
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in _BINARY:
    if _name != "divmod":
        setattr(ndarray, f"__i{_name}__", _inplace(f"__i{_name}__"))
