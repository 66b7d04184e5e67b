"""All steps of an LSTM layer as one node, where the device has a kernel for them; otherwise they go one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.autograd.engine import grad as vjp
from deepgpu.autograd.node import Node
from deepgpu.backends.base import LstmTrace
from deepgpu.ops.autocast import state as autocasting
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.matmul import linear
from deepgpu.ops.recurrent import State, lstm_cell, recur
from deepgpu.tensor import Tensor


class Lstm(Node):
    """From ``x, w, bias, recurrent, h, c`` of :meth:`deepgpu.backends.base.Backend.lstm`: outputs and last states."""

    keep_inputs = (0, 1, 2, 3, 4, 5)
    kept: LstmTrace | None = None

    def __init__(self, sizes: Sequence[int], reverse: bool) -> None:
        self.sizes, self.reverse = tuple(sizes), reverse

    def forward(self, x: Any, w: Any, bias: Any, recurrent: Any, h: Any, c: Any) -> Any:
        y, h, c, kept = self.backend.lstm(x, w, bias, recurrent, h, c, self.sizes, self.reverse)
        if self.needs_input_grad:  # it sees the outputs, which may be modified in place
            self.kept, y = kept, y.copy()
        return y, h, c

    def backward(self, gy: Tensor, gh: Tensor, gc: Tensor) -> tuple[Tensor | None, ...]:
        needs = self.needs_input_grad
        inputs = self.saved
        assert self.kept is not None
        made = LstmGrad(self.sizes, self.reverse, self.kept, needs)(gy, gh, gc, *inputs)
        given = iter(made)
        return tuple([next(given) if need else None for need in needs])

    def release(self) -> None:
        super().release()
        self.kept = None


class LstmGrad(FusedGradient):
    """The gradients of those inputs of :class:`Lstm` that need one."""

    keep_inputs = (0, 1, 2, 3, 4, 5, 6, 7, 8)

    def __init__(self, sizes: tuple[int, ...], reverse: bool, kept: LstmTrace, wanted: Sequence[bool]) -> None:
        self.sizes, self.reverse, self.wanted = sizes, reverse, tuple(wanted)
        self.kept: LstmTrace | None = kept

    def forward(self, gy: Any, gh: Any, gc: Any, x: Any, w: Any, bias: Any, recurrent: Any, h: Any, c: Any) -> Any:
        kept, self.kept = self.kept, None
        assert kept is not None
        product = self.backend.matmul
        ggates, gh, gc = self.backend.lstm_backward(gy, gh, gc, recurrent, c, kept, self.sizes, self.reverse)
        gradients = (
            lambda: product(ggates, w),
            lambda: product(ggates.T, x),
            lambda: self.backend.sum(ggates, (0,), False),
            lambda: product(ggates.T, kept.before),
            lambda: gh,
            lambda: gc,
        )
        return tuple([gradient() for gradient, wanted in zip(gradients, self.wanted, strict=True) if wanted])

    def formula(self, gy: Tensor, gh: Tensor, gc: Tensor, *inputs: Tensor) -> tuple[Tensor | None, ...]:
        x, w, bias, recurrent, h, c = inputs
        y, last = recur(lstm_cell(recurrent, None, None), linear(x, w, bias), self.sizes, (h, c), self.reverse)
        wanted = [t for t, is_wanted in zip(inputs, self.wanted, strict=True) if is_wanted]
        return vjp((y, *last), wanted, (gy, gh, gc), create_graph=True, allow_unused=True)


def lstm(
    x: Tensor, w: Tensor, bias: Tensor | None, recurrent: Tensor, state: State, sizes: Sequence[int], reverse: bool
) -> tuple[Tensor, State]:
    """An LSTM layer in one direction over the rows of a sequence, as :func:`deepgpu.ops.recurrent.recur` takes them.

    Parameters
    ----------
    x
        ``(sum of sizes, K)``, not yet multiplied.
    w, bias, recurrent
        ``(4 H, K)``, ``(4 H,)`` or None, ``(4 H, H)``; the bias is the sum of the input's and the state's.
    state
        ``h`` and ``c``, ``(B, H)``.
    """
    same = all(t._data.dtype == x._data.dtype and t._backend is x._backend for t in (w, recurrent, *state))
    if same and not autocasting.active and x._backend.has_lstm(x._data.dtype) and x._data.size and state[0]._data.size:
        y, *last = Lstm(sizes, reverse)(x, w, bias, recurrent, *state)
        return y, tuple(last)
    return recur(lstm_cell(recurrent, None, None), linear(x, w, bias), sizes, state, reverse)
