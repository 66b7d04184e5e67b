"""What PyTorch asks of a tensor through functions: is_tensor, is_floating_point, numel, ..."""

from __future__ import annotations

from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.broadcast import check_expands, unbroadcast
from deepgpu.tensor import Tensor, method


def is_tensor(obj: Any) -> bool:
    """Whether it is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floating-point numbers."""
    return input.dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """Never: there are no complex tensors."""
    return False


def numel(input: Tensor) -> int:
    """The number of elements."""
    return input._data.size


@method
def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not 0."""
    if input._data.size != 1:
        raise RuntimeError(takes("is_nonzero", "input", "a tensor of one element", f"shape {tuple(input.shape)}"))
    return bool(input.item())


@method
def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return input._data.dtype.kind not in "bu"


@method
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether the shapes are equal."""
    return input.shape == other.shape


@method
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions along which ``size`` would be broadcast to the tensor's shape."""
    shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    check_expands("sum_to_size", "size", shape, input._data.shape)
    found = unbroadcast(input, shape)
    assert found is not None
    return found


method(lambda self: self._data.ndim, name="ndimension")
