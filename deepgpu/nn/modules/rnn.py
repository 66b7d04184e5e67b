"""Recurrent layers and cells: RNN, LSTM, GRU."""

from __future__ import annotations

import math
import warnings
from typing import Any

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.nn import functional as F, init
from deepgpu.nn.modules.module import Module
from deepgpu.nn.parameter import Parameter
from deepgpu.nn.utils.rnn import PackedSequence
from deepgpu.ops.creation import empty
from deepgpu.ops.joining import cat, stack
from deepgpu.ops.recurrence import recurrence
from deepgpu.ops.recurrent import Cell, State, gru_cell, lstm_cell, recur, rnn_cell
from deepgpu.tensor import Tensor

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class RNNBase(Module):
    """What recurrent layers share: parameters, directions and layers.

    Parameters
    ----------
    mode
        ``"RNN_TANH"``, ``"RNN_RELU"``, ``"LSTM"`` or ``"GRU"``
    input_size
        Features of the input.
    hidden_size
        Features of the state.
    num_layers
        How many layers, each on the outputs of the one below.
    bias
        Whether there are ``bias_ih`` and ``bias_hh``.
    batch_first
        The input is ``(B, T, input_size)`` rather than ``(T, B, input_size)``; states are not affected.
    dropout
        Probability of dropout on the outputs of all layers but the last.
    bidirectional
        A second layer each runs from the last step to the first; outputs are joined.
    proj_size
        LSTM only: outputs are projected to so many features.

    Attributes
    ----------
    weight_ih_l[k], weight_hh_l[k], bias_ih_l[k], bias_hh_l[k], weight_hr_l[k]
        The parameters of layer ``k``; with the suffix ``_reverse`` those of the other direction. Uniform in
        ``[-1 / sqrt(hidden_size), 1 / sqrt(hidden_size)]``.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__()
        name = mode.split("_")[0]
        if not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(takes(name, "dropout", "a probability in [0, 1]", dropout))
        if hidden_size <= 0:
            raise ValueError(takes(name, "hidden_size", "a positive number", hidden_size))
        if num_layers <= 0:
            raise ValueError(takes(name, "num_layers", "a positive number", num_layers))
        if not 0 <= proj_size < hidden_size or (proj_size and mode != "LSTM"):
            raise ValueError(takes(name, "proj_size", "0, or less than `hidden_size` for an LSTM", proj_size))
        if dropout and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        out = proj_size or hidden_size
        rows = _GATES[mode] * hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, out)}
        if bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if proj_size:
            shapes["weight_hr"] = (proj_size, hidden_size)
        for suffix in self._suffixes():
            if suffix == "_l1":
                shapes["weight_ih"] = (rows, out * self._directions)
            for part, shape in shapes.items():
                self.register_parameter(part + suffix, Parameter(empty(*shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self) -> list[str]:
        """What the names of the parameters end in, layer by layer and direction by direction."""
        ends = ["", "_reverse"][: self._directions]
        return [f"_l{layer}{end}" for layer in range(self.num_layers) for end in ends]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        own = dict(self.named_parameters())
        return [[own[p + s] for p in parts if p + s in own] for s in self._suffixes()]

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def flatten_parameters(self) -> None:
        """For PyTorch's sake: the parameters need no common memory here."""

    def _direction(
        self, rows: Tensor, suffix: str, sizes: list[int], state: State, reverse: bool
    ) -> tuple[Tensor, State]:
        """One layer in one direction."""
        w, recurrent = (getattr(self, f"{name}{suffix}") for name in ("weight_ih", "weight_hh"))
        bias, recurrent_bias = (getattr(self, f"{b}{suffix}") if self.bias else None for b in ("bias_ih", "bias_hh"))
        kind = self.mode.removeprefix("RNN_").lower()
        if kind != "gru" and bias is not None:  # the GRU's reset multiplies the state's product with its bias
            bias, recurrent_bias = bias + recurrent_bias, None
        if self.proj_size:
            cell = lstm_cell(recurrent, None, getattr(self, f"weight_hr{suffix}"))
            return recur(cell, F.linear(rows, w, bias), sizes, state, reverse)
        return recurrence(kind, rows, w, bias, recurrent, recurrent_bias, state, sizes, reverse)

    def _run(self, rows: Tensor, sizes: list[int], states: list[Tensor]) -> tuple[Tensor, State]:
        """All layers over the rows of a sequence (see :mod:`deepgpu.ops.recurrent`)."""
        finals: list[State] = []
        suffixes = self._suffixes()
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self._directions):
                i = layer * self._directions + direction
                state = tuple([s[i] for s in states])
                made, final = self._direction(rows, suffixes[i], sizes, state, direction == 1)
                outputs.append(made)
                finals.append(final)
            rows = cat(outputs, 1) if len(outputs) > 1 else outputs[0]
            if self.dropout and layer < self.num_layers - 1:
                rows = F.dropout(rows, self.dropout, self.training)
        return rows, tuple([stack([f[i] for f in finals]) for i in range(len(states))])

    def _initial(self, hx: Any, like: Tensor, batch: int | None, order: Tensor | None) -> list[Tensor]:
        """The states ``(layers, B, features)``; zeros if none are given."""
        features = [self.proj_size or self.hidden_size] + ([self.hidden_size] if self.mode == "LSTM" else [])
        count = self.num_layers * self._directions
        shapes = [(count, f) if batch is None else (count, batch, f) for f in features]
        if hx is None:
            states = [like.new_zeros(s) for s in shapes]
        else:
            states = list(hx) if self.mode == "LSTM" else [hx]
            for s, shape in zip(states, shapes, strict=True):
                if tuple(s.shape) != shape:
                    raise RuntimeError(takes(self.mode, "hx", f"states of shape {shape}", f"shape {tuple(s.shape)}"))
        if batch is None:
            return [s.unsqueeze(1) for s in states]
        return states if order is None or hx is None else [s.index_select(1, order) for s in states]

    def _check(self, x: Tensor, ndims: tuple[int, ...]) -> None:
        if x._data.ndim not in ndims:
            expected = " or ".join([f"{n}-d" for n in ndims])
            raise ValueError(takes(self.mode, "input", f"a {expected} tensor", f"shape {tuple(x.shape)}"))
        if x._data.shape[-1] != self.input_size:
            raise RuntimeError(takes(self.mode, "input", f"{self.input_size} features", f"shape {tuple(x.shape)}"))

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Outputs of the last layer at all steps, and the states behind each sequence's last step.

        Parameters
        ----------
        input
            ``(T, B, input_size)``, ``(B, T, input_size)`` with ``batch_first``, ``(T, input_size)``, or a
            :class:`PackedSequence`.
        hx
            The first states ``(num_layers * directions, B, hidden_size)``, zeros by default; of an LSTM a pair
            ``(h, c)``.
        """
        if isinstance(input, PackedSequence):
            self._check(input.data, (2,))
            sizes = input.batch_sizes.tolist()
            states = self._initial(hx, input.data, sizes[0], input.sorted_indices)
            rows, final = self._run(input.data, sizes, states)
            if input.unsorted_indices is not None:
                final = tuple([s.index_select(1, input.unsorted_indices) for s in final])
            made: Any = PackedSequence(rows, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
            return made, final if self.mode == "LSTM" else final[0]
        self._check(input, (2, 3))
        batched = input._data.ndim == 3
        x = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x = x.transpose(0, 1)
        steps, batch, _ = x._data.shape
        if not steps:
            raise RuntimeError(takes(self.mode, "input", "at least one step", f"shape {tuple(input.shape)}"))
        states = self._initial(hx, x, batch if batched else None, None)
        rows, final = self._run(x.reshape(steps * batch, self.input_size), [batch] * steps, states)
        out = rows.reshape(steps, batch, rows._data.shape[1])
        if not batched:
            out, final = out.squeeze(1), tuple([s.squeeze(1) for s in final])
        elif self.batch_first:
            out = out.transpose(0, 1)
        return out, final if self.mode == "LSTM" else final[0]

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        parts += [f"{name}={getattr(self, name)}" for name, usual in defaults.items() if getattr(self, name) != usual]
        return ", ".join(parts)


class RNN(RNNBase):
    """``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or with ``nonlinearity="relu"``; see :class:`RNNBase`."""

    def __init__(self, *args: Any, nonlinearity: str = "tanh", **kwargs: Any) -> None:
        if len(args) > 3:  # PyTorch's fourth argument
            nonlinearity, args = args[3], args[:3] + args[4:]
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(takes("RNN", "nonlinearity", "'tanh' or 'relu'", repr(nonlinearity)))
        self.nonlinearity = nonlinearity
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)


class LSTM(RNNBase):
    """Long short-term memory; its states are pairs ``(h, c)``. See :class:`RNNBase`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gated recurrent units; see :class:`RNNBase`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("GRU", *args, **kwargs)


