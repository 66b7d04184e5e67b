"""Batch normalization (Ioffe & Szegedy, arXiv 1502.03167)."""

from __future__ import annotations

from typing import Any

from deepgpu.autograd.engine import grad as vjp
from deepgpu.autograd.grad_mode import enable_grad, no_grad, state
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.op import op
from deepgpu.tensor import Tensor, wrap


class BatchNormTrain(Node):
    """Normalise by the batch's own statistics, which are the second and third output."""

    keep_inputs = (0, 1)
    non_differentiable = (1, 2)

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        y, self.mean, self.var = self.backend.batch_norm_train(x, weight, bias, self.eps)
        return y, self.mean, self.var

    def backward(self, g: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = self.saved
        return _needed(BatchNormGrad(self.mean, self.var, self.eps, True)(g, x, weight), self.needs_input_grad)


class BatchNormEval(Node):
    """Normalise by given statistics."""

    keep_inputs = (0, 1)

    def __init__(self, mean: Any, var: Any, eps: float) -> None:
        self.mean, self.var, self.eps = mean, var, eps

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        return self.backend.batch_norm_eval(x, weight, bias, self.mean, self.var, self.eps)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = self.saved
        return _needed(BatchNormGrad(self.mean, self.var, self.eps, False)(g, x, weight), self.needs_input_grad)


def _needed(grads: tuple[Tensor, ...], needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    return tuple([g if need else None for g, need in zip(grads, needs, strict=True)])


class BatchNormGrad(Node):
    """The fused backward: gradients of input, weight and bias.

    Its own derivative is taken by recording the same formula made of plain ops.
    """

    keep_inputs = (0, 1, 2)

    def __init__(self, mean: Any, var: Any, eps: float, training: bool) -> None:
        self.mean, self.var, self.eps, self.training = mean, var, eps, training

    def forward(self, g: Any, x: Any, weight: Any) -> Any:
        gx, gw, gb = self.backend.batch_norm_backward(g, x, weight, self.mean, self.var, self.eps, self.training)
        if weight is None:  # affine gradients that nobody asks for
            gw = self.xp.zeros(x.shape[1], x.dtype) if gw is None else gw
            gb = self.xp.zeros(x.shape[1], x.dtype) if gb is None else gb
        return gx, gw, gb

    def formula(self, g: Tensor, x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """``gx = w / s (g - mean(g) - xhat mean(g xhat))`` with ``xhat = (x - mean) / s``, s the standard deviation."""
        dims = [d for d in range(x.ndim) if d != 1]
        shape = [1, x.shape[1], *[1] * (x.ndim - 2)]
        if self.training:
            centred = x - x.mean(dims, keepdim=True)
            invstd = ((centred * centred).mean(dims, keepdim=True) + self.eps).rsqrt()
        else:
            backend = x._backend
            centred = x - wrap(self.mean, backend).reshape(shape).to(x.dtype)
            invstd = (wrap(self.var, backend).reshape(shape).to(x.dtype) + self.eps).rsqrt()
        xhat = centred * invstd
        gb, gw = g.sum(dims), (g * xhat).sum(dims)
        gx = g
        if self.training:
            gx = gx - g.mean(dims, keepdim=True) - xhat * (g * xhat).mean(dims, keepdim=True)
        gx = gx * invstd
        return (gx if weight is None else gx * weight.reshape(shape)), gw, gb

    def backward(self, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs = self.saved
        again = state.enabled
        with enable_grad():
            # Tensors of their own to differentiate for: g may depend on x, but not in this formula.
            fresh: list[Any] = [
                t if t is None else t.view_as(t) if again else t.detach().requires_grad_() for t in inputs
            ]
            taken: list[Any] = [t for t, need in zip(fresh, self.needs_input_grad, strict=True) if need]
            results = self.formula(*fresh)
            pairs = [(r, gr) for r, gr in zip(results, grads, strict=True) if r.requires_grad]
            outputs, starts = [r for r, _ in pairs], [gr for _, gr in pairs]
            found = vjp(outputs, taken, starts, create_graph=again, allow_unused=True)
        given = iter(found)
        return tuple([next(given) if need else None for need in self.needs_input_grad])


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
        unbiased estimate.
    weight, bias
        ``(C,)`` or None
    training
        Use the batch's own statistics (the biased variance).
    momentum
        Share of the batch in the running statistics' update.
    eps
        Added to the variance.

    Raises
    ------
    RuntimeError
        If shapes do not fit, or there are no statistics to use.
    ValueError
        If training with a single value per channel.
    """
    if input._data.ndim < 2:
        raise RuntimeError(takes("batch_norm", "input", "(N, C) or (N, C, ...)", f"shape {tuple(input.shape)}"))
    channels = input._data.shape[1]
    named = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, t in named.items():
        if t is not None and t._data.shape != (channels,):
            expected = f"shape ({channels},), one value a channel of `input`"
            raise RuntimeError(takes("batch_norm", name, expected, f"shape {tuple(t.shape)}"))
    if (weight is None) != (bias is None):
        weight = weight if weight is not None else input.new_ones(channels)
        bias = bias if bias is not None else input.new_zeros(channels)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("`batch_norm`: `running_mean` and `running_var` are needed unless `training` is set")
        return BatchNormEval(running_mean.detach()._data, running_var.detach()._data, eps)(input, weight, bias)
    count = input._data.size // max(channels, 1)
    if count == 1:
        shape = tuple(input.shape)
        raise ValueError(takes("batch_norm", "input", "more than 1 value a channel when training", f"shape {shape}"))
    y, mean, var = BatchNormTrain(eps)(input, weight, bias)
    if running_mean is not None and running_var is not None and count:
        with no_grad():
            running_mean.mul_(1 - momentum).add_(mean.to(running_mean.dtype), alpha=momentum)
            running_var.mul_(1 - momentum).add_(var.to(running_var.dtype), alpha=momentum * count / (count - 1))
    return y
