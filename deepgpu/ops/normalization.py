"""Normalization within a sample: layer, group, instance and RMS norm, and local response norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded
from deepgpu.errors import takes
from deepgpu.ops.cast import cast
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.op import op
from deepgpu.ops.pad import pad
from deepgpu.tensor import Tensor


class LayerNorm(Node):
    """``(x - mean) / s * weight + bias`` over the last dimensions, with ``s = sqrt(var + eps)``.

    Not `centered`, the mean counts as 0: the RMS norm.
    """

    keep_inputs = (0, 1)

    def __init__(self, dims: int, eps: float, centered: bool = True) -> None:
        self.dims = dims
        self.eps = eps
        self.centered = centered

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        w, b = (None if v is None else v.reshape(-1) for v in (weight, bias))
        rows = _rows(x, self.dims)
        y, self.mean, self.invstd = self.backend.layer_norm(rows, w, b, self.eps, self.centered)
        return y.reshape(x.shape)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        need_x, need_weight, need_bias = self.needs_input_grad
        node = LayerNormGrad(self, need_weight or need_bias)
        if not node.affine:
            return node(g, *self.saved), None, None
        gx, gweight, gbias = node(g, *self.saved)
        return gx if need_x else None, gweight if need_weight else None, gbias if need_bias else None


class LayerNormGrad(FusedGradient):
    """The gradients of the input and, if `affine`, of weight and bias."""

    keep_inputs = (0, 1, 2)

    def __init__(self, node: LayerNorm, affine: bool) -> None:
        self.dims, self.eps, self.mean, self.invstd = node.dims, node.eps, node.mean, node.invstd
        self.affine = affine

    def forward(self, g: Any, x: Any, weight: Any) -> Any:
        w = None if weight is None else weight.reshape(-1)
        rows = _rows(g, self.dims), _rows(x, self.dims)
        gx, gweight, gbias = self.backend.layer_norm_backward(*rows, w, self.mean, self.invstd, self.affine)
        gx = gx.reshape(x.shape)
        if not self.affine:
            return gx
        dtype, shape = (x if weight is None else weight).dtype, x.shape[x.ndim - self.dims :]
        return gx, rounded(gweight, dtype).reshape(shape), rounded(gbias, dtype).reshape(shape)

    def formula(self, g: Tensor, x: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        ndim = x._data.ndim
        leading, last = list(range(ndim - self.dims)), list(range(ndim - self.dims, ndim))
        centred = x if self.mean is None else x - x.mean(last, keepdim=True)
        invstd = ((centred * centred).mean(last, keepdim=True) + self.eps).rsqrt()
        xhat = centred * invstd
        to_y = g if weight is None else g * weight
        gx = to_y - xhat * (to_y * xhat).mean(last, keepdim=True)
        if self.mean is not None:
            gx = gx - to_y.mean(last, keepdim=True)
        if not self.affine:
            return (gx * invstd,)
        gweight, gbias = (t.sum(leading) if leading else t for t in (g * xhat, g))
        return gx * invstd, gweight, gbias


class GroupNorm(Node):
    """``(x - mean) / s * weight + bias`` over groups of channels of each sample, with ``s = sqrt(var + eps)``."""

    keep_inputs = (0, 1)

    def __init__(self, groups: int, eps: float) -> None:
        self.groups = groups
        self.eps = eps

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        y, self.mean, self.invstd = self.backend.group_norm(x, self.groups, weight, bias, self.eps)
        return y

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        found = GroupNormGrad(self)(g, *self.saved)
        return tuple([gradient if need else None for gradient, need in zip(found, self.needs_input_grad, strict=True)])


class GroupNormGrad(FusedGradient):
    """The gradients of the input, of weight and of bias."""

    keep_inputs = (0, 1, 2)

    def __init__(self, node: GroupNorm) -> None:
        self.groups, self.eps, self.mean, self.invstd = node.groups, node.eps, node.mean, node.invstd

    def forward(self, g: Any, x: Any, weight: Any) -> Any:
        gx, gweight, gbias = self.backend.group_norm_backward(g, x, weight, self.mean, self.invstd)
        return gx, rounded(gweight, x.dtype), rounded(gbias, x.dtype)

    def formula(self, g: Tensor, x: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        n, channels, *spatial = x._data.shape
        groups = (n, self.groups, channels // self.groups * math.prod(spatial))
        centred = x.reshape(groups)
        centred = centred - centred.mean(2, keepdim=True)
        invstd = ((centred * centred).mean(2, keepdim=True) + self.eps).rsqrt()
        xhat = centred * invstd
        to_y = (g if weight is None else g * weight.reshape(channels, *[1] * len(spatial))).reshape(groups)
        gx = (to_y - xhat * (to_y * xhat).mean(2, keepdim=True) - to_y.mean(2, keepdim=True)) * invstd
        others = [0, *range(2, x._data.ndim)]
        return gx.reshape(x.shape), (g * xhat.reshape(x.shape)).sum(others), g.sum(others)


def _rows(x: Any, dims: int) -> Any:
    """The matrix whose rows are the last dimensions."""
    shape = x.shape
    return x.reshape(math.prod(shape[: len(shape) - dims]), math.prod(shape[len(shape) - dims :]))


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int]) -> Tensor:
    if weight is not None:
        y = y * cast(weight, y.dtype).reshape(tuple(shape))
    return y if bias is None else y + cast(bias, y.dtype).reshape(tuple(shape))


def _groups(input: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Group norm, with parameters of any dtype."""
    return GroupNorm(groups, eps)(input, *[v if v is None else cast(v, input.dtype) for v in (weight, bias)])