# --- cells ------------------------------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """One step of a recurrent layer.

    Parameters
    ----------
    input_size, hidden_size
        Features of the input and of the state.
    bias
        Whether there are ``bias_ih`` and ``bias_hh``.
    num_chunks
        The number of gates.

    Attributes
    ----------
    weight_ih, weight_hh, bias_ih, bias_hh
        Uniform in ``[-1 / sqrt(hidden_size), 1 / sqrt(hidden_size)]``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _step(self, cell: Cell, input: Tensor, hx: Any, states: int) -> State:
        """A step of rows ``(B, input_size)``, or of one ``(input_size,)``."""
        name = type(self).__name__
        if input._data.ndim not in (1, 2):
            raise ValueError(takes(name, "input", "(B, features) or (features,)", f"shape {tuple(input.shape)}"))
        x = input if input._data.ndim == 2 else input.unsqueeze(0)
        if x._data.shape[1] != self.input_size:
            raise RuntimeError(takes(name, "input", f"{self.input_size} features", f"shape {tuple(input.shape)}"))
        shape = (x._data.shape[0], self.hidden_size)
        if hx is None:
            given = (x.new_zeros(shape),) * states
        else:
            given = tuple(hx) if states > 1 else (hx,)
            given = tuple([s if s._data.ndim == 2 else s.unsqueeze(0) for s in given])
        for s in given:
            if tuple(s.shape) != shape:
                raise RuntimeError(takes(name, "hx", f"states of shape {shape}", f"shape {tuple(s.shape)}"))
        after = cell(F.linear(x, self.weight_ih, self.bias_ih), given)
        return after if input._data.ndim == 2 else tuple([s.squeeze(0) for s in after])

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        text += "" if self.bias else ", bias=False"
        kind = getattr(self, "nonlinearity", "tanh")
        return text if kind == "tanh" else f"{text}, nonlinearity={kind}"


class RNNCell(RNNCellBase):
    """One step of :class:`RNN`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(takes("RNNCell", "nonlinearity", "'tanh' or 'relu'", repr(self.nonlinearity)))
        return self._step(rnn_cell(self.weight_hh, self.bias_hh, self.nonlinearity), input, hx, 1)[0]


class LSTMCell(RNNCellBase):
    """One step of :class:`LSTM`: takes and returns a pair ``(h, c)``."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> State:
        return self._step(lstm_cell(self.weight_hh, self.bias_hh, None), input, hx, 2)


class GRUCell(RNNCellBase):
    """One step of :class:`GRU`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(gru_cell(self.weight_hh, self.bias_hh), input, hx, 1)[0]
