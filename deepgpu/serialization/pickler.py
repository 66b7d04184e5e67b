"""Writing the pickles in PyTorch's files, which name PyTorch's functions, without importing PyTorch.

Protocol 2 has all that is needed; ``pickletools`` in the standard library documents the opcodes.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from typing import Any

import numpy as np

from deepgpu.errors import takes
from deepgpu.serialization.storage import CLASSES, Layout, layouts
from deepgpu.tensor import Tensor


class Pickler:
    """One pickle of containers, numbers, strings and tensors.

    Attributes
    ----------
    storages
        The flat arrays that the pickled tensors refer to by their position here.
    """

    def __init__(self) -> None:
        self.storages: list[np.ndarray] = []
        self._keys: dict[int, int] = {}  # owner of a memory -> position in storages
        self._memo: dict[int, int] = {}  # id of an object -> its number
        self._layouts: dict[int, Layout] = {}
        self._out = bytearray()

    def dumps(self, obj: Any) -> bytes:
        """The pickle of ``obj``.

        Raises
        ------
        TypeError
            If it holds something else; the message says where.
        """
        tensors: dict[int, Tensor] = {}
        _collect(obj, tensors, set())
        self._layouts = dict(zip(tensors, layouts(list(tensors.values())), strict=True))
        self._out = bytearray(pickle.PROTO + b"\x02")
        self._write(obj, "obj")
        return bytes(self._out + pickle.STOP)

    def _write(self, obj: Any, path: str) -> None:
        if id(obj) in self._memo:
            self._out += pickle.LONG_BINGET + struct.pack("<I", self._memo[id(obj)])
        elif obj is None:
            self._out += pickle.NONE
        elif isinstance(obj, (bool, np.bool_)):
            self._out += pickle.NEWTRUE if obj else pickle.NEWFALSE
        elif isinstance(obj, (int, np.integer)):
            self._integer(int(obj))
        elif isinstance(obj, (float, np.floating)):
            self._out += pickle.BINFLOAT + struct.pack(">d", obj)
        elif isinstance(obj, str):
            text = obj.encode("utf-8", "surrogatepass")
            self._out += pickle.BINUNICODE + struct.pack("<I", len(text)) + text
        elif isinstance(obj, Tensor):
            self._tensor(obj)
        elif isinstance(obj, dict):
            self._dict(obj, path)
        elif isinstance(obj, list):
            self._out += pickle.EMPTY_LIST
            self._remember(obj)
            self._out += pickle.MARK
            for i, value in enumerate(obj):
                self._write(value, f"{path}[{i}]")
            self._out += pickle.APPENDS
        elif isinstance(obj, tuple):
            self._out += pickle.MARK
            for i, value in enumerate(obj):
                self._write(value, f"{path}[{i}]")
            self._out += pickle.TUPLE
        else:
            expected = "tensors, dicts, lists, tuples, numbers, strings and None"
            hint = "; wrap it with `from_numpy`" if isinstance(obj, np.ndarray) else ""
            raise TypeError(takes("save", path, expected, f"{type(obj).__module__}.{type(obj).__name__}") + hint)

    def _remember(self, obj: Any) -> None:
        """Later occurrences refer to this one; a container is remembered before its content, which may refer to it."""
        number = self._memo[id(obj)] = len(self._memo)
        self._out += pickle.LONG_BINPUT + struct.pack("<I", number)

    def _integer(self, n: int) -> None:
        if -(2**31) <= n < 2**31:
            self._out += pickle.BININT + struct.pack("<i", n)
        else:
            data = pickle.encode_long(n)
            if len(data) > 255:
                raise TypeError(takes("save", "obj", "integers of at most 2039 bits", f"one of {n.bit_length()} bits"))
            self._out += pickle.LONG1 + bytes([len(data)]) + data

    def _global(self, module: str, name: str) -> None:
        self._out += pickle.GLOBAL + f"{module}\n{name}\n".encode()

    def _dict(self, obj: dict[Any, Any], path: str) -> None:
        ordered = isinstance(obj, OrderedDict)
        if ordered:
            self._global("collections", "OrderedDict")
            self._out += pickle.EMPTY_TUPLE + pickle.REDUCE
        else:
            self._out += pickle.EMPTY_DICT
        self._remember(obj)
        self._out += pickle.MARK
        for key, value in obj.items():
            self._write(key, f"{path} key")
            self._write(value, f"{path}[{key!r}]")
        self._out += pickle.SETITEMS
        if ordered and vars(obj):  # a state dict's `_metadata`
            self._dict(vars(obj), f"{path}.__dict__")
            self._out += pickle.BUILD

    def _tensor(self, t: Tensor) -> None:
        from deepgpu.nn.parameter import Parameter

        parameter = isinstance(t, Parameter)
        if parameter:
            self._global("torch._utils", "_rebuild_parameter")
            self._out += pickle.MARK
        self._global("torch._utils", "_rebuild_tensor_v2")
        self._out += pickle.MARK
        layout = self._layouts[id(t)]
        if layout.owner not in self._keys:
            self._keys[layout.owner] = len(self.storages)
            self.storages.append(layout.flat)
        self._out += pickle.MARK
        self._write("storage", "")
        self._global("torch", CLASSES[t.dtype])
        for item in (str(self._keys[layout.owner]), str(t.device), layout.flat.size):
            self._write(item, "")
        self._out += pickle.TUPLE + pickle.BINPERSID
        self._write(layout.offset, "")
        self._write(tuple(t.shape), "")
        self._write(layout.strides, "")
        self._write(t.requires_grad and t.is_leaf and not parameter, "")
        self._no_hooks()
        self._out += pickle.TUPLE + pickle.REDUCE
        if parameter:
            self._write(t.requires_grad, "")
            self._no_hooks()
            self._out += pickle.TUPLE + pickle.REDUCE
        self._remember(t)

    def _no_hooks(self) -> None:
        self._global("collections", "OrderedDict")
        self._out += pickle.EMPTY_TUPLE + pickle.REDUCE


def _collect(obj: Any, tensors: dict[int, Tensor], seen: set[int]) -> None:
    """All tensors in nested containers, each once, in order."""
    if isinstance(obj, Tensor):
        tensors.setdefault(id(obj), obj)
    elif isinstance(obj, (dict, list, tuple)) and id(obj) not in seen:
        seen.add(id(obj))
        for value in obj.values() if isinstance(obj, dict) else obj:
            _collect(value, tensors, seen)
