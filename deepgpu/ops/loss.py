"""Losses: cross-entropy, negative log-likelihood, squared and absolute errors, binary cross-entropy."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.ops.activation import logsigmoid
from deepgpu.ops.broadcast import check_expands, check_shapes, promoted, unbroadcast
from deepgpu.ops.cast import cast
from deepgpu.ops.cross_entropy import CrossEntropy
from deepgpu.ops.elementwise import FusedElementwise
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.op import op
from deepgpu.ops.selection import where
from deepgpu.ops.softmax import log_softmax
from deepgpu.ops.targets import NllLoss, check_labels, check_target_shape, checked_targets
from deepgpu.tensor import Tensor, wrap


def reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    """The mean, the sum, or every element."""
    _check_reduction(reduction, name)
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def _check_reduction(reduction: str, name: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(takes(name, "reduction", "'mean', 'sum' or 'none'", repr(reduction)))


# --- losses of classes -----------------------------------------------------------------------------------------------


@op
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of the target classes.

    Parameters
    ----------
    input
        Log-probabilities ``(N, C)``, ``(N, C, d1, ...)`` or ``(C,)``.
    target
        Class indices ``(N)``, ``(N, d1, ...)`` or ``()``, int64 or uint8.
    weight
        ``(C,)``: a weight a class. The mean divides by the sum of the targets' weights.
    ignore_index
        Targets of this value do not count.
    reduction
        ``"mean"``, ``"sum"`` or ``"none"``. The mean of no targets is NaN.

    Raises
    ------
    IndexError
        If a target is no class; the message names it and where it stands.
    RuntimeError, ValueError
        If shapes or dtypes do not fit.
    """
    _check_reduction(reduction, "nll_loss")
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes("nll_loss", "input", "a floating-point tensor", input.dtype))
    return NllLoss(checked_targets("nll_loss", input, target, weight, ignore_index, reduction, 0.0))(input)


@op
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy between ``softmax(input)`` and the target.

    Parameters
    ----------
    input
        Logits ``(N, C)``, ``(N, C, d1, ...)`` or ``(C,)``.
    target
        Class indices as for :func:`nll_loss`, or class probabilities in the shape of ``input``.
    weight, ignore_index, reduction
        As for :func:`nll_loss`. Probabilities know no ``ignore_index``; their mean divides by their number.
    label_smoothing
        How much of the target's mass is spread evenly over all classes (Szegedy et al., arXiv 1512.00567).

    Raises
    ------
    IndexError
        If a target is no class; the message names it and where it stands.
    RuntimeError, ValueError
        If shapes or dtypes do not fit.
    """
    name = "cross_entropy"
    _check_reduction(reduction, name)
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(takes(name, "label_smoothing", "a number in [0, 1]", label_smoothing))
    if not target.dtype.is_floating_point:
        return CrossEntropy(checked_targets(name, input, target, weight, ignore_index, reduction, label_smoothing))(
            input
        )
    if target._data.shape != input._data.shape:
        check_target_shape(name, input._data.shape, target._data.shape)
        raise RuntimeError(takes(name, "target", "class indices as int64 or uint8 in this shape", target.dtype))
    if ignore_index >= 0:
        raise RuntimeError(takes(name, "ignore_index", "a class only where targets are class indices", ignore_index))
    return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float
) -> Tensor:
    shape = input._data.shape
    dim = min(1, len(shape) - 1)
    if dim < 0:
        raise IndexError(takes("cross_entropy", "input", "(C,) or (N, C, ...)", "a 0-d tensor"))
    logp = log_softmax(input, dim)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / shape[dim]
    if weight is not None:
        if weight._data.shape != (shape[dim],):
            expected = f"shape ({shape[dim]},)"
            raise RuntimeError(takes("cross_entropy", "weight", expected, f"shape {tuple(weight.shape)}"))
        logp = logp * weight.reshape([-1 if d == dim else 1 for d in range(len(shape))])
    return reduced(-(logp * target).sum(dim), reduction, "cross_entropy")


@op(differentiable=False)
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Class indices as int64 vectors with a single 1.

    Parameters
    ----------
    tensor
        int64, of any shape.
    num_classes
        How many classes; -1 is one more than the greatest index.

    Returns
    -------
    Tensor
        ``(*tensor.shape, num_classes)``

    Raises
    ------
    RuntimeError
        If an index is no class.
    """
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError(takes("one_hot", "tensor", "class indices as int64", tensor.dtype))
    labels = tensor._data
    if num_classes < -1 or (labels.size == 0 and num_classes < 1):
        expected = "a number of classes" if labels.size else "a number of classes, for an empty tensor does not tell it"
        raise RuntimeError(takes("one_hot", "num_classes", expected, num_classes))
    classes = int(labels.max()) + 1 if num_classes == -1 else num_classes
    check_labels("one_hot", tensor, labels, None, max(classes, 0), "", RuntimeError)
    backend = tensor._backend
    return wrap((labels[..., None] == backend.xp.arange(classes)).astype(labels.dtype), backend)


