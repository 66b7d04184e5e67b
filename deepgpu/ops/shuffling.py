"""Channels moved into space and back, and among each other."""

from __future__ import annotations

from deepgpu.errors import takes
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor


@op
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """``(..., C r^2, H, W)`` as ``(..., C, H r, W r)``: each pixel's channels become a square (arXiv 1609.05158)."""
    name, r = "pixel_shuffle", upscale_factor
    if input._data.ndim < 3:
        raise RuntimeError(takes(name, "input", "at least 3 dimensions", f"shape {tuple(input.shape)}"))
    if r <= 0:
        raise RuntimeError(takes(name, "upscale_factor", "a positive number", r))
    *batch, c, h, w = input._data.shape
    if c % (r * r):
        raise RuntimeError(takes(name, "input", f"channels divisible by {r * r}", f"shape {tuple(input.shape)}"))
    n = len(batch)
    apart = input.reshape(*batch, c // (r * r), r, r, h, w)
    order = [*range(n), n, n + 3, n + 1, n + 4, n + 2]
    return apart.permute(*order).reshape(*batch, c // (r * r), h * r, w * r)


@op
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """``(..., C, H r, W r)`` as ``(..., C r^2, H, W)``: the inverse of :func:`pixel_shuffle`."""
    name, r = "pixel_unshuffle", downscale_factor
    if input._data.ndim < 3:
        raise RuntimeError(takes(name, "input", "at least 3 dimensions", f"shape {tuple(input.shape)}"))
    if r <= 0:
        raise RuntimeError(takes(name, "downscale_factor", "a positive number", r))
    *batch, c, h, w = input._data.shape
    if h % r or w % r:
        raise RuntimeError(takes(name, "input", f"height and width divisible by {r}", f"shape {tuple(input.shape)}"))
    n = len(batch)
    apart = input.reshape(*batch, c, h // r, r, w // r, r)
    order = [*range(n), n, n + 2, n + 4, n + 1, n + 3]
    return apart.permute(*order).reshape(*batch, c * r * r, h // r, w // r)


@op
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of ``(N, C, ...)`` dealt out from the groups in turn (arXiv 1707.01083)."""
    name = "channel_shuffle"
    if input._data.ndim < 3:
        raise RuntimeError(takes(name, "input", "at least 3 dimensions", f"shape {tuple(input.shape)}"))
    n, c, *rest = input._data.shape
    if groups <= 0 or c % groups:
        raise RuntimeError(takes(name, "groups", f"a divisor of the {c} channels", groups))
    return input.reshape(n, groups, c // groups, *rest).transpose(1, 2).reshape(input.shape)
