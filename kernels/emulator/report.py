"""Turns the runtime's report of a failed launch into an exception that says who, where and what."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import runtime
from .compiler import SharedVariable
from .errors import (
    Access,
    DeviceAssertError,
    InitcheckError,
    KernelError,
    MemcheckError,
    RacecheckError,
    SynccheckError,
    TrapError,
)
from .memory import Placement
from .toolchain import INCLUDE, nvidia_include, tool

# The order is that of `enum class Failure` in include/emulator/interface.h.
KINDS: tuple[tuple[str, type[KernelError], str], ...] = (
    ("none", KernelError, ""),
    ("out_of_bounds", MemcheckError, "{action} of {size} bytes out of bounds"),
    ("misaligned", MemcheckError, "misaligned {action} of {size} bytes"),
    ("read_only", MemcheckError, "{action} of {size} bytes to a read-only array"),
    ("null_pointer", MemcheckError, "access through a null pointer (address {address:#x})"),
    (
        "stack_overflow",
        MemcheckError,
        "stack overflow: a thread needs more than 128 KiB of local memory, or recurses without end",
    ),
    ("array_index", MemcheckError, "index out of bounds"),
    ("race", RacecheckError, "data race"),
    (
        "copy_in_flight",
        RacecheckError,
        "{action} of {size} bytes where an asynchronous copy is in flight: its thread has not waited for it",
    ),
    ("copy_never_awaited", RacecheckError, "asynchronous copies in flight at exit"),
    ("uninitialised", InitcheckError, "{action} of {size} bytes that nobody has written"),
    ("divergent_barrier", SynccheckError, "divergent __syncthreads()"),
    ("exited_before_barrier", SynccheckError, "barrier after some threads have exited"),
    ("divergent_warp", SynccheckError, "divergent warp operation: some lanes of its mask never make the call"),
    ("not_in_mask", SynccheckError, "warp operation by a lane outside its own mask"),
    ("inactive_lane", SynccheckError, "shuffle from an inactive lane"),
    ("deadlock", SynccheckError, "deadlock"),
    ("livelock", SynccheckError, "livelock"),
    ("incomplete_warp", SynccheckError, "whole-warp instruction in an incomplete warp"),
    ("bad_barrier", SynccheckError, "invalid barrier"),
    ("invalid_async_copy", MemcheckError, "invalid asynchronous copy"),
    ("assertion", DeviceAssertError, "assertion failed"),
    ("trap", TrapError, "trap"),
    ("division_by_zero", TrapError, "integer division by zero (on a GPU the result is unspecified)"),
    (
        "shift",
        TrapError,
        "shift by at least the width of the type (undefined in C++; a GPU and a CPU give different results)",
    ),
    ("unsupported", TrapError, "not supported"),
    ("interrupted", KernelError, "interrupted"),
)


@functools.cache
def locations(module: Path, pcs: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    """For each address within a module, ``file:line`` of the user's code there, then of what it was inlined into."""
    if not pcs:
        return ()
    command = [tool("addr2line"), "-i", "-a", "-e", str(module), *map(hex, pcs)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = (str(INCLUDE), str(nvidia_include()), "??")
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("0x"):
            found.append([])
            continue
        place = line.split(" (")[0]
        if not place.startswith(ours) and not place.endswith((":?", ":0")) and "<emulator>" not in place:
            found[-1].append(place)
    return tuple(tuple(dict.fromkeys(chain)) for chain in found)


def _action(store: int, atomic: int) -> str:
    return "atomic" if atomic else "store" if store else "load"


def _short(location: str) -> str:
    path, _, line = location.rpartition(":")
    return f"{Path(path).name}:{line}"


def _chain(location: Sequence[str]) -> str:
    if not location:
        return "an unknown place"
    return _short(location[0]) + "".join(f", inlined into {_short(x)}" for x in location[1:])


def _triple(values: Sequence[int]) -> tuple[int, int, int]:
    return (values[0], values[1], values[2])


def _who(block: Sequence[int], thread: Sequence[int]) -> str:
    return f"thread ({thread[0]},{thread[1]},{thread[2]}) of block ({block[0]},{block[1]},{block[2]})"


def _element(placement: Placement, offset: int) -> str:
    """An offset in bytes as an index of the array."""
    array, name = placement.array, placement.name
    if not array.flags.c_contiguous or not 0 <= offset < array.nbytes:
        nbytes = placement.region.size
        where = (
            f"{-offset} bytes before its start"
            if offset < 0
            else f"{offset - nbytes} bytes past its end"
            if offset >= nbytes
            else f"byte {offset}"
        )
        return f"`{name}` (array of shape {array.shape}, {nbytes} bytes): {where}"
    index, rest, left = [], offset // array.itemsize, offset % array.itemsize
    for n in reversed(array.shape):
        index.append(rest % n)
        rest //= n
    inside = f" + {left} bytes" if left else ""
    return f"`{name}[{', '.join(map(str, reversed(index)))}]`{inside}"


def _object(
    report: runtime.Report,
    placements: Sequence[Placement],
    globals_: Sequence[str],
    variables: Sequence[SharedVariable],
) -> tuple[str | None, str]:
    """The argument or variable concerned, and how the message puts it."""
    if 0 <= report.region < len(placements):
        placement = placements[report.region]
        return placement.name, f" on argument {_element(placement, report.offset)}"
    if report.region >= len(placements):
        name = globals_[report.region - len(placements)]
        return name, f" on the variable `{name}`, byte {report.offset}"
    if report.variable >= 0:
        variable = variables[report.variable]
        past = (
            f" ({report.offset + report.size - variable.size} bytes past its end of {variable.size})"
            if report.offset + report.size > variable.size
            else ""
        )
        return variable.name, f" on shared memory `{variable.name}`, byte {report.offset}{past}"
    return None, f" at address {report.address:#x}" if report.address else ""


def make_error(
    report: runtime.Report,
    module: Path,
    kernel: str,
    seed: int,
    placements: Sequence[Placement],
    globals_: Sequence[str],
    variables: Sequence[SharedVariable],
) -> KernelError:
    """The exception for a failed launch.

    Parameters
    ----------
    report : runtime.Report
    module : Path
        The shared object, for line numbers.
    placements, globals_, variables
        What the report's region and variable numbers stand for.
    """
    kind, cls, template = KINDS[report.kind]
    here, there = locations(module, (report.pc, report.other_pc))
    argument, concerned = _object(report, placements, globals_, variables)
    action = _action(report.store, report.atomic)
    text = report.text.decode(errors="replace")
    headline = template.format(action=action, size=report.size, address=report.address)
    other = None
    if kind == "race":
        other = Access(
            _triple(report.other_block),
            _triple(report.other_thread),
            _action(report.other_store, report.other_atomic),
            there,
        )
        same_block = tuple(report.block) == tuple(report.other_block)
        between = (
            "with no synchronisation between them" if same_block else "in another block, and blocks run in no order"
        )
        detail = (
            f"{concerned}: {action} of {report.size} bytes by {_who(report.block, report.thread)} at {_chain(here)}, "
            f"and before it a {other.action} by {_who(other.block, other.thread)} at {_chain(there)}, {between}"
        )
    else:
        detail = (
            ""
            if kind in ("null_pointer", "stack_overflow") or (text and report.region < 0 and report.variable < 0)
            else concerned
        )
        detail += f" by {_who(report.block, report.thread)}"
        detail += f" at {_chain(here)}" if here else ""
        detail += f": {text}" if text else ""
        if report.has_other:
            other = Access(_triple(report.other_block), _triple(report.other_thread), "asynchronous copy", there)
            detail += f"; the copy is by {_who(other.block, other.thread)} at {_chain(there)}"
    tool_name = cls.__name__.removesuffix("Error").lower() if cls.__name__.endswith("checkError") else ""
    error = cls(f"{tool_name + ': ' if tool_name else ''}kernel `{kernel}`: {headline}{detail} (seed {seed})")
    error.kernel, error.seed, error.kind, error.argument, error.other = kernel, seed, kind, argument, other
    error.block, error.thread = _triple(report.block), _triple(report.thread)
    if here:
        file, _, line = here[0].rpartition(":")
        error.file, error.line = file, int(line.split()[0])
    return error
