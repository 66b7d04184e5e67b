"""Reading the pickles in PyTorch's files: tensors and plain containers come out, code never runs."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any

from deepgpu import dtypes
from deepgpu.serialization.errors import CorruptFileError, UnsafeFileError
from deepgpu.serialization.storage import DTYPES, Storage
from deepgpu.tensor import Tensor

StorageLoader = Callable[[dtypes.dtype, str, str, int], Storage]  # of dtype, key, location, number of elements


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, requires_grad: bool = False, *_: Any) -> Tensor:
    return storage.view(offset, tuple(shape), tuple(strides)).requires_grad_(bool(requires_grad))


def _parameter(data: Tensor, requires_grad: bool, *_: Any) -> Tensor:
    from deepgpu.nn.parameter import Parameter

    return Parameter(data, requires_grad)


_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}


class Unpickler(pickle.Unpickler):
    """Knows the functions that rebuild tensors and parameters, the storage classes and OrderedDict, nothing else.

    A pickle can call whatever ``find_class`` returns, and set attributes of it: each function is therefore handed out
    in a fresh wrapper, and OrderedDict is immutable.
    """

    def __init__(self, file: IO[bytes], name: str, storage: StorageLoader) -> None:
        super().__init__(file, encoding="utf-8")
        self._name = name
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """What a global in the pickle stands for."""
        function = _FUNCTIONS.get((module, name))
        if function is not None:
            return lambda *args: function(*args)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in DTYPES:
            return ("storage class", name)
        raise UnsafeFileError(
            f"`load`: {self._name} asks for `{module}.{name}`, which is refused: only tensors, dicts, lists, tuples, "
            "numbers and strings are read (weights only), since anything else could run code from the file. Save the "
            "state dict alone, `torch.save(model.state_dict(), path)`"
        )

    def persistent_load(self, pid: Any) -> Storage:
        """The storage that a tensor in the pickle refers to."""
        kind, (_, class_name), key, location, size = pid[:5]
        if kind != "storage" or (len(pid) > 5 and pid[5] is not None):
            raise ValueError(f"unknown reference {pid!r}")
        return self._storage(DTYPES[class_name], str(key), str(location), int(size))


def unpickle(file: IO[bytes], name: str, storage: StorageLoader) -> Any:
    """The next object in a pickle.

    Parameters
    ----------
    name
        The file's name, for error messages.
    storage
        Gives the memory of a storage by dtype, key, location and number of elements.

    Raises
    ------
    UnsafeFileError
        If it holds anything but tensors, containers, numbers and strings.
    CorruptFileError
        If it is no whole pickle.
    """
    try:
        return Unpickler(file, name, storage).load()
    except (UnsafeFileError, CorruptFileError, MemoryError):
        raise
    except Exception as error:  # damaged bytes can make the unpickler fail in any way
        what = f"{type(error).__name__}: {error}"
        raise CorruptFileError(f"`load`: {name} is truncated or damaged ({what})") from error
