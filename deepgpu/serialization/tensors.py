"""``.safetensors``: named tensors and strings in one file, nothing that could run (huggingface.co/docs/safetensors)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.device import CPU, device as as_device
from deepgpu.errors import takes
from deepgpu.serialization.atomic import replacing
from deepgpu.serialization.errors import CorruptFileError
from deepgpu.tensor import Tensor, wrap


def save_tensors(
    tensors: Mapping[str, Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a ``.safetensors`` file, atomically.

    Parameters
    ----------
    tensors
        By name. Each is written contiguously; memory that tensors share is written once for each.
    metadata
        Strings to keep in the file's header.

    Raises
    ------
    TypeError
        If a name is no string or a value no tensor.
    OSError
        If the file cannot be written; what was there before stays.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {}
    for name, t in tensors.items():
        if not isinstance(name, str) or not isinstance(t, Tensor):
            kind = f"{name!r}: {type(t).__name__}"
            raise TypeError(
                takes("save", "obj", "a dict of tensors by name for a .safetensors file", kind)
                + "; a .pt file holds nested lists, dicts, numbers and strings too"
            )
        arrays[name] = np.ascontiguousarray(t._backend.to_numpy(t._data)).reshape(t._data.shape)
    with replacing(path) as temporary:
        try:
            save_file(arrays, temporary, dict(metadata) if metadata else None)
        except SafetensorError as error:
            raise _os_error(error, path) from None


def _os_error(error: Exception, path: Any) -> Exception:
    """The library reports the system's errors in its message only."""
    found = re.search(r"os error (\d+)", str(error))
    if found is None:
        return error
    number = int(found[1])
    return OSError(number, os.strerror(number), str(path))


def load_tensors(path: str | os.PathLike[str], device: Any = "cpu") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a ``.safetensors`` file.

    Parameters
    ----------
    device
        Where the tensors go.

    Returns
    -------
    tensors, metadata

    Raises
    ------
    CorruptFileError
        If the file is truncated or damaged, or holds a dtype that there are no tensors of.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"`load`: there is no file {path}")
    backend = as_device(device).backend
    tensors = {}
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118 (it is no dict)
                array = np.array(file.get_tensor(name))  # a copy that owns its memory: the file may change
                dtypes.from_numpy(array.dtype)
                tensors[name] = wrap(array if backend is CPU.backend else backend.from_numpy(array), backend)
    except (SafetensorError, TypeError) as error:
        raise CorruptFileError(f"`load`: {path} is truncated, damaged or no .safetensors file: {error}") from None
    return tensors, metadata
