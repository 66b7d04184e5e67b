"""Transposed convolution: the gradient of a convolution with respect to its input, as an op of its own."""

from __future__ import annotations

from collections.abc import Sequence

from deepgpu.errors import takes
from deepgpu.ops.conv import Conv2dDgrad, Geometry
from deepgpu.ops.conv_nd import batched, numbers
from deepgpu.ops.im2col import fold
from deepgpu.ops.op import op
from deepgpu.ops.pad import pad
from deepgpu.tensor import Tensor


@op
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """2-d transposed convolution.

    Parameters
    ----------
    input
        ``(N, K, P, Q)`` or ``(K, P, Q)``
    weight
        ``(K, C / groups, R, S)``
    bias
        ``(C,)``
    stride, padding, dilation, groups
        Those of the convolution whose input's gradient this is.
    output_padding
        Rows and columns more at the end; less than ``stride`` or ``dilation``.

    Returns
    -------
    Tensor
        ``(N, C, H, W)`` with ``H = (P - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1``
    """
    return _transposed("conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation, 2)


@op
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """1-d transposed convolution of ``(N, K, P)`` or ``(K, P)``; see :func:`conv_transpose2d`."""
    return _transposed("conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


@op
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """3-d transposed convolution of ``(N, K, O, P, Q)`` or ``(K, O, P, Q)``; see :func:`conv_transpose2d`.

    Notes
    -----
    Every plane is transposed on its own, with all planes of the kernel side by side as channels; these are then added
    up where they meet in depth.
    """
    return _transposed("conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation, 3)


def _transposed(
    name: str,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    output_padding: int | Sequence[int],
    groups: int,
    dilation: int | Sequence[int],
    ndim: int,
) -> Tensor:
    x = batched(name, input, weight, ndim)
    s, d = numbers(stride, ndim, name, "stride", 1), numbers(dilation, ndim, name, "dilation", 1)
    p = numbers(padding, ndim, name, "padding", 0)
    extra = numbers(output_padding, ndim, name, "output_padding", 0)
    channels = weight._data.shape[1] * groups
    if groups < 1 or x._data.shape[1] != weight._data.shape[0] or weight._data.shape[0] % max(groups, 1):
        expected = f"{weight._data.shape[0]} channels, divisible by {groups} groups, for a weight {tuple(weight.shape)}"
        raise RuntimeError(takes(name, "input", expected, f"shape {tuple(input.shape)}"))
    if bias is not None and bias._data.shape != (channels,):
        raise RuntimeError(takes(name, "bias", f"shape ({channels},)", f"shape {tuple(bias.shape)}"))
    for argument, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._data.dtype != input._data.dtype:
            raise RuntimeError(takes(name, argument, f"the dtype of `input`, {input.dtype}", t.dtype))
    if any(e >= max(a, b) for e, a, b in zip(extra, s, d, strict=True)):
        expected = "less than `stride` or `dilation`"
        raise RuntimeError(takes(name, "output_padding", expected, f"{extra} with stride {s} and dilation {d}"))
    parts = zip(x._data.shape[2:], weight._data.shape[2:], s, p, d, extra, strict=True)
    size = tuple([(n - 1) * a - 2 * b + c * (k - 1) + e + 1 for n, k, a, b, c, e in parts])
    if min(size) < 1 or 0 in x._data.shape[2:]:
        raise RuntimeError(takes(name, "input", "sizes whose result is not empty", f"shape {tuple(input.shape)}"))
    y = _plain(x, weight, size, s, p, d, groups)
    if bias is not None:
        y = y + bias.reshape(channels, *[1] * ndim)
    return y if input._data.ndim == ndim + 2 else y.squeeze(0)


def _plain(
    x: Tensor,
    weight: Tensor,
    size: tuple[int, ...],
    s: tuple[int, ...],
    p: tuple[int, ...],
    d: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Without bias and checks, through that of images."""
    if len(size) == 2:
        return Conv2dDgrad(Geometry((s[0], s[1]), (p[0], p[1]), (d[0], d[1]), groups), (size[0], size[1]))(x, weight)
    if len(size) == 1:
        lines, kernel = x.unsqueeze(2), weight.unsqueeze(2)
        return _plain(lines, kernel, (1, *size), (1, *s), (0, *p), (1, *d), groups).squeeze(2)
    n, k, depth, *plane = x._data.shape
    c, t = weight._data.shape[1] * groups, weight._data.shape[2]
    images = x.transpose(1, 2).reshape(n * depth, k, *plane)
    kernel = weight.reshape(k, -1, *weight._data.shape[3:])
    y = _plain(images, kernel, size[1:], s[1:], p[1:], d[1:], groups)
    columns = y.reshape(n, depth, c * t, -1).transpose(1, 2).reshape(n, c * t, -1)
    area = size[1] * size[2]
    reach = (depth - 1) * s[0] + d[0] * (t - 1) + 1
    volume = fold(columns, (reach, area), (t, 1), (d[0], 1), 0, (s[0], 1))
    after = size[0] - reach + p[0]  # output padding less padding
    if p[0] or after:
        volume = pad(volume, (0, 0, -p[0], after))
    return volume.reshape(n, c, *size)
