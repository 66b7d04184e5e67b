"""Matrix products: ``matmul``, ``mm``, ``bmm``, ``linear``, ``addmm``, ``dot``, ..."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.broadcast import as_operand, check_expands, check_shapes, unbroadcast
from deepgpu.ops.op import op
from deepgpu.ops.reduction import Sum
from deepgpu.tensor import Tensor, method


class Matmul(Node):
    """``a (..., M, K) @ b (..., K, N)``, at least 2-d each; batch dimensions broadcast."""

    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,), 1: (0,)}

    def forward(self, a: Any, b: Any) -> Any:
        self.shapes = a.shape, b.shape
        return self.backend.matmul(a, b)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = self.saved
        need_a, need_b = self.needs_input_grad
        ga = unbroadcast(Matmul()(g, b.transpose(-1, -2)), self.shapes[0]) if need_a else None
        gb = unbroadcast(Matmul()(a.transpose(-1, -2), g), self.shapes[1]) if need_b else None
        return ga, gb


class Linear(Node):
    """``x (..., K) @ w (N, K)^T + b (N,)``; ``b`` may be None."""

    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,), 1: (0,)}

    def forward(self, x: Any, w: Any, b: Any) -> Any:
        y = self.backend.linear(_rows(x), w, b)
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[0])

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w = self.saved
        need_x, need_w, need_b = self.needs_input_grad
        gx = LinearDgrad()(g, w) if need_x else None
        gw = LinearWgrad()(g, x) if need_w else None
        return gx, gw, Sum(tuple(range(g._data.ndim - 1)), False)(g) if need_b else None


class LinearDgrad(Node):
    """The gradient with respect to the input, ``g (..., N) @ w (N, K)``."""

    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,), 1: (0,)}

    def forward(self, g: Any, w: Any) -> Any:
        gx = self.backend.matmul(_rows(g), w)
        return gx if g.ndim == 2 else gx.reshape(*g.shape[:-1], w.shape[1])

    def backward(self, ggx: Tensor) -> tuple[Tensor | None, Tensor | None]:
        g, w = self.saved
        need_g, need_w = self.needs_input_grad
        return Linear()(ggx, w, None) if need_g else None, LinearWgrad()(g, ggx) if need_w else None


class LinearWgrad(Node):
    """The gradient with respect to the weight, ``g (..., N)^T @ x (..., K)``, summed over all rows."""

    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,), 1: (0,)}

    def forward(self, g: Any, x: Any) -> Any:
        return self.backend.matmul(_rows(g).T, _rows(x))

    def backward(self, ggw: Tensor) -> tuple[Tensor | None, Tensor | None]:
        g, x = self.saved
        need_g, need_x = self.needs_input_grad
        return Linear()(x, ggw, None) if need_g else None, LinearDgrad()(g, ggw) if need_x else None


def _rows(x: Any) -> Any:
    """An array ``(..., K)`` as a matrix; a matrix as it is."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _shapes(*operands: Tensor) -> str:
    return "shapes " + " and ".join([str(tuple(x.shape)) for x in operands])


def _check(name: str, argument: str, a: Tensor, b: Any) -> None:
    """Raise unless `b`, called `argument`, is a tensor of numbers in the dtype of `a`."""
    if not isinstance(b, Tensor):
        raise TypeError(takes(name, argument, "a tensor", f"{b!r} of type {type(b).__name__}"))
    if a._data.dtype != b._data.dtype:
        raise RuntimeError(takes(name, argument, f"the dtype of `input`, {a.dtype}", b.dtype))
    if a.dtype is dtypes.bool:
        raise RuntimeError(takes(name, "input", "numbers", "a bool tensor; convert it, e.g. with `.float()`"))


def _product(name: str, argument: str, input: Tensor, other: Tensor) -> Tensor:
    """The product by the rules of :func:`matmul`, for the op `name` whose second operand is called `argument`."""
    _check(name, argument, input, other)
    a, b = input, other
    if not a._data.ndim or not b._data.ndim:
        raise RuntimeError(takes(name, argument, "tensors with at least one dimension", _shapes(a, b)))
    if a._data.ndim == 1:
        a = a.unsqueeze(0)
    if b._data.ndim == 1:
        b = b.unsqueeze(1)
    *batch, m, k = a._data.shape
    if k != b._data.shape[-2]:
        expected = f"{k} rows, one for each column of the first operand {tuple(input.shape)}"
        raise RuntimeError(takes(name, argument, expected, f"shape {tuple(other.shape)}"))
    if batch and b._data.ndim == 2:  # one large product instead of many small ones
        out = Matmul()(a.reshape(math.prod(batch) * m, k), b).reshape(*batch, m, b._data.shape[-1])
    else:
        check_shapes(name, batch, b._data.shape[:-2])
        out = Matmul()(a, b)
    if other._data.ndim == 1:
        out = out.squeeze(-1)
    return out.squeeze(-1 if other._data.ndim == 1 else -2) if input._data.ndim == 1 else out


