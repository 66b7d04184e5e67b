"""Losses of distributions: Kullback-Leibler divergence, Poisson's and normal likelihoods."""

from __future__ import annotations

import math

from deepgpu.errors import takes
from deepgpu.ops.binary import xlogy
from deepgpu.ops.broadcast import check_shapes
from deepgpu.ops.loss import reduced
from deepgpu.ops.op import op
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor


@op
def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """``target (log(target) - input)``, with ``input`` the logarithm of the other distribution.

    Parameters
    ----------
    reduction
        ``"batchmean"`` divides by the batch size, which is the divergence; ``"mean"`` by the number of elements.
    log_target
        The target is a logarithm too.
    """
    check_shapes("kl_div", input._data.shape, target._data.shape)
    loss = target.exp() * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input._data.shape[0] if input._data.ndim else loss.sum()
    return reduced(loss, reduction, "kl_div")


@op
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """``exp(input) - target * input``: the negative log-likelihood of Poisson's distribution, up to a constant.

    Parameters
    ----------
    log_input
        ``input`` is the logarithm of the rate; otherwise the loss is ``input - target log(input + eps)``.
    full
        Add Stirling's approximation of ``log(target!)`` for targets above 1.
    """
    check_shapes("poisson_nll_loss", input._data.shape, target._data.shape)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        many = target > 1
        safe = where(many, target, target.new_ones(()))
        constant = safe * safe.log() - safe + 0.5 * (2 * math.pi * safe).log()
        loss = loss + constant.masked_fill(~many, 0.0)
    return reduced(loss, reduction, "poisson_nll_loss")


@op
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """``0.5 (log(var) + (input - target)^2 / var)``: the negative log-likelihood of a normal distribution.

    Parameters
    ----------
    var
        In the shape of ``input``, with a last dimension of size 1, or without the last dimension; or a number.
    full
        Add ``0.5 log(2 pi)``.
    eps
        The smallest variance; smaller ones count as this, with the gradient they would have.
    """
    name = "gaussian_nll_loss"
    if isinstance(var, Tensor):
        variance = var
    else:
        variance = input.new_full(input.shape, var)
    if bool((variance._data < 0).any()):
        raise ValueError(takes(name, "var", "numbers that are not negative", float(variance._data.min())))
    if variance.shape != input.shape:
        if input._data.shape[:-1] == variance._data.shape:
            variance = variance.unsqueeze(-1)
        elif input._data.shape[:-1] != variance._data.shape[:-1] or variance._data.shape[-1] != 1:
            expected = f"the shape of `input`, {tuple(input.shape)}, up to the last dimension"
            raise ValueError(takes(name, "var", expected, f"shape {tuple(variance.shape)}"))
    limited = variance + (variance.detach().clamp(min=eps) - variance.detach())
    difference = input - target
    loss = 0.5 * (limited.log() + difference * difference / limited)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction, name)
