"""Rows of a table by their numbers: embedding and embedding_bag."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.indexing import index_add, integer, within
from deepgpu.ops.op import op
from deepgpu.ops.placement import scatter_reduce
from deepgpu.tensor import Tensor, wrap


class Lookup(Node):
    """Rows of a table. The gradient leaves out one row, or is divided by how often each row occurs."""

    def __init__(self, index: Tensor, without: int | None, by_frequency: bool) -> None:
        self.index = index
        self.without = without
        self.by_frequency = by_frequency

    def forward(self, table: Any) -> Any:
        self.shape = table.shape
        return self.backend.embedding(table, self.index._data)

    def backward(self, g: Tensor) -> Tensor:
        i = self.index
        if self.without is not None:
            g = g.masked_fill((i == self.without).unsqueeze(-1), 0.0)
        if self.by_frequency:
            counts = self.xp.zeros(self.shape[0], g._data.dtype)
            self.backend.add_at(counts, (i._data,), self.xp.ones(i._data.shape, g._data.dtype))
            g = g / wrap(counts[i._data], self.backend).unsqueeze(-1)
        return LookupGrad(i, self.shape[0])(g)


class LookupGrad(Node):
    """Zeros with each row of a gradient added where its number says: the adjoint of :class:`Lookup`."""

    def __init__(self, index: Tensor, rows: int) -> None:
        self.index = index
        self.rows = rows

    def forward(self, g: Any) -> Any:
        return self.backend.embedding_backward(g, self.index._data, self.rows)

    def backward(self, gg: Tensor) -> Tensor:
        return Lookup(self.index, None, False)(gg)


def _checked(name: str, input: Tensor, weight: Tensor, padding_idx: int | None, sparse: bool) -> int | None:
    """The padding's row counted from the front."""
    if sparse:
        raise NotImplementedError(takes(name, "sparse", "False: there are no sparse gradients", True))
    integer(input, name)
    if weight._data.ndim != 2:
        raise RuntimeError(takes(name, "weight", "a table (rows, features)", f"shape {tuple(weight.shape)}"))
    rows = weight._data.shape[0]
    within(input, rows, name, IndexError)
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise AssertionError(takes(name, "padding_idx", f"a row in {-rows}..{rows - 1}", padding_idx))
    return padding_idx % rows


def _limited(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are looked up, in place, to a norm of at most ``max_norm``."""
    with no_grad():
        rows = wrap(weight._backend.xp.unique(input._data), weight._backend)
        found = weight.index_select(0, rows)
        norms = found.norm(norm_type, 1, keepdim=True)
        scaled = found * (max_norm / (norms + 1e-7))
        weight.index_copy_(0, rows, found.where(norms <= max_norm, scaled))


@op
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table.

    Parameters
    ----------
    input
        Their numbers: int64 or int32, of any shape.
    weight
        ``(rows, features)``
    padding_idx
        A row that gets no gradient.
    max_norm
        Rows looked up are scaled, in place, to at most this ``norm_type``-norm.
    scale_grad_by_freq
        Divide a row's gradient by how often it occurs in ``input``.
    sparse
        Must be False.

    Returns
    -------
    Tensor
        ``(*input.shape, features)``

    Raises
    ------
    IndexError
        If there is no such row.
    """
    padding = _checked("embedding", input, weight, padding_idx, sparse)
    if max_norm is not None:
        _limited(weight, input, max_norm, norm_type)
    return Lookup(input.long(), padding, scale_grad_by_freq)(weight)


@op
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of bags of rows of a table.

    Parameters
    ----------
    input
        Their numbers: ``(B, N)``, a bag a row, or a vector that ``offsets`` cuts into bags.
    offsets
        Where each bag begins.
    mode
        ``"sum"``, ``"mean"`` or ``"max"``; an empty bag gives zeros.
    per_sample_weights
        In the shape of ``input``: a factor of each row, for ``"sum"``.
    include_last_offset
        The last offset is the end.
    padding_idx
        A row that does not count.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As for :func:`embedding`.
    """
    name = "embedding_bag"
    if mode not in ("sum", "mean", "max"):
        raise ValueError(takes(name, "mode", "'sum', 'mean' or 'max'", repr(mode)))
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(takes(name, "per_sample_weights", "None unless `mode` is 'sum'", f"mode {mode!r}"))
    xp, backend = input._backend.xp, input._backend
    if input._data.ndim == 2:
        if offsets is not None:
            raise ValueError(takes(name, "offsets", "None for an input (B, N)", "a tensor"))
        bags, size = input._data.shape
        bag = xp.repeat(xp.arange(bags), size)
    elif input._data.ndim == 1:
        if offsets is None:
            raise ValueError(takes(name, "offsets", "where the bags begin, for an input (N,)", None))
        begins = backend.to_numpy(offsets._data)
        ends = begins[1:] if include_last_offset else np.append(begins[1:], input._data.size)
        begins = begins[:-1] if include_last_offset else begins
        bags = len(begins)
        bag = backend.from_numpy(np.repeat(np.arange(bags), ends - begins))
    else:
        raise ValueError(takes(name, "input", "(B, N) or (N,)", f"shape {tuple(input.shape)}"))
    padding = _checked(name, input, weight, padding_idx, sparse)
    flat = input.reshape(-1)
    if padding is not None:
        counted = flat._data != padding
        flat, bag = flat[wrap(counted, backend)], bag[counted]
    if max_norm is not None:
        _limited(weight, flat, max_norm, norm_type)
    rows = Lookup(flat.long(), None, scale_grad_by_freq)(weight)
    if per_sample_weights is not None:
        given = per_sample_weights.reshape(-1)
        rows = rows * (given if padding is None else given[wrap(counted, backend)]).unsqueeze(1)
    index = wrap(bag.astype(np.int64), backend)
    zeros = weight.new_zeros((bags, weight._data.shape[1]))
    if mode == "max":
        return scatter_reduce(zeros, 0, index.unsqueeze(1).expand(*rows.shape), rows, "amax", include_self=False)
    total = index_add(zeros, 0, index, rows)
    if mode == "sum":
        return total
    counts = xp.zeros(bags, weight._data.dtype)
    backend.add_at(counts, (bag,), xp.ones(bag.shape, weight._data.dtype))
    return total / wrap(xp.maximum(counts, 1).astype(weight._data.dtype), backend).unsqueeze(1)
