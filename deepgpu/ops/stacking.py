"""Tensors side by side, and apart again: hstack, vstack, tensor_split, block_diag, meshgrid, ..."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.broadcast import check_shapes
from deepgpu.ops.creation import backend_for
from deepgpu.ops.dims import dimension
from deepgpu.ops.joining import cat, stack
from deepgpu.ops.op import op
from deepgpu.ops.slicing import narrow
from deepgpu.tensor import Size, Tensor, wrap


def _several(tensors: tuple[Any, ...]) -> tuple[list[Tensor], bool]:
    """The tensors, given one by one or as one sequence, and whether they are more than one tensor."""
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        return list(tensors[0]), True
    return list(tensors), len(tensors) > 1


def _at_least(ndim: int, x: Tensor) -> Tensor:
    own = x._data.ndim
    if own >= ndim:
        return x
    if ndim == 3 and own == 2:
        return x.unsqueeze(-1)
    return x.reshape(*[1] * (ndim - own), *x.shape) if ndim < 3 else x.reshape(1, -1, 1)


def _each(ndim: int, tensors: tuple[Any, ...]) -> Any:
    found, many = _several(tensors)
    made = tuple([_at_least(ndim, t) for t in found])
    return made if many else made[0]


@op
def atleast_1d(*tensors: Any) -> Any:
    """0-d tensors as vectors of one element; others as they are. One tensor, or several."""
    return _each(1, tensors)


@op
def atleast_2d(*tensors: Any) -> Any:
    """Tensors with at least two dimensions: a vector as a row. One tensor, or several."""
    return _each(2, tensors)


@op
def atleast_3d(*tensors: Any) -> Any:
    """Tensors with at least three dimensions: a matrix as ``(M, N, 1)``. One tensor, or several."""
    return _each(3, tensors)


@op
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second dimension; vectors along their only one."""
    parts = [_at_least(1, t) for t in _not_empty("hstack", tensors)]
    return cat(parts, 0 if parts[0]._data.ndim == 1 else 1)


@op
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the first dimension; vectors as rows."""
    return cat([_at_least(2, t) for t in _not_empty("vstack", tensors)], 0)


@op
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the third dimension, which matrices and vectors get."""
    return cat([_at_least(3, t) for t in _not_empty("dstack", tensors)], 2)


@op
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second dimension; vectors as columns."""
    parts = _not_empty("column_stack", tensors)
    return cat([t.reshape(-1, 1) if t._data.ndim <= 1 else t for t in parts], 1)


def _not_empty(name: str, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    if not tensors:
        raise RuntimeError(takes(name, "tensors", "at least one tensor", "none"))
    return tensors


row_stack = vstack


# --- apart ------------------------------------------------------------------------------------------------------------


@op(method=True)
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts along a dimension: so many of nearly equal size, or cut at the indices given."""
    name = "tensor_split"
    if not input._data.ndim:
        raise RuntimeError(takes(name, "input", "at least one dimension", "a 0-d tensor"))
    d = dimension(dim, input._data.ndim, name)
    n = input._data.shape[d]
    cuts = indices_or_sections.tolist() if isinstance(indices_or_sections, Tensor) else indices_or_sections
    if isinstance(cuts, int):
        if cuts < 1:
            raise RuntimeError(takes(name, "indices_or_sections", "a positive number, or indices", cuts))
        small, extra = divmod(n, cuts)
        ends = list(itertools.accumulate([small + (i < extra) for i in range(cuts)]))
        starts = [0, *ends[:-1]]
    else:
        inside = [min(max(c + n if c < 0 else c, 0), n) for c in cuts]
        starts, ends = [0, *inside], [*inside, n]
    return tuple([narrow(input, d, a, max(b - a, 0)) for a, b in zip(starts, ends, strict=True)])


def _split_along(name: str, input: Tensor, where: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if input._data.ndim < least:
        raise RuntimeError(takes(name, "input", f"at least {least} dimensions", f"shape {tuple(input.shape)}"))
    if isinstance(where, int) and (where < 1 or input._data.shape[dim] % where):
        expected = f"a divisor of the size of dimension {dim}, {input._data.shape[dim]}"
        raise RuntimeError(takes(name, "indices_or_sections", expected, where))
    return tensor_split(input, where, dim)


@op(method=True)
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along the second dimension, or the only one, into equal parts."""
    return _split_along("hsplit", input, indices_or_sections, min(input._data.ndim - 1, 1), 1)


@op(method=True)
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along the first dimension of at least two, into equal parts."""
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


@op(method=True)
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along the third dimension, into equal parts."""
    return _split_along("dsplit", input, indices_or_sections, 2, 3)


# --- grids and blocks -------------------------------------------------------------------------------------------------


@op
def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices as the blocks of a diagonal, zeros elsewhere; vectors count as rows."""
    blocks = []
    for t in tensors:
        if t._data.ndim > 2:
            raise RuntimeError(takes("block_diag", "tensors", "at most 2 dimensions each", f"shape {tuple(t.shape)}"))
        blocks.append(_at_least(2, t))
    width = sum([b._data.shape[1] for b in blocks])
    rows, left = [], 0
    for b in blocks:
        own = b._data.shape[1]
        rows.append(_pad_columns(b, left, width - left - own))
        left += own
    return cat(rows, 0)


def _pad_columns(b: Tensor, left: int, right: int) -> Tensor:
    rows = b._data.shape[0]
    return cat([b.new_zeros((rows, left)), b, b.new_zeros((rows, right))], 1)


@op
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: for each vector a tensor in which it varies along its own dimension.

    Parameters
    ----------
    indexing
        ``"ij"``, the default: dimension ``i`` belongs to vector ``i``. ``"xy"`` exchanges the first two.
    """
    axes, _ = _several(tensors)
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(takes("meshgrid", "indexing", "'ij' or 'xy'", repr(indexing)))
    for i, t in enumerate(axes):
        if t._data.ndim > 1:
            raise RuntimeError(takes("meshgrid", f"tensors[{i}]", "a vector", f"shape {tuple(t.shape)}"))
    swapped = indexing == "xy" and len(axes) > 1
    if swapped:
        axes[:2] = axes[1::-1]
    shape = [t._data.size for t in axes]
    grids = [t.reshape([-1 if j == i else 1 for j in range(len(axes))]).expand(*shape) for i, t in enumerate(axes)]
    if swapped:
        grids[:2] = grids[1::-1]
    return tuple(grids)


@op
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of one element of each vector, a row each."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([g.reshape(-1) for g in meshgrid(*tensors, indexing="ij")], 1)


@op
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector, in their order, a row each."""
    if input._data.ndim != 1:
        raise RuntimeError(takes("combinations", "input", "a vector", f"shape {tuple(input.shape)}"))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(input._data.shape[0]), r)), np.int64).reshape(-1, r)
    return input[wrap(input._backend.from_numpy(places), input._backend)]


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that tensors of these shapes broadcast to; a number stands for a vector of so many elements.

    Raises
    ------
    RuntimeError
        If they do not broadcast.
    """
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    check_shapes("broadcast_shapes", *given)
    return Size(np.broadcast_shapes(*given))


def _indices(rows: int, cols: int, offset: int, lower: bool, dtype: dtypes.dtype, device: Any) -> Tensor:
    backend = backend_for(device)
    found = np.tril_indices(rows, offset, cols) if lower else np.triu_indices(rows, offset, cols)
    return wrap(backend.from_numpy(np.stack(found).astype(dtype.numpy)), backend)


@op(differentiable=False)
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: dtypes.dtype = dtypes.int64, device: Any = None
) -> Tensor:
    """The positions of the lower triangle of a matrix: a row of row numbers and one of column numbers."""
    return _indices(row, col, offset, True, dtype, device)


@op(differentiable=False)
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: dtypes.dtype = dtypes.int64, device: Any = None
) -> Tensor:
    """The positions of the upper triangle of a matrix: a row of row numbers and one of column numbers."""
    return _indices(row, col, offset, False, dtype, device)
