"""Convolutions of one and three dimensions, through that of two."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.conv import conv2d
from deepgpu.ops.op import op
from deepgpu.ops.pad import pad
from deepgpu.tensor import Tensor


def numbers(value: Any, count: int, name: str, argument: str, least: int) -> tuple[int, ...]:
    """One number for all directions, or one each; of at least ``least``."""
    found = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    try:
        found = tuple([operator.index(v) for v in found])
    except TypeError:
        raise TypeError(takes(name, argument, "integers", repr(value))) from None
    if len(found) not in (1, count):
        raise RuntimeError(takes(name, argument, f"an integer, or {count}", value))
    if min(found) < least:
        raise RuntimeError(takes(name, argument, f"numbers of at least {least}", value))
    return found if len(found) == count else found * count


def batched(name: str, input: Tensor, weight: Tensor, ndim: int) -> Tensor:
    """The input with its batch dimension; the weight is checked for its own."""
    sizes = "(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)"
    if input._data.ndim not in (ndim + 1, ndim + 2):
        raise RuntimeError(takes(name, "input", f"{sizes[ndim - 1]}, or that without N", f"shape {tuple(input.shape)}"))
    if weight._data.ndim != ndim + 2:
        raise RuntimeError(takes(name, "weight", f"{ndim + 2} dimensions", f"shape {tuple(weight.shape)}"))
    return input if input._data.ndim == ndim + 2 else input.unsqueeze(0)


@op
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """1-d convolution, as :func:`conv2d` of images one pixel high.

    Parameters
    ----------
    input
        ``(N, C, L)`` or ``(C, L)``
    weight
        ``(K, C / groups, R)``
    bias
        ``(K,)``
    stride, padding, dilation, groups
        See :func:`conv2d`.
    """
    name = "conv1d"
    x = batched(name, input, weight, 1)
    (s,) = numbers(stride, 1, name, "stride", 1)
    (d,) = numbers(dilation, 1, name, "dilation", 1)
    p: Any = padding if isinstance(padding, str) else (0, *numbers(padding, 1, name, "padding", 0))
    y = conv2d(x.unsqueeze(2), weight.unsqueeze(2), bias, (1, s), p, (1, d), groups).squeeze(2)
    return y if input._data.ndim == 3 else y.squeeze(0)


@op
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """3-d convolution: a 2-d one of images whose channels are those of all planes that a kernel covers.

    Parameters
    ----------
    input
        ``(N, C, D, H, W)`` or ``(C, D, H, W)``
    weight
        ``(K, C / groups, T, R, S)``
    bias
        ``(K,)``
    stride, padding, dilation, groups
        See :func:`conv2d`.
    """
    name = "conv3d"
    x = batched(name, input, weight, 3)
    s, d = numbers(stride, 3, name, "stride", 1), numbers(dilation, 3, name, "dilation", 1)
    depth = weight._data.shape[2]
    reach = d[0] * (depth - 1) + 1
    plane: Any = padding
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(takes(name, "padding", "numbers, 'valid' or 'same'", repr(padding)))
        if padding == "same" and s != (1, 1, 1):
            raise RuntimeError(f"`{name}`: `padding='same'` is only defined for stride 1")
        before, after = ((reach - 1) // 2, reach // 2) if padding == "same" else (0, 0)
    else:
        before, *plane = numbers(padding, 3, name, "padding", 0)
        after = before
    if before or after:
        x = pad(x, (0, 0, 0, 0, before, after))
    if x._data.shape[2] < reach:
        expected = f"at least {reach} planes with the padding, for the kernel {tuple(weight.shape[2:])}"
        raise RuntimeError(takes(name, "input", expected, f"shape {tuple(input.shape)}"))
    windows = x.unfold(2, reach, s[0])[..., :: d[0]]  # (N, C, D', H, W, T)
    n, c, planes, h, w, _ = windows._data.shape
    images = windows.permute(0, 2, 1, 5, 3, 4).reshape(n * planes, c * depth, h, w)
    kernel = weight.reshape(weight._data.shape[0], -1, *weight._data.shape[3:])
    y = conv2d(images, kernel, bias, s[1:], plane, d[1:], groups)
    y = y.reshape(n, planes, *y._data.shape[1:]).transpose(1, 2)
    return y if input._data.ndim == 5 else y.squeeze(0)
