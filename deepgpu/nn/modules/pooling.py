"""Pooling layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.errors import takes
from deepgpu.nn import functional as F
from deepgpu.nn.modules.module import Module
from deepgpu.ops.conv import pair
from deepgpu.tensor import Tensor

Size = int | Sequence[int]


class MaxPool2d(Module):
    """The maximum of each window; see :func:`deepgpu.nn.functional.max_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation
        One number, or one each for height and width; the stride is the kernel's size unless given.
    return_indices
        Also return where the maxima are, as ``h * W + w``.
    ceil_mode
        Let windows reach over the border rather than leave pixels out.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window; see :func:`deepgpu.nn.functional.avg_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As for :class:`MaxPool2d`.
    count_include_pad
        Whether padding counts in the divisor.
    divisor_override
        Divide by this instead of by the number of elements.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Means over windows chosen so that the result has ``output_size``: one number, or two; None keeps a size."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(Module):
    """Maxima over windows chosen so that the result has ``output_size``: one number, or two; None keeps a size."""

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class FractionalMaxPool2d(Module):
    """The maximum of windows at random places; see :func:`deepgpu.nn.functional.fractional_max_pool2d`.

    Parameters
    ----------
    kernel_size, output_size, output_ratio, return_indices
        As for the function; either ``output_size`` or ``output_ratio``, which lies between 0 and 1.

    Raises
    ------
    ValueError
        If both are given, or none, or the ratio is not between 0 and 1.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        output_size: int | Sequence[int] | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            got = f"{output_size} and {output_ratio}"
            raise ValueError(takes(name, "output_size", "a size, or None if `output_ratio` is given", got))
        self.kernel_size = pair(kernel_size, name, "kernel_size")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else pair(output_size, name, "output_size")
        self.output_ratio: tuple[float, ...] | None = None
        if output_ratio is not None:
            self.output_ratio = tuple(output_ratio) if isinstance(output_ratio, Sequence) else (output_ratio,) * 2
            if not all(0 < r < 1 for r in self.output_ratio):
                raise ValueError(takes(name, "output_ratio", "numbers between 0 and 1", output_ratio))

    def forward(self, input: Tensor) -> Any:
        return F.fractional_max_pool2d(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )
