"""Pools of one and three dimensions through those of two, norms of windows, and the way back from maxima."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.activation import relu
from deepgpu.ops.conv_nd import numbers
from deepgpu.ops.op import op
from deepgpu.ops.pool import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d
from deepgpu.tensor import Tensor

Size = int | Sequence[int]


def _ndim(name: str, input: Tensor, ndims: tuple[int, int]) -> None:
    if input._data.ndim not in ndims:
        expected = f"{ndims[0]} or {ndims[1]} dimensions"
        raise RuntimeError(takes(name, "input", expected, f"shape {tuple(input.shape)}"))


def _step(stride: Any, kernel: tuple[int, ...], name: str) -> tuple[int, ...]:
    return kernel if stride is None or stride == [] else numbers(stride, len(kernel), name, "stride", 1)


# --- one dimension: images of one row ---------------------------------------------------------------------------------


@op
def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of ``(N, C, L)`` or ``(C, L)``; see :func:`max_pool2d`."""
    name = "max_pool1d"
    _ndim(name, input, (2, 3))
    k = numbers(kernel_size, 1, name, "kernel_size", 1)
    s, p = _step(stride, k, name), numbers(padding, 1, name, "padding", 0)
    d = numbers(dilation, 1, name, "dilation", 1)
    y, index = max_pool2d(input.unsqueeze(-2), (1, *k), (1, *s), (0, *p), (1, *d), ceil_mode, True)
    return (y.squeeze(-2), index.squeeze(-2)) if return_indices else y.squeeze(-2)


@op
def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of ``(N, C, L)`` or ``(C, L)``; see :func:`avg_pool2d`."""
    name = "avg_pool1d"
    _ndim(name, input, (2, 3))
    k = numbers(kernel_size, 1, name, "kernel_size", 1)
    s, p = _step(stride, k, name), numbers(padding, 1, name, "padding", 0)
    return avg_pool2d(input.unsqueeze(-2), (1, *k), (1, *s), (0, *p), ceil_mode, count_include_pad).squeeze(-2)


@op
def adaptive_avg_pool1d(input: Tensor, output_size: Size) -> Tensor:
    """Means over windows chosen so that ``(N, C, L)`` or ``(C, L)`` gets ``output_size``."""
    _ndim("adaptive_avg_pool1d", input, (2, 3))
    (n,) = numbers(output_size, 1, "adaptive_avg_pool1d", "output_size", 0)
    return adaptive_avg_pool2d(input.unsqueeze(-2), (1, n)).squeeze(-2)


@op
def adaptive_max_pool1d(input: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima over the windows of :func:`adaptive_avg_pool1d`."""
    _ndim("adaptive_max_pool1d", input, (2, 3))
    (n,) = numbers(output_size, 1, "adaptive_max_pool1d", "output_size", 0)
    y, index = adaptive_max_pool2d(input.unsqueeze(-2), (1, n), True)
    return (y.squeeze(-2), index.squeeze(-2)) if return_indices else y.squeeze(-2)


# --- three dimensions: first the planes, then the depth ---------------------------------------------------------------


def _planes(input: Tensor) -> Tensor:
    """``(N, C D, H, W)``: every plane is an image."""
    x = input if input._data.ndim == 5 else input.unsqueeze(0)
    n, c, d, h, w = x._data.shape
    return x.reshape(n, c * d, h, w)


def _columns(y: Tensor, input: Tensor) -> Tensor:
    """``(N, C, D, H' W')``: the depth is the height of an image."""
    n, _, h, w = y._data.shape
    c, d = input._data.shape[-4:-2]
    return y.reshape(n, c, d, h * w)


def _volume(y: Tensor, input: Tensor, plane: Sequence[int]) -> Tensor:
    n, c, d, _ = y._data.shape
    out = y.reshape(n, c, d, *plane)
    return out if input._data.ndim == 5 else out.squeeze(0)


def _with_depth(pooled: tuple[Tensor, Tensor], input: Tensor, depth: Any, return_indices: bool) -> Any:
    """The maxima of planes, pooled along the depth; positions are those in the whole volume."""
    y, index = pooled
    plane = y._data.shape[2:]
    found, rows = depth(_columns(y, input))
    out = _volume(found, input, plane)
    if not return_indices:
        return out
    n, c, d, width = found._data.shape
    own = _columns(index, input).reshape(n, c, -1).gather(2, rows.reshape(n, c, d * width)).reshape(found.shape)
    height, base = input._data.shape[-2] * input._data.shape[-1], rows.div(width, rounding_mode="floor")
    return out, _volume(own + base * height, input, plane)


@op
def max_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of ``(N, C, D, H, W)`` or ``(C, D, H, W)``; see :func:`max_pool2d`."""
    name = "max_pool3d"
    _ndim(name, input, (4, 5))
    k = numbers(kernel_size, 3, name, "kernel_size", 1)
    s, p = _step(stride, k, name), numbers(padding, 3, name, "padding", 0)
    d = numbers(dilation, 3, name, "dilation", 1)
    first = max_pool2d(_planes(input), k[1:], s[1:], p[1:], d[1:], ceil_mode, True)

    def depth(x: Tensor) -> Any:
        return max_pool2d(x, (k[0], 1), (s[0], 1), (p[0], 0), (d[0], 1), ceil_mode, True)

    return _with_depth(first, input, depth, return_indices)


@op
def avg_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of ``(N, C, D, H, W)`` or ``(C, D, H, W)``; see :func:`avg_pool2d`."""
    name = "avg_pool3d"
    _ndim(name, input, (4, 5))
    k = numbers(kernel_size, 3, name, "kernel_size", 1)
    s, p = _step(stride, k, name), numbers(padding, 3, name, "padding", 0)
    if divisor_override == 0:
        raise RuntimeError(takes(name, "divisor_override", "a number other than 0", 0))
    one = None if divisor_override is None else 1
    y = avg_pool2d(_planes(input), k[1:], s[1:], p[1:], ceil_mode, count_include_pad, one)
    plane = y._data.shape[2:]
    y = avg_pool2d(_columns(y, input), (k[0], 1), (s[0], 1), (p[0], 0), ceil_mode, count_include_pad, divisor_override)
    return _volume(y, input, plane)


