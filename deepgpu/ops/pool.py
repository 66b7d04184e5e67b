"""Max, average and adaptive pooling of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.conv import Pair, pair, positive_pair
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, wrap


class MaxPool2d(Node):
    """The backward scatters to the positions of the maxima; double backward gathers from there.

    Where they are is in ``index`` after the call, int32: few ask for it.
    """

    index: Any

    def __init__(self, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output_size: Pair) -> None:
        self.args = kernel, stride, padding, dilation, output_size

    def forward(self, x: Any) -> Any:
        self.input_size = x.shape[2:]
        y, self.index = self.backend.max_pool2d(x, *self.args)
        return y

    def backward(self, g: Tensor) -> Tensor:
        return PoolScatter(self.index, self.input_size)(g)


class AdaptiveMaxPool2d(Node):
    """Maxima of windows that share the image out evenly; ``index`` as above."""

    index: Any

    def __init__(self, output_size: Pair) -> None:
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        self.input_size = x.shape[2:]
        y, self.index = self.backend.adaptive_max_pool2d(x, self.output_size)
        return y

    def backward(self, g: Tensor) -> Tensor:
        return PoolScatter(self.index, self.input_size)(g)


class PoolScatter(Node):
    """Gradients of maxima, added where the maxima are: linear in ``g``, the adjoint of :class:`PoolGather`."""

    def __init__(self, index: Any, input_size: Pair) -> None:
        self.index = index
        self.input_size = input_size

    def forward(self, g: Any) -> Any:
        return self.backend.pool_scatter(g, self.index, self.input_size)

    def backward(self, gx: Tensor) -> Tensor:
        return PoolGather(self.index, self.input_size)(gx)


class PoolGather(Node):
    """The values where the maxima are: linear in ``x``, the adjoint of :class:`PoolScatter`."""

    def __init__(self, index: Any, input_size: Pair) -> None:
        self.index = index
        self.input_size = input_size

    def forward(self, x: Any) -> Any:
        return self.backend.pool_gather(x, self.index)

    def backward(self, g: Tensor) -> Tensor:
        return PoolScatter(self.index, self.input_size)(g)


class AvgPool2d(Node):
    """Means of windows: linear in ``x``, the adjoint of :class:`AvgPool2dGrad`."""

    def __init__(
        self, kernel: Pair, stride: Pair, padding: Pair, output_size: Pair, include_pad: bool, divisor: int | None
    ) -> None:
        self.window = kernel, stride, padding
        self.output_size = output_size
        self.divisor = include_pad, divisor

    def forward(self, x: Any) -> Any:
        self.input_size = x.shape[2:]
        return self.backend.avg_pool2d(x, *self.window, self.output_size, *self.divisor)

    def backward(self, g: Tensor) -> Tensor:
        return AvgPool2dGrad(self.input_size, self.window, self.output_size, self.divisor)(g)


class AvgPool2dGrad(Node):
    """Each window's gradient spread evenly over it: linear in ``g``."""

    def __init__(
        self, input_size: Pair, window: tuple[Pair, Pair, Pair], output_size: Pair, divisor: tuple[bool, int | None]
    ) -> None:
        self.input_size = input_size
        self.window = window
        self.output_size = output_size
        self.divisor = divisor

    def forward(self, g: Any) -> Any:
        return self.backend.avg_pool2d_backward(g, self.input_size, *self.window, *self.divisor)

    def backward(self, gx: Tensor) -> Tensor:
        return AvgPool2d(*self.window, self.output_size, *self.divisor)(gx)


class AdaptiveAvgPool2d(Node):
    """Means of windows that share the image out evenly: linear in ``x``."""

    def __init__(self, output_size: Pair) -> None:
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        self.input_size = x.shape[2:]
        return self.backend.adaptive_avg_pool2d(x, self.output_size)

    def backward(self, g: Tensor) -> Tensor:
        return AdaptiveAvgPool2dGrad(self.input_size, self.output_size)(g)


class AdaptiveAvgPool2dGrad(Node):
    """Each such window's gradient spread evenly over it: linear in ``g``."""

    def __init__(self, input_size: Pair, output_size: Pair) -> None:
        self.input_size = input_size
        self.output_size = output_size

    def forward(self, g: Any) -> Any:
        return self.backend.adaptive_avg_pool2d_backward(g, self.input_size)

    def backward(self, gx: Tensor) -> Tensor:
        return AdaptiveAvgPool2d(self.output_size)(gx)


def _image(input: Tensor, name: str, may_lack_channels: bool = False) -> Tensor:
    """A batch of images, of which a 3-d tensor is one."""
    shape = input._data.shape
    if len(shape) not in (3, 4):
        expected = "a 4-d tensor (N, C, H, W) or a 3-d one (C, H, W)"
        raise RuntimeError(takes(name, "input", expected, f"shape {tuple(shape)}"))
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    if 0 in shape[-2 if may_lack_channels else -3 :]:
        expected = "images that are not empty (only the batch may be)"
        raise RuntimeError(takes(name, "input", expected, f"shape {tuple(shape)}"))
    return input if len(shape) == 4 else input.unsqueeze(0)


