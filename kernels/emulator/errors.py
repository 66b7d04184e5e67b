"""What can go wrong: the emulator's exceptions, named after compute-sanitizer's tools where those would report it."""

from __future__ import annotations

from dataclasses import dataclass


class EmulatorError(Exception):
    """Base class of everything that the emulator raises on purpose."""


class ToolchainError(EmulatorError, RuntimeError):
    """g++, binutils or NVIDIA's headers are missing; the message says how to install them."""


class CompileError(EmulatorError, RuntimeError):
    """g++ or NVRTC rejects the source; the message is the compiler's."""


class LaunchError(EmulatorError, ValueError):
    """The launch configuration is one that no GPU accepts: too many threads, too much shared memory."""


class ArgumentError(EmulatorError, TypeError):
    """An argument does not fit the kernel's parameter."""


@dataclass(frozen=True)
class Access:
    """One of the accesses that a report is about.

    Attributes
    ----------
    block, thread : tuple of int
        ``blockIdx`` and ``threadIdx`` of the thread.
    action : str
        ``"load"``, ``"store"``, ``"atomic"`` or ``"asynchronous copy"``.
    location : tuple of str
        ``file:line`` of the access, then of the calls it was inlined from.
    """

    block: tuple[int, int, int]
    thread: tuple[int, int, int]
    action: str
    location: tuple[str, ...]


class KernelError(EmulatorError, RuntimeError):
    """A kernel did something wrong while it ran.

    Attributes
    ----------
    kernel : str
    block, thread : tuple of int
        Who: ``blockIdx`` and ``threadIdx``.
    file : str or None
    line : int or None
        Where in the source.
    argument : str or None
        The parameter or variable that the access is about.
    other : Access or None
        The earlier of two conflicting accesses.
    seed : int
        Launch again with this seed to see it again.
    kind : str
        A stable name of the mistake, such as ``"race"`` or ``"out_of_bounds"``.
    """

    kernel: str = ""
    block: tuple[int, int, int] = (0, 0, 0)
    thread: tuple[int, int, int] = (0, 0, 0)
    file: str | None = None
    line: int | None = None
    argument: str | None = None
    other: Access | None = None
    seed: int = 0
    kind: str = ""


class MemcheckError(KernelError):
    """An access outside what there is, misaligned, or to what may only be read."""


class RacecheckError(KernelError):
    """Two threads access the same memory, one of them writes, and nothing orders them."""


class InitcheckError(KernelError):
    """Memory is read that nobody has written."""


class SynccheckError(KernelError):
    """Threads that must meet do not: divergent barriers and warp operations, deadlock."""


class DeviceAssertError(KernelError):
    """``assert`` failed on the device."""


class TrapError(KernelError):
    """``__trap()``, an illegal instruction, a division by zero, or something the emulator does not support."""
