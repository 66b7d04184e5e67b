"""Switches of the whole process: deterministic algorithms, the precision of float32 products."""

from __future__ import annotations

from typing import Any

from deepgpu.backends import cuda, determinism
from deepgpu.errors import takes

_PRECISIONS = ("highest", "high", "medium")
_precision = "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Let ops whose sums have no fixed order raise RuntimeError.

    On the CPU all ops are deterministic. On a GPU those that add many values at one place are not: the gradient of
    indexing, ``index_add``, ``scatter_add`` of floating-point tensors.

    Parameters
    ----------
    warn_only
        Warn instead.
    """
    determinism.state.enabled, determinism.state.warn_only = bool(mode), warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """Whether :func:`use_deterministic_algorithms` is on."""
    return determinism.state.enabled


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it only warns."""
    return determinism.state.warn_only


def set_deterministic_debug_mode(debug_mode: Any) -> None:
    """0 or ``"default"``, 1 or ``"warn"``, 2 or ``"error"``: :func:`use_deterministic_algorithms` in one word."""
    modes = {"default": 0, "warn": 1, "error": 2}
    mode = modes.get(debug_mode, debug_mode)
    if mode not in (0, 1, 2):
        raise RuntimeError(
            takes("set_deterministic_debug_mode", "debug_mode", "0, 1, 2 or a name of these", debug_mode)
        )
    use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


def get_deterministic_debug_mode() -> int:
    """0: everything may run; 1: a warning; 2: an error."""
    return 0 if not determinism.state.enabled else 1 if determinism.state.warn_only else 2


def set_float32_matmul_precision(precision: str) -> None:
    """``"highest"`` for all digits of float32 in matrix products on a GPU; ``"high"`` or ``"medium"`` allow TF32."""
    global _precision
    if precision not in _PRECISIONS:
        raise RuntimeError(takes("set_float32_matmul_precision", "precision", f"one of {_PRECISIONS}", repr(precision)))
    _precision = precision
    cuda.matmul.allow_tf32 = precision != "highest"


def get_float32_matmul_precision() -> str:
    """What :func:`set_float32_matmul_precision`, or ``backends.cuda.matmul.allow_tf32``, says."""
    if not cuda.matmul.allow_tf32:
        return "highest"
    return "high" if _precision == "highest" else _precision
