"""Exceptions that are ours, and how a message is put together.

Where PyTorch raises a built-in exception, so do we; the classes here derive from the one PyTorch would raise.
"""

from __future__ import annotations


class DeviceUnavailableError(RuntimeError):
    """A device was asked for that this machine does not have, or whose software is missing."""


class OutOfMemoryError(RuntimeError):
    """A device has not as much memory as was asked for."""


class KernelCompileError(RuntimeError):
    """A CUDA kernel could not be compiled or loaded."""


class LinAlgError(RuntimeError):
    """A matrix has no such decomposition, or the equations no solution."""


class DeviceMismatchError(RuntimeError):
    """Tensors on different devices met in one op."""


def takes(op: str, argument: str, expected: object, actual: object) -> str:
    """A message of the form "`conv2d`: `input` takes a 4-d tensor (N, C, H, W), but got shape (3, 8)"."""
    return f"`{op}`: `{argument}` takes {expected}, but got {actual}"
