"""Broadcasting and type promotion for elementwise ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.ops.cast import cast
from deepgpu.ops.op import number
from deepgpu.tensor import Tensor


def unbroadcast(g: Tensor | None, shape: Sequence[int]) -> Tensor | None:
    """Sum a gradient over the dimensions along which its tensor was broadcast from ``shape``."""
    if g is None or g._data.shape == tuple(shape):
        return g
    added = g._data.ndim - len(shape)
    dims = [*range(added), *[added + i for i, s in enumerate(shape) if s == 1 and g._data.shape[added + i] != 1]]
    g = g.sum(dims, keepdim=True)
    return g.reshape(tuple(shape))


def promoted(a: Any, b: Any, *, floating: bool = False) -> tuple[Any, Any]:
    """Both operands in the dtype of their result; Python numbers stay numbers unless they decide it.

    Parameters
    ----------
    floating
        The op is only defined for floating-point numbers: integers become the default dtype.
    """
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a._data.dtype == b._data.dtype:
        d = a.dtype
    else:
        a, b = number(a), number(b)
        d = dtypes.result_type(a, b)
    if floating and not d.is_floating_point:
        d = dtypes.get_default_dtype()
    return as_dtype(a, d), as_dtype(b, d)


def as_dtype(x: Any, d: dtypes.dtype) -> Any:
    """A tensor cast to ``d``; a number as it is."""
    return cast(x, d) if isinstance(x, Tensor) and x._data.dtype != d.numpy else x


def floating(x: Tensor) -> Tensor:
    """An integer or bool tensor cast to the default floating-point dtype; others as they are."""
    return x if x.dtype.is_floating_point else cast(x, dtypes.get_default_dtype())