def _check_affine(name: str, shape: Sequence[int], **named: Tensor | None) -> None:
    for argument, t in named.items():
        if t is not None and t._data.shape != tuple(shape):
            raise RuntimeError(takes(name, argument, f"shape {tuple(shape)}", f"shape {tuple(t.shape)}"))


def _check_floating(name: str, input: Tensor) -> None:
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))


def _last_shape(name: str, input: Tensor, normalized_shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(normalized_shape)
    if not shape or input._data.shape[-len(shape) :] != shape:
        expected = f"(..., {', '.join(map(str, shape))}), ending in `normalized_shape`" if shape else "one size or more"
        argument, got = ("input", f"shape {tuple(input.shape)}") if shape else ("normalized_shape", "none")
        raise RuntimeError(takes(name, argument, expected, got))
    return shape


@op
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """``(input - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions (Ba et al., arXiv 1607.06450).

    Parameters
    ----------
    normalized_shape
        The last sizes of ``input``: over these dimensions mean and (biased) variance are taken.
    weight, bias
        Of this shape, or None.
    """
    _check_floating("layer_norm", input)
    shape = _last_shape("layer_norm", input, normalized_shape)
    _check_affine("layer_norm", shape, weight=weight, bias=bias)
    return LayerNorm(len(shape), eps)(input, weight, bias)


@op
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Each sample's channels, in groups, less their mean over their standard deviation (Wu & He, arXiv 1803.08494).

    Parameters
    ----------
    input
        ``(N, C, ...)``
    num_groups
        A divisor of the number of channels.
    weight, bias
        ``(C,)`` or None
    """
    name = "group_norm"
    if input._data.ndim < 2:
        raise RuntimeError(takes(name, "input", "(N, C, ...)", f"shape {tuple(input.shape)}"))
    _check_floating(name, input)
    n, channels, *rest = input._data.shape
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(takes(name, "num_groups", f"a divisor of the {channels} channels", num_groups))
    per_group = channels // num_groups * math.prod(rest)
    if n * per_group == 1:
        expected = "more than 1 value per channel when training"
        raise ValueError(takes(name, "input", expected, f"shape {tuple(input.shape)}"))
    _check_affine(name, (channels,), weight=weight, bias=bias)
    return _groups(input, num_groups, weight, bias, eps)


@op
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample less its mean over its standard deviation (Ulyanov et al., arXiv 1607.08022).

    Parameters
    ----------
    input
        ``(N, C, ...)``
    running_mean, running_var
        ``(C,)``: updated with the average over the batch, or used if not ``use_input_stats``.
    weight, bias
        ``(C,)`` or None
    use_input_stats
        Whether the input's own statistics are used.
    momentum
        Share of the batch in the update of the running statistics, the variance with the unbiased estimate.
    """
    name = "instance_norm"
    if input._data.ndim < 3:
        raise RuntimeError(takes(name, "input", "(N, C, ...) with more dimensions", f"shape {tuple(input.shape)}"))
    _check_floating(name, input)
    channels, *rest = input._data.shape[1:]
    parts = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    _check_affine(name, (channels,), **parts)
    along = (channels, *[1] * len(rest))
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(takes(name, "running_mean", "a tensor unless `use_input_stats`", None))
        y = (input - running_mean.reshape(along)) * (running_var.reshape(along) + eps).rsqrt()
        return _affine(y, weight, bias, along)
    count = math.prod(rest)
    if count == 1:
        expected = "more than 1 spatial element when training"
        raise ValueError(takes(name, "input", expected, f"shape {tuple(input.shape)}"))
    if running_mean is not None and running_var is not None:
        dims = list(range(2, input._data.ndim))
        with no_grad():
            running_mean.mul_(1 - momentum).add_(input.mean(dims).mean(0), alpha=momentum)
            running_var.mul_(1 - momentum).add_(input.var(dims).mean(0), alpha=momentum)
    return _groups(input, channels, weight, bias, eps)


@op
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """``input / sqrt(mean(input^2) + eps) * weight`` over the last dimensions (Zhang & Sennrich, arXiv 1910.07467).

    Parameters
    ----------
    normalized_shape
        The last sizes of ``input``.
    weight
        Of this shape, or None.
    eps
        By default the smallest step above 1 of the dtype (float32's for half types).
    """
    _check_floating("rms_norm", input)
    shape = _last_shape("rms_norm", input, normalized_shape)
    _check_affine("rms_norm", shape, weight=weight)
    if eps is None:
        eps = dtypes.finfo(dtypes.float32 if input._data.itemsize == 2 else input.dtype).eps
    return LayerNorm(len(shape), eps, centered=False)(input, weight, None)


@op
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``input / (k + alpha * mean of squares over neighbouring channels) ^ beta`` (Krizhevsky et al. 2012).

    Parameters
    ----------
    input
        ``(N, C, ...)``
    size
        The number of neighbours, with the channel itself; beyond the border there are zeros.
    """
    if input._data.ndim < 3:
        raise ValueError(takes("local_response_norm", "input", "at least 3 dimensions", f"shape {tuple(input.shape)}"))
    if not input._data.size:
        return input
    borders = [0, 0] * (input._data.ndim - 2) + [size // 2, (size - 1) // 2]
    squares = pad(input * input, borders).unfold(1, size, 1).mean(-1)
    return input / (squares * alpha + k) ** beta