def _window(kernel_size: Any, stride: Any, padding: Any, name: str) -> tuple[Pair, Pair, Pair]:
    """The checked arguments that all windows have."""
    kernel = positive_pair(kernel_size, name, "kernel_size")
    step = kernel if stride is None or stride == [] else positive_pair(stride, name, "stride")
    border = pair(padding, name, "padding")
    if any(not 0 <= p <= k // 2 for k, p in zip(kernel, border, strict=True)):
        raise RuntimeError(takes(name, "padding", f"0 to half of `kernel_size` {kernel}", padding))
    return kernel, step, border


def _output_size(
    x: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool, name: str
) -> Pair:
    found = []
    for n, k, s, p, d in zip(x._data.shape[2:], kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - d * (k - 1) - 1
        out = (span + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (out - 1) * s >= n + p:  # the last window must begin inside the image or its left padding
            out -= 1
        if out < 1:
            expected = f"images of at least {d * (k - 1) + 1 - 2 * p} pixels for the kernel {kernel}"
            raise RuntimeError(takes(name, "input", expected, f"shape {tuple(x.shape)}"))
        found.append(out)
    return found[0], found[1]


@op
def max_pool2d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window; the gradient goes to the first maximum.

    Parameters
    ----------
    input
        ``(N, C, H, W)`` or ``(C, H, W)``
    kernel_size, stride, padding, dilation
        One number, or one each for height and width; the stride is the kernel's size unless given. Padding, at most
        half of the kernel, counts as minus infinity.
    ceil_mode
        Let windows reach over the border rather than leave pixels out.
    return_indices
        Also return where the maxima are, as ``h * W + w``.
    """
    x = _image(input, "max_pool2d")
    k, s, p = _window(kernel_size, stride, padding, "max_pool2d")
    d = positive_pair(dilation, "max_pool2d", "dilation")
    out = _output_size(x, k, s, p, d, ceil_mode, "max_pool2d")
    return _pooled(MaxPool2d(k, s, p, d, out), x, input._data.ndim == 3, return_indices)


@op
def avg_pool2d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Parameters
    ----------
    input
        ``(N, C, H, W)`` or ``(C, H, W)``
    kernel_size, stride, padding, ceil_mode
        As for :func:`max_pool2d`; padding counts as 0.
    count_include_pad
        Whether padding counts in the divisor.
    divisor_override
        Divide by this instead of by the number of elements.
    """
    x = _image(input, "avg_pool2d")
    k, s, p = _window(kernel_size, stride, padding, "avg_pool2d")
    if divisor_override == 0:
        raise RuntimeError(takes("avg_pool2d", "divisor_override", "a number other than 0", 0))
    out = _output_size(x, k, s, p, (1, 1), ceil_mode, "avg_pool2d")
    y = AvgPool2d(k, s, p, out, count_include_pad, divisor_override)(x)
    return y if input._data.ndim == 4 else y.squeeze(0)


def _adaptive_size(output_size: Any, x: Tensor, name: str) -> Pair:
    wanted = (output_size, output_size) if isinstance(output_size, int) else output_size
    if not isinstance(wanted, Sequence) or len(wanted) != 2:
        kind = RuntimeError if isinstance(wanted, Sequence) else TypeError
        raise kind(takes(name, "output_size", "a size, or two for height and width", output_size))
    h, w = (n if o is None else int(o) for o, n in zip(wanted, x._data.shape[2:], strict=True))
    if h < 0 or w < 0:
        raise RuntimeError(takes(name, "output_size", "sizes that are not negative, or None", output_size))
    return h, w


@op
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows chosen so that the result has ``output_size``.

    Parameters
    ----------
    input
        ``(N, C, H, W)`` or ``(C, H, W)``
    output_size
        One number, or one each for height and width; None keeps a size. Window ``i`` of ``P`` spans the rows from
        ``floor(i H / P)`` to ``ceil((i + 1) H / P)``.
    """
    x = _image(input, "adaptive_avg_pool2d", may_lack_channels=True)
    y = AdaptiveAvgPool2d(_adaptive_size(output_size, x, "adaptive_avg_pool2d"))(x)
    return y if input._data.ndim == 4 else y.squeeze(0)


@op
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over the windows of :func:`adaptive_avg_pool2d`.

    Parameters
    ----------
    return_indices
        Also return where the maxima are, as ``h * W + w``.
    """
    x = _image(input, "adaptive_max_pool2d")
    size = _adaptive_size(output_size, x, "adaptive_max_pool2d")
    return _pooled(AdaptiveMaxPool2d(size), x, input._data.ndim == 3, return_indices)


def _pooled(node: MaxPool2d | AdaptiveMaxPool2d, x: Tensor, single: bool, return_indices: bool) -> Any:
    """The maxima of a batch, or of its single image, and where they are if asked for."""
    y = node(x)
    y = y.squeeze(0) if single else y
    if not return_indices:
        return y
    index = wrap(node.index.astype(dtypes.int64.numpy), x._backend)
    return y, index.squeeze(0) if single else index
