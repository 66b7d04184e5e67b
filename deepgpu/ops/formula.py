"""Gradients that a kernel computes in one go, and whose own gradients come from the same formula made of plain ops."""

from __future__ import annotations

from typing import Any

from deepgpu.autograd.engine import grad as vjp
from deepgpu.autograd.grad_mode import enable_grad, state
from deepgpu.autograd.node import Node
from deepgpu.tensor import Tensor


class FusedGradient(Node):
    """A node whose ``forward`` is a fused kernel; ``formula`` says the same in ops, and is recorded for its backward.

    A subclass keeps all its inputs: ``keep_inputs = (0, 1, ...)``.
    """

    def formula(self, *inputs: Any) -> tuple[Tensor | None, ...]:
        """What ``forward`` computes, made of ops on tensors."""
        raise NotImplementedError

    def backward(self, *grads: Tensor) -> tuple[Tensor | None, ...]:
        again = state.enabled
        with enable_grad():
            # Tensors of their own to differentiate for: one input may depend on another, but not in this formula.
            fresh: list[Any] = [
                t if not need else t.view_as(t) if again else t.detach().requires_grad_()
                for t, need in zip(self.saved, self.needs_input_grad, strict=True)
            ]
            taken = [t for t, need in zip(fresh, self.needs_input_grad, strict=True) if need]
            results = self.formula(*fresh)
            pairs = [(r, g) for r, g in zip(results, grads, strict=True) if r is not None and r.requires_grad]
            found = vjp([r for r, _ in pairs], taken, [g for _, g in pairs], create_graph=again, allow_unused=True)
        given = iter(found)
        return tuple([next(given) if need else None for need in self.needs_input_grad])
