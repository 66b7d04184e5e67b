"""Global memory as the checks see it: guarded copies of the arguments, allocations that count as unwritten."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import runtime

GUARD = 4096
"""Bytes between two arguments under check: an access that far out of bounds is still seen to be outside."""
DEVICE_ALIGNMENT = 256
"""What ``cudaMalloc`` aligns to; NumPy's arrays are aligned to less."""
POISON = 0xFF
"""The byte that fresh memory holds: NaN in every floating-point format, -1 in integers."""

_fresh: dict[int, tuple[weakref.ref[np.ndarray], np.ndarray]] = {}


def empty(shape: int | Sequence[int], dtype: npt.DTypeLike = np.float32) -> np.ndarray:
    """An array that is uninitialised device memory, as ``cupy.empty`` gives.

    It holds NaN (-1 for integers). In check mode a kernel that reads an element before a kernel, or the host, has
    written it raises InitcheckError.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : data-type, default float32

    Returns
    -------
    numpy.ndarray
    """
    count, kind = int(np.prod(shape)), np.dtype(dtype)
    allocation = np.full(max(1, count * kind.itemsize), POISON, np.uint8)
    address = allocation.ctypes.data
    _fresh[address] = (weakref.ref(allocation, lambda _: _fresh.pop(address, None)), np.zeros_like(allocation))
    return allocation[: count * kind.itemsize].view(kind).reshape(shape)


def duplicate(array: np.ndarray) -> np.ndarray:
    """A copy; of an array that came from empty(), one that is as uninitialised."""
    written = _written(array)
    if written is None or array.ctypes.data != _allocation(array).ctypes.data or not array.flags.c_contiguous:
        return array.copy()
    twin = empty(array.shape, array.dtype)
    twin[...] = array
    _fresh[twin.ctypes.data][1][: array.nbytes] = written[: array.nbytes]
    return twin


@dataclass
class Placement:
    """An argument in memory: where the kernel finds it, and the region that the checks know it by.

    ``name`` is filled in by the launcher; ``array`` is the host's.
    """

    name: str
    array: np.ndarray
    address: int
    region: runtime.Region


def _bounds(array: np.ndarray) -> tuple[int, int]:
    """The first byte of the array's elements, and the one behind the last."""
    low = high = array.ctypes.data
    if array.size == 0:
        return low, low
    for n, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (n - 1) * stride
        else:
            high += (n - 1) * stride
    return low, high + array.itemsize


def _allocation(array: np.ndarray) -> np.ndarray:
    """The array whose memory this one is a view of."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base


def _written(array: np.ndarray) -> np.ndarray | None:
    """For an array that came from empty(): which bytes of its allocation have been written."""
    base = _allocation(array)
    entry = _fresh.get(base.ctypes.data)
    return entry[1] if entry is not None and entry[0]() is base else None


def _written_address(array: np.ndarray, low: int) -> int | None:
    """Where the runtime finds what _written() says about the byte at `low` and those that follow."""
    written = _written(array)
    return None if written is None else written.ctypes.data + (low - _allocation(array).ctypes.data)


class DeviceMemory:
    """The arrays of one launch under check.

    Every argument is copied to a place of its own, aligned as on the device and far from the others, and copied back
    when the launch ends; arguments that overlap stay together. Arrays that the kernel reaches through pointers stored
    elsewhere (`reachable`) must stay where they are.
    """

    def __init__(self, arguments: Sequence[tuple[str, np.ndarray]], reachable: Sequence[np.ndarray]) -> None:
        self.placements: list[Placement] = []
        self._copies: list[tuple[np.ndarray, int, int]] = []  # the copy, the host's first byte, bytes
        groups = self._overlapping([*arguments, *((f"reachable[{i}]", a) for i, a in enumerate(reachable))])
        fixed = {id(a) for a in reachable}
        for members in groups:
            low = min(_bounds(a)[0] for _, a in members)
            high = max(_bounds(a)[1] for _, a in members)
            base = _allocation(members[0][1]).ctypes.data
            shift = (low - base) % DEVICE_ALIGNMENT
            moved = 0
            if not any(id(a) in fixed for _, a in members):
                memory = np.empty(high - low + 2 * GUARD + DEVICE_ALIGNMENT, np.uint8)
                start = (-memory.ctypes.data) % DEVICE_ALIGNMENT + GUARD + shift
                copy = memory[start : start + high - low]
                copy[...] = _bytes_at(low, high - low)
                writable = any(a.flags.writeable for _, a in members)
                self._copies.append((copy, low, (high - low) if writable else 0))
                moved = copy.ctypes.data - low
            for name, array in members:
                first, end = _bounds(array)
                region = runtime.Region(
                    first + moved,
                    end - first,
                    _written_address(array, first),
                    array.flags.writeable,
                    (first - base) % DEVICE_ALIGNMENT,
                )
                self.placements.append(Placement(name, array, array.ctypes.data + moved, region))

    @staticmethod
    def _overlapping(arrays: Sequence[tuple[str, np.ndarray]]) -> list[list[tuple[str, np.ndarray]]]:
        """The arrays in groups whose memory overlaps."""
        groups: list[list[tuple[str, np.ndarray]]] = []
        end = -1
        for item in sorted(arrays, key=lambda item: _bounds(item[1])):
            low, high = _bounds(item[1])
            if groups and low < end:
                groups[-1].append(item)
            else:
                groups.append([item])
            end = max(end, high)
        return groups

    def address_of(self, array: np.ndarray) -> int:
        return next(p.address for p in self.placements if p.array is array)

    def copy_back(self) -> None:
        """Writes what the kernel stored to the host's arrays."""
        for copy, low, size in self._copies:
            if size:
                _bytes_at(low, size)[...] = copy


def _bytes_at(address: int, size: int) -> np.ndarray:
    """The bytes at an address, as an array that does not own them."""
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address)) if size else np.empty(0, np.uint8)