# --- losses of pairs of elements -------------------------------------------------------------------------------------


class Huber(FusedElementwise):
    """``0.5 d^2 / beta`` where ``|d| < beta``, else ``|d| - 0.5 beta``."""

    kernel = "huber"

    def __init__(self, beta: float) -> None:
        self.beta = beta
        self.factors = (beta,)

    def value(self, d: Any) -> Any:
        size = self.xp.abs(d)
        return self.xp.where(size < self.beta, d * d * (0.5 / self.beta), size - 0.5 * self.beta)

    def slope(self, d: Tensor) -> Tensor:
        return where(d.abs() < self.beta, d / self.beta, d.sign())


def _difference(input: Tensor, target: Tensor, name: str) -> Tensor:
    """Of floating-point tensors that broadcast, in their promoted dtype."""
    a, b = promoted(name, input, target)
    if not a.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "floating-point tensors", a.dtype))
    check_shapes(name, a._data.shape, b._data.shape)
    return a - b


@op
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Squared differences; shapes broadcast."""
    return reduced(_difference(input, target, "mse_loss").square(), reduction, "mse_loss")


@op
def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Absolute differences; shapes broadcast."""
    return reduced(_difference(input, target, "l1_loss").abs(), reduction, "l1_loss")


@op
def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """``0.5 d^2 / beta`` where the difference ``d`` is below ``beta``, else ``|d| - 0.5 beta``; shapes broadcast."""
    if beta < 0:
        raise RuntimeError(takes("smooth_l1_loss", "beta", "a number that is not negative", beta))
    d = _difference(input, target, "smooth_l1_loss")
    return reduced(Huber(beta)(d) if beta else d.abs(), reduction, "smooth_l1_loss")


@op
def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """``0.5 d^2`` where the difference ``d`` is below ``delta``, else ``delta (|d| - 0.5 delta)``; shapes broadcast."""
    if delta <= 0:
        raise RuntimeError(takes("huber_loss", "delta", "a positive number", delta))
    d = _difference(input, target, "huber_loss")
    return reduced(Huber(delta)(d) * delta, reduction, "huber_loss")


# --- losses of probabilities -----------------------------------------------------------------------------------------


class BinaryCrossEntropy(Node):
    """``-(t log p + (1 - t) log(1 - p))``, with PyTorch's limits: no logarithm below -100, no slope above 1e12."""

    keep_inputs = (0, 1)

    def forward(self, p: Any, t: Any) -> Any:
        found = self.backend.binary_cross_entropy(p, t)
        if found is not None:
            return found
        xp = self.xp
        wide, target = widened(p), widened(t)
        loss = (target - 1) * xp.maximum(xp.log1p(-wide), -100) - target * xp.maximum(xp.log(wide), -100)
        return rounded(loss, p.dtype)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        p, t = self.saved
        need_p, need_t = self.needs_input_grad
        gp = BinaryCrossEntropyGrad()(g, p, t) if need_p else None
        gt = g * ((-p).log1p() - p.log()) if need_t else None
        return gp, gt


