"""Memory layout: ``clone``, ``contiguous``, memory formats.

A memory format says in which order the dimensions of an (N, C, H, W) tensor lie in memory; its logical shape stays.
"""

from __future__ import annotations

from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, method


class memory_format(str):
    """``contiguous_format``, ``channels_last`` or ``preserve_format``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"deepgpu.{self!s}"


contiguous_format = memory_format("contiguous_format")
channels_last = memory_format("channels_last")
preserve_format = memory_format("preserve_format")


class Clone(Node):
    """A copy in new memory, in a given format."""

    def __init__(self, format: str) -> None:
        self.format = format

    def forward(self, x: Any) -> Any:
        if self.format is channels_last:
            return self._copy(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        return self._copy(x) if self.format is contiguous_format else x.copy(order="K")

    def _copy(self, x: Any) -> Any:
        """In C order."""
        return x.copy() if x.flags.c_contiguous else self.backend.contiguous(x)

    def backward(self, g: Tensor) -> Tensor:
        return g


@op(method=True)
def clone(input: Tensor, *, memory_format: str = preserve_format) -> Tensor:
    """A copy in new memory, with gradients flowing back to the original."""
    _check_format(input, memory_format, "clone")
    return Clone(memory_format)(input)


@op(method=True)
def contiguous(input: Tensor, memory_format: str = contiguous_format) -> Tensor:
    """The tensor laid out in ``memory_format``; itself if it is already."""
    _check_format(input, memory_format, "contiguous")
    return input if is_contiguous(input, memory_format) else Clone(memory_format)(input)


@method
def is_contiguous(input: Tensor, memory_format: str = contiguous_format) -> bool:
    """Whether the elements lie in memory in the order of ``memory_format``, without gaps."""
    if memory_format is channels_last:
        return input._data.ndim == 4 and bool(input._data.transpose(0, 2, 3, 1).flags.c_contiguous)
    return bool(input._data.flags.c_contiguous)


def _check_format(input: Tensor, format: str, name: str) -> None:
    if format is channels_last and input._data.ndim != 4:
        expected = "a 4-d tensor (N, C, H, W) for channels_last"
        raise RuntimeError(takes(name, "input", expected, f"shape {tuple(input.shape)}"))
