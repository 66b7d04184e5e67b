"""New tensors: from data, filled, ranges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.backends.base import Backend
from deepgpu.backends.registry import backend_of
from deepgpu.device import CPU, device as as_device
from deepgpu.errors import takes
from deepgpu.ops.broadcast import fitting
from deepgpu.ops.dims import new_shape, one_by_one
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, method, wrap

_default_device = CPU


def set_default_device(device: Any) -> None:
    """Make ``device`` the place of tensors made without a ``device`` argument; None for the CPU."""
    global _default_device
    _default_device = CPU if device is None else as_device(device)


def get_default_device() -> as_device:
    """Where tensors are made without a ``device`` argument."""
    return _default_device


def backend_for(device: Any) -> Backend:
    """The backend of ``device``, or of the default device."""
    return _default_device.backend if device is None else as_device(device).backend


def finish(array: Any, backend: Backend, requires_grad: bool) -> Tensor:
    """A new leaf around a raw array."""
    t = wrap(array, backend)
    return t.requires_grad_() if requires_grad else t


@op(differentiable=False)
def tensor(data: Any, *, dtype: dtypes.dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of ``data``.

    Parameters
    ----------
    data
        A number, (nested) sequences of numbers or tensors, a NumPy array, a tensor.
    dtype
        By default that of an array or tensor; for Python numbers bool, int64 or the default floating-point dtype.
    device
        By default that of a tensor, else the default device.

    Raises
    ------
    ValueError
        If nested sequences have different lengths.
    TypeError
        If there is no dtype for the data.
    """
    if isinstance(data, Tensor):
        device = data.device if device is None else device
        data = data.detach().cpu().numpy()
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.array(data, dtype=None if dtype is None else dtype.numpy)
        dtypes.from_numpy(array.dtype)
    else:
        array = _from_python(data, dtype)
    backend = backend_for(device)
    return finish(backend.from_numpy(array), backend, requires_grad)


def _from_python(data: Any, dtype: dtypes.dtype | None) -> np.ndarray:
    try:
        array = np.array(_plain(data))
    except ValueError as error:
        raise ValueError(f"`tensor`: nested sequences must have one length each in every dimension: {error}") from None
    if array.dtype.kind not in "biuf" and array.dtype not in [d.numpy for d in dtypes.ALL]:
        bad = _no_number(data)
        if isinstance(bad, int):
            raise OverflowError(takes("tensor", "data", "integers that int64 can hold", bad))
        raise TypeError(f"`tensor`: no dtype for data of type {type(bad).__name__} ({bad!r})")
    if dtype is None:
        from_numbers = array.dtype == np.float64 and (array.size == 0 or not _holds_arrays(data))
        dtype = dtypes.get_default_dtype() if from_numbers else dtypes.from_numpy(array.dtype)
    elif array.dtype.kind in "iu" and dtype.numpy.kind in "iu" and array.size:
        for limit in (array.min(), array.max()):
            fitting(int(limit), dtype.numpy, "tensor", "data")
    with np.errstate(all="ignore"):  # infinities and NaN are values
        return array.astype(dtype.numpy)


def _no_number(data: Any) -> Any:
    """The first element that is no number, or an integer too large for int64."""
    if isinstance(data, (list, tuple)):
        return next((bad for x in data if (bad := _no_number(x)) is not None or x is None), None)
    if isinstance(data, int) and not -(2**63) <= data < 2**63:
        return data
    return None if isinstance(data, (int, float, np.ndarray, np.generic, Tensor)) else data


def _plain(data: Any) -> Any:
    """Nested sequences with tensors replaced by arrays."""
    if isinstance(data, Tensor):
        return data.detach().cpu().numpy()
    if isinstance(data, (list, tuple)) and any(isinstance(x, (Tensor, list, tuple)) for x in data):
        return [_plain(x) for x in data]
    return data


def _holds_arrays(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (Tensor, np.ndarray, np.generic))


