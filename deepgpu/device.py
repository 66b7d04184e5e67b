"""Where a tensor lives: ``device("cpu")``, ``device("cuda")``, ``device("cuda:1")``."""

from __future__ import annotations

from typing import Any

from deepgpu.backends import registry
from deepgpu.backends.base import Backend

_TYPES = ("cpu", "cuda")


class device:
    """A device by type and index.

    Parameters
    ----------
    type
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, another device, or an int (that CUDA device).
    index
        The index, if ``type`` does not name it.

    Raises
    ------
    RuntimeError
        If the string names no device type. Whether the device exists is checked when a tensor is put there.
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index if index is None else index
        elif isinstance(type, int):
            type, index = "cuda", type
        elif ":" in type:
            if index is not None:
                raise RuntimeError(f"`device`: `type` {type!r} names an index already, but `index` is {index}")
            type, _, text = type.partition(":")
            if not text.isdigit():
                raise RuntimeError(f"`device`: `type` takes 'cpu', 'cuda' or 'cuda:<index>', but got '{type}:{text}'")
            index = int(text)
        if type not in _TYPES:
            raise RuntimeError(f"`device`: `type` takes 'cpu', 'cuda' or 'cuda:<index>', but got {type!r}")
        self.type = type
        self.index = index

    @property
    def backend(self) -> Backend:
        """What computes on this device; raises if the machine has no such device."""
        return registry.get(self.type, self.index)

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (str(self),)


CPU = device("cpu")


def of_backend(backend: Backend) -> device:
    """The device a backend computes on."""
    return CPU if backend.type == "cpu" else device(backend.type, backend.index)
