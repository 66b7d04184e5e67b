"""Similarities and distances of pairs of vectors, and vectors of norm 1."""

from __future__ import annotations

from deepgpu.ops.broadcast import floating
from deepgpu.ops.op import op
from deepgpu.ops.shape import broadcast_tensors
from deepgpu.ops.vector_norm import norm
from deepgpu.tensor import Tensor


@op
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along ``dim``; norms below ``eps`` count as ``eps``."""
    a, b = floating(x1), floating(x2)
    a, b = (x.unsqueeze(0) if not x._data.ndim else x for x in (a, b))
    if a.shape != b.shape:
        a, b = broadcast_tensors(a, b)
    a = a / norm(a, 2, dim, True).clamp(min=eps)
    b = b / norm(b, 2, dim, True).clamp(min=eps)
    return (a * b).sum(dim)


@op
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension."""
    return norm(x1 - x2 + eps, p, -1, keepdim)


@op
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Vectors along ``dim`` divided by their p-norm, or by ``eps`` if that is larger."""
    return input / norm(input, p, dim, True).clamp(min=eps)
