"""Matrix products: ``matmul``, ``mm``, ``bmm``, ``linear``, ``addmm``, ``dot``, ..."""

from __future__ import annotations

from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.broadcast import as_operand, unbroadcast
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, method


class Matmul(Node):
    """``a (..., M, K) @ b (..., K, N)``, at least 2-d each; batch dimensions broadcast."""

    keep_inputs = (0, 1)

    def forward(self, a: Any, b: Any) -> Any:
        return self.backend.matmul(a, b)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        need_a, need_b = self.needs_input_grad
        ga = unbroadcast(Matmul()(g, b.transpose(-1, -2)), a.shape) if need_a else None
        gb = unbroadcast(Matmul()(a.transpose(-1, -2), g), b.shape) if need_b else None
        return ga, gb


def _checked(a: Tensor, b: Tensor, name: str, argument: str = "other") -> None:
    if not isinstance(b, Tensor):
        raise TypeError(takes(name, argument, "a tensor", type(b).__name__))
    if a._data.dtype != b._data.dtype:
        raise RuntimeError(takes(name, argument, f"the dtype of the other operand, {a.dtype}", b.dtype))


@op(method=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product; vectors are taken as a row on the left and a column on the right, batches broadcast.

    Raises
    ------
    RuntimeError
        If the inner sizes or the dtypes differ, or the batch sizes do not broadcast.
    """
    _checked(input, other, "matmul")
    a, b = input, other
    if not a._data.ndim or not b._data.ndim:
        shapes = f"shapes {tuple(a.shape)} and {tuple(b.shape)}"
        raise RuntimeError(takes("matmul", "input", "tensors with at least one dimension", shapes))
    if a._data.ndim == 1:
        a = a.unsqueeze(0)
    if b._data.ndim == 1:
        b = b.unsqueeze(1)
    if a._data.shape[-1] != b._data.shape[-2]:
        expected = f"{a._data.shape[-1]} rows, one for each column of `input` {tuple(input.shape)}"
        raise RuntimeError(takes("matmul", "other", expected, f"shape {tuple(other.shape)}"))
    if a._data.ndim > 2 and b._data.ndim == 2:  # one large product instead of many small ones
        out = Matmul()(a.reshape(-1, a._data.shape[-1]), b).reshape(*a._data.shape[:-1], b._data.shape[-1])
    else:
        out = Matmul()(a, b)
    if other._data.ndim == 1:
        out = out.squeeze(-1)
    return out.squeeze(-1 if other._data.ndim == 1 else -2) if input._data.ndim == 1 else out


@op(method=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _ranks("mm", input, mat2, 2)
    return matmul(input, mat2)


@op(method=True)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, ``(B, M, K)`` and ``(B, K, N)``."""
    _ranks("bmm", input, mat2, 3)
    if input._data.shape[0] != mat2._data.shape[0]:
        raise RuntimeError(takes("bmm", "mat2", f"a batch of {input._data.shape[0]}", f"shape {tuple(mat2.shape)}"))
    return matmul(input, mat2)


@op(method=True)
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    if input._data.ndim != 2 or vec._data.ndim != 1:
        shapes = f"shapes {tuple(input.shape)} and {tuple(vec.shape)}"
        raise RuntimeError(takes("mv", "vec", "a matrix and a vector", shapes))
    return matmul(input, vec)


@op(method=True)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    _ranks("dot", input, tensor, 1)
    return matmul(input, tensor)


@op(method=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The outer product of two vectors."""
    _ranks("outer", input, vec2, 1)
    return input.unsqueeze(1) * vec2.unsqueeze(0)


def _ranks(name: str, a: Tensor, b: Tensor, ndim: int) -> None:
    if a._data.ndim != ndim or b._data.ndim != ndim:
        shapes = f"shapes {tuple(a.shape)} and {tuple(b.shape)}"
        raise RuntimeError(takes(name, "input", f"two {ndim}-d tensors", shapes))


@op(method=True, inplace=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``; with ``beta`` 0, NaN in ``input`` is ignored."""
    product = mm(mat1, mat2)
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


@op(method=True, inplace=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)`` for batches of matrices."""
    product = bmm(batch1, batch2)
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


@op
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``.

    Parameters
    ----------
    input
        ``(..., in_features)``
    weight
        ``(out_features, in_features)`` or ``(in_features,)``
    bias
        ``(out_features,)``

    Returns
    -------
    Tensor
        ``(..., out_features)``
    """
    _checked(input, weight, "linear", "weight")
    if not input._data.ndim or input._data.shape[-1] != weight._data.shape[-1]:
        expected = f"(..., {weight._data.shape[-1]}) for a weight of shape {tuple(weight.shape)}"
        raise RuntimeError(takes("linear", "input", expected, f"shape {tuple(input.shape)}"))
    out = matmul(input, weight.t())
    return out if bias is None else out + bias


@method(name="__matmul__")
def _matmul(self: Tensor, other: Any) -> Any:
    return matmul(self, as_operand(other)) if _is_array(other) else NotImplemented


@method(name="__rmatmul__")
def _rmatmul(self: Tensor, other: Any) -> Any:
    return matmul(as_operand(other), self) if _is_array(other) else NotImplemented


def _is_array(x: Any) -> bool:
    """Other operands are left to their own class."""
    return isinstance(x, Tensor) or hasattr(x, "__array__")
