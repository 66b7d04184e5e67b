"""Elements in other places: repeat, flip, roll, triangles and diagonals."""

from __future__ import annotations

import builtins
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.dims import dimension, dimension as _dimension, one_by_one, sizes
from deepgpu.ops.op import op
from deepgpu.ops.shape import Reshape
from deepgpu.tensor import Tensor, method, wrap


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
    """Dimensions read backwards; its own adjoint."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return self.xp.flip(x, self.dims).copy()

    def backward(self, g: Tensor) -> Tensor:
        return Flip(self.dims)(g)


class Roll(Node):
    """Elements shifted round; the adjoint shifts them back."""

    def __init__(self, shifts: tuple[int, ...], dims: tuple[int, ...] | None) -> None:
        self.shifts = shifts
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return self.xp.roll(x, self.shifts[0] if self.dims is None else self.shifts, self.dims)

    def backward(self, g: Tensor) -> Tensor:
        return Roll(tuple([-s for s in self.shifts]), self.dims)(g)


class Tril(Node):
    """What lies on and below a diagonal, or on and above it; its own adjoint."""

    def __init__(self, diagonal: int, ufunc: str) -> None:
        self.diagonal = diagonal
        self.ufunc = ufunc

    def forward(self, x: Any) -> Any:
        return getattr(self.xp, self.ufunc)(x, self.diagonal)

    def backward(self, g: Tensor) -> Tensor:
        return Tril(self.diagonal, self.ufunc)(g)


class Diagonal(Node):
    """A view of one diagonal; the adjoint writes it into zeros."""

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


@op(method=True)
@one_by_one
def tile(input: Tensor, dims: Any) -> Tensor:
    """As :func:`repeat`; missing numbers in front are 1."""
    times = sizes(dims)
    if min(times, default=0) < 0:
        raise RuntimeError(takes("tile", "dims", "numbers that are not negative", f"{times}"))
    return Tile((1,) * (input._data.ndim - len(times)) + times)(input)


@op(method=True)
def fliplr(input: Tensor) -> Tensor:
    """The order of the second dimension reversed."""
    if input._data.ndim < 2:
        raise RuntimeError(takes("fliplr", "input", "at least 2 dimensions", f"shape {tuple(input.shape)}"))
    return Flip((1,))(input)


@op(method=True)
def flipud(input: Tensor) -> Tensor:
    """The order of the first dimension reversed."""
    if input._data.ndim < 1:
        raise RuntimeError(takes("flipud", "input", "at least 1 dimension", "a 0-d tensor"))
    return Flip((0,))(input)


@op(method=True)
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """Turned by ``k`` quarters from the first of two dimensions towards the second."""
    ndim = input._data.ndim
    if len(dims) != 2 or ndim < 2:
        raise RuntimeError(takes("rot90", "dims", "two dimensions of at least two", f"{tuple(dims)} of {ndim}"))
    a, b = (dimension(d, ndim, "rot90", "dims") for d in dims)
    if a == b:
        raise RuntimeError(takes("rot90", "dims", "two different dimensions", tuple(dims)))
    k %= 4
    if k == 2:
        return Flip((a, b))(input)
    turned = Flip((b,))(input) if k == 1 else Flip((a,))(input) if k == 3 else input.clone()
    return turned.transpose(a, b) if k % 2 else turned


@op(method=True)
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension as the diagonal of two new ones, zeros elsewhere."""
    ndim = input._data.ndim + 1
    a, b = dimension(dim1, ndim, "diag_embed", "dim1"), dimension(dim2, ndim, "diag_embed", "dim2")
    if a == b:
        raise RuntimeError(f"`diag_embed`: `dim1` and `dim2` must differ, but got {dim1} and {dim2}")
    n = input._data.shape[-1] + builtins.abs(offset)
    shape = list(input._data.shape[:-1])
    for d in sorted((a, b)):
        shape.insert(d, n)
    return DiagonalScatter(tuple(shape), offset, a, b)(input)


@op(method=True)
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements on its diagonal."""
    return diag(input.reshape(-1), offset)


@op(method=True)
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each position of a dimension repeated, next to itself.

    Parameters
    ----------
    repeats
        How often: a number, or an integer tensor with one for each position. Without it ``input`` holds the numbers,
        and the result is their positions, repeated.
    dim
        The dimension; without it the tensor is flattened.
    output_size
        The size of the result along ``dim``, for PyTorch's sake.
    """
    if repeats is None:
        positions = wrap(input._backend.xp.arange(input._data.size), input._backend)
        return repeat_interleave(positions, input, 0)
    x = input.reshape(-1) if dim is None else input
    d = dimension(0 if dim is None else dim, x._data.ndim, "repeat_interleave")
    if not x._data.ndim:
        x = x.reshape(1)
    n, xp = x._data.shape[d], input._backend.xp
    counts = repeats._data if isinstance(repeats, Tensor) else repeats
    if isinstance(repeats, Tensor):
        if repeats.dtype.is_floating_point or repeats._data.size not in (1, n):
            expected = f"a number, or {n} integers in a vector"
            got = f"{repeats.dtype} of shape {tuple(repeats.shape)}"
            raise RuntimeError(takes("repeat_interleave", "repeats", expected, got))
        counts = xp.broadcast_to(counts.reshape(-1), (n,))
    if (counts < 0) if isinstance(counts, int) else bool((counts < 0).any()):
        raise RuntimeError(takes("repeat_interleave", "repeats", "numbers that are not negative", repeats))
    index = wrap(xp.repeat(xp.arange(n), counts), input._backend)
    return x.index_select(d, index)


class Windows(Node):
    """Windows of a dimension, ``step`` apart, in a new last dimension."""

    is_view = True

    def __init__(self, dim: int, size: int, step: int) -> None:
        self.args = dim, size, step

    def forward(self, x: Any) -> Any:
        self.source = x.shape
        dim, size, step = self.args
        count = (x.shape[dim] - size) // step + 1
        shape = (*x.shape[:dim], count, *x.shape[dim + 1 :], size)
        strides = (*x.strides[:dim], x.strides[dim] * step, *x.strides[dim + 1 :], x.strides[dim])
        return self.xp.lib.stride_tricks.as_strided(x, shape, strides)

    def backward(self, g: Tensor) -> Tensor:
        return WindowsGrad(self.source, *self.args)(g)


class WindowsGrad(Node):
    """The windows added up where they came from: the adjoint of :class:`Windows`."""

    def __init__(self, shape: tuple[int, ...], dim: int, size: int, step: int) -> None:
        self.shape = shape
        self.args = dim, size, step

    def forward(self, g: Any) -> Any:
        dim, size, step = self.args
        out = self.xp.zeros(self.shape, g.dtype)
        count = g.shape[dim]
        for k in range(size):
            if count:
                out[(*[slice(None)] * dim, slice(k, k + (count - 1) * step + 1, step))] += g[..., k]
        return out

    def backward(self, gg: Tensor) -> Tensor:
        return Windows(*self.args)(gg)


@method(name="unfold")
def _unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of ``size`` elements along a dimension, ``step`` apart, as a view with a new last dimension."""
    ndim = self._data.ndim
    d = _dimension(dimension, ndim, "unfold", "dimension")
    x = self if ndim else self.reshape(1)
    if not 0 <= size <= x._data.shape[d] or step < 1:
        expected = f"0 to {x._data.shape[d]}, the size of dimension {d}, with a positive `step`"
        raise RuntimeError(takes("unfold", "size", expected, f"{size} with step {step}"))
    out = Windows(d, size, step)(x)
    return out if ndim else out.reshape(size)
