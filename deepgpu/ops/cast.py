"""Change of dtype and device: ``to``, ``cpu``, ``cuda``, ``float``, ``half``, ..."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node, Transfer
from deepgpu.device import device as as_device
from deepgpu.ops.memory import channels_last, contiguous, contiguous_format, preserve_format
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, method


class Cast(Node):
    """Another dtype; the gradient goes back in the old one."""

    def __init__(self, dtype: dtypes.dtype) -> None:
        self.dtype = dtype

    def forward(self, x: Any) -> Any:
        self.source = dtypes.from_numpy(x.dtype)
        return x.astype(self.dtype.numpy)

    def backward(self, g: Tensor) -> Tensor:
        return cast(g, self.source)


def cast(x: Tensor, dtype: dtypes.dtype) -> Tensor:
    """``x`` in another dtype; ``x`` itself if it has that dtype."""
    return x if x._data.dtype == dtype.numpy else Cast(dtype)(x)


@op(method=True)
def to(
    input: Tensor,
    *args: Any,
    device: Any = None,
    dtype: dtypes.dtype | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: str = preserve_format,
) -> Tensor:
    """The tensor on another device, in another dtype or memory format; itself if nothing changes.

    Parameters
    ----------
    *args
        A device, a dtype, both, or a tensor whose device and dtype to take; then ``non_blocking``.
    non_blocking
        Let a copy from pinned memory (:func:`pin_memory`) to a GPU go on while the host does other things. All other
        copies are complete on return.
    copy
        Copy even if nothing changes.
    memory_format
        ``deepgpu.channels_last`` or ``deepgpu.contiguous_format`` rearranges the memory.
    """
    for a in args:
        if isinstance(a, dtypes.dtype):
            dtype = a
        elif isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif a is None:
            continue
        elif isinstance(a, bool):
            non_blocking = a
        elif isinstance(a, (str, int, as_device)):
            device = a
        else:
            raise TypeError(f"`to`: takes a device, a dtype or a tensor, but got {type(a).__name__}")
    out = input
    if device is not None:
        target = as_device(device).backend
        if target is not out._backend:
            out = Transfer(target, non_blocking)(out)
    if dtype is not None:
        out = cast(out, dtype)
    if memory_format is contiguous_format or memory_format is channels_last:
        out = contiguous(out, memory_format=memory_format)
    return out.clone() if copy and out is input else out


_TYPE_NAMES = {
    dtypes.float16: "Half",
    dtypes.bfloat16: "BFloat16",
    dtypes.float32: "Float",
    dtypes.float64: "Double",
    dtypes.int8: "Char",
    dtypes.int16: "Short",
    dtypes.int32: "Int",
    dtypes.int64: "Long",
    dtypes.uint8: "Byte",
    dtypes.bool: "Bool",
}


@method
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` in the dtype of ``other``, on its device."""
    return to(input, other)


@method(name="type")
def type_(input: Tensor, dtype: dtypes.dtype | None = None) -> Any:
    """``input`` in ``dtype``, or the name of its type, such as ``"deepgpu.FloatTensor"``."""
    if dtype is not None:
        return cast(input, dtype)
    return f"deepgpu.{'cuda.' if input.is_cuda else ''}{_TYPE_NAMES[input.dtype]}Tensor"


@method
def cpu(input: Tensor) -> Tensor:
    """The tensor on the CPU."""
    return to(input, "cpu")


@method
def cuda(input: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """The tensor on a GPU: ``device``, by default the current one."""
    return to(input, "cuda" if device is None else device, non_blocking=non_blocking)


def _shorthand(name: str, dtype: dtypes.dtype) -> None:
    def convert(input: Tensor) -> Tensor:
        return cast(input, dtype)

    convert.__name__ = name
    convert.__doc__ = f"The tensor as {dtype!r}."
    method(convert)


for _name, _dtype in [
    ("half", dtypes.float16),
    ("bfloat16", dtypes.bfloat16),
    ("float", dtypes.float32),
    ("double", dtypes.float64),
    ("char", dtypes.int8),
    ("short", dtypes.int16),
    ("int", dtypes.int32),
    ("long", dtypes.int64),
    ("byte", dtypes.uint8),
    ("bool", dtypes.bool),
]:
    _shorthand(_name, _dtype)
