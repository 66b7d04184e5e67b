"""Images read at any place: affine_grid says where, grid_sample reads and interpolates."""

from __future__ import annotations

import functools
import itertools
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.indexing import Index
from deepgpu.ops.interpolation import CUBIC
from deepgpu.ops.joining import cat, stack
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, wrap

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


def _unnormalized(x: Any, n: int, align_corners: bool) -> Any:
    """From -1..1 to positions: of the centres of the outer elements if ``align_corners``, else of their edges."""
    return (x + 1) / 2 * (n - 1) if align_corners else ((x + 1) * n - 1) / 2


def _folded(xp: Any, x: Any, n: int, padding: str, align_corners: bool) -> tuple[Any, Any]:
    """Positions brought into ``0 .. n - 1`` as the padding says, and the slope of that: 1, -1 or 0."""
    slope = xp.ones_like(x)
    if padding == "reflection":
        low, span = (0.0, n - 1) if align_corners else (-0.5, n)
        if not span:
            return xp.zeros_like(x), xp.zeros_like(x)
        slope[x < low] = -1
        distance = xp.abs(x - low)
        even = xp.floor(distance / span) % 2 == 0
        rest = xp.fmod(distance, span)
        x = xp.where(even, rest, span - rest) + low
        slope = xp.where(even, slope, -slope)
    if padding != "zeros":
        slope = xp.where((x <= 0) | (x >= n - 1), 0, slope)
        x = xp.clip(x, 0, n - 1)
    return x, slope


class Locate(Node):
    """Positions along a dimension of ``n`` elements, from coordinates between -1 and 1: linear, piece by piece."""

    def __init__(self, n: int, padding: str, align_corners: bool) -> None:
        self.n = n
        self.padding = padding
        self.align_corners = align_corners

    def forward(self, x: Any) -> Any:
        at = _unnormalized(x, self.n, self.align_corners)
        at, slope = _folded(self.xp, at, self.n, self.padding, self.align_corners)
        self.slope = (slope * (((self.n - 1) if self.align_corners else self.n) / 2)).astype(x.dtype, copy=False)
        return at.astype(x.dtype, copy=False)

    def backward(self, g: Tensor) -> Tensor:
        return g * wrap(self.slope, self.backend)


def _cubic(t: Tensor) -> list[Tensor]:
    """The weights of the elements at -1, 0, 1, 2 for a position between 0 and 1 (Keys 1981)."""
    a = CUBIC

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _taps(x: Tensor, n: int, mode: str, padding: str, align_corners: bool) -> list[tuple[Any, Tensor | None]]:
    """What is read along one dimension: raw positions, which may lie outside, and the weight of each."""
    xp = x._backend.xp
    at = Locate(n, "zeros" if mode == "bicubic" else padding, align_corners)(x)
    if mode == "nearest":
        return [(xp.rint(at._data), None)]
    first = xp.floor(at._data)
    t = at - wrap(first, x._backend)
    if mode == "bilinear":
        return [(first, 1 - t), (first + 1, t)]
    places = [_folded(xp, first + i, n, padding, align_corners)[0] for i in range(-1, 3)]
    return list(zip(places, _cubic(t), strict=True))


def _row(xp: Any, places: Sequence[Any], sizes: Sequence[int], batch: Any, outside: int) -> Any:
    """The number of the row of each place; ``outside`` for those that are not inside (NaN is not)."""
    inside = functools.reduce(operator.and_, [(p >= 0) & (p < n) for p, n in zip(places, sizes, strict=True)])
    row = batch
    for p, n in zip(places, sizes, strict=True):
        row = row * n + xp.where(inside, p, 0).astype(np.int64)
    return xp.where(inside, row, outside)


def _align(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            f"`{name}`: `align_corners` is not given and taken as False; say which is meant (see the documentation)",
            stacklevel=3,
        )
    return bool(align_corners)


