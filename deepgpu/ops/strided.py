"""A tensor's memory seen with any strides: as_strided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.dims import new_shape, sizes
from deepgpu.ops.indexing import IndexAdd
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, wrap


class AsStrided(Node):
    """The flat array ``x`` seen with other sizes and strides: on the CPU a view, on a GPU a copy."""

    is_view = True

    def __init__(self, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> None:
        self.size = size
        self.stride = stride
        self.offset = offset

    def _places(self) -> Any:
        """The position of every element in the flat array."""
        at = self.xp.full(self.size, self.offset, np.int64)
        for d, (n, step) in enumerate(zip(self.size, self.stride, strict=True)):
            at += self.xp.arange(n).reshape([-1 if i == d else 1 for i in range(len(self.size))]) * step
        return at

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        if self.xp is not np:
            return x[self._places()]
        steps = [s * x.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(x[self.offset :], self.size, steps)

    def backward(self, g: Tensor) -> Tensor:
        return IndexAdd(self.source, (wrap(self._places(), self.backend),))(g)


@op(method=True)
def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """The tensor's memory seen with other sizes and strides; elements may occur more than once.

    Parameters
    ----------
    input
        A tensor whose elements fill their memory without gaps, in any order of the dimensions.
    size, stride
        The result's.
    storage_offset
        Where it begins, in elements from the tensor's own first one (in PyTorch: from the first of its storage).

    Returns
    -------
    Tensor
        On the CPU a view; on a GPU a copy.

    Raises
    ------
    RuntimeError
        If the tensor has gaps, or the result would reach beyond it.
    """
    name = "as_strided"
    shape, steps = new_shape(size, name), sizes(stride)
    offset = storage_offset or 0
    if len(shape) != len(steps):
        raise RuntimeError(takes(name, "stride", f"{len(shape)} numbers, as many as `size`", steps))
    if min(steps, default=0) < 0:
        raise RuntimeError(takes(name, "stride", "numbers that are not negative", steps))
    if offset < 0:
        raise RuntimeError(takes(name, "storage_offset", "a number that is not negative", offset))
    x = input._data
    order = sorted(range(x.ndim), key=lambda d: -x.strides[d])
    if not x.transpose(order).flags.c_contiguous:
        got = f"strides {input.stride()} of shape {tuple(input.shape)}"
        raise RuntimeError(takes(name, "input", "memory without gaps (`contiguous()` makes a copy without)", got))
    reach = offset + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) + 1
    if 0 not in shape and reach > x.size:
        expected = f"what lies within the tensor's {x.size} elements"
        got = f"{shape} with strides {steps} and offset {offset}, which needs {reach}"
        raise RuntimeError(takes(name, "size", expected, got))
    return AsStrided(shape, steps, offset if 0 not in shape else 0)(input.permute(*order).reshape(-1))
