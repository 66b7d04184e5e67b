"""Softmax over many classes, of which few are frequent: :class:`AdaptiveLogSoftmaxWithLoss`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.nn import functional as F
from deepgpu.nn.modules.container import ModuleList, Sequential
from deepgpu.nn.modules.linear import Linear
from deepgpu.nn.modules.module import Module
from deepgpu.ops.indexing import gather
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of targets and their mean loss, cheaper than softmax over all classes (Grave et al. 2017).

    The frequent classes and the clusters of rare ones stand in one softmax, the classes of a cluster in one of their
    own, computed from fewer features and only for the samples that need it. Classes are numbered by falling frequency.

    Parameters
    ----------
    in_features, n_classes
        The size of the last dimension of the input, and how many classes there are.
    cutoffs
        The first class of each cluster.
    div_value
        By how much the number of features falls from cluster to cluster.
    head_bias
        Whether the first softmax has a bias.

    Raises
    ------
    ValueError
        If ``cutoffs`` are no rising positive integers below ``n_classes``.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__()
        cuts = list(cutoffs)
        if not cuts:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        whole = all(int(c) == c for c in cuts)
        if cuts != sorted(set(cuts)) or cuts[0] <= 0 or cuts[-1] > n_classes - 1 or not whole:
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                f"value is between 1 and n_classes-1, but got {cuts} with n_classes={n_classes}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cuts, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = cuts[0]
        self.n_clusters = len(cuts)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            width = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, device=device, dtype=dtype),
                    Linear(width, high - low, bias=False, device=device, dtype=dtype),
                )
            )

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        """The log-probabilities of the targets, and their negative mean.

        Parameters
        ----------
        input_
            ``(N, in_features)`` or ``(in_features,)``
        target_
            ``(N,)`` or a 0-d tensor: classes
        """
        name = type(self).__name__
        if target_.dim() > 1:
            raise RuntimeError(takes(name, "target_", "(N,) or a 0-d tensor", f"shape {tuple(target_.shape)}"))
        if input_.dim() != target_.dim() + 1 or input_.shape[:-1] != target_.shape:
            expected = "(N, in_features) for (N,) targets, or that without N"
            got = f"shape {tuple(input_.shape)} for targets {tuple(target_.shape)}"
            raise RuntimeError(takes(name, "input_", expected, got))
        input, target = (input_, target_) if target_.dim() else (input_.unsqueeze(0), target_.unsqueeze(0))
        if bool(((target < 0) | (target >= self.n_classes)).any()):
            values = f"values in [{int(target.min())}, {int(target.max())}]"
            raise RuntimeError(takes(name, "target_", f"classes in [0, {self.n_classes - 1}]", values))
        column = target.clone()  # of the head
        output = input.new_zeros(target.shape)
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            rows = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if not rows.numel():
                continue
            column = column.index_fill(0, rows, self.shortlist_size + i)
            found = F.log_softmax(self.tail[i](input.index_select(0, rows)), 1)
            own = gather(found, 1, (target.index_select(0, rows) - low).unsqueeze(1)).squeeze(1)
            output = output.index_copy(0, rows, own)
        output = output + gather(F.log_softmax(self.head(input), 1), 1, column.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output if target_.dim() else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """``(N, n_classes)``: the log-probabilities of all classes, for an input ``(N, in_features)``."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            parts.append(F.log_softmax(cluster(input), 1) + head[:, self.shortlist_size + i].unsqueeze(1))
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """``(N,)``: the class that the head, or for its clusters :meth:`log_prob`, finds most probable.

        As in PyTorch, samples whose likeliest head entry is a frequent class do not look into the clusters.
        """
        found = self.head(input).argmax(1)
        rare = (found >= self.shortlist_size).nonzero().squeeze(1)
        if rare.numel():
            found = found.index_copy(0, rare, self.log_prob(input.index_select(0, rare)).argmax(1))
        return found
