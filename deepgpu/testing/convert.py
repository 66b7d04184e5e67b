"""Samples in both frameworks: NumPy arrays, dtypes and formats of a sample as deepgpu's and as PyTorch's.

A sample is framework-neutral: its tensors are NumPy arrays (bfloat16 by ml_dtypes). PyTorch is imported by the first
call that needs it, and is never imported by deepgpu itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from deepgpu import dtypes
from deepgpu.device import device as as_device
from deepgpu.ops.memory import memory_format
from deepgpu.tensor import Tensor, wrap
from deepgpu.testing.layouts import restrided


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """``function`` of every leaf of nested tuples, lists and dicts."""
    if isinstance(tree, tuple):
        return tuple([tree_map(function, x) for x in tree])
    if isinstance(tree, list):
        return [tree_map(function, x) for x in tree]
    if isinstance(tree, dict):
        return {k: tree_map(function, v) for k, v in tree.items()}
    return function(tree)


def to_deepgpu(x: Any, device: str = "cpu") -> Any:
    """An array as a tensor with the same strides in memory of its own; anything else as it is."""
    if not isinstance(x, np.ndarray):
        return x
    backend = as_device(device).backend
    if x.flags.c_contiguous:
        return wrap(backend.from_numpy(x.copy()), backend)
    flat, strides = restrided(x)
    raw = backend.from_numpy(flat)
    steps = tuple([s * raw.itemsize for s in strides])
    return wrap(backend.xp.lib.stride_tricks.as_strided(raw, x.shape, steps), backend)


def to_torch(x: Any) -> Any:
    """An array as a PyTorch CPU tensor with the same strides, a dtype or format as PyTorch's; else as it is."""
    if isinstance(x, np.ndarray):
        return _tensor_to_torch(x)
    if isinstance(x, (dtypes.dtype, memory_format)):
        import torch

        return getattr(torch, x.name if isinstance(x, dtypes.dtype) else str(x))
    return x


def _tensor_to_torch(x: np.ndarray) -> Any:
    import torch

    flat, strides = restrided(x)
    if x.dtype == ml_dtypes.bfloat16:
        memory = torch.from_numpy(flat.view(np.int16)).view(torch.bfloat16)
    else:
        memory = torch.from_numpy(flat)
    return torch.as_strided(memory, x.shape, strides)


def from_deepgpu(x: Any) -> Any:
    """A tensor of ours as an array on the host; anything else as it is."""
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else x


def from_torch(x: Any) -> Any:
    """A PyTorch tensor as an array; anything else as it is."""
    import torch

    if not isinstance(x, torch.Tensor):
        return x
    t = x.detach().cpu() + 0 if x._is_zerotensor() else x.detach().cpu()
    return t.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if t.dtype is torch.bfloat16 else t.numpy()
