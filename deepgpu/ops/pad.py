"""Padding: constant, reflect, replicate, circular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.broadcast import fitting
from deepgpu.ops.op import op
from deepgpu.ops.slicing import Slice
from deepgpu.tensor import Tensor

Widths = Sequence[tuple[int, int]]
"""(before, after) of each dimension."""


class ConstantPad(Node):
    """A value around the tensor; ``widths`` are not negative."""

    def __init__(self, widths: Widths, value: Any) -> None:
        self.widths = widths
        self.value = value

    def forward(self, x: Any) -> Any:
        shape = tuple([n + a + b for n, (a, b) in zip(x.shape, self.widths, strict=True)])
        out = self.backend.empty_like(x, shape)
        out[...] = self.value
        self.backend.assign(out[(..., *self._inside(shape))], x)
        return out

    def _inside(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple([slice(a, n - b) for n, (a, b) in zip(shape, self.widths, strict=True)])

    def backward(self, g: Tensor) -> Tensor:
        return Slice(self._inside(g._data.shape))(g)


class BorderPad(Node):
    """One dimension widened, or cut, with the tensor's own elements: position ``i`` shows the element ``at[i]``.

    Between the borders ``at[i]`` is ``i - before``: that part is one slice. A border is a few positions.
    """

    def __init__(self, dim: int, at: Sequence[int], before: int, size: int) -> None:
        self.dim = dim
        self.at = at
        self.before = before
        self.size = size
        first, end = max(before, 0), min(len(at), before + size)
        self.inside = self._index(slice(first, end)), self._index(slice(first - before, end - before))
        self.borders = [*range(first), *range(end, len(at))]

    def _index(self, along: Any) -> tuple[Any, ...]:
        return (*[slice(None)] * self.dim, along)

    def forward(self, x: Any) -> Any:
        out = self.backend.empty_like(x, _resized(x.shape, self.dim, len(self.at)))
        here, there = self.inside
        self.backend.assign(out[here], x[there])
        for i in self.borders:
            out[self._index(i)] = x[self._index(self.at[i])]
        return out

    def backward(self, g: Tensor) -> Tensor:
        return BorderPadGrad(self)(g)


class BorderPadGrad(Node):
    """The adjoint of :class:`BorderPad`: what stands at the borders is added to where it came from."""

    def __init__(self, pad: BorderPad) -> None:
        self.pad = pad

    def forward(self, g: Any) -> Any:
        pad = self.pad
        gx = self.backend.empty_like(g, _resized(g.shape, pad.dim, pad.size))
        gx[...] = 0
        here, there = pad.inside
        self.backend.assign(gx[there], g[here])
        for i in pad.borders:
            gx[pad._index(pad.at[i])] += g[pad._index(i)]
        return gx

    def backward(self, gg: Tensor) -> Tensor:
        pad = self.pad
        return BorderPad(pad.dim, pad.at, pad.before, pad.size)(gg)


def _resized(shape: tuple[int, ...], dim: int, size: int) -> tuple[int, ...]:
    return (*shape[:dim], size, *shape[dim + 1 :])


@op
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Widen a tensor at its borders.

    Parameters
    ----------
    input
        Of any shape for ``"constant"``; otherwise ``(N, C, ...)`` or ``(C, ...)`` with one to three dimensions more.
    pad
        ``(left, right, top, bottom, ...)``: pairs from the last dimension on; all but N and C unless ``"constant"``.
        Negative numbers cut off.
    mode
        ``"constant"``; ``"reflect"`` at the border elements, which are not repeated; ``"replicate"`` repeats these;
        ``"circular"`` goes on at the other end.
    value
        What ``"constant"`` fills in, 0 by default.

    Raises
    ------
    RuntimeError
        If the widths do not fit the shape, or ``value`` the dtype.
    """
    shape, ndim = input._data.shape, input._data.ndim
    if len(pad) % 2 or len(pad) // 2 > ndim:
        raise RuntimeError(takes("pad", "pad", f"pairs of widths, at most {ndim} for shape {shape}", tuple(pad)))
    if any(isinstance(n, float) for n in pad):
        raise TypeError(takes("pad", "pad", "integers", tuple(pad)))
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(len(pad) - 2, -1, -2)]
    widths = [(0, 0)] * (ndim - len(pairs)) + pairs
    if any(n + a + b < 0 for n, (a, b) in zip(shape, widths, strict=True)):
        raise RuntimeError(takes("pad", "pad", f"widths that leave something of shape {shape}", tuple(pad)))
    if mode != "constant":
        if value:
            raise RuntimeError(takes("pad", "value", "None unless `mode` is 'constant'", value))
        return _border_pad(input, widths, len(pairs), mode)
    x = _cut(input, widths)
    number = fitting(0 if value is None else value, x._data.dtype, "pad", "value")
    return ConstantPad([(max(a, 0), max(b, 0)) for a, b in widths], number)(x)


def _cut(x: Tensor, widths: Widths) -> Tensor:
    """Without what negative widths cut off."""
    if all(a >= 0 and b >= 0 for a, b in widths):
        return x
    kept = [slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x._data.shape, widths, strict=True)]
    return Slice(tuple(kept))(x)


def _border_pad(input: Tensor, widths: Widths, pairs: int, mode: str) -> Tensor:
    """Padding with the tensor's own elements."""
    if mode not in ("reflect", "replicate", "circular"):
        expected = "'constant', 'reflect', 'replicate' or 'circular'"
        raise NotImplementedError(takes("pad", "mode", expected, repr(mode)))
    shape = input._data.shape
    if pairs not in (1, 2, 3) or len(shape) - pairs not in (1, 2):
        expected = f"for '{mode}' a pair for each dimension but channels and batch, 1 to 3"
        raise NotImplementedError(takes("pad", "pad", expected, f"{pairs} for shape {shape}"))
    for d, (before, after) in enumerate(widths):
        n = shape[d]
        most = {"reflect": n - 1, "circular": n}.get(mode)
        if (before or after) and (n == 0 or (most is not None and max(before, after) > most)):
            expected = f"for '{mode}' widths up to {most} in dimension {d} of shape {shape}" if n else "no empty input"
            raise RuntimeError(takes("pad", "pad", expected, (before, after)))
    if mode == "circular":  # cut first: what is cut off does not come back at the other end
        input = _cut(input, widths)
        widths = [(max(a, 0), max(b, 0)) for a, b in widths]
    out = input.clone() if not any(a or b for a, b in widths) else input
    for d, (before, after) in enumerate(widths):
        if before or after:
            n = out._data.shape[d]
            at = [_position(i, n, mode) for i in range(-before, n + after)]
            out = BorderPad(d, at, before, n)(out)
    return out


def _position(i: int, n: int, mode: str) -> int:
    """Which of `n` elements stands at position `i`, which may lie outside."""
    if mode == "replicate":
        return min(max(i, 0), n - 1)
    if mode == "circular":
        return i % n
    return (n - 1) - abs((n - 1) - abs(i))
