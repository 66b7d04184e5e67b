"""Losses with PyTorch's deprecated ``size_average`` and ``reduce``, with element weights and broadcasting."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from deepgpu.nn.reduction import legacy_reduction
from deepgpu.ops import likelihood_loss, loss, margin_loss
from deepgpu.ops.shape import broadcast_tensors
from deepgpu.tensor import Tensor


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of the target classes; see :func:`deepgpu.ops.loss.nll_loss`.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    return loss.nll_loss(input, target, weight, ignore_index, legacy_reduction(size_average, reduce, reduction))


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of logits; see :func:`deepgpu.ops.loss.cross_entropy`.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    how = legacy_reduction(size_average, reduce, reduction)
    return loss.cross_entropy(input, target, weight, ignore_index, how, label_smoothing)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The cross-entropy of probabilities; see :func:`deepgpu.ops.loss.binary_cross_entropy`.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    return loss.binary_cross_entropy(input, target, weight, legacy_reduction(size_average, reduce, reduction))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The cross-entropy of the logits of probabilities; see :func:`deepgpu.ops.loss.binary_cross_entropy_with_logits`.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    how = legacy_reduction(size_average, reduce, reduction)
    return loss.binary_cross_entropy_with_logits(input, target, weight, how, pos_weight)


def _elementwise(
    function: Callable[..., Tensor],
    input: Tensor,
    target: Tensor,
    reduction: str,
    weight: Tensor | None,
    mean_by_weight: bool,
    **settings: Any,
) -> Tensor:
    """A loss of pairs of elements: shapes broadcast with a warning, and each element's loss may have a weight."""
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )
        input, target = broadcast_tensors(input, target)
    if weight is None:
        return function(input, target, reduction, **settings)
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    weighted = function(input, target, "none", **settings) * weight
    if reduction == "mean" and mean_by_weight:
        return weighted.sum() / weight.sum()
    return loss.reduced(weighted, reduction, function.__name__)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Squared differences, each times its ``weight``; the mean is the weighted one.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    return _elementwise(loss.mse_loss, input, target, legacy_reduction(size_average, reduce, reduction), weight, True)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Absolute differences, each times its ``weight``; the mean is the weighted one.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    return _elementwise(loss.l1_loss, input, target, legacy_reduction(size_average, reduce, reduction), weight, True)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """``0.5 d^2 / beta`` where the difference ``d`` is below ``beta``, else ``|d| - 0.5 beta``.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    how = legacy_reduction(size_average, reduce, reduction)
    return _elementwise(loss.smooth_l1_loss, input, target, how, None, False, beta=beta)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``0.5 d^2`` where the difference ``d`` is at most ``delta``, else ``delta (|d| - 0.5 delta)``.

    Each element's loss is multiplied by its ``weight``; the mean is the plain one, as in PyTorch.
    """
    return _elementwise(loss.huber_loss, input, target, reduction, weight, False, delta=delta)


def _with_legacy(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss that takes the deprecated ``size_average`` and ``reduce`` before ``reduction``, as PyTorch's do."""
    parameters = list(inspect.signature(function).parameters.values())
    place = [p.name for p in parameters].index("reduction")
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    old = [inspect.Parameter(n, kind, default=None, annotation="bool | None") for n in ("size_average", "reduce")]
    signature = inspect.Signature([*parameters[:place], *old, *parameters[place:]], return_annotation="Tensor")

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Tensor:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        old = given.pop("size_average"), given.pop("reduce")
        if old != (None, None):
            given["reduction"] = legacy_reduction(*old, given["reduction"])
        return function(**given)

    wrapper.__signature__ = signature  # type: ignore[attr-defined]
    return wrapper


hinge_embedding_loss = _with_legacy(margin_loss.hinge_embedding_loss)
margin_ranking_loss = _with_legacy(margin_loss.margin_ranking_loss)
soft_margin_loss = _with_legacy(margin_loss.soft_margin_loss)
cosine_embedding_loss = _with_legacy(margin_loss.cosine_embedding_loss)
triplet_margin_loss = _with_legacy(margin_loss.triplet_margin_loss)
multi_margin_loss = _with_legacy(margin_loss.multi_margin_loss)
multilabel_margin_loss = _with_legacy(margin_loss.multilabel_margin_loss)
multilabel_soft_margin_loss = _with_legacy(margin_loss.multilabel_soft_margin_loss)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence; see :func:`deepgpu.ops.likelihood_loss.kl_div`.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    how = legacy_reduction(size_average, reduce, reduction)
    if how == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition. 'mean' will be changed to behave the "
            "same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    return likelihood_loss.kl_div(input, target, how, log_target)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The likelihood of Poisson's distribution; see :func:`deepgpu.ops.likelihood_loss.poisson_nll_loss`.

    ``size_average`` and ``reduce`` are PyTorch's deprecated forms of ``reduction``.
    """
    how = legacy_reduction(size_average, reduce, reduction)
    return likelihood_loss.poisson_nll_loss(input, target, log_input, full, eps, how)
