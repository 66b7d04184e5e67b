"""A batch that a data set has put together itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from deepgpu.tensor import Tensor


class Samples(Sequence[Any]):
    """The samples of a batch, collated already: what a fast ``__getitems__`` returns.

    To any ``collate_fn`` it is the sequence of samples that PyTorch would hand it; :func:`default_collate` takes the
    tensors as they are.

    Parameters
    ----------
    *fields
        One tensor for each field of a sample, with dimension 0 for the samples.
    numbers
        Whether a field of one dimension (labels) gives a single sample a Python number rather than a 0-d tensor.
    """

    def __init__(self, *fields: Tensor, numbers: bool = False) -> None:
        self.fields = fields
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.fields[0])

    @overload
    def __getitem__(self, index: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Samples(*(f[index] for f in self.fields), numbers=self.numbers)
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return tuple(f[index].item() if self.numbers and f.ndim == 1 else f[index] for f in self.fields)

    def collated(self) -> list[Tensor]:
        """What :func:`default_collate` makes of the samples: the fields."""
        return list(self.fields)