def _three(output_size: Any, input: Tensor, name: str) -> tuple[int, ...]:
    wanted = (output_size,) * 3 if isinstance(output_size, int) or output_size is None else tuple(output_size)
    if len(wanted) != 3:
        raise RuntimeError(takes(name, "output_size", "a size, or three", output_size))
    return tuple([n if o is None else int(o) for o, n in zip(wanted, input._data.shape[-3:], strict=True)])


@op
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows chosen so that ``(N, C, D, H, W)`` or ``(C, D, H, W)`` gets ``output_size``."""
    _ndim("adaptive_avg_pool3d", input, (4, 5))
    d, *plane = _three(output_size, input, "adaptive_avg_pool3d")
    y = _columns(adaptive_avg_pool2d(_planes(input), plane), input)
    return _volume(adaptive_avg_pool2d(y, (d, y._data.shape[-1])), input, plane)


@op
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over the windows of :func:`adaptive_avg_pool3d`."""
    _ndim("adaptive_max_pool3d", input, (4, 5))
    d, *plane = _three(output_size, input, "adaptive_max_pool3d")
    first = adaptive_max_pool2d(_planes(input), plane, True)
    return _with_depth(first, input, lambda x: adaptive_max_pool2d(x, (d, x._data.shape[-1]), True), return_indices)


# --- norms of windows -------------------------------------------------------------------------------------------------


def _root(total: Tensor, p: float) -> Tensor:
    """As PyTorch computes it: nothing of a negative sum."""
    return (total.sign() * relu(total.abs())) ** (1.0 / p)


@op
def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window: ``(sum of x^p)^(1/p)``."""
    mean = avg_pool1d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    (k,) = numbers(kernel_size, 1, "lp_pool1d", "kernel_size", 1)
    return _root(mean * k, norm_type)


@op
def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window: ``(sum of x^p)^(1/p)``."""
    h, w = numbers(kernel_size, 2, "lp_pool2d", "kernel_size", 1)
    return _root(avg_pool2d(input**norm_type, kernel_size, stride, 0, ceil_mode) * (h * w), norm_type)


@op
def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window: ``(sum of x^p)^(1/p)``."""
    d, h, w = numbers(kernel_size, 3, "lp_pool3d", "kernel_size", 1)
    return _root(avg_pool3d(input**norm_type, kernel_size, stride, 0, ceil_mode) * (d * h * w), norm_type)


# --- the way back from maxima -----------------------------------------------------------------------------------------


def _unpool(
    name: str, input: Tensor, indices: Tensor, kernel: Any, stride: Any, padding: Any, output_size: Any, ndim: int
) -> Tensor:
    if indices.shape != input.shape:
        raise RuntimeError(takes(name, "indices", f"shape {tuple(input.shape)}", f"shape {tuple(indices.shape)}"))
    k = numbers(kernel, ndim, name, "kernel_size", 1)
    s, p = _step(stride, k, name), numbers(padding, ndim, name, "padding", 0)
    spatial = input._data.shape[-ndim:]
    size = [(n - 1) * b + a - 2 * c for n, a, b, c in zip(spatial, k, s, p, strict=True)]
    if output_size is not None:
        wanted = list(output_size)[-ndim:]
        if any(not n - b < w < n + b for n, b, w in zip(size, s, wanted, strict=True)):
            raise ValueError(takes(name, "output_size", f"sizes less than {s} away from {size}", wanted))
        size = wanted
    total = 1
    for n in size:
        total *= n
    lead = input._data.shape[:-ndim]
    zeros = input.new_zeros((*lead, total))
    out = zeros.scatter(-1, indices.reshape(*lead, -1), input.reshape(*lead, -1))
    return out.reshape(*lead, *size)


@op
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Tensor:
    """Maxima put back where :func:`max_pool1d` found them, zeros elsewhere; see :func:`max_unpool2d`."""
    return _unpool("max_unpool1d", input, indices, kernel_size, stride, padding, output_size, 1)


@op
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Tensor:
    """Maxima put back where :func:`max_pool2d` found them, zeros elsewhere.

    Parameters
    ----------
    indices
        What the pool returned with ``return_indices``.
    kernel_size, stride, padding
        The pool's.
    output_size
        The size of the pool's input, where several have the same output.
    """
    return _unpool("max_unpool2d", input, indices, kernel_size, stride, padding, output_size, 2)


@op
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Tensor:
    """Maxima put back where :func:`max_pool3d` found them, zeros elsewhere; see :func:`max_unpool2d`."""
    return _unpool("max_unpool3d", input, indices, kernel_size, stride, padding, output_size, 3)
