"""Elements in other places: repeat, flip, roll, triangles and diagonals."""

from __future__ import annotations

import builtins
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.dims import dimension, one_by_one, sizes
from deepgpu.ops.op import op
from deepgpu.ops.shape import Reshape
from deepgpu.tensor import Tensor


class Tile(Node):
    """Copies side by side; ``times`` has at least as many numbers as there are dimensions."""

    def __init__(self, times: tuple[int, ...]) -> None:
        self.times = times

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        return self.xp.tile(x, self.times)

    def backward(self, g: Tensor) -> Tensor:
        own = (1,) * (len(self.times) - len(self.source)) + self.source
        apart = Reshape(tuple([s for r, n in zip(self.times, own, strict=True) for s in (r, n)]))(g)
        return Reshape(self.source)(apart.sum(tuple(range(0, 2 * len(own), 2))) if own else apart)


class Flip(Node):
    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return self.xp.flip(x, self.dims).copy()

    def backward(self, g: Tensor) -> Tensor:
        return Flip(self.dims)(g)


class Roll(Node):
    def __init__(self, shifts: tuple[int, ...], dims: tuple[int, ...] | None) -> None:
        self.shifts = shifts
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return self.xp.roll(x, self.shifts[0] if self.dims is None else self.shifts, self.dims)

    def backward(self, g: Tensor) -> Tensor:
        return Roll(tuple([-s for s in self.shifts]), self.dims)(g)


class Tril(Node):
    def __init__(self, diagonal: int, ufunc: str) -> None:
        self.diagonal = diagonal
        self.ufunc = ufunc

    def forward(self, x: Any) -> Any:
        return getattr(self.xp, self.ufunc)(x, self.diagonal)

    def backward(self, g: Tensor) -> Tensor:
        return Tril(self.diagonal, self.ufunc)(g)


class Diagonal(Node):
    is_view = True

    def __init__(self, offset: int, dim1: int, dim2: int) -> None:
        self.offset, self.dim1, self.dim2 = offset, dim1, dim2

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        view = self.xp.diagonal(x, self.offset, self.dim1, self.dim2)
        if not getattr(view.flags, "writeable", True):  # NumPy protects its diagonals
            view.flags.writeable = True
        return view

    def backward(self, g: Tensor) -> Tensor:
        return DiagonalScatter(self.source, self.offset, self.dim1, self.dim2)(g)


class DiagonalScatter(Node):
    """Zeros with a diagonal filled in."""

    def __init__(self, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> None:
        self.shape, self.offset, self.dim1, self.dim2 = shape, offset, dim1, dim2

    def forward(self, x: Any) -> Any:
        out = self.xp.zeros(self.shape, x.dtype)
        view = self.xp.diagonal(out, self.offset, self.dim1, self.dim2)
        if not getattr(view.flags, "writeable", True):
            view.flags.writeable = True
        view[...] = x
        return out

    def backward(self, g: Tensor) -> Tensor:
        return Diagonal(self.offset, self.dim1, self.dim2)(g)


@op(method=True)
@one_by_one
def repeat(input: Tensor, repeats: Any) -> Tensor:
    """Copies of the whole tensor along each dimension."""
    times = sizes(repeats)
    if len(times) < input._data.ndim or min(times, default=0) < 0:
        expected = f"at least {input._data.ndim} numbers that are not negative"
        raise RuntimeError(takes("repeat", "repeats", expected, f"{times}"))
    return Tile(times)(input)


@op(method=True)
@one_by_one
def flip(input: Tensor, dims: Any) -> Tensor:
    """The order of elements reversed along dimensions."""
    wanted = tuple([dimension(d, input._data.ndim, "flip", "dims") for d in sizes(dims)])
    if len(set(wanted)) != len(wanted):
        raise RuntimeError(f"`flip`: `dims` names a dimension twice: {wanted}")
    return Flip(wanted)(input)


@op(method=True)
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements shifted along dimensions, those that leave coming in again at the other end."""
    by = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None:
        return Roll(by, None)(input)
    along = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(along) != len(by):
        raise RuntimeError(f"`roll`: `shifts` and `dims` must have one length, but got {by} and {along}")
    return Roll(by, tuple([dimension(d, input._data.ndim, "roll", "dims") for d in along]))(input)


@op(method=True, inplace=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, zero above ``diagonal``."""
    _check_matrices(input, "tril")
    return Tril(diagonal, "tril")(input)


def _check_matrices(input: Tensor, name: str) -> None:
    if input._data.ndim < 2:
        raise RuntimeError(takes(name, "input", "at least 2 dimensions", f"shape {tuple(input.shape)}"))


@op(method=True, inplace=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, zero below ``diagonal``."""
    _check_matrices(input, "triu")
    return Tril(diagonal, "triu")(input)


@op(method=True)
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, as the last dimension of a view."""
    ndim = input._data.ndim
    a, b = dimension(dim1, ndim, "diagonal", "dim1"), dimension(dim2, ndim, "diagonal", "dim2")
    if a == b:
        raise RuntimeError(f"`diagonal`: `dim1` and `dim2` must differ, but got {dim1} and {dim2}")
    return Diagonal(offset, a, b)(input)


@op(method=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if input._data.ndim == 2:
        return Diagonal(diagonal, 0, 1)(input)
    if input._data.ndim != 1:
        raise RuntimeError(takes("diag", "input", "a vector or a matrix", f"shape {tuple(input.shape)}"))
    n = input._data.shape[0] + builtins.abs(diagonal)
    return DiagonalScatter((n, n), diagonal, 0, 1)(input)
