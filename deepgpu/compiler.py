"""PyTorch's ``torch.compile``: there is no compiler of graphs, so what is given comes back as it is.

Kernels are compiled anyway, the CPU's by Numba and the GPU's by NVRTC, and fuse normalisation, sum and ReLU on their
own. What a captured graph saves on a GPU, :class:`deepgpu.cuda.CUDAGraph` does.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """Return ``model``, a module or function, as it is; a warning says so once.

    All options are accepted without effect. Without ``model`` it is a decorator.
    """
    if model is None:
        return compile
    if not disable:
        _say_once()
    return model


@functools.cache
def _say_once() -> None:
    warnings.warn(
        "`deepgpu.compile` returns the module as it is: kernels fuse on their own, and on a GPU "
        "`deepgpu.cuda.CUDAGraph` removes the cost of launches",
        stacklevel=3,
    )


def is_compiling() -> bool:
    """Never."""
    return False


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Callable[..., Any]:
    """Return ``fn`` as it is; also as a decorator."""
    return disable if fn is None else fn


def reset() -> None:
    """Do nothing: there is no state."""
