"""PyTorch's two formats of ``.pt`` and ``.pth`` files: the zip archive, and the pickles in a row before 1.6."""

from __future__ import annotations

import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from deepgpu import dtypes
from deepgpu.backends.base import Backend
from deepgpu.serialization.errors import CorruptFileError
from deepgpu.serialization.pickler import Pickler
from deepgpu.serialization.storage import Storage
from deepgpu.serialization.unpickle import unpickle

Place = Callable[[str], Backend]  # which backend takes what was saved at a location such as "cuda:0"

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


def write_zip(obj: Any, file: IO[bytes]) -> None:
    """Write ``obj`` as ``torch.save`` would."""
    pickler = Pickler()
    data = pickler.dumps(obj)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _record(archive, "data.pkl", data)
        _record(archive, "byteorder", sys.byteorder.encode())
        for key, flat in enumerate(pickler.storages):
            _record(archive, f"data/{key}", memoryview(np.ascontiguousarray(flat).view(np.uint8).data))
        _record(archive, "version", b"3\n")


def _record(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    with archive.open(zipfile.ZipInfo(f"archive/{name}"), "w", force_zip64=len(data) > 2**30) as record:
        record.write(data)


def read_zip(file: IO[bytes], name: str, place: Place) -> Any:
    """Read what ``torch.save`` wrote.

    Parameters
    ----------
    name
        The file's name, for error messages.
    place
        Where storages go, by the device they were saved from.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _read_archive(archive, name, place)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise CorruptFileError(f"`load`: {name} is truncated or damaged ({error})") from None


def _read_archive(archive: zipfile.ZipFile, name: str, place: Place) -> Any:
    names = set(archive.namelist())
    roots = [n[: -len("data.pkl")] for n in names if n.endswith("/data.pkl") and n.count("/") == 1]
    if len(roots) != 1:
        raise CorruptFileError(f"`load`: {name} is a zip file, but not one that torch.save wrote (it has no data.pkl)")
    root = roots[0]
    if f"{root}constants.pkl" in names:
        raise CorruptFileError(
            f"`load`: {name} is a TorchScript program, not weights; save its weights instead: "
            "`torch.save(program.state_dict(), path)`"
        )
    swapped = f"{root}byteorder" in names and archive.read(f"{root}byteorder").decode() != sys.byteorder
    storages: dict[str, Storage] = {}

    def load(dtype: dtypes.dtype, key: str, location: str, size: int) -> Storage:
        if key not in storages:
            record = f"{root}data/{key}"
            if record not in names:
                raise CorruptFileError(f"`load`: {name} is damaged: the storage {record} is missing")
            data = bytearray(archive.read(record))
            storages[key] = _storage(data, dtype, size, swapped, place(location), name)
        return storages[key]

    with archive.open(f"{root}data.pkl") as file:
        return unpickle(file, name, load)


def _storage(data: Any, dtype: dtypes.dtype, size: int, swapped: bool, backend: Backend, name: str) -> Storage:
    if len(data) < size * dtype.itemsize:
        raise CorruptFileError(
            f"`load`: {name} is truncated: a storage of {size} {dtype.name} elements has only {len(data)} bytes"
        )
    flat = np.frombuffer(data, dtype.numpy, size)
    return Storage(backend.from_numpy(flat.byteswap() if swapped else flat), backend)


def read_legacy(file: IO[bytes], name: str, place: Place) -> Any:
    """Read what ``torch.save`` wrote before version 1.6: pickles in a row, then the storages' bytes."""
    storages: dict[str, tuple[Storage, dtypes.dtype]] = {}
    start = file.tell()
    length = file.seek(0, os.SEEK_END) - start
    file.seek(start)

    def load(dtype: dtypes.dtype, key: str, location: str, size: int) -> Storage:
        if key not in storages:
            if not 0 <= size * dtype.itemsize <= length:
                raise CorruptFileError(
                    f"`load`: {name} is truncated or damaged: {length} bytes, {size} elements in one storage"
                )
            backend = place(location)
            storages[key] = Storage(backend.xp.empty(size, dtype.numpy), backend), dtype
        return storages[key][0]

    def none(*_: Any) -> Storage:
        raise ValueError("a storage outside of the saved object")

    if unpickle(file, name, none) != LEGACY_MAGIC or unpickle(file, name, none) != LEGACY_PROTOCOL:
        raise CorruptFileError(f"`load`: {name} is no file of tensors (.safetensors, .pt or .pth)")
    system = unpickle(file, name, none)
    swapped = isinstance(system, dict) and system.get("little_endian") != (sys.byteorder == "little")
    obj = unpickle(file, name, load)
    keys = unpickle(file, name, none)
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise CorruptFileError(f"`load`: {name} is damaged: its list of storages does not fit its tensors")
    for key in keys:
        storage, dtype = storages[key]
        size = storage.flat.size
        data = bytearray(file.read(8 + size * dtype.itemsize))
        if len(data) < 8 + size * dtype.itemsize or struct.unpack_from("<q", data)[0] != size:
            raise CorruptFileError(f"`load`: {name} is truncated or damaged: storage {key} is not whole")
        read = np.frombuffer(data, dtype.numpy, size, 8)
        storage.flat[...] = storage.backend.from_numpy(read.byteswap() if swapped else read)
    return obj
