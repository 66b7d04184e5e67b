"""What can be wrong with a file of tensors."""

from __future__ import annotations

import pickle


class CorruptFileError(RuntimeError):
    """A file is truncated, damaged, or of no format that is read here."""


class UnsafeFileError(pickle.UnpicklingError):
    """A pickle asks for more than tensors, containers, numbers and strings: loading it could run its code."""
