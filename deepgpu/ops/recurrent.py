"""Recurrent layers: cells, and their recurrence over the steps of padded or packed sequences.

A sequence is a tensor of rows: first those of step 0, then those of step 1, and so on, with a number of rows a step
that never grows. So padded and packed sequences are one. All rows are multiplied by the input's weights at once, and
each step costs one matrix product and one node for its gates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.ops.autocast import state as autocasting
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.joining import cat
from deepgpu.ops.matmul import linear
from deepgpu.tensor import Tensor


class SplitRows(Node):
    """All parts of the first dimension by one node: their gradients meet in one concatenation."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes

    def forward(self, x: Any) -> Any:
        parts, start = [], 0
        for n in self.sizes:
            parts.append(x[start : start + n])
            start += n
        return tuple(parts)

    def backward(self, *grads: Tensor) -> Tensor:
        return JoinRows()(*grads)


class JoinRows(Node):
    """The parts joined again."""

    def forward(self, *parts: Any) -> Any:
        self.sizes = [p.shape[0] for p in parts]
        return self.xp.concatenate(parts)

    def backward(self, g: Tensor) -> tuple[Tensor, ...]:
        return SplitRows(self.sizes)(g)


class LstmGates(Node):
    """From the sums ``(N, 4 H)`` of the gates input, forget, cell and output, and the cell: ``h`` and the new cell.

    Notes
    -----
    Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000::

        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h  = sigmoid(o) tanh(c')
    """

    keep_inputs = (0, 1)
    keep_outputs = (1,)

    def forward(self, gates: Any, c: Any) -> Any:
        return self.backend.lstm_gates(gates, c)

    def backward(self, gh: Tensor, gc: Tensor) -> tuple[Tensor | None, ...]:
        return _needed(LstmGatesGrad()(gh, gc, *self.saved), self.needs_input_grad)


