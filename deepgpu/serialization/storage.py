"""PyTorch's storages: the flat memory that one or more strided tensors see."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.backends.base import Backend
from deepgpu.tensor import Tensor, wrap

# The class that stands for a dtype in PyTorch's pickles.
CLASSES = {
    dtypes.float16: "HalfStorage",
    dtypes.bfloat16: "BFloat16Storage",
    dtypes.float32: "FloatStorage",
    dtypes.float64: "DoubleStorage",
    dtypes.int8: "CharStorage",
    dtypes.int16: "ShortStorage",
    dtypes.int32: "IntStorage",
    dtypes.int64: "LongStorage",
    dtypes.uint8: "ByteStorage",
    dtypes.bool: "BoolStorage",
}
DTYPES = {name: dtype for dtype, name in CLASSES.items()}


class Storage:
    """Flat memory of one dtype on one device.

    Attributes
    ----------
    flat
        A 1-d array.
    """

    def __init__(self, flat: Any, backend: Backend) -> None:
        self.flat = flat
        self.backend = backend
        self._first: Tensor | None = None

    def view(self, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
        """The tensor that sees this memory so; all numbers count elements.

        Raises
        ------
        ValueError
            If it would reach outside of the memory.
        """
        numbers = (offset, *shape, *strides)
        if len(shape) != len(strides) or not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise ValueError(f"no tensor has offset {offset}, shape {shape} and strides {strides}")
        size = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if offset + size > self.flat.size:
            raise ValueError(
                f"a tensor of shape {shape} and strides {strides} at offset {offset} reaches outside of its storage of "
                f"{self.flat.size} elements"
            )
        part = self.flat[offset : offset + size]
        steps = tuple([s * part.itemsize for s in strides])
        if size:
            array = self.backend.xp.lib.stride_tricks.as_strided(part, shape, steps)
        else:
            array = part.reshape(shape)
        t = wrap(array, self.backend)
        if self._first is None:
            self._first = t
        else:
            t._version = self._first._shared_version()
        return t


def _root(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory of a view."""
    while True:
        base: Any = array.base
        if not isinstance(base, np.ndarray):
            base = getattr(base, "base", None)  # `as_strided` puts an object of its own in between
        if not isinstance(base, np.ndarray) or base.dtype != array.dtype:
            return array
        array = base


def _dense(array: np.ndarray) -> bool:
    """Whether the elements fill their memory without gaps, in whatever order of the dimensions."""
    expected = array.itemsize
    for stride, n in sorted(zip(array.strides, array.shape, strict=True)):
        if n != 1:
            if stride != expected:
                return False
            expected *= n
    return True


class Layout:
    """Where a tensor lies: in which memory, at which offset, with which strides, counted in elements."""

    def __init__(self, flat: np.ndarray, offset: int, strides: tuple[int, ...], owner: int) -> None:
        self.flat = flat
        self.offset = offset
        self.strides = strides
        self.owner = owner  # equal for tensors that share memory


def layouts(tensors: list[Tensor]) -> list[Layout]:
    """How to write tensors so that those that share memory will share it again.

    Only what tensors see is written, except that a memory with several tensors in it is written whole.
    """
    arrays = [t._backend.to_numpy(t._data) for t in tensors]
    roots = [_root(a) for a in arrays]
    holders: dict[int, int] = {}
    for root in roots:
        holders[id(root)] = holders.get(id(root), 0) + 1
    found = []
    for i, (array, root) in enumerate(zip(arrays, roots, strict=True)):
        shared = holders[id(root)] > 1 and _dense(root) and min(array.strides, default=0) >= 0
        if not shared:
            root = array if _dense(array) else np.ascontiguousarray(array)
            array = root
        offset = (array.ctypes.data - root.ctypes.data) // array.itemsize if array.size else 0
        strides = tuple([s // array.itemsize for s in array.strides])
        found.append(Layout(root.ravel(order="K"), offset, strides, id(root) if shared else -1 - i))
    return found
