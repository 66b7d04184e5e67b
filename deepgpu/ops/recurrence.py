"""All steps of a recurrent layer as one node, where the device has a kernel for them; elsewhere they go one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.autograd.engine import grad as vjp
from deepgpu.autograd.node import Node
from deepgpu.backends.base import RecurrenceTrace
from deepgpu.ops.autocast import state as autocasting
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.matmul import linear
from deepgpu.ops.recurrent import Cell, State, gru_cell, lstm_cell, recur, rnn_cell
from deepgpu.tensor import Tensor


class Recurrence(Node):
    """From ``x, w, bias, recurrent, recurrent_bias`` and the first states: the outputs and the last states.

    They are those of :meth:`deepgpu.backends.base.Backend.recurrence`.
    """

    kept: RecurrenceTrace | None = None

    def __init__(self, kind: str, sizes: Sequence[int], reverse: bool) -> None:
        self.kind, self.sizes, self.reverse = kind, tuple(sizes), reverse
        self.keep_inputs = tuple(range(7 if kind == "lstm" else 6))

    def forward(self, x: Any, w: Any, bias: Any, recurrent: Any, recurrent_bias: Any, *first: Any) -> Any:
        y, last, kept = self.backend.recurrence(
            self.kind, x, w, bias, recurrent, recurrent_bias, first, self.sizes, self.reverse
        )
        if self.needs_input_grad:  # what is kept sees the outputs, which may be modified in place
            self.kept, y = kept, y.copy()
        return y, *last

    def backward(self, gy: Tensor, *glast: Tensor) -> tuple[Tensor | None, ...]:
        inputs, needs = self.saved, self.needs_input_grad
        assert self.kept is not None
        gradient = RecurrenceGrad(self.kind, self.sizes, self.reverse, self.kept, needs)
        given = iter(gradient(gy, *glast, *inputs))
        return tuple([next(given) if need else None for need in needs])

    def release(self) -> None:
        super().release()
        self.kept = None


class RecurrenceGrad(FusedGradient):
    """The gradients of those inputs of :class:`Recurrence` that need one."""

    def __init__(
        self, kind: str, sizes: tuple[int, ...], reverse: bool, kept: RecurrenceTrace, wanted: Sequence[bool]
    ) -> None:
        self.kind, self.sizes, self.reverse, self.wanted = kind, sizes, reverse, tuple(wanted)
        self.kept: RecurrenceTrace | None = kept
        self.states = 2 if kind == "lstm" else 1
        self.keep_inputs = tuple(range(1 + self.states + len(wanted)))

    def forward(self, gy: Any, *others: Any) -> Any:
        kept, self.kept = self.kept, None
        assert kept is not None
        glast, (x, w, _, recurrent, _, *first) = others[: self.states], others[self.states :]
        gsums, ghidden, gfirst = self.backend.recurrence_backward(
            self.kind, gy, glast, recurrent, tuple(first), kept, self.sizes, self.reverse
        )
        product, total = self.backend.matmul, self.backend.sum
        gradients = (
            lambda: product(gsums, w),
            lambda: product(gsums.T, x),
            lambda: total(gsums, (0,), False),
            lambda: product(ghidden.T, kept.before),
            lambda: total(ghidden, (0,), False),
            *[lambda g=g: g for g in gfirst],
        )
        return tuple([gradient() for gradient, wanted in zip(gradients, self.wanted, strict=True) if wanted])

    def formula(self, gy: Tensor, *others: Tensor) -> tuple[Tensor | None, ...]:
        glast, inputs = others[: self.states], others[self.states :]
        x, w, bias, recurrent, recurrent_bias, *first = inputs
        cell = _cell(self.kind, recurrent, recurrent_bias)
        y, last = recur(cell, linear(x, w, bias), self.sizes, tuple(first), self.reverse)
        wanted = [t for t, is_wanted in zip(inputs, self.wanted, strict=True) if is_wanted]
        return vjp((y, *last), wanted, (gy, *glast), create_graph=True, allow_unused=True)


def _cell(kind: str, recurrent: Tensor, bias: Tensor | None) -> Cell:
    if kind == "lstm":
        return lstm_cell(recurrent, bias, None)
    return gru_cell(recurrent, bias) if kind == "gru" else rnn_cell(recurrent, bias, kind)


def recurrence(
    kind: str,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    recurrent: Tensor,
    recurrent_bias: Tensor | None,
    state: State,
    sizes: Sequence[int],
    reverse: bool,
) -> tuple[Tensor, State]:
    """A recurrent layer in one direction over the rows of a sequence, as :func:`deepgpu.ops.recurrent.recur` has them.

    Parameters
    ----------
    kind
        ``"tanh"``, ``"relu"``, ``"lstm"`` or ``"gru"``
    x
        ``(sum of sizes, K)``, not yet multiplied.
    w, bias
        ``(G H, K)`` and ``(G H,)`` or None, for G gates.
    recurrent, recurrent_bias
        ``(G H, H)`` and ``(G H,)`` or None; all but the GRU's had better be added to ``bias``.
    state
        ``(B, H)`` each: ``h``, and the LSTM's ``c``.
    """
    tensors = [t for t in (w, bias, recurrent, recurrent_bias, *state) if t is not None]
    alike = all(t._data.dtype == x._data.dtype and t._backend is x._backend for t in tensors)
    full = all(t._data.size for t in (x, *state))
    folded = kind == "gru" or recurrent_bias is None  # the kernels of the others take one bias
    if alike and full and folded and not autocasting.active and x._backend.has_recurrence(x._data.dtype):
        y, *last = Recurrence(kind, sizes, reverse)(x, w, bias, recurrent, recurrent_bias, *state)
        return y, tuple(last)
    return recur(_cell(kind, recurrent, recurrent_bias), linear(x, w, bias), sizes, state, reverse)
