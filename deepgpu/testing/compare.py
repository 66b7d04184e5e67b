"""Comparing results: :func:`assert_close`, with PyTorch's tolerances and with a message that says where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.tensor import Tensor

TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
}
"""``(rtol, atol)`` by dtype; every other dtype is compared exactly."""


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_stride: bool = False,
    msg: str | None = None,
) -> None:
    """Assert that two results agree: ``|actual - expected| <= atol + rtol |expected|`` for every element.

    As :func:`torch.testing.assert_close`. A NaN agrees with nothing unless ``equal_nan``; infinities of one sign agree.

    Parameters
    ----------
    actual, expected
        Tensors, NumPy arrays, numbers, or sequences and mappings of them.
    rtol, atol
        Both or neither; by default those of the dtype (the looser one, if dtypes differ).
    equal_nan
        Two NaN agree.
    check_device, check_dtype, check_stride
        Whether these attributes must be equal.
    msg
        Put before the explanation.

    Raises
    ------
    AssertionError
        If they do not agree.
    """
    __tracebackhide__ = True
    if (rtol is None) != (atol is None):
        raise ValueError("`assert_close`: `rtol` and `atol` must be given together or not at all")
    checks = (check_device, check_dtype, check_stride)
    problem = _difference(actual, expected, rtol, atol, equal_nan, checks)
    if problem is not None:
        raise AssertionError(problem if msg is None else f"{msg}\n{problem}")


def _difference(
    actual: Any, expected: Any, rtol: float | None, atol: float | None, equal_nan: bool, checks: tuple[bool, ...]
) -> str | None:
    """What is wrong, or None."""
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping) or set(actual) != set(expected):
            return f"the keys differ: {_described(actual)}, expected {_described(expected)}"
        pairs = [(f"[{k!r}]", actual[k], expected[k]) for k in expected]
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        if not isinstance(actual, Sequence) or len(actual) != len(expected):
            return f"the lengths differ: {_described(actual)}, expected {_described(expected)}"
        pairs = [(f"[{i}]", a, e) for i, (a, e) in enumerate(zip(actual, expected, strict=True))]
    else:
        return _leaf_difference(actual, expected, rtol, atol, equal_nan, checks)
    for place, a, e in pairs:
        problem = _difference(a, e, rtol, atol, equal_nan, checks)
        if problem is not None:
            return f"at {place}: {problem}"
    return None


def _described(x: Any) -> str:
    return f"{type(x).__name__} of {len(x)}" if hasattr(x, "__len__") else type(x).__name__


def _leaf_difference(
    actual: Any, expected: Any, rtol: float | None, atol: float | None, equal_nan: bool, checks: tuple[bool, ...]
) -> str | None:
    if isinstance(actual, (Sequence, Mapping)):
        return f"the types differ: {_described(actual)}, expected {type(expected).__name__}"
    if isinstance(actual, Tensor) != isinstance(expected, Tensor):
        return f"one is a tensor, the other is not: {type(actual).__name__}, expected {type(expected).__name__}"
    check_device, check_dtype, check_stride = checks
    if isinstance(actual, Tensor):
        if check_device and actual.device != expected.device:
            return f"the devices differ: {actual.device}, expected {expected.device}"
        if check_stride and actual.stride() != expected.stride():
            return f"the strides differ: {actual.stride()}, expected {expected.stride()}"
    a, e = _array(actual), _array(expected)
    if a.shape != e.shape:
        return f"the shapes differ: {a.shape}, expected {e.shape}"
    if check_dtype and a.dtype != e.dtype:
        return f"the dtypes differ: {a.dtype}, expected {e.dtype}"
    if rtol is None or atol is None:
        found = [TOLERANCES.get(d.name, (0.0, 0.0)) for d in (a.dtype, e.dtype)]
        rtol, atol = max(r for r, _ in found), max(t for _, t in found)
    return _value_difference(a, e, rtol, atol, equal_nan)


def _array(x: Any) -> np.ndarray:
    """A tensor, array or number as an array on the host."""
    if isinstance(x, Tensor):
        return x.detach().cpu().numpy()
    array = np.asarray(x)
    dtypes.from_numpy(array.dtype)  # a clear error for what is no number
    return array


def _value_difference(a: np.ndarray, e: np.ndarray, rtol: float, atol: float, equal_nan: bool) -> str | None:
    exact = a.dtype.kind in "biu" and e.dtype.kind in "biu" and rtol == 0 and atol == 0
    if exact:
        close = a == e
    else:
        a, e = a.astype(np.float64), e.astype(np.float64)
        with np.errstate(invalid="ignore"):
            # not (error > tolerance), so that a NaN is a difference
            close = (a == e) | (np.isfinite(a) & np.isfinite(e) & (np.abs(a - e) <= atol + rtol * np.abs(e)))
        if equal_nan:
            close |= np.isnan(a) & np.isnan(e)
    if close.all():
        return None
    wrong = int(close.size - close.sum())
    first = tuple(int(i) for i in np.argwhere(~close)[0])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.where(close, 0.0, np.abs(a.astype(np.float64) - e.astype(np.float64)))
        relative = np.where(close, 0.0, error / np.abs(e.astype(np.float64)))
    return (
        f"{wrong} of {close.size} elements of shape {a.shape} differ\n"
        f"first at index {first}: {a[first]}, expected {e[first]}\n"
        f"greatest absolute difference {_greatest(error)} (allowed {atol:g}), "
        f"greatest relative difference {_greatest(relative)} (allowed {rtol:g})"
    )


def _greatest(error: np.ndarray) -> str:
    """The greatest error and where it is; a NaN counts as the greatest."""
    at = np.unravel_index(int(np.argmax(error)), error.shape)
    return f"{error[at]:.3g} at {tuple(int(i) for i in at)}"