class BinaryCrossEntropyGrad(FusedGradient):
    """The gradient of the probabilities."""

    keep_inputs = (0, 1, 2)

    def forward(self, g: Any, p: Any, t: Any) -> Any:
        found = self.backend.binary_cross_entropy_backward(g, p, t)
        if found is not None:
            return found
        with no_grad():
            return self.formula(*(wrap(x, self.backend) for x in (g, p, t)))[0]._data

    def formula(self, g: Tensor, p: Tensor, t: Tensor) -> tuple[Tensor]:
        return (g * (p - t) / (p * (1 - p)).clamp(min=1e-12),)


class BinaryCrossEntropyWithLogits(Node):
    """``(1 - t) x + (1 + (w - 1) t) log(1 + exp(-x))``, with the weight ``w`` of positive targets, or None for 1."""

    keep_inputs = (0, 1, 2)

    def forward(self, x: Any, t: Any, w: Any) -> Any:
        xp = self.xp
        wide, target = widened(x), widened(t)
        likelihood = self.backend.elementwise("log_sigmoid", wide)
        if likelihood is None:
            likelihood = xp.minimum(wide, 0) - xp.log1p(xp.exp(-xp.abs(wide)))  # -log(1 + exp(-x)), without overflow
        factor = 1 if w is None else (widened(w) - 1) * target + 1
        return rounded((1 - target) * wide - factor * likelihood, x.dtype)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        x, t, w = self.saved
        need_x, need_t, need_w = self.needs_input_grad
        gx = gt = gw = None
        if need_x:
            s = x.sigmoid()
            gx = g * (s - t if w is None else ((w - 1) * t + 1) * s - w * t)
        if need_t:
            gt = -g * (x if w is None else w * logsigmoid(x) - logsigmoid(-x))
        if need_w:
            gw = unbroadcast(-g * t * logsigmoid(x), w._data.shape)
        return gx, gt, gw


def _check_pair(name: str, input: Tensor, target: Tensor) -> None:
    if input._data.shape != target._data.shape:
        expected = f"the shape of `input`, {tuple(input.shape)}"
        raise ValueError(takes(name, "target", expected, f"shape {tuple(target.shape)}"))
    for argument, t in (("input", input), ("target", target)):
        if not t.dtype.is_floating_point:
            raise RuntimeError(takes(name, argument, "a floating-point tensor", t.dtype))


@op
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """``-(t log p + (1 - t) log(1 - p))`` for probabilities ``p``; logarithms are cut off at -100, as in PyTorch.

    Parameters
    ----------
    input, target
        Probabilities, of one shape and dtype.
    weight
        Broadcast to the shape of ``input``: a factor of each element's loss. The mean does not divide by it.
    """
    name = "binary_cross_entropy"
    _check_reduction(reduction, name)
    _check_pair(name, input, target)
    if input._data.dtype != target._data.dtype:
        raise RuntimeError(takes(name, "target", f"the dtype of `input`, {input.dtype}", target.dtype))
    for argument, t in (("input", input), ("target", target)):
        data = t._data
        if data.size and not bool(((data >= 0) & (data <= 1)).all()):
            low, high = float(data.min()), float(data.max())
            raise RuntimeError(takes(name, argument, "probabilities in [0, 1]", f"values from {low:g} to {high:g}"))
    loss = BinaryCrossEntropy()(input, target)
    return reduced(_weighted(name, loss, weight), reduction, name)


def _weighted(name: str, loss: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return loss
    check_expands(name, "weight", weight._data.shape, loss._data.shape)
    return loss * weight


@op
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """:func:`binary_cross_entropy` of ``sigmoid(input)``, without overflow.

    Parameters
    ----------
    input
        Logits.
    target
        Probabilities in the shape of ``input``.
    weight
        Broadcast to the shape of ``input``: a factor of each element's loss. The mean does not divide by it.
    pos_weight
        Broadcast likewise: a factor of the positive targets' part.
    """
    name = "binary_cross_entropy_with_logits"
    _check_reduction(reduction, name)
    _check_pair(name, input, target)
    x, t = promoted(name, input, target)
    if pos_weight is not None:
        check_expands(name, "pos_weight", pos_weight._data.shape, x._data.shape)
        pos_weight = cast(pos_weight, x.dtype)
    loss = BinaryCrossEntropyWithLogits()(x, t, pos_weight)
    return reduced(_weighted(name, loss, weight), reduction, name)
