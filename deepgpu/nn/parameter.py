"""What a module owns: :class:`Parameter`, which is trained, and :class:`Buffer`, which is only kept."""

from __future__ import annotations

from typing import Any

from deepgpu.ops.creation import empty
from deepgpu.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that becomes a module's parameter when it is assigned to an attribute of the module.

    Parameters
    ----------
    data
        The values; memory is shared with them.
    requires_grad
        Whether it is trained.

    Raises
    ------
    RuntimeError
        If ``requires_grad`` is set for a tensor that does not hold floating-point numbers.
    """

    requires_grad = True

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        _share(self, empty(0) if data is None else data, "Parameter")
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + repr(_plain(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A copy of the values, without the gradient."""
        return _copied(self, memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.data, self.requires_grad)


class Buffer(Tensor):
    """A tensor that becomes a module's buffer when it is assigned to an attribute of the module.

    Parameters
    ----------
    data
        The values; memory is shared with them.
    persistent
        Whether it is part of the module's ``state_dict``.
    """

    persistent: bool

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        _share(self, empty(0) if data is None else data, "Buffer")
        self.persistent = persistent

    def __repr__(self) -> str:
        return repr(_plain(self))


def _plain(t: Tensor) -> Tensor:
    """The same memory as a tensor of no particular class."""
    plain = t.data
    plain.requires_grad = t.requires_grad
    return plain


def _share(holder: Tensor, data: Tensor, name: str) -> None:
    """Let ``holder`` hold the memory of ``data``."""
    if not isinstance(data, Tensor):
        raise TypeError(f"`{name}`: `data` takes a tensor, but got {type(data).__name__}")
    holder._data, holder._backend = data._data, data._backend
    holder._version = data._shared_version()


def _copied(source: Parameter, memo: dict[int, Any]) -> Parameter:
    made = memo.get(id(source))
    if made is None:
        made = memo[id(source)] = type(source)(source.data.clone(), source.requires_grad)
    return made


def _rebuild(cls: type[Parameter], data: Tensor, requires_grad: bool) -> Parameter:
    return cls(data, requires_grad)
