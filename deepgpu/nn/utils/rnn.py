"""Sequences of different lengths, padded to one length or packed without padding: ``torch.nn.utils.rnn``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import as_tensor, tensor
from deepgpu.ops.joining import cat, stack
from deepgpu.ops.recurrent import JoinRows, SplitRows
from deepgpu.tensor import Tensor


class _PackedSequence(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_PackedSequence):
    """Sequences of different lengths without padding: the rows of step 0, then those of step 1, and so on.

    Make one with :func:`pack_padded_sequence` or :func:`pack_sequence`.

    Attributes
    ----------
    data
        ``(sum of lengths, *)``
    batch_sizes
        int64, on the CPU: how many sequences reach each step.
    sorted_indices, unsorted_indices
        The order by falling length, and the way back; None if they were in that order.
    """

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data converted or moved, and the order moved with it."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        order = [None if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *order)

    def cpu(self) -> PackedSequence:
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = "cuda") -> PackedSequence:
        """On a GPU."""
        return self.to(device)

    def double(self) -> PackedSequence:
        """As float64."""
        return self.to(dtype=dtypes.float64)

    def float(self) -> PackedSequence:
        """As float32."""
        return self.to(dtype=dtypes.float32)

    def half(self) -> PackedSequence:
        """As float16."""
        return self.to(dtype=dtypes.float16)

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another."""
    return None if permutation is None else permutation.argsort()


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a batch of padded sequences.

    Parameters
    ----------
    input
        ``(T, B, *)``, or ``(B, T, *)`` with ``batch_first``.
    lengths
        The length of each sequence: integers in a list or a CPU tensor.
    enforce_sorted
        The lengths must fall; otherwise the sequences are sorted first.

    Raises
    ------
    RuntimeError
        If a length is 0, there are not as many as sequences, or they are not sorted as asked for.
    """
    name = "pack_padded_sequence"
    each = as_tensor(lengths, dtype=dtypes.int64, device="cpu")
    order = None
    if not enforce_sorted:
        each, order = each.sort(descending=True)
        order = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
    x = input.transpose(0, 1) if batch_first else input
    counts = each.tolist()
    if len(counts) != x._data.shape[1]:
        raise RuntimeError(takes(name, "lengths", f"{x._data.shape[1]} lengths, one a sequence", len(counts)))
    if min(counts, default=0) < 1:
        raise RuntimeError(takes(name, "lengths", "positive lengths", counts))
    if counts != sorted(counts, reverse=True):
        raise RuntimeError(takes(name, "lengths", "falling lengths, unless `enforce_sorted=False`", counts))
    if counts[0] > x._data.shape[0]:
        raise RuntimeError(takes(name, "lengths", f"at most {x._data.shape[0]}, the steps of `input`", counts[0]))
    sizes = [sum(n > t for n in counts) for t in range(counts[0])]
    return PackedSequence(JoinRows()(*[x[t, :n] for t, n in enumerate(sizes)]), tensor(sizes), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`pack_padded_sequence`.

    Parameters
    ----------
    padding_value
        What stands behind the end of a sequence.
    total_length
        The number of steps of the result, by default the longest sequence's.

    Returns
    -------
    tuple
        ``(T, B, *)``, or ``(B, T, *)`` with ``batch_first``, and the lengths
    """
    sizes = sequence.batch_sizes.tolist()
    steps = len(sizes)
    if total_length is not None and total_length < steps:
        expected = f"at least {steps}, the longest sequence's length"
        raise ValueError(takes("pad_packed_sequence", "total_length", expected, total_length))
    rows = SplitRows(sizes)(sequence.data)
    full = [_filled(r, sizes[0], padding_value) for r in rows]
    empty = [_filled(rows[0][:0], sizes[0], padding_value)] * ((total_length or steps) - steps)
    padded = stack([*full, *empty])
    lengths = tensor([sum(n > i for n in sizes) for i in range(sizes[0])])
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices.cpu()]
    return (padded.transpose(0, 1) if batch_first else padded), lengths


def _filled(rows: Tensor, size: int, value: float) -> Tensor:
    """Rows followed by rows of a value, ``size`` in all."""
    missing = size - rows._data.shape[0]
    return cat([rows, rows.new_full((missing, *rows._data.shape[1:]), value)]) if missing else rows


def pad_sequence(
    sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences ``(length, *)`` padded to the longest: ``(T, B, *)``, or ``(B, T, *)`` with ``batch_first``.

    Parameters
    ----------
    padding_value
        What the padding holds.
    padding_side
        ``"right"`` behind, or ``"left"`` before the sequences.
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(takes("pad_sequence", "padding_side", "'left' or 'right'", repr(padding_side)))
    longest = max([s._data.shape[0] for s in sequences])
    full = []
    for s in sequences:
        filling = s.new_full((longest - s._data.shape[0], *s._data.shape[1:]), padding_value)
        full.append(cat([filling, s] if padding_side == "left" else [s, filling]))
    return stack(full, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences that :func:`pad_sequence` padded on the right."""
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(x.unbind(0), lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences ``(length, *)``; see :func:`pack_padded_sequence`."""
    lengths = [s._data.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
