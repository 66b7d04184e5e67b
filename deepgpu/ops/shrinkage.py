"""Activations that set small inputs to zero, random slopes, and samples of a softmax."""

from __future__ import annotations

from deepgpu.errors import takes
from deepgpu.ops.assign import assign
from deepgpu.ops.creation import zeros_like
from deepgpu.ops.op import op
from deepgpu.ops.sampling import rand
from deepgpu.ops.selection import where
from deepgpu.ops.softmax import softmax
from deepgpu.tensor import Tensor


def _check(name: str, input: Tensor) -> None:
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))


@op(method=True)
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` where its absolute value is above ``lambd``, else 0."""
    _check("hardshrink", input)
    return input.masked_fill((input >= -lambd) & (input <= lambd), 0.0)


@op
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` moved towards 0 by ``lambd``, at most to 0."""
    _check("softshrink", input)
    if lambd < 0:
        raise RuntimeError(takes("softshrink", "lambd", "a number that is not negative", lambd))
    low, high = input < -lambd, input > lambd
    moved = where(low, input + lambd, input - lambd)
    return moved.masked_fill(~(low | high | input.isnan()), 0.0)


@op
def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """A leaky ReLU whose slopes are drawn from ``[lower, upper)`` in training, and their mean otherwise.

    Parameters
    ----------
    inplace
        Store the result in ``input``.
    """
    _check("rrelu", input)
    if lower > upper:
        raise RuntimeError(takes("rrelu", "upper", f"at least `lower`, {lower}", upper))
    slope: float | Tensor = (lower + upper) / 2
    if training:
        drawn = rand(tuple(input.shape), dtype=input.dtype, device=input.device)
        slope = drawn * (upper - lower) + lower
    out = where(input > 0, input, input * slope)
    return assign(input, out, "rrelu_") if inplace else out


@op
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """Samples of a categorical distribution that have a gradient (Jang et al., arXiv 1611.01144).

    Parameters
    ----------
    tau
        The temperature: small ones come near to a single 1.
    hard
        A single 1, with the gradient of the soft sample.
    eps
        Has no effect, as in PyTorch.
    """
    noise = -(-rand(tuple(logits.shape), dtype=logits.dtype, device=logits.device)).log1p()
    soft = softmax((logits - noise.log()) / tau, dim)
    if not hard:
        return soft
    one = zeros_like(soft).scatter_(dim, soft.argmax(dim, keepdim=True), 1.0)
    return one - soft.detach() + soft
