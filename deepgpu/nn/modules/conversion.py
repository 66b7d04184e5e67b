"""Moving a module: all its parameters and buffers to another device, dtype or memory format, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.device import device as as_device
from deepgpu.nn.modules.members import Members
from deepgpu.nn.parameter import UninitializedTensorMixin
from deepgpu.ops.creation import empty_like
from deepgpu.ops.memory import preserve_format
from deepgpu.tensor import Tensor

M = TypeVar("M", bound="Conversion")


class Conversion(Members):
    """``to`` and its shorthands. Parameters stay the same objects, so an optimizer that holds them goes on."""

    def _apply(self: M, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> M:
        """Replace the data of every parameter, its gradient and every buffer by what ``fn`` makes of it."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for param in self._parameters.values():
                if param is not None:
                    param.data = fn(param.data)
                    if param.grad is not None:
                        param.grad = fn(param.grad)
            for name, buffer in self._buffers.items():
                if isinstance(buffer, UninitializedTensorMixin):
                    buffer.data = fn(buffer.data)
                elif buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(
        self: M,
        *args: Any,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
        non_blocking: bool = False,
        memory_format: str | None = None,
    ) -> M:
        """Move the module to a device, a dtype or a memory format, in place.

        Parameters
        ----------
        *args
            A device, a dtype, both, or a tensor whose device and dtype to take.
        dtype
            A floating-point type; tensors of integers keep theirs.
        non_blocking
            Let copies from pinned memory to a GPU go on while the host does other things.
        memory_format
            ``deepgpu.channels_last`` rearranges the 4-d parameters and buffers.

        Raises
        ------
        TypeError
            If ``dtype`` is no floating-point type, or an argument is none of the above.
        """
        for a in args:
            if isinstance(a, dtypes.dtype):
                dtype = a
            elif isinstance(a, Tensor):
                device, dtype = a.device, a.dtype
            elif isinstance(a, (str, int, as_device)) and not isinstance(a, bool):
                device = a
            elif isinstance(a, bool):
                non_blocking = a
            elif a is not None:
                raise TypeError(f"`Module.to`: takes a device, a dtype or a tensor, but got {type(a).__name__}")
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")

        def convert(t: Tensor) -> Tensor:
            return t.to(
                device=device,
                dtype=dtype if t.is_floating_point() else None,
                non_blocking=non_blocking,
                memory_format=memory_format if memory_format and t.dim() == 4 else preserve_format,
            )

        return self._apply(convert)

    def to_empty(self: M, *, device: Any, recurse: bool = True) -> M:
        """Move to a device without copying the values, which are then undefined."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def cpu(self: M) -> M:
        """Move all parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self: M, device: Any = None) -> M:
        """Move all parameters and buffers to a GPU, by default the current one."""
        return self._apply(lambda t: t.cuda(device))

    def type(self: M, dst_type: dtypes.dtype) -> M:
        """Cast all parameters and buffers, those of integers too."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self: M) -> M:
        """Cast all floating-point parameters and buffers to float32."""
        return self._cast(dtypes.float32)

    def double(self: M) -> M:
        """Cast all floating-point parameters and buffers to float64."""
        return self._cast(dtypes.float64)

    def half(self: M) -> M:
        """Cast all floating-point parameters and buffers to float16."""
        return self._cast(dtypes.float16)

    def bfloat16(self: M) -> M:
        """Cast all floating-point parameters and buffers to bfloat16."""
        return self._cast(dtypes.bfloat16)

    def _cast(self: M, dtype: dtypes.dtype) -> M:
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)
