"""Convolution layers of one and three dimensions, and transposed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.nn import functional as F
from deepgpu.nn.modules.conv import _ConvNd
from deepgpu.ops.conv_nd import numbers
from deepgpu.tensor import Tensor

Size = int | Sequence[int]


class _PlainConv(_ConvNd):
    """A convolution of ``_ndim`` dimensions; see :class:`Conv2d` for the parameters."""

    _ndim = 0
    _function: Any = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        name, n = type(self).__name__, self._ndim
        super().__init__(
            in_channels,
            out_channels,
            numbers(kernel_size, n, name, "kernel_size", 1),
            numbers(stride, n, name, "stride", 1),
            padding if isinstance(padding, str) else numbers(padding, n, name, "padding", 0),
            numbers(dilation, n, name, "dilation", 1),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._pad_widths(), mode=self.padding_mode)
            padding = 0
        return type(self)._function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_PlainConv):
    """1-d convolution of ``(N, C, L)`` or ``(C, L)``; see :class:`Conv2d`."""

    _ndim = 1
    _function = staticmethod(F.conv1d)


class Conv3d(_PlainConv):
    """3-d convolution of ``(N, C, D, H, W)`` or ``(C, D, H, W)``; see :class:`Conv2d`."""

    _ndim = 3
    _function = staticmethod(F.conv3d)


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, groups, bias, dilation
        Of the convolution whose input's gradient it is, with the channels exchanged.
    output_padding
        Rows and columns more at the end.
    padding_mode
        Only ``"zeros"``.

    Attributes
    ----------
    weight
        ``(in_channels, out_channels / groups, *kernel_size)``
    bias
        ``(out_channels,)`` or None
    """

    _ndim = 0
    _function: Any = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        name, n = type(self).__name__, self._ndim
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {name}')
        super().__init__(
            in_channels,
            out_channels,
            numbers(kernel_size, n, name, "kernel_size", 1),
            numbers(stride, n, name, "stride", 1),
            numbers(padding, n, name, "padding", 0),
            numbers(dilation, n, name, "dilation", 1),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        self.output_padding = numbers(output_padding, n, name, "output_padding", 0)

    def _channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """What makes the result of the wanted size."""
        if output_size is None:
            return self.output_padding
        name, n = type(self).__name__, self._ndim
        wanted = tuple(output_size)[-n:]
        spatial = input.shape[-n:]
        edges: Any = self.padding
        parts = zip(spatial, self.stride, edges, self.dilation, self.kernel_size, strict=True)
        least = [(size - 1) * s - 2 * p + d * (k - 1) + 1 for size, s, p, d, k in parts]
        if len(wanted) != n or any(not a <= w < a + s for a, w, s in zip(least, wanted, self.stride, strict=True)):
            raise ValueError(
                f"`{name}`: `output_size` takes {n} sizes from {least} to less than `stride` {self.stride} more, "
                f"but got {tuple(output_size)}"
            )
        return tuple([w - a for w, a in zip(wanted, least, strict=True)])

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return type(self)._function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self._output_padding(input, output_size),
            self.groups,
            self.dilation,
        )

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if any(self.output_padding):
            ends = [f", {part}" for part in ("groups=", "bias=False") if f", {part}" in text]
            at = min([text.index(end) for end in ends], default=len(text))
            text = f"{text[:at]}, output_padding={self.output_padding}{text[at:]}"
        return text


class ConvTranspose1d(_ConvTransposeNd):
    __doc__ = f"For ``(N, C, L)`` or ``(C, L)``. {_ConvTransposeNd.__doc__}"
    _ndim = 1
    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTransposeNd):
    __doc__ = f"For ``(N, C, H, W)`` or ``(C, H, W)``. {_ConvTransposeNd.__doc__}"
    _ndim = 2
    _function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTransposeNd):
    __doc__ = f"For ``(N, C, D, H, W)`` or ``(C, D, H, W)``. {_ConvTransposeNd.__doc__}"
    _ndim = 3
    _function = staticmethod(F.conv_transpose3d)
