"""What a module owns: :class:`Parameter`, which is trained, and :class:`Buffer`, which is only kept.

Either may be uninitialized at first: without a shape, until the module knows its input.
"""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.ops.creation import empty
from deepgpu.tensor import Size, Tensor


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


class UninitializedTensorMixin(Tensor):
    """A tensor with a device and a dtype, but without shape and values: nothing can be computed with it yet."""

    cls_to_become: type[Tensor]

    def _leave_open(self, requires_grad: bool, device: Any, dtype: dtypes.dtype | None) -> None:
        self.data = empty(0, device=device, dtype=dtype)
        self.requires_grad = requires_grad

    def materialize(self, shape: Any, device: Any = None, dtype: dtypes.dtype | None = None) -> None:
        """Become a tensor of this shape, with any values.

        Parameters
        ----------
        shape
            Its sizes.
        device, dtype
            By default those it has.
        """
        made = empty(tuple(shape), device=device or self.device, dtype=dtype or self.dtype)
        del self._nothing
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        self._data, self._backend = made._data, made._backend

    @property
    def data(self) -> Tensor:
        """An empty tensor of the device and dtype; another one that is assigned changes them."""
        return self._nothing

    @data.setter
    def data(self, value: Tensor) -> None:
        self._nothing = value
        self._backend = value._backend

    @property
    def dtype(self) -> dtypes.dtype:
        """The element type that there will be."""
        return self._nothing.dtype

    @property
    def shape(self) -> Size:
        """Not known yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` "
            "to initialize the parameters before accessing their attributes."
        )

    def __getattr__(self, name: str) -> Any:
        if name != "_data":
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        raise ValueError(
            f"Attempted to use an uninitialized {self.cls_to_become.__name__.lower()}, a {type(self).__name__}. Call "
            "the lazy module that it belongs to with a dummy batch before anything is computed with its parameters."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = memo.get(id(self))
        if made is None:
            made = memo[id(self)] = _open(type(self), self.requires_grad, str(self.device), self.dtype)
        return made

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _open, (type(self), self.requires_grad, str(self.device), self.dtype)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is not known yet; see :class:`~deepgpu.nn.modules.lazy.LazyModuleMixin`.

    Parameters
    ----------
    requires_grad
        Whether it will be trained.
    device, dtype
        What it will have.
    """

    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: dtypes.dtype | None = None) -> None:
        self._leave_open(requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A buffer whose shape is not known yet; see :class:`~deepgpu.nn.modules.lazy.LazyModuleMixin`.

    Parameters
    ----------
    requires_grad
        Whether it will require grad.
    device, dtype
        What it will have.
    persistent
        Whether it is part of the module's ``state_dict``.
    """

    cls_to_become = Tensor

    def __init__(
        self,
        requires_grad: bool = False,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
        persistent: bool = True,
    ) -> None:
        self._leave_open(requires_grad, device, dtype)
        self.persistent = persistent


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer is uninitialized."""
    return isinstance(param, UninitializedTensorMixin)


def _open(cls: type[Any], requires_grad: bool, device: str, dtype: dtypes.dtype) -> Any:
    return cls(requires_grad, device, dtype)


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
