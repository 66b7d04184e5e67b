"""Batch normalization (Ioffe & Szegedy, arXiv 1502.03167)."""

from __future__ import annotations

import math
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded
from deepgpu.backends.unfinished import Convolution, Normalisation
from deepgpu.errors import takes
from deepgpu.ops.assign import store
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.op import op
from deepgpu.pending import Recipe, worthwhile
from deepgpu.tensor import Tensor, wrap


class BatchNormTrain(Node):
    """Normalise by the batch's own statistics, and keep up running ones: ``(mean, var)`` or nothing."""

    keep_inputs = (0, 1)
    fuses = True

    def __init__(self, eps: float, running: tuple[Tensor, ...], momentum: float) -> None:
        self.eps = eps
        self.running = running
        self.momentum = momentum

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        image = x
        if type(x) is Recipe:
            convolution = x.convolution()
            image = x.values() if convolution is None else convolution
        y, self.mean, self.var = self.backend.batch_norm_train(image, weight, bias, self.eps)
        if isinstance(image, Convolution):
            x.fulfil(y.x)
        running, self.running = self.running, ()
        if running and math.prod(x.shape):
            count = math.prod(x.shape) // x.shape[1]
            _track(running[0], self.mean, self.momentum, self.momentum)
            _track(running[1], self.var, self.momentum, self.momentum * count / (count - 1))
        return _deferred(y)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = self.saved
        statistics = wrap(self.mean, self.backend), wrap(self.var, self.backend)
        return _needed(BatchNormGrad(self.eps, True)(g, x, weight, *statistics), self.needs_input_grad)


class BatchNormEval(Node):
    """Normalise by given statistics, which are inputs so that their modification before backward is noticed."""

    keep_inputs = (0, 1, 3, 4)
    fuses = True

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def forward(self, x: Any, weight: Any, bias: Any, mean: Any, var: Any) -> Any:
        if type(x) is Recipe:
            recipe = None if self.needs_input_grad else x.normalised(weight, bias, mean, var, self.eps)
            if recipe is not None:
                return recipe
            x = x.values()
        return _deferred(self.backend.batch_norm_eval(x, weight, bias, mean, var, self.eps))

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        return _needed(BatchNormGrad(self.eps, False)(g, *self.saved), self.needs_input_grad)


def _track(running: Tensor, batch: Any, momentum: float, share: float) -> None:
    """``running (1 - momentum) + batch share``, in place and without a history."""
    if running._view is not None:
        running._refresh_view()
    old = running._data
    store(running, old * (1 - momentum) + batch.astype(old.dtype, copy=False) * share, "batch_norm")


def _deferred(y: Normalisation) -> Any:
    """A recipe, which the next op may carry out, or the array where it is small."""
    return Recipe(y) if worthwhile(y) else y()


