"""Dropout (Srivastava et al. 2014, jmlr.org/papers/v15/srivastava14a)."""

from __future__ import annotations

from deepgpu.errors import takes
from deepgpu.ops.creation import rand
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor


def _mask(input: Tensor, shape: tuple[int, ...], p: float, name: str) -> Tensor:
    """1 / (1 - p) with probability 1 - p, else 0."""
    if not 0 <= p <= 1:
        raise ValueError(takes(name, "p", "a probability in [0, 1]", p))
    if p == 1:
        return input.new_zeros(shape)
    kept = rand(*shape, device=input.device) >= p
    return kept.to(input.dtype) * (1 / (1 - p))


@op
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability ``p`` and scale the others by ``1 / (1 - p)``; nothing unless training."""
    if not training or p == 0:
        return input
    mask = _mask(input, tuple(input.shape), p, "dropout")
    return input.mul_(mask) if inplace else input * mask


@op
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero whole channels of ``(N, C, H, W)`` or ``(C, H, W)`` with probability ``p`` and scale the others."""
    if not training or p == 0:
        return input
    if input._data.ndim not in (3, 4):
        raise RuntimeError(takes("dropout2d", "input", "(N, C, H, W) or (C, H, W)", f"shape {tuple(input.shape)}"))
    mask = _mask(input, (*input._data.shape[:-2], 1, 1), p, "dropout2d")
    return input.mul_(mask) if inplace else input * mask