@op(differentiable=False)
def as_tensor(data: Any, dtype: dtypes.dtype | None = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, without a copy if it is a tensor or a NumPy array of that dtype on that device."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if isinstance(data, np.ndarray):
        return from_numpy(data).to(device=get_default_device() if device is None else device, dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


@op(differentiable=False)
def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A CPU tensor that shares memory with a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(takes("from_numpy", "ndarray", "a numpy.ndarray", type(ndarray).__name__))
    dtypes.from_numpy(ndarray.dtype)
    t = wrap(ndarray, CPU.backend)
    t._pin()
    return t


@op(differentiable=False)
def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor that shares memory with another library's (NumPy, CuPy, PyTorch, JAX), through DLPack.

    Parameters
    ----------
    ext_tensor
        Anything with ``__dlpack__`` and ``__dlpack_device__``.
    device
        Where the tensor shall be; a copy if that is elsewhere.
    copy
        Copy in any case.
    """
    device_type = int(ext_tensor.__dlpack_device__()[0])
    backend = (CPU if device_type in (1, 3) else as_device("cuda")).backend
    array = backend.xp.from_dlpack(ext_tensor)
    dtypes.from_numpy(array.dtype)
    t = wrap(array, backend_of(array))
    t._pin()
    return t.to(device=device, copy=bool(copy))


@op(differentiable=False)
@one_by_one
def zeros(size: Any, *, dtype: dtypes.dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All 0."""
    b = backend_for(device)
    return finish(b.xp.zeros(new_shape(size, "zeros"), (dtype or dtypes.get_default_dtype()).numpy), b, requires_grad)


@op(differentiable=False)
@one_by_one
def ones(size: Any, *, dtype: dtypes.dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All 1."""
    b = backend_for(device)
    return finish(b.xp.ones(new_shape(size, "ones"), (dtype or dtypes.get_default_dtype()).numpy), b, requires_grad)


@op(differentiable=False)
@one_by_one
def empty(
    size: Any,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: str | None = None,
) -> Tensor:
    """Uninitialised memory."""
    b = backend_for(device)
    array = b.xp.empty(new_shape(size, "empty"), (dtype or dtypes.get_default_dtype()).numpy)
    return in_format(wrap(array, b), memory_format, requires_grad)


@op(differentiable=False)
def full(
    size: Any, fill_value: Any, *, dtype: dtypes.dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """All ``fill_value``, whose type decides the dtype unless given."""
    b = backend_for(device)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    d = dtype or dtypes.of_scalar(value)
    shape = new_shape(size, "full")
    return finish(b.xp.full(shape, fitting(value, d.numpy, "full", "fill_value"), d.numpy), b, requires_grad)


@op(differentiable=False)
def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``start, start + step, ...`` up to but without ``end``; int64 if all are integers."""
    if end is None:
        start, end = 0, start
    if end is None:
        raise TypeError(takes("arange", "end", "a number", "None"))
    start = 0 if start is None else start
    start, end, step = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(takes("arange", "end", "a finite range", f"{start} to {end}"))
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError(takes("arange", "step", f"a number that leads from {start} to {end}", step))
    if dtype is None:
        dtype = dtypes.int64 if all(isinstance(x, int) for x in (start, end, step)) else dtypes.get_default_dtype()
    b = backend_for(device)
    n = math.ceil((end - start) / step)
    # start + i * step in double precision: adding step by step would let errors grow
    wide = np.arange(n, dtype=np.int64 if dtype.category < 2 else np.float64) * step + start
    return finish(b.from_numpy(wide.astype(dtype.numpy)), b, requires_grad)


@op(differentiable=False)
def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` numbers evenly spaced from ``start`` to ``end``, both included."""
    b = backend_for(device)
    if steps < 0:
        raise RuntimeError(takes("linspace", "steps", "a number that is not negative", steps))
    wide = np.linspace(float(start), float(end), steps)
    return finish(b.from_numpy(wide.astype((dtype or dtypes.get_default_dtype()).numpy)), b, requires_grad)


@op(differentiable=False)
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The identity matrix, ``n x m``."""
    b = backend_for(device)
    return finish(b.xp.eye(n, m, dtype=(dtype or dtypes.get_default_dtype()).numpy), b, requires_grad)


def _like(input: Tensor, dtype: dtypes.dtype | None, device: Any) -> tuple[Any, Backend]:
    """An uninitialised array in the shape and layout of ``input``, and its backend."""
    backend = input._backend if device is None else as_device(device).backend
    d = input._data.dtype if dtype is None else dtype.numpy
    if backend is input._backend:
        return backend.xp.empty_like(input._data, dtype=d), backend
    return backend.xp.empty(input._data.shape, d), backend


@op(differentiable=False)
def empty_like(
    input: Tensor,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Uninitialised memory, in the shape and layout of ``input``."""
    array, b = _like(input, dtype, device)
    return in_format(wrap(array, b), memory_format, requires_grad)


@op(differentiable=False)
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """All ``fill_value``, in the shape and dtype of ``input``."""
    array, b = _like(input, dtype, device)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    array.fill(fitting(value, array.dtype, "full_like", "fill_value"))
    return in_format(wrap(array, b), memory_format, requires_grad)


def in_format(t: Tensor, memory_format: Any, requires_grad: bool) -> Tensor:
    """A new leaf in a memory format, None for any."""
    if memory_format not in (None, "preserve_format"):
        t = t.contiguous(memory_format=memory_format)
    return t.requires_grad_() if requires_grad else t


@op(differentiable=False)
def zeros_like(
    input: Tensor,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """All 0, in the shape and dtype of ``input``."""
    format = memory_format
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad, memory_format=format)


@op(differentiable=False)
def ones_like(
    input: Tensor,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """All 1, in the shape and dtype of ``input``."""
    format = memory_format
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad, memory_format=format)


@method
@one_by_one
def new_zeros(
    input: Tensor, size: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """All 0, with the dtype and device of ``input``."""
    return zeros(size, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


@method
@one_by_one
def new_ones(input: Tensor, size: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All 1, with the dtype and device of ``input``."""
    return ones(size, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


@method
@one_by_one
def new_empty(
    input: Tensor, size: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Uninitialised, with the dtype and device of ``input``."""
    return empty(size, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


@method
def new_full(
    input: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """All ``fill_value``, with the dtype and device of ``input``."""
    d, place = dtype or input.dtype, device or input.device
    return full(size, fill_value, dtype=d, device=place, requires_grad=requires_grad)


@method
def new_tensor(
    input: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A copy of ``data``, with the dtype and device of ``input``."""
    return tensor(data, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)