@op(method=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product; vectors are taken as a row on the left and a column on the right, batches broadcast.

    Parameters
    ----------
    input
        ``(..., M, K)`` or ``(K,)``
    other
        ``(..., K, N)`` or ``(K,)``, of the same dtype

    Returns
    -------
    Tensor
        ``(..., M, N)``, without ``M`` or ``N`` where the operand was a vector.

    Raises
    ------
    RuntimeError
        If the inner sizes or the dtypes differ, or the batch sizes do not broadcast.
    TypeError
        If ``other`` is no tensor.
    """
    return _product("matmul", "other", input, other)


@op(method=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, ``(M, K)`` and ``(K, N)``."""
    _check_ranks("mm", "mat2", input, mat2, (2, 2))
    return _product("mm", "mat2", input, mat2)


@op(method=True)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, ``(B, M, K)`` and ``(B, K, N)``; batches do not broadcast."""
    return _batched("bmm", "mat2", input, mat2)


def _batched(name: str, argument: str, a: Tensor, b: Tensor) -> Tensor:
    _check_ranks(name, argument, a, b, (3, 3))
    if a._data.shape[0] != b._data.shape[0]:
        expected = f"as many matrices as the first batch has, {a._data.shape[0]}"
        raise RuntimeError(takes(name, argument, expected, f"shape {tuple(b.shape)}"))
    return _product(name, argument, a, b)


@op(method=True)
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix ``(M, K)`` times a vector ``(K,)``."""
    _check_ranks("mv", "vec", input, vec, (2, 1))
    return _product("mv", "vec", input, vec)


@op(method=True)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    _check_ranks("dot", "tensor", input, tensor, (1, 1))
    return _product("dot", "tensor", input, tensor)


@op(method=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The outer product of two vectors, ``(M,)`` and ``(N,)``: ``(M, N)``, in the promoted dtype."""
    _check_ranks("outer", "vec2", input, vec2, (1, 1))
    return input.unsqueeze(1) * vec2


def _check_ranks(name: str, argument: str, a: Tensor, b: Any, ranks: tuple[int, int]) -> None:
    if not isinstance(b, Tensor):
        raise TypeError(takes(name, argument, "a tensor", f"{b!r} of type {type(b).__name__}"))
    if (a._data.ndim, b._data.ndim) != ranks:
        expected = f"operands with {ranks[0]} and {ranks[1]} dimensions"
        raise RuntimeError(takes(name, argument, expected, _shapes(a, b)))


@op(method=True, inplace=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``.

    Parameters
    ----------
    input
        Broadcast to the shape of the product, and of its dtype.
    mat1, mat2
        ``(M, K)`` and ``(K, N)``
    beta
        If 0, ``input`` is not read: a NaN in it does not count.
    alpha
        A factor of the product.
    """
    _check_ranks("addmm", "mat2", mat1, mat2, (2, 2))
    return _sum("addmm", input, _product("addmm", "mat2", mat1, mat2), beta, alpha)


@op(method=True, inplace=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)`` for batches of matrices; see :func:`addmm`."""
    return _sum("baddbmm", input, _batched("baddbmm", "batch2", batch1, batch2), beta, alpha)


def _sum(name: str, input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    _check_added(name, "input", input, product)
    for argument, factor in (("beta", beta), ("alpha", alpha)):
        if isinstance(factor, float) and not product.dtype.is_floating_point:
            raise RuntimeError(takes(name, argument, f"an integer for matrices of {product.dtype}", factor))
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


def _check_added(name: str, argument: str, x: Tensor, product: Tensor) -> None:
    """Raise unless `x` has the product's dtype and broadcasts to its shape."""
    if x._data.dtype != product._data.dtype:
        raise RuntimeError(takes(name, argument, f"the dtype of the product, {product.dtype}", x.dtype))
    check_expands(name, argument, x._data.shape, product._data.shape)


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
        ``(out_features,)``, or what broadcasts to the result.

    Returns
    -------
    Tensor
        ``(..., out_features)``, or ``(...)`` for a weight of one dimension.

    Raises
    ------
    RuntimeError
        If shapes or dtypes do not fit.
    """
    _check("linear", "weight", input, weight)
    if weight._data.ndim not in (1, 2):
        expected = "a tensor (out_features, in_features) or (in_features,)"
        raise RuntimeError(takes("linear", "weight", expected, f"shape {tuple(weight.shape)}"))
    if not input._data.ndim or input._data.shape[-1] != weight._data.shape[-1]:
        expected = f"(..., {weight._data.shape[-1]}) for a weight of shape {tuple(weight.shape)}"
        raise RuntimeError(takes("linear", "input", expected, f"shape {tuple(input.shape)}"))
    if weight._data.ndim == 2 and (bias is None or _is_row(bias, weight)):
        return Linear()(input, weight, bias)
    out = _product("linear", "weight", input, weight.t())
    if bias is None:
        return out
    _check_added("linear", "bias", bias, out)
    return out + bias


def _is_row(bias: Tensor, weight: Tensor) -> bool:
    """Whether the bias is one number a row of the weight, as in a layer."""
    return bias._data.shape == weight._data.shape[:1] and bias._data.dtype == weight._data.dtype


@method(name="__matmul__")
def _matmul(self: Tensor, other: Any) -> Any:
    return matmul(self, as_operand(other)) if _is_array(other) else NotImplemented


@method(name="__rmatmul__")
def _rmatmul(self: Tensor, other: Any) -> Any:
    return matmul(as_operand(other), self) if _is_array(other) else NotImplemented


def _is_array(x: Any) -> bool:
    """Other operands are left to their own class."""
    return isinstance(x, Tensor) or hasattr(x, "__array__")
