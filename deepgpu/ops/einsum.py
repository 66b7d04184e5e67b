"""Sums of products over named indices: einsum and tensordot, through batched matrix products."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor

LETTERS = string.ascii_letters
DOTS = "…"
"""Stands for an index of an ellipsis, followed by its number from the end."""

Labels = list[str]


def _labels(term: str, ndim: int, name: str) -> Labels:
    """One label a dimension of an operand."""
    before, dots, after = term.partition("...")
    for c in before + after:
        if c not in LETTERS:
            raise RuntimeError(takes("einsum", "equation", "letters, commas, '...' and '->'", repr(c)))
    named = len(before) + len(after)
    if named > ndim or (not dots and named != ndim):
        expected = f"{'at most ' if dots else ''}{ndim} indices for `operands[{name}]`"
        raise RuntimeError(takes("einsum", "equation", expected, repr(term)))
    hidden = [f"{DOTS}{i}" for i in range(ndim - named, 0, -1)]
    return [*before, *hidden, *after]


def _parsed(equation: str, operands: Sequence[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of every operand and of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(takes("einsum", "equation", f"{len(operands)} operands", f"{len(terms)} in {equation!r}"))
    inputs = [_labels(t, x._data.ndim, str(i)) for i, (t, x) in enumerate(zip(terms, operands, strict=True))]
    hidden = sorted({c for labels in inputs for c in labels if c[0] == DOTS}, key=lambda c: -int(c[1:]))
    if arrow:
        output = _labels(right, len(hidden) + len(right.replace("...", "")), "the result") if right else []
        output = output if "..." in right else [c for c in output if c[0] != DOTS]
    else:
        every = [c for labels in inputs for c in labels]
        output = [*hidden, *sorted(c for c in set(every) if c[0] != DOTS and every.count(c) == 1)]
    for c in output:
        if output.count(c) > 1:
            raise RuntimeError(takes("einsum", "equation", "each index once in the result", repr(c)))
        if not any(c in labels for labels in inputs):
            raise RuntimeError(takes("einsum", "equation", "indices of the operands in the result", repr(c)))
    return inputs, output


def _sublists(args: tuple[Any, ...]) -> tuple[str, list[Tensor]]:
    """``einsum(x, [0, 1], y, [1, 2], [0, 2])`` as an equation."""

    def term(indices: Sequence[Any]) -> str:
        if any(i is not Ellipsis and not 0 <= i < len(LETTERS) for i in indices):
            raise RuntimeError(takes("einsum", "sublists", f"indices in 0..{len(LETTERS) - 1}", list(indices)))
        return "".join("..." if i is Ellipsis else LETTERS[i] for i in indices)

    pairs = len(args) // 2
    equation = ",".join(term(args[2 * i + 1]) for i in range(pairs))
    return equation + (f"->{term(args[-1])}" if len(args) % 2 else ""), list(args[0 : 2 * pairs : 2])


def _diagonals(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """Repeated labels of one operand become one."""
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            if x._data.shape[i] != x._data.shape[j]:
                expected = f"one size for the repeated index {c!r}"
                raise RuntimeError(takes("einsum", "operands", expected, f"shape {tuple(x.shape)}"))
            x = x.diagonal(0, i, j)
            labels = [*labels[:i], *labels[i + 1 : j], *labels[j + 1 :], c]
    return x, labels


def _summed(x: Tensor, labels: Labels, kept: set[str], sizes: dict[str, int]) -> tuple[Tensor, Labels]:
    """Without the labels that nobody else has, and without those along which the operand is broadcast."""
    gone = [i for i, c in enumerate(labels) if c not in kept or (x._data.shape[i] == 1 and sizes[c] != 1)]
    if not gone:
        return x, labels
    return x.sum(gone), [c for i, c in enumerate(labels) if i not in gone]


def _pair(a: Tensor, la: Labels, b: Tensor, lb: Labels, kept: set[str]) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over the labels that nobody else has: one batched matrix product."""
    shared = [c for c in la if c in lb]
    batch = [c for c in shared if c in kept]
    inner = [c for c in shared if c not in kept]
    rows, cols = [c for c in la if c not in shared], [c for c in lb if c not in shared]
    size = dict(zip(la, a._data.shape, strict=True)) | dict(zip(lb, b._data.shape, strict=True))

    def count(labels: Labels) -> int:
        return math.prod(size[c] for c in labels)

    def arranged(x: Tensor, labels: Labels, *groups: Labels) -> Tensor:
        order = [labels.index(c) for g in groups for c in g]
        return x.permute(order).reshape([count(g) for g in groups])

    if not inner:  # an outer product needs no sums
        x = arranged(a, la, batch, rows, []).reshape([size[c] for c in batch + rows] + [1] * len(cols))
        y = arranged(b, lb, batch, [], cols).reshape(
            [size[c] for c in batch] + [1] * len(rows) + [size[c] for c in cols]
        )
        return x * y, [*batch, *rows, *cols]
    product = arranged(a, la, batch, rows, inner) @ arranged(b, lb, batch, inner, cols)
    labels = [*batch, *rows, *cols]
    return product.reshape([size[c] for c in labels]), labels


