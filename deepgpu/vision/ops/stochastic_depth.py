"""Stochastic depth (Huang et al., arXiv 1603.09382): residual branches that are left out at random in training."""

from __future__ import annotations

from deepgpu import nn
from deepgpu.errors import takes
from deepgpu.ops.creation import empty
from deepgpu.tensor import Tensor


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """The input times 0 with probability ``p``, else times ``1 / (1 - p)``; the input itself unless training.

    Parameters
    ----------
    input
        ``(N, ...)``
    mode
        ``"batch"`` draws once for all samples, ``"row"`` for each.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(takes("stochastic_depth", "p", "a probability in [0, 1]", p))
    if mode not in ("batch", "row"):
        raise ValueError(takes("stochastic_depth", "mode", "'batch' or 'row'", mode))
    if not training or p == 0.0:
        return input
    shape = [input.shape[0] if mode == "row" else 1] + [1] * (input.ndim - 1)
    kept = empty(shape, dtype=input.dtype, device=input.device).bernoulli_(1.0 - p)
    return input * (kept / (1.0 - p) if p < 1.0 else kept)


class StochasticDepth(nn.Module):
    """:func:`stochastic_depth` as a layer.

    Parameters
    ----------
    p
        Probability of 0.
    mode
        ``"batch"`` or ``"row"``.
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        """The input, or zeros, sample by sample."""
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, mode={self.mode})"
