"""Padding: constant, reflect, replicate, circular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.op import op
from deepgpu.ops.slicing import Slice
from deepgpu.tensor import Tensor


class ConstantPad(Node):
    """``widths`` is one pair (before, after) a dimension, not negative."""

    def __init__(self, widths: Sequence[tuple[int, int]], value: float) -> None:
        self.widths = widths
        self.value = value

    def forward(self, x: Any) -> Any:
        shape = tuple([n + a + b for n, (a, b) in zip(x.shape, self.widths, strict=True)])
        # in the memory order of x, so that channels-last stays channels-last
        order = sorted(range(x.ndim), key=lambda d: -abs(x.strides[d]))
        out = self.xp.full([shape[d] for d in order], self.value, x.dtype).transpose(
            sorted(range(x.ndim), key=order.__getitem__)
        )
        out[self._inside(shape)] = x
        return out

    def _inside(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple([slice(a, n - b) for n, (a, b) in zip(shape, self.widths, strict=True)])

    def backward(self, g: Tensor) -> Tensor:
        return Slice(self._inside(g._data.shape))(g)


@op
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Widen a tensor at its borders.

    Parameters
    ----------
    pad
        ``(left, right, top, bottom, ...)``: pairs from the last dimension on. Negative numbers cut off.
    mode
        ``"constant"``, or for the last dimensions ``"reflect"``, ``"replicate"``, ``"circular"``.
    value
        What ``"constant"`` fills in, 0 by default.
    """
    ndim = input._data.ndim
    if len(pad) % 2 or len(pad) // 2 > ndim:
        raise RuntimeError(takes("pad", "pad", f"at most {ndim} pairs of widths", tuple(pad)))
    widths = [(0, 0)] * (ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    if any(n + a + b < 0 for n, (a, b) in zip(input._data.shape, widths, strict=True)):
        raise RuntimeError(takes("pad", "pad", f"widths that leave something of shape {tuple(input.shape)}", pad))
    if mode != "constant":
        return _index_pad(input, widths, mode)
    cut = tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(input._data.shape, widths, strict=True)])
    x = Slice(cut)(input) if any(a < 0 or b < 0 for a, b in widths) else input
    return ConstantPad([(max(a, 0), max(b, 0)) for a, b in widths], 0 if value is None else value)(x)


def _index_pad(input: Tensor, widths: Sequence[tuple[int, int]], mode: str) -> Tensor:
    """Padding with the tensor's own elements: a choice of positions in each dimension."""
    if mode not in ("reflect", "replicate", "circular"):
        raise RuntimeError(takes("pad", "mode", "'constant', 'reflect', 'replicate' or 'circular'", repr(mode)))
    xp = input._backend.xp
    out = input
    for d, (a, b) in enumerate(widths):
        if a == 0 and b == 0:
            continue
        n = out._data.shape[d]
        most = {"reflect": n - 1, "circular": n}.get(mode)
        if most is not None and max(a, b) > most:
            raise RuntimeError(takes("pad", "pad", f"widths up to {most} for '{mode}' in dimension {d}", (a, b)))
        at = xp.arange(-a, n + b)
        if mode == "replicate":
            at = xp.clip(at, 0, n - 1)
        elif mode == "circular":
            at = at % n
        else:
            at = (n - 1) - xp.abs((n - 1) - xp.abs(at))
        from deepgpu.ops.indexing import Index

        out = Index((*[slice(None)] * d, at))(out)
    return out