@op
def einsum(equation: Any, *operands: Any) -> Tensor:
    """The sum of products that an equation such as ``"bij,bjk->bik"`` describes.

    Parameters
    ----------
    equation
        For each operand the letters of its dimensions, separated by commas, and behind ``->`` those of the result.
        Letters not in the result are summed over; without ``->`` the result has those that occur once, in alphabetic
        order. ``...`` stands for any number of further dimensions, which broadcast. Instead of an equation, lists of
        numbers may follow the operands.
    *operands
        Tensors of one dtype. More than two are multiplied in the order that takes the fewest steps, found by
        opt_einsum.

    Raises
    ------
    RuntimeError
        If the equation does not fit the operands.
    """
    if isinstance(equation, Tensor):
        equation, found = _sublists((equation, *operands))
    else:
        found = list(operands[0] if len(operands) == 1 and not isinstance(operands[0], Tensor) else operands)
    inputs, output = _parsed(equation, found)
    terms = [_diagonals(x, labels) for x, labels in zip(found, inputs, strict=True)]
    sizes: dict[str, int] = {}
    for x, labels in terms:
        for c, n in zip(labels, x._data.shape, strict=True):
            if sizes.setdefault(c, n) not in (n, 1) and n != 1:
                expected = f"one size for the index {c!r}, {sizes[c]}"
                raise RuntimeError(takes("einsum", "operands", expected, f"shape {tuple(x.shape)}"))
            sizes[c] = max(sizes[c], n) if sizes[c] and n else 0
    for first, second in _order([labels for _, labels in terms], output, sizes):
        others = [t for i, t in enumerate(terms) if i not in (first, second)]
        kept = set(output).union(*[labels for _, labels in others])
        a = _summed(*terms[first], kept | set(terms[second][1]), sizes)
        b = _summed(*terms[second], kept | set(terms[first][1]), sizes)
        terms = [*others, _pair(*a, *b, kept)]
    x, labels = _summed(*terms[0], set(output), sizes) if terms[0][1] else terms[0]
    missing = [c for c in output if c not in labels]  # broadcast from size 1 in every operand that had them
    x = x.reshape(*x.shape, *[1] * len(missing)).permute([(labels + missing).index(c) for c in output])
    return x.expand(*[sizes[c] for c in output]) if missing else x


def _order(labels: list[Labels], output: Labels, sizes: dict[str, int]) -> list[tuple[int, int]]:
    """Which two operands to multiply next; a product takes the last place."""
    if len(labels) < 2:
        return []
    if len(labels) == 2:
        return [(0, 1)]
    from opt_einsum import contract_path

    letters = {c: LETTERS[i] if i < len(LETTERS) else chr(192 + i) for i, c in enumerate(sizes)}
    equation = ",".join("".join(letters[c] for c in term) for term in labels)
    equation += "->" + "".join(letters[c] for c in output)
    shapes = [tuple(sizes[c] for c in term) for term in labels]
    path, _ = contract_path(equation, *shapes, shapes=True, optimize="auto")
    steps = []
    for places in path:
        rest = sorted(places)
        while len(rest) > 1:
            a, b, *others = rest
            steps.append((a, b))
            last = len(labels) - len(steps)  # where the product stands afterwards
            rest = sorted([*[i - (i > a) - (i > b) for i in others], last - 1]) if others else []
    return steps


@op
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over pairs of dimensions.

    Parameters
    ----------
    dims
        How many of the last dimensions of ``a`` to sum over with the first of ``b``, or two lists of dimensions.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a._data.ndim, b._data.ndim):
            raise RuntimeError(takes("tensordot", "dims", f"0..{min(a._data.ndim, b._data.ndim)}", dims))
        left, right = list(range(a._data.ndim - dims, a._data.ndim)), list(range(dims))
    else:
        left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
    left, right = [d % max(a._data.ndim, 1) for d in left], [d % max(b._data.ndim, 1) for d in right]
    inner = [a._data.shape[d] for d in left]
    if len(left) != len(right) or inner != [b._data.shape[d] for d in right]:
        got = f"{left} of {tuple(a.shape)} and {right} of {tuple(b.shape)}"
        raise RuntimeError(takes("tensordot", "dims", "pairs of dimensions of one size", got))
    rows = [d for d in range(a._data.ndim) if d not in left]
    cols = [d for d in range(b._data.ndim) if d not in right]
    k = math.prod(inner)
    shape = [a._data.shape[d] for d in rows] + [b._data.shape[d] for d in cols]
    x = a.permute([*rows, *left]).reshape(math.prod(a._data.shape[d] for d in rows), k)
    y = b.permute([*right, *cols]).reshape(k, math.prod(b._data.shape[d] for d in cols))
    return (x @ y).reshape(shape)


@op
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y_k = input1^T weight_k input2 + bias_k``.

    Parameters
    ----------
    input1, input2
        ``(..., I)`` and ``(..., J)`` with the same leading sizes.
    weight
        ``(K, I, J)``
    bias
        ``(K,)``

    Returns
    -------
    Tensor
        ``(..., K)``
    """
    if weight._data.ndim != 3:
        raise RuntimeError(takes("bilinear", "weight", "a tensor (K, I, J)", f"shape {tuple(weight.shape)}"))
    shapes = tuple(input1.shape), tuple(input2.shape)
    if shapes[0][:-1] != shapes[1][:-1] or (shapes[0][-1:] + shapes[1][-1:]) != tuple(weight.shape[1:]):
        expected = f"the leading sizes of `input1`, and features {tuple(weight.shape[1:])} of both"
        raise RuntimeError(takes("bilinear", "input2", expected, f"shapes {shapes[0]} and {shapes[1]}"))
    out = einsum("...i,kij,...j->...k", input1, weight, input2)
    return out if bias is None else out + bias
