"""Runs unmodified CUDA C++ kernels on the CPU, fast or checked: a GPU's semantics, NumPy arrays, Python exceptions.

The names and conventions are CuPy's (`RawModule`, `RawKernel`); what can go wrong is named after compute-sanitizer's
tools. See docs/emulator.md.
"""

from .errors import (
    Access,
    ArgumentError,
    CompileError,
    DeviceAssertError,
    EmulatorError,
    InitcheckError,
    KernelError,
    LaunchError,
    MemcheckError,
    RacecheckError,
    SynccheckError,
    ToolchainError,
    TrapError,
)
from .memory import empty
from .module import Kernel, RawKernel, RawModule
from .schedule import Choice, Failure, Schedule, explore, shrink
from .traffic import Traffic, TrafficRow

__all__ = [
    "Access",
    "ArgumentError",
    "Choice",
    "CompileError",
    "DeviceAssertError",
    "EmulatorError",
    "Failure",
    "InitcheckError",
    "Kernel",
    "KernelError",
    "LaunchError",
    "MemcheckError",
    "RacecheckError",
    "RawKernel",
    "RawModule",
    "Schedule",
    "SynccheckError",
    "ToolchainError",
    "Traffic",
    "TrafficRow",
    "TrapError",
    "empty",
    "explore",
    "shrink",
]