def _check(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    name = "grid_sample"
    if mode not in _MODES:
        raise ValueError(takes(name, "mode", f"one of {', '.join(map(repr, _MODES))}", repr(mode)))
    if padding_mode not in _PADDINGS:
        raise ValueError(takes(name, "padding_mode", f"one of {', '.join(map(repr, _PADDINGS))}", repr(padding_mode)))
    shape, own = tuple(input.shape), tuple(grid.shape)
    if len(shape) not in (4, 5):
        raise RuntimeError(takes(name, "input", "(N, C, H, W) or (N, C, D, H, W)", f"shape {shape}"))
    if mode == "bicubic" and len(shape) == 5:
        raise RuntimeError(takes(name, "mode", "'bilinear' or 'nearest' for volumes", repr(mode)))
    if len(own) != len(shape) or own[0] != shape[0] or own[-1] != len(shape) - 2:
        expected = f"{len(shape)} dimensions, the first {shape[0]} and the last {len(shape) - 2}"
        raise RuntimeError(takes(name, "grid", expected, f"shape {own}"))
    if 0 in shape[2:]:
        raise RuntimeError(takes(name, "input", "spatial sizes of at least 1", f"shape {shape}"))
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    if grid.dtype is not input.dtype:
        raise RuntimeError(takes(name, "grid", f"the dtype of `input`, {input.dtype}", grid.dtype))


@op
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Images read at the places that a grid names.

    Parameters
    ----------
    input
        ``(N, C, H, W)`` or ``(N, C, D, H, W)``
    grid
        ``(N, P, Q, 2)`` with ``(x, y)``, or ``(N, O, P, Q, 3)`` with ``(x, y, z)``, for every element of the result: -1
        is the left, upper or front end and 1 the other.
    mode
        ``"bilinear"`` (of volumes: trilinear), ``"nearest"`` or, for images, ``"bicubic"``.
    padding_mode
        What lies outside: ``"zeros"``, the nearest element of the ``"border"``, or the ``"reflection"`` of the inside.
    align_corners
        The ends are the centres of the outer elements rather than their edges. Without it: False, and a warning.

    Returns
    -------
    Tensor
        ``(N, C, P, Q)`` or ``(N, C, O, P, Q)``

    Notes
    -----
    Elements are rows of channels; each place takes 1, 4, 8 or 16 rows and adds them with weights. So the result lies
    in memory with the channels last. A row of zeros stands for all that is outside.
    """
    _check(input, grid, mode, padding_mode)
    align = _align("grid_sample", align_corners)
    n, c, *sizes = input._data.shape
    count = len(sizes)
    xp = input._backend.xp
    places = grid.reshape(n, -1, count) if n else grid.reshape(0, 0, count)
    axes = [
        _taps(places[..., count - 1 - d], size, mode, padding_mode, align) for d, size in enumerate(sizes)
    ]  # the last coordinate belongs to the first dimension
    batch = xp.arange(n).reshape(n, 1)
    total = n * int(np.prod(sizes))
    rows, weights = [], []
    for taps in itertools.product(*axes):
        rows.append(_row(xp, [place for place, _ in taps], sizes, batch, total).reshape(-1))
        factors = [w for _, w in taps if w is not None]
        if factors:
            weights.append(functools.reduce(operator.mul, factors).reshape(-1, 1))
    flat = input.permute(0, *range(2, count + 2), 1).reshape(total, c)
    table = cat([flat, flat.new_zeros((1, c))], 0)
    taken = Index((wrap(xp.stack(rows), input._backend),))(table)
    out = (taken * stack(weights, 0)).sum(0) if weights else taken.squeeze(0)
    return out.reshape(n, *grid._data.shape[1:-1], c).permute(0, count + 1, *range(1, count + 1))


@op
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid for :func:`grid_sample` that moves, turns and scales images.

    Parameters
    ----------
    theta
        ``(N, 2, 3)`` or ``(N, 3, 4)``: matrices that take ``(x, y, 1)`` or ``(x, y, z, 1)`` of a place in the result to
        the place in the input.
    size
        The result's ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
    align_corners
        As for :func:`grid_sample`.

    Returns
    -------
    Tensor
        ``(N, H, W, 2)`` or ``(N, D, H, W, 3)``
    """
    name = "affine_grid"
    if not theta.dtype.is_floating_point:
        raise ValueError(takes(name, "theta", "a floating-point tensor", theta.dtype))
    wanted = tuple([int(s) for s in size])
    count = len(wanted) - 2
    if count not in (2, 3):
        raise NotImplementedError(takes(name, "size", "4 or 5 numbers", wanted))
    fits = theta._data.shape[1:] == (count, count + 1)
    if not fits or theta._data.shape[0] != wanted[0]:
        error = RuntimeError if fits else ValueError  # as in PyTorch
        expected = f"shape {(wanted[0], count, count + 1)} for `size` {wanted}"
        raise error(takes(name, "theta", expected, f"shape {tuple(theta.shape)}"))
    if min(wanted) < 1:
        raise ValueError(takes(name, "size", "positive numbers", wanted))
    align = _align(name, align_corners)
    lines = []
    for n in wanted[2:]:
        ends = 1.0 if align else (n - 1) / n
        lines.append(np.linspace(-ends, ends, n) if n > 1 else np.zeros(1))
    parts = [*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(wanted[2:])]
    base = np.stack([p.reshape(-1) for p in parts], 1).astype(theta._data.dtype)
    places = wrap(theta._backend.from_numpy(base), theta._backend) @ theta.transpose(1, 2)
    return places.reshape(wanted[0], *wanted[2:], count)