def _needed(grads: tuple[Tensor, ...], needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    """The gradients of input, weight and bias as far as they are asked for; the statistics have none."""
    return tuple([g if need else None for g, need in zip((*grads, None, None), needs, strict=False)])


class BatchNormGrad(FusedGradient):
    """The fused backward: gradients of input, weight and bias."""

    keep_inputs = (0, 1, 2, 3, 4)

    def __init__(self, eps: float, training: bool) -> None:
        self.eps, self.training = eps, training

    fuses = True

    def forward(self, g: Any, x: Any, weight: Any, mean: Any, var: Any) -> Any:
        g = g.bare() if type(g) is Recipe else g
        x = x.values() if type(x) is Recipe else x
        gx, gw, gb = self.backend.batch_norm_backward(g, x, weight, mean, var, self.eps, self.training)
        of_params = gw.dtype if weight is None else weight.dtype
        return gx, rounded(gw, of_params), rounded(gb, of_params)

    def formula(
        self, g: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, var: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``gx = w / s (g - mean(g) - xhat mean(g xhat))`` with ``xhat = (x - mean) / s``, s the standard deviation."""
        dims = [d for d in range(x.ndim) if d != 1]
        shape = [1, x.shape[1], *[1] * (x.ndim - 2)]
        if self.training:
            centred = x - x.mean(dims, keepdim=True)
            invstd = ((centred * centred).mean(dims, keepdim=True) + self.eps).rsqrt()
        else:
            centred = x - mean.reshape(shape).to(x.dtype)
            invstd = (var.reshape(shape).to(x.dtype) + self.eps).rsqrt()
        xhat = centred * invstd
        gb, gw = g.sum(dims), (g * xhat).sum(dims)
        gx = g
        if self.training:
            gx = gx - g.mean(dims, keepdim=True) - xhat * (g * xhat).mean(dims, keepdim=True)
        gx = gx * invstd
        return (gx if weight is None else gx * weight.reshape(shape)), gw, gb


@op
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``(input - mean) / sqrt(var + eps) * weight + bias``, channel by channel.

    Parameters
    ----------
    input
        ``(N, C)`` or ``(N, C, ...)``; statistics are over all dimensions but the channels.
    running_mean, running_var
        ``(C,)``: the statistics to use when not training; updated in place when training, the variance with the
        unbiased estimate. A batch of nothing does not change them.
    weight, bias
        ``(C,)`` or None. Parameters and statistics have the dtype of ``input``, or float32 for its half types.
    training
        Use the batch's own statistics (the biased variance).
    momentum
        Share of the batch in the running statistics' update.
    eps
        Added to the variance.

    Raises
    ------
    RuntimeError
        If shapes or dtypes do not fit, or there are no statistics to use.
    ValueError
        If training with a single value per channel, one statistic of two, or an ``eps`` that is not positive.
    """
    form = input._form
    if form.ndim < 2:
        raise RuntimeError(takes("batch_norm", "input", "(N, C) or (N, C, ...)", f"shape {tuple(input.shape)}"))
    if form.dtype.kind not in "fV":  # V: bfloat16
        raise RuntimeError(takes("batch_norm", "input", "a floating-point tensor", input.dtype))
    channels = form.shape[1]
    usual = (channels,), form.dtype
    statistics = (running_mean, "running_mean"), (running_var, "running_var")
    for t, name in ((weight, "weight"), (bias, "bias"), *statistics):
        if t is not None and (t._data.shape, t._data.dtype) != usual:
            _check_parameter(name, t, channels, input.dtype)
    for t, name in statistics:
        if t is not None and t.requires_grad:
            expected = "statistics without gradient (`detach()` it)"
            raise RuntimeError(takes("batch_norm", name, expected, "requires_grad=True"))
    if (weight is None) != (bias is None):
        given = weight if weight is not None else bias
        assert given is not None
        weight = weight if weight is not None else given.new_ones(channels)
        bias = bias if bias is not None else given.new_zeros(channels)
    if not training:
        for t, name in statistics:
            if t is None:
                raise RuntimeError(takes("batch_norm", name, "a tensor unless `training`", None))
        return BatchNormEval(eps)(input, weight, bias, running_mean, running_var)
    _check_training(form.shape, running_mean, running_var, eps)
    running = () if running_mean is None or running_var is None else (running_mean, running_var)
    return BatchNormTrain(eps, running, momentum)(input, weight, bias)


def _check_parameter(name: str, t: Tensor, channels: int, dtype: dtypes.dtype) -> None:
    array = t._data
    if array.shape != (channels,):
        expected = f"shape ({channels},), one value a channel of `input`"
        raise RuntimeError(takes("batch_norm", name, expected, f"shape {tuple(t.shape)}"))
    if array.dtype != dtype.numpy and not (dtype.itemsize == 2 and t.dtype is dtypes.float32):
        expected = f"the dtype of `input`, {dtype}{', or float32' if dtype.itemsize == 2 else ''}"
        raise RuntimeError(takes("batch_norm", name, expected, t.dtype))


def _check_training(
    shape: tuple[int, ...], running_mean: Tensor | None, running_var: Tensor | None, eps: float
) -> None:
    if shape[1] and math.prod(shape) == shape[1]:
        expected = "more than 1 value per channel when training"
        raise ValueError(takes("batch_norm", "input", expected, f"shape {tuple(shape)}"))
    if (running_mean is None) != (running_var is None):
        missing = "running_mean" if running_mean is None else "running_var"
        raise ValueError(takes("batch_norm", missing, "a tensor where the other statistic is one", None))
    if eps <= 0:
        raise ValueError(takes("batch_norm", "eps", "a positive number", eps))
