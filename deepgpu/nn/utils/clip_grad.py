"""Limits for gradients: by their common norm, or element by element."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.ops.creation import tensor
from deepgpu.ops.joining import stack
from deepgpu.ops.vector_norm import norm
from deepgpu.tensor import Tensor


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    params = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in params if p.grad is not None]


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors together, as if they were one vector.

    Parameters
    ----------
    norm_type
        The p of the p-norm; ``inf`` takes the largest absolute value.
    error_if_nonfinite
        Raise if the norm is infinite or NaN.
    foreach
        Accepted for PyTorch's sake.

    Returns
    -------
    Tensor
        0-d, on the device of the first tensor.

    Raises
    ------
    RuntimeError
        With ``error_if_nonfinite``, if the norm is infinite or NaN.
    """
    found = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not found:
        return tensor(0.0)
    device = found[0].device
    total = norm(stack([norm(t.detach(), float(norm_type)).to(device) for t in found]), float(norm_type))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot "
            "be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale the gradients by ``max_norm / total_norm``, in place, if the norm is above ``max_norm``."""
    scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for g in _grads(parameters):
        g.mul_(scale.to(g.device))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients, in place, so that their common norm is at most ``max_norm``.

    Parameters
    ----------
    parameters
        The parameters, or one, whose gradients to scale.
    norm_type, error_if_nonfinite, foreach
        As for :func:`get_total_norm`.

    Returns
    -------
    Tensor
        The norm before.

    Raises
    ------
    RuntimeError
        With ``error_if_nonfinite``, if the norm is infinite or NaN; the gradients are left alone.
    """
    params: Any = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_grads(params), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(params, max_norm, total, foreach)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Limit each element of the gradients to ``[-clip_value, clip_value]``, in place."""
    limit = float(clip_value)
    for g in _grads(parameters):
        g.clamp_(min=-limit, max=limit)
