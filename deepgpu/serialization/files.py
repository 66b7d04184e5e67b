"""``save`` and ``load``: which format a path means, and where tensors go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from deepgpu.backends.base import Backend
from deepgpu.device import CPU, device as as_device
from deepgpu.errors import DeviceUnavailableError
from deepgpu.serialization.archive import read_legacy, read_zip, write_zip
from deepgpu.serialization.atomic import replacing
from deepgpu.serialization.errors import CorruptFileError
from deepgpu.serialization.tensors import load_tensors, save_tensors


def save(obj: Any, f: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write tensors to a file.

    Parameters
    ----------
    obj
        A state dict, or nested dicts, lists and tuples of tensors, numbers and strings.
    f
        A path: ``.safetensors`` takes a dict of tensors by name; anything else (``.pt``, ``.pth``) is written in
        PyTorch's format, for ``torch.load`` to read. Or a binary file, in PyTorch's format.

    Raises
    ------
    TypeError
        If ``obj`` holds something else.
    OSError
        If the file cannot be written, for example because the disk is full; the file that was there before stays.

    Notes
    -----
    A path is written atomically: to a temporary file beside it, flushed to disk, then renamed.
    """
    if not isinstance(f, (str, os.PathLike)):
        write_zip(obj, f)
        return
    path = Path(f)
    if path.suffix == ".safetensors":
        if not isinstance(obj, Mapping):
            raise TypeError(
                f"`save`: a .safetensors file takes a dict of tensors by name, but got {type(obj).__name__}; "
                "a .pt file holds any nesting of tensors, numbers and strings"
            )
        save_tensors(obj, path)
        return
    with replacing(path) as temporary, open(temporary, "wb") as file:
        write_zip(obj, file)


def load(f: str | os.PathLike[str] | IO[bytes], map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read tensors from a file written by :func:`save`, by safetensors or by ``torch.save``; its content tells which.

    Parameters
    ----------
    f
        A path, or a binary file that can seek (in one of PyTorch's formats).
    map_location
        Where tensors go: a device; a dict from saved to wanted devices, as strings; by default where they were when
        saved (the CPU for safetensors, which does not say).
    weights_only
        Must be True: nothing is ever run that a file contains.

    Returns
    -------
    Any
        The saved object, a dict of tensors for safetensors.

    Raises
    ------
    UnsafeFileError
        If the file asks for anything but tensors, containers, numbers and strings. It names the global.
    CorruptFileError
        If the file is truncated or damaged, or of another format.
    DeviceUnavailableError
        If tensors were saved on a GPU, there is none here, and ``map_location`` does not say where else.
    """
    if not weights_only:
        raise ValueError("`load`: `weights_only` must be True: code in a file is never run, whoever wrote the file")
    place = _placing(map_location)
    if not isinstance(f, (str, os.PathLike)):
        return _read(f, str(getattr(f, "name", "the file")), place)
    if not Path(f).is_file():
        raise FileNotFoundError(f"`load`: there is no file {f}")
    with open(f, "rb") as file:
        head = file.read(9)
        file.seek(0)
        if Path(f).suffix == ".safetensors" or head[8:] == b"{":
            wanted = map_location.get("cpu") if isinstance(map_location, dict) else map_location
            return load_tensors(f, wanted or CPU)[0]
        return _read(file, str(f), place)


def _read(file: IO[bytes], name: str, place: Any) -> Any:
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    if head == b"PK\x03\x04":
        return read_zip(file, name, place)
    if head[:1] == b"\x80":
        return read_legacy(file, name, place)
    raise CorruptFileError(f"`load`: {name} is no file of tensors (.safetensors, .pt or .pth), or its start is damaged")


def _placing(map_location: Any) -> Any:
    """What says for a saved location which backend takes the data."""
    if callable(map_location):
        raise TypeError("`load`: `map_location` takes a device or a dict of devices, but got a function")

    def place(location: str) -> Backend:
        wanted = location if map_location is None else map_location
        if isinstance(map_location, dict):
            wanted = map_location.get(location, location)
        try:
            return as_device(wanted).backend
        except DeviceUnavailableError as error:
            hint = "" if map_location is not None else '; to read it here: `load(path, map_location="cpu")`'
            raise DeviceUnavailableError(f"`load`: tensors were saved on {location!r}, but {error}{hint}") from None

    return place
