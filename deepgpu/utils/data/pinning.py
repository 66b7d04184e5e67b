"""Batches in pinned memory, from which a GPU copies while the host loads and trains on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from deepgpu.backends.cuda import runtime
from deepgpu.tensor import Tensor


def pinned(batch: Any) -> Any:
    """A batch with its tensors in pinned memory; dicts, named tuples, tuples and lists stay what they are.

    Anything else that has a method ``pin_memory`` decides itself; what has none stays as it is.
    """
    if isinstance(batch, Tensor):
        return batch if batch.is_cuda else batch.pin_memory()
    if isinstance(batch, (str, bytes)):
        return batch
    if hasattr(batch, "pin_memory"):
        return batch.pin_memory()
    if isinstance(batch, Mapping):
        content = {k: pinned(v) for k, v in batch.items()}
        return content if type(batch) is dict else _rebuilt(batch, content)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(pinned(x) for x in batch))
    if isinstance(batch, Sequence):
        made = [pinned(x) for x in batch]
        return made if type(batch) is list else _rebuilt(batch, made)
    return batch


def _rebuilt(original: Any, content: Any) -> Any:
    try:
        return type(original)(content)
    except TypeError:
        return content


def can_pin() -> bool:
    """Whether there is a GPU to pin memory for; a warning if not."""
    if runtime.is_available():
        return True
    warnings.warn(
        "`DataLoader`: 'pin_memory' argument is set as true but no accelerator is found, then device pinned memory "
        "won't be used.",
        stacklevel=3,
    )
    return False
