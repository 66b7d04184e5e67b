"""Windows of images as columns, and columns added up to images: ``unfold`` and ``fold`` of ``nn.functional``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.conv_nd import numbers
from deepgpu.ops.op import op
from deepgpu.ops.pad import pad
from deepgpu.tensor import Tensor

Size = int | Sequence[int]


class Fold(Node):
    """The adjoint of :func:`unfold`."""

    def __init__(self, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> None:
        self.size = size
        self.geometry = kernel, dilation, padding, stride

    def forward(self, columns: Any) -> Any:
        (kh, kw), (dh, dw), (ph, pw), (sh, sw) = self.geometry
        (h, w), (n, rows, _) = self.size, columns.shape
        p, q = positions(self.size, *self.geometry)
        x = columns.reshape(n, rows // (kh * kw), kh, kw, p, q)
        out = self.xp.zeros((n, x.shape[1], h + 2 * ph, w + 2 * pw), columns.dtype)
        for i in range(kh):
            for j in range(kw):
                top, left = i * dh, j * dw
                out[:, :, top : top + (p - 1) * sh + 1 : sh, left : left + (q - 1) * sw + 1 : sw] += x[:, :, i, j]
        return out[:, :, ph : ph + h, pw : pw + w]

    def backward(self, g: Tensor) -> Tensor:
        return unfold(g, *self.geometry)


def positions(size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> list[int]:
    """How many windows there are along each dimension."""
    parts = zip(size, kernel, dilation, padding, stride, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in parts]


def _geometry(name: str, kernel: Any, dilation: Any, padding: Any, stride: Any) -> tuple[tuple[int, ...], ...]:
    return (
        numbers(kernel, 2, name, "kernel_size", 1),
        numbers(dilation, 2, name, "dilation", 1),
        numbers(padding, 2, name, "padding", 0),
        numbers(stride, 2, name, "stride", 1),
    )


@op
def unfold(input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Tensor:
    """The windows of images, a column each.

    Parameters
    ----------
    input
        ``(N, C, H, W)`` or ``(C, H, W)``

    Returns
    -------
    Tensor
        ``(N, C * kernel, windows)``
    """
    name = "unfold"
    if input._data.ndim not in (3, 4):
        raise RuntimeError(takes(name, "input", "(N, C, H, W) or (C, H, W)", f"shape {tuple(input.shape)}"))
    k, d, p, s = _geometry(name, kernel_size, dilation, padding, stride)
    x = input if input._data.ndim == 4 else input.unsqueeze(0)
    windows = positions(x._data.shape[2:], k, d, p, s)
    if min(windows) < 1:
        raise RuntimeError(takes(name, "input", f"images that hold a kernel {k}", f"shape {tuple(input.shape)}"))
    x = pad(x, (p[1], p[1], p[0], p[0])) if any(p) else x
    for i in (0, 1):
        x = x.unfold(2 + i, d[i] * (k[i] - 1) + 1, s[i])[..., :: d[i]]
    n, c = x._data.shape[:2]
    columns = x.permute(0, 1, 4, 5, 2, 3).reshape(n, c * k[0] * k[1], windows[0] * windows[1])
    return columns if input._data.ndim == 4 else columns.squeeze(0)


@op
def fold(
    input: Tensor,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    """Columns added up where :func:`unfold` took them from.

    Parameters
    ----------
    input
        ``(N, C * kernel, windows)`` or that without N
    output_size
        The height and the width of the images.
    """
    name = "fold"
    if input._data.ndim not in (2, 3):
        raise RuntimeError(takes(name, "input", "(N, C * kernel, windows)", f"shape {tuple(input.shape)}"))
    size = numbers(output_size, 2, name, "output_size", 1)
    k, d, p, s = _geometry(name, kernel_size, dilation, padding, stride)
    x = input if input._data.ndim == 3 else input.unsqueeze(0)
    h, w = positions(size, k, d, p, s)
    if x._data.shape[1] % (k[0] * k[1]) or x._data.shape[2] != h * w:
        expected = f"(N, C * {k[0] * k[1]}, {h * w}) for output {size} and kernel {k}"
        raise RuntimeError(takes(name, "input", expected, f"shape {tuple(input.shape)}"))
    y = Fold(size, k, d, p, s)(x)
    return y if input._data.ndim == 3 else y.squeeze(0)
