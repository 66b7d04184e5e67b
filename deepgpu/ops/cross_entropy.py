"""The fused loss of logits with class labels, for :func:`deepgpu.ops.loss.cross_entropy`."""

from __future__ import annotations

from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.backends.precision import rounded, widened
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.softmax import softmax
from deepgpu.ops.targets import NllLossGrad, Targets
from deepgpu.tensor import Tensor, wrap


class CrossEntropy(Node):
    """The losses of :class:`Targets` with the logarithm of ``softmax(x)``, or their sum or mean."""

    keep_inputs = (0,)

    def __init__(self, targets: Targets) -> None:
        self.targets = targets

    def forward(self, x: Any) -> Any:
        t = self.targets
        losses, self.norms = self.backend.cross_entropy(x, t.labels, t.weight, t.smoothing)
        if t.reduction != "none":
            losses = losses.sum()
        if t.reduction == "mean":
            losses = losses / t.total(self.xp, losses.dtype)
        return rounded(losses, x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return CrossEntropyGrad(self.targets, self.norms)(g, x)


class CrossEntropyGrad(FusedGradient):
    """``g (sum(c) softmax(x) - c)``, where a target's loss is ``-sum(c log_softmax(x))``."""

    keep_inputs = (0, 1)

    def __init__(self, targets: Targets, norms: Any) -> None:
        self.targets = targets
        self.norms = norms

    def forward(self, g: Any, x: Any) -> Any:
        t, each = self.targets, widened(g)
        if t.reduction == "mean":
            each = each / t.total(self.xp, each.dtype)
        return self.backend.cross_entropy_backward(each, x, self.norms, t.labels, t.weight, t.smoothing)

    def formula(self, g: Tensor, x: Tensor) -> tuple[Tensor]:
        t, each = self.targets.each(), g
        if self.targets.reduction == "mean":
            total = t.total(self.xp, x._data.dtype)
            each = each / (total if type(total) is int else wrap(total, self.backend))
        each = each.expand(*t.labels.shape)
        if t.ignored is not None:  # a mean over no target has no gradient that a product with 0 would remove
            each = each.masked_fill(wrap(t.ignored, self.backend), 0.0)
        c = -NllLossGrad(t)(wrap(self.xp.ones(t.labels.shape, x._data.dtype), self.backend))
        return (each.unsqueeze(t.axis) * (softmax(x, t.axis) * c.sum(t.axis, keepdim=True) - c),)
