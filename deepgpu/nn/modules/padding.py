"""Padding layers: constant, zeros, reflection, replication, circular, for 1 to 3 spatial dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from deepgpu.errors import takes
from deepgpu.nn import functional as F
from deepgpu.nn.modules.module import Module
from deepgpu.tensor import Tensor


class _PadNd(Module):
    """Widen the last dimensions.

    Parameters
    ----------
    padding
        One width for all borders, or ``(left, right, top, bottom, ...)``.
    """

    _spatial: int
    _mode: str

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        borders = 2 * self._spatial
        widths = (padding,) * borders if isinstance(padding, int) else tuple(padding)
        if len(widths) != borders:
            raise ValueError(takes(type(self).__name__, "padding", f"1 or {borders} widths", padding))
        self.padding = widths

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (self._spatial + 1, self._spatial + 2):
            expected = f"{self._spatial + 1}D or {self._spatial + 2}D"
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    """Pad with ``value``."""

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """``(..., W)`` padded with ``value``."""

    _spatial = 1


class ConstantPad2d(_ConstantPadNd):
    """``(..., H, W)`` padded with ``value``."""

    _spatial = 2


class ConstantPad3d(_ConstantPadNd):
    """``(..., D, H, W)`` padded with ``value``."""

    _spatial = 3


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd):
    """``(..., W)`` padded with zeros."""

    _spatial = 1


class ZeroPad2d(_ZeroPadNd):
    """``(..., H, W)`` padded with zeros."""

    _spatial = 2


class ZeroPad3d(_ZeroPadNd):
    """``(..., D, H, W)`` padded with zeros."""

    _spatial = 3


class ReflectionPad1d(_PadNd):
    """``(C, W)`` or ``(N, C, W)`` mirrored at the borders."""

    _spatial, _mode = 1, "reflect"


class ReflectionPad2d(_PadNd):
    """``(C, H, W)`` or ``(N, C, H, W)`` mirrored at the borders."""

    _spatial, _mode = 2, "reflect"


class ReflectionPad3d(_PadNd):
    """``(C, D, H, W)`` or ``(N, C, D, H, W)`` mirrored at the borders."""

    _spatial, _mode = 3, "reflect"


class ReplicationPad1d(_PadNd):
    """``(C, W)`` or ``(N, C, W)`` with the border elements repeated."""

    _spatial, _mode = 1, "replicate"


class ReplicationPad2d(_PadNd):
    """``(C, H, W)`` or ``(N, C, H, W)`` with the border elements repeated."""

    _spatial, _mode = 2, "replicate"


class ReplicationPad3d(_PadNd):
    """``(C, D, H, W)`` or ``(N, C, D, H, W)`` with the border elements repeated."""

    _spatial, _mode = 3, "replicate"


class CircularPad1d(_PadNd):
    """``(C, W)`` or ``(N, C, W)`` continued from the opposite border."""

    _spatial, _mode = 1, "circular"


class CircularPad2d(_PadNd):
    """``(C, H, W)`` or ``(N, C, H, W)`` continued from the opposite border."""

    _spatial, _mode = 2, "circular"


class CircularPad3d(_PadNd):
    """``(C, D, H, W)`` or ``(N, C, D, H, W)`` continued from the opposite border."""

    _spatial, _mode = 3, "circular"