class LstmGatesGrad(FusedGradient):
    """From the gradients of ``h`` and of the new cell, those of the gates' sums and of the cell."""

    keep_inputs = (0, 1, 2, 3, 4)

    def forward(self, gh: Any, gc: Any, gates: Any, c: Any, new: Any) -> Any:
        return self.backend.lstm_gates_backward(gh, gc, gates, c, new)

    def formula(self, gh: Tensor, gc: Tensor, gates: Tensor, c: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        n = c._data.shape[1]
        s, g, t = gates.sigmoid(), gates[:, 2 * n : 3 * n].tanh(), new.tanh()
        i, f, o = s[:, :n], s[:, n : 2 * n], s[:, 3 * n :]
        through = gc + gh * o * (1 - t * t)  # the gradient of the new cell
        parts = [
            through * g * i * (1 - i),
            through * c * f * (1 - f),
            through * i * (1 - g * g),
            gh * t * o * (1 - o),
        ]
        return cat(parts, 1), through * f


def _needed(grads: tuple[Tensor, ...], needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    return tuple([g if need else None for g, need in zip(grads, needs, strict=True)])


class GruGates(Node):
    """From the gates' sums of the input and of the state, in the order reset, update, new: the new state.

    Notes
    -----
    Cho et al., arXiv 1406.1078, with the reset behind the product, as in PyTorch and cuDNN::

        n  = tanh(x_n + sigmoid(x_r + h_r) h_n)
        h' = (1 - z) n + z h,  z = sigmoid(x_z + h_z)
    """

    keep_inputs = (0, 1, 2)

    def forward(self, x: Any, hidden: Any, h: Any) -> Any:
        return self.backend.gru_gates(x, hidden, h)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        return _needed(GruGatesGrad()(g, *self.saved), self.needs_input_grad)


class GruGatesGrad(FusedGradient):
    """From the gradient of the new state, those of both sums of the gates and of the state."""

    keep_inputs = (0, 1, 2, 3)

    def forward(self, g: Any, x: Any, hidden: Any, h: Any) -> Any:
        return self.backend.gru_gates_backward(g, x, hidden, h)

    def formula(self, g: Tensor, x: Tensor, hidden: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = h._data.shape[1]
        s = (x[:, : 2 * n] + hidden[:, : 2 * n]).sigmoid()
        r, z, last = s[:, :n], s[:, n:], hidden[:, 2 * n :]
        new = (x[:, 2 * n :] + r * last).tanh()
        to_new = g * (1 - z) * (1 - new * new)
        to_z = g * (h - new) * z * (1 - z)
        to_r = to_new * last * r * (1 - r)
        return cat([to_r, to_z, to_new], 1), cat([to_r, to_z, to_new * r], 1), g * z


State = tuple[Tensor, ...]
Cell = Callable[[Tensor, State], State]
"""From a step's product with the input's weights, and the state, to the new state, whose first tensor is the output."""


def rnn_cell(weight: Tensor, bias: Tensor | None, nonlinearity: str) -> Cell:
    """The simple cell: ``tanh(x + W h)``, or with ReLU. ``bias`` is in ``x`` already, and None."""

    def cell(x: Tensor, state: State) -> State:
        total = x + linear(state[0], weight, bias)
        return (total.tanh() if nonlinearity == "tanh" else total.relu(),)

    return cell


def lstm_cell(weight: Tensor, bias: Tensor | None, projection: Tensor | None) -> Cell:
    """:class:`LstmGates`; a projection makes the output smaller than the cell (Sak et al., arXiv 1402.1128)."""

    def cell(x: Tensor, state: State) -> State:
        h, c = LstmGates()(x + linear(state[0], weight, bias), state[1])
        return (h if projection is None else linear(h, projection)), c

    return cell


def gru_cell(weight: Tensor, bias: Tensor | None) -> Cell:
    """:class:`GruGates`; the state's bias stays inside, as the reset multiplies it."""

    def cell(x: Tensor, state: State) -> State:
        return (GruGates()(x, linear(state[0], weight, bias), state[0]),)

    return cell


def as_products(state: State, x: Tensor) -> State:
    """The state in the dtype of the product with the input's weights, which autocast may have lowered."""
    return tuple([s.to(x.dtype) for s in state]) if autocasting.active else state


def recur(cell: Cell, x: Tensor, sizes: Sequence[int], state: State, reverse: bool) -> tuple[Tensor, State]:
    """Run a cell over the steps of a sequence.

    Parameters
    ----------
    x
        ``(sum of sizes, ...)``: the rows of all steps, already multiplied by the input's weights.
    sizes
        How many rows each step has; never more than the step before.
    state
        One row for each sequence.
    reverse
        From the last step to the first.

    Returns
    -------
    tuple
        The outputs, rows like those of ``x``, and the state behind each sequence's last step.
    """
    state = as_products(state, x)
    steps = SplitRows(sizes)(x)
    outputs: list[Tensor] = []
    if reverse:
        now = tuple([s.narrow(0, 0, sizes[-1]) for s in state])
        for step, n in zip(reversed(steps), reversed(sizes), strict=True):
            if n > now[0]._data.shape[0]:  # these sequences end here: they begin, from behind
                have = now[0]._data.shape[0]
                now = tuple([cat([s, first.narrow(0, have, n - have)]) for s, first in zip(now, state, strict=True)])
            now = cell(step, now)
            outputs.append(now[0])
        return JoinRows()(*reversed(outputs)), now
    now, ended = state, []
    for step, n in zip(steps, sizes, strict=True):
        have = now[0]._data.shape[0]
        if n < have:
            ended.append(tuple([s.narrow(0, n, have - n) for s in now]))
            now = tuple([s.narrow(0, 0, n) for s in now])
        now = cell(step, now)
        outputs.append(now[0])
    final = tuple([cat([s, *[e[i] for e in reversed(ended)]]) if ended else s for i, s in enumerate(now)])
    return JoinRows()(*outputs), final
