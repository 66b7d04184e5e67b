"""The tensor: one strided array on one device, with its place in the autograd graph.

This module knows nothing of ops or autograd: the class holds the data and says what it is. Every op and operator is
attached by the module that defines it (see :func:`method`), so that ``x.relu()`` and ``relu(x)`` are one function.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy import generic

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import enable_grad, state
from deepgpu.backends.base import Backend
from deepgpu.device import device as as_device, of_backend
from deepgpu.version import Version

F = TypeVar("F", bound=Callable[..., Any])


class View:
    """How a tensor is seen through another: replaying ``chain`` on ``base`` makes the view again."""

    __slots__ = ("chain", "seen", "source")

    def __init__(self, base: Tensor, chain: tuple[Callable[[Tensor], Tensor], ...], seen: int) -> None:
        self.source = base
        self.chain = chain
        self.seen = seen  # the version at which the view's node was right

    @property
    def base(self) -> Tensor:
        """The tensor that it is a view of; the source as it was, if ``t_`` or the like changed its shape."""
        source = self.source
        return source if source._view is None else source._view.base

    def replay(self, base: Tensor) -> Tensor:
        """The view of another tensor that this is of ``base``."""
        for step in self.chain:
            base = step(base)
        return base


class Tensor:
    """A multi-dimensional array with gradients.

    Make one with :func:`deepgpu.tensor`, :func:`deepgpu.zeros`, :func:`deepgpu.randn`, ...; ``Tensor(2, 3)`` is an
    uninitialised float32 tensor and ``Tensor([1, 2])`` one with these values, as in PyTorch.

    Attributes
    ----------
    grad
        The gradient accumulated by ``backward``, a tensor or None.
    requires_grad
        Whether ops on the tensor are recorded.
    """

    # Defaults of the class, so that making a tensor only sets what differs.
    _data: Any
    _backend: Backend
    _node: Any = None  # the node that made it
    _output = 0  # which of that function's outputs it is
    _version: Version | None = None  # None until the memory is shared or modified
    _view: View | None = None
    _hooks: dict[int, Callable[..., Any]] | None = None  # of a leaf; a node keeps those of its outputs
    _post_hooks: dict[int, Callable[..., Any]] | None = None
    _retains_grad = False
    _inference = False
    grad: Tensor | None = None
    requires_grad: bool = False
    name: str | None = None

    __array_priority__ = 1000  # numpy_array * tensor is the tensor's business

    def __init__(self, *data: Any, device: Any = None) -> None:
        backend = as_device(device or "cpu").backend
        if len(data) == 1 and not isinstance(data[0], int):
            source = data[0].numpy() if isinstance(data[0], Tensor) else data[0]
            array = np.array(source, dtype=dtypes.get_default_dtype().numpy)
        else:
            array = np.zeros(data or (0,), dtype=dtypes.get_default_dtype().numpy)
        self._data = backend.from_numpy(array)
        self._backend = backend

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def _form(self) -> Any:
        """What has the shape, ndim and dtype: the array, or the recipe of one that is yet to be computed."""
        return self._data

    @property
    def shape(self) -> Size:
        """The sizes of all dimensions."""
        return Size(self._data.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    @property
    def dtype(self) -> dtypes.dtype:
        """The element type."""
        return dtypes.from_numpy(self._data.dtype)

    @property
    def device(self) -> as_device:
        """Where the data is."""
        return of_backend(self._backend)

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return self._backend.type == "cuda"

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._data.size * self._data.itemsize

    @property
    def layout(self) -> str:
        """Always strided."""
        return "strided"

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of dimension ``dim``."""
        return self.shape if dim is None else self._data.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self._data.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes an element."""
        return self._data.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Elements to step in memory along each dimension, or along ``dim``."""
        strides = tuple([s // self._data.itemsize for s in self._data.strides])
        return strides if dim is None else strides[dim]

    def data_ptr(self) -> int:
        """The address of the first element."""
        self._pin()
        if self._backend.type == "cpu":
            return self._data.ctypes.data
        return self._data.data.ptr

    def is_floating_point(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Never: there are no complex tensors."""
        return False

    def get_device(self) -> int:
        """The index of the GPU, or -1 on the CPU."""
        return -1 if self._backend.index is None else self._backend.index

    # --- its place in the graph -------------------------------------------------------------------------------------

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded op."""
        if self._view is not None:
            self._refresh_view()
        return self._node is None

    @property
    def grad_fn(self) -> Any:
        """The recorded op that made it; None for a leaf."""
        if self._view is not None:
            self._refresh_view()
        return self._node

    @property
    def output_nr(self) -> int:
        """Which output of ``grad_fn`` it is."""
        return self._output

    @property
    def retains_grad(self) -> bool:
        """Whether ``retain_grad`` was called on this non-leaf."""
        return self._retains_grad

    @property
    def is_inference(self) -> Callable[[], bool]:
        """Whether it was made under ``inference_mode``."""
        return lambda: self._inference

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set ``requires_grad`` of a leaf, in place."""
        if not requires_grad and not self.is_leaf:
            raise RuntimeError(
                "`requires_grad_`: only a leaf can stop requiring grad; `detach()` gives a tensor outside of the graph"
            )
        if requires_grad and not self.dtype.is_floating_point:
            raise RuntimeError(f"`requires_grad_`: only floating-point tensors can require grad, not {self.dtype}")
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """The same memory, outside of the graph."""
        t = wrap(self._data, self._backend)
        t._version = self._shared_version()
        return t

    @property
    def data(self) -> Tensor:
        """The same memory, outside of the graph; modifying it is not noticed by autograd."""
        t = wrap(self._data, self._backend)
        t._version = Version(self._shared_version().memory)
        return t

    @data.setter
    def data(self, value: Tensor) -> None:
        self._data = value._data
        self._backend = value._backend
        version = Version(value._shared_version().memory)  # views of what was there before keep the old one
        version.count = 0 if self._version is None else self._version.count
        self._version = version

    # --- versions and views -----------------------------------------------------------------------------------------

    def _shared_version(self) -> Version:
        """The version counter, made now if need be, for another holder of this memory."""
        if self._version is None:
            self._version = Version()
        return self._version

    def _pin(self) -> None:
        """Note that the memory may be written to from outside, unnoticed."""
        memory = self._shared_version().memory
        memory.settle()
        memory.pinned = True

    def _kept(self) -> dict[Any, Any] | None:
        """Room for what is made of the values, until they change; None where that may happen unnoticed."""
        memory = self._shared_version().memory
        if memory.pinned:
            return None
        if memory.kept is None or memory.kept[0] is not self._data:
            memory.kept = self._data, {}
        return memory.kept[1]

    def _modified(self) -> None:
        """Count a modification; to be called before it."""
        version = self._shared_version()
        version.settle()
        version.count += 1

    @property
    def version(self) -> int:
        """How often the memory was modified in place."""
        return 0 if self._version is None else self._version.count

    def _become_view(self, source: Tensor, step: Callable[[Tensor], Tensor] | None) -> None:
        """Record that this tensor is ``step(source)`` on the same memory."""
        version = self._version = source._shared_version()
        if step is None:
            return  # without recording, a view is only another holder of the memory
        if source._view is None:
            self._view = View(source, (step,), version.count)
        else:
            self._view = View(source._view.base, (*source._view.chain, step), version.count)

    def _refresh_view(self) -> None:
        """If the base was modified since, its history is the view's too."""
        view, version = self._view, self._version
        assert view is not None
        assert version is not None
        if view.seen == version.count:
            return
        view.seen = version.count
        if view.base.requires_grad:
            with enable_grad():
                again = view.replay(view.base)
            self._node, self._output, self.requires_grad = again._node, again._output, again.requires_grad

    @property
    def _base(self) -> Tensor | None:
        return None if self._view is None else self._view.base

    def is_shared_view(self) -> bool:
        """Whether it is a view of another tensor."""
        return self._view is not None

    # --- Python and NumPy -------------------------------------------------------------------------------------------

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(f"`item`: a tensor with {self._data.size} elements cannot be converted to a number")
        value = self._backend.to_numpy(self._data).reshape(()).item()
        return float(value) if self.dtype.is_floating_point else value

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        array = self._backend.to_numpy(self._data)
        return (array.astype(np.float32) if self.dtype is dtypes.bfloat16 else array).tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The data as a NumPy array that shares memory with this CPU tensor.

        Parameters
        ----------
        force
            Detach and copy to the CPU first where needed.

        Raises
        ------
        RuntimeError
            If the tensor requires grad, outside of `no_grad`.
        TypeError
            If it is not on the CPU.
        """
        if not force:
            if self.requires_grad and state.enabled:
                raise RuntimeError("`numpy`: the tensor requires grad; use `x.detach().numpy()`")
            if self._backend.type != "cpu":
                raise TypeError(f"`numpy`: the tensor is on {self.device}; copy it first: `x.cpu().numpy()`")
        self._pin()
        return self._backend.to_numpy(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self.requires_grad:
            raise BufferError("`__dlpack__`: the tensor requires grad; use `x.detach()`")
        self._pin()
        return self._data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self._data.__dlpack_device__()

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("a 0-d tensor has no len()")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self._data.ndim == 0:
            raise TypeError("a 0-d tensor cannot be iterated over")
        return iter([self[i] for i in range(self._data.shape[0])])

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise RuntimeError(
                f"the truth of a tensor with {self._data.size} elements is ambiguous; use `.any()` or `.all()`"
            )
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self.dtype.is_floating_point or self._data.size != 1:
            raise TypeError("only a tensor with one integer can be used as an index")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self._data.ndim == 0 else str(self), spec)

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    __hash__ = object.__hash__  # by identity, as in PyTorch, although `==` compares the elements

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "`deepcopy`: only leaf tensors can be copied with their attributes; use `x.detach().clone()`"
            )
        made = memo.get(id(self))
        if made is None:
            made = type(self).__new__(type(self))
            memo[id(self)] = made
            made.__dict__.update(copy.deepcopy({k: v for k, v in self.__dict__.items() if k not in _NOT_COPIED}, memo))
            made._data = self._data.copy(order="K")
            made._backend = self._backend
        return made

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        extra = {k: v for k, v in self.__dict__.items() if k not in _NOT_COPIED}
        if not self.is_leaf:
            raise RuntimeError("`pickle`: only leaf tensors can be pickled; use `x.detach()`")
        return _rebuild, (type(self), self._backend.to_numpy(self._data), str(self.device), extra)

    if TYPE_CHECKING:  # what the ops attach

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]


_NOT_COPIED = {"_data", "_backend", "_node", "_output", "_version", "_view", "_hooks", "_post_hooks"}


class Size(tuple):
    """A shape: a tuple of ints that prints as ``deepgpu.Size([2, 3])``."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        n = 1
        for s in self:
            n *= s
        return n

    def __repr__(self) -> str:
        return f"deepgpu.Size({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size(tuple(self) + tuple(other))


def wrap(array: Any, backend: Backend) -> Tensor:
    """A tensor around a raw array (or around the scalar that NumPy's ufuncs return for 0-d arguments)."""
    if isinstance(array, generic):
        array = np.asarray(array)
    t = Tensor.__new__(Tensor)
    t._data = array
    t._backend = backend
    if state.inference:
        t._inference = True
    return t


def method(function: F | None = None, *, name: str | None = None) -> Any:
    """Attach a function of a tensor to :class:`Tensor`, under its own name or another."""
    if function is None:
        return lambda f: method(f, name=name)
    setattr(Tensor, name or function.__name__, function)
    return function


def _rebuild(cls: type[Tensor], array: np.ndarray, device: str, extra: dict[str, Any]) -> Tensor:
    t = cls.__new__(cls)
    t._backend = as_device(device).backend
    t._data = t._backend.from_numpy(array)
    t.__dict__.update(extra)
    return t
