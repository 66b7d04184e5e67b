"""A recorded op: :class:`Node`, the node of the autograd graph.

``forward`` gets raw arrays and computes with ``self.xp`` or ``self.backend``; ``backward`` gets tensors and is written
with ops on tensors, so that a backward can itself be differentiated. Static arguments are the constructor's::

    class Exp(Node):
        keep_outputs = (0,)

        def forward(self, x):
            return self.xp.exp(x)

        def backward(self, g):
            (y,) = self.saved
            return g * y

    y = Exp()(x)

An edge leads from a node to what made its input: a pair ``(Node, output number)``, or ``(leaf tensor, 0)``, or None
where no gradient flows. A node never refers to its own outputs, so dropping the result drops the graph at once, without
waiting for the garbage collector.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from deepgpu.autograd import anomaly
from deepgpu.autograd.grad_mode import state
from deepgpu.backends import error_state
from deepgpu.backends.base import Backend
from deepgpu.errors import DeviceMismatchError
from deepgpu.pending import Pending, Recipe, pending
from deepgpu.tensor import Tensor, wrap
from deepgpu.version import Version

Edge = tuple[Any, int]

_sequence = itertools.count()


class Node:
    """One op of the graph. See the module's text for how to write one."""

    keep_inputs: tuple[int, ...] = ()
    """Inputs that ``backward`` needs; they come first in ``saved``."""

    needed_for: ClassVar[Mapping[int, tuple[int, ...]]] = {}
    """Inputs to keep only for certain gradients: with ``{0: (1,)}``, input 0 is None in ``saved`` unless input 1
    requires grad. It saves memory, and lets a tensor be modified in place whose old values nobody needs."""

    keep_outputs: tuple[int, ...] = ()
    """Outputs that ``backward`` needs; they come last in ``saved``."""

    is_view = False
    """The output may share the first input's memory, and then counts as its view."""

    non_differentiable: tuple[int, ...] = ()
    """Outputs without gradient, such as indices."""

    fuses = False
    """``forward`` takes a pending input as its :class:`~deepgpu.pending.Recipe`, and may return one."""

    materialize_grads = True
    """Gradients of outputs that took no part in the result arrive as zeros rather than None."""

    # Set for each call:
    backend: Backend
    xp: Any
    edges: tuple[Edge | None, ...] = ()
    needs_input_grad: tuple[bool, ...] = ()
    sequence = -1
    hooks: dict[int, Any] | None = None  # output number -> {handle id: function}
    trace: str | None = None  # where the op was created, under anomaly mode
    _saved: list[Any] | None = None
    _outputs: Sequence[Any] = (None,)  # of several: shape and dtype of each, for the zeros in place of a gradient

    def forward(self, *arrays: Any) -> Any:
        """Compute on raw arrays; inputs that were Python numbers arrive as such."""
        raise NotImplementedError

    def backward(self, *grads: Any) -> Any:
        """Map gradients of the outputs to gradients of the inputs; None where there is none.

        A gradient of an output that took no part in the result arrives as zeros.
        """
        raise NotImplementedError(f"`{self.name}` is not differentiable")

    @property
    def name(self) -> str:
        """As in PyTorch's ``grad_fn``: ``ExpBackward``."""
        return f"{type(self).__name__}Backward"

    def __call__(self, *inputs: Any) -> Any:
        backend = None
        fuses = self.fuses
        recording = False
        arrays = []
        for x in inputs:
            if isinstance(x, Tensor):
                if x._view is not None:
                    x._refresh_view()
                if x.requires_grad:
                    recording = True
                if x._backend is not backend:
                    if backend is not None:
                        return self(*_on_one_device(self, inputs))
                    backend = x._backend
                arrays.append(x.recipe if fuses and type(x) is Pending else x._data)
            else:
                arrays.append(x)
        assert backend is not None
        self.backend = backend
        self.xp = backend.xp
        step = None
        if self.is_view and state.enabled:  # the parameters are kept before the call leaves its traces
            step = functools.partial(_again, type(self), self.__dict__.copy())
        if recording and (recording := state.enabled):
            self._connect(inputs)
        before = error_state.ignore()  # infinities and NaN are values, as in PyTorch
        try:
            result = self.forward(*arrays)
        finally:
            error_state.restore(before)
        backend = self.backend  # which a transfer changes
        if type(result) is tuple:
            several = [wrap(y, backend) if type(y) is not Recipe else pending(y, backend, inputs) for y in result]
            if recording:
                self._record(inputs, several)
            return tuple(several)
        y = wrap(result, backend) if type(result) is not Recipe else pending(result, backend, inputs)
        if self.is_view and self.xp.may_share_memory(y._data, arrays[0]):
            y._become_view(inputs[0], step)
        if recording:
            self._record(inputs, (y,))
        return y

    def _connect(self, inputs: Sequence[Any]) -> None:
        """Find the edges to what made the inputs."""
        edges: list[Edge | None] = []
        needs_input_grad = []
        for x in inputs:
            edge = None
            if isinstance(x, Tensor):
                if x._inference:
                    raise RuntimeError(
                        f"`{self.name}`: an inference tensor cannot take part in a recorded op; "
                        "clone it outside of `inference_mode` first"
                    )
                if x.requires_grad:
                    edge = (x, 0) if x._node is None else (x._node, x._output)
            edges.append(edge)
            needs_input_grad.append(edge is not None)
        self.edges = tuple(edges)
        self.needs_input_grad = tuple(needs_input_grad)

    def _record(self, inputs: Sequence[Any], outputs: Sequence[Tensor]) -> None:
        """Become the node that made ``outputs``, with the edges that :meth:`_connect` found."""
        self.sequence = next(_sequence)
        self._saved = saved = []
        needed_for = self.needed_for
        for i in self.keep_inputs:
            x = inputs[i] if i not in needed_for or self._is_needed(i) else None
            saved.append((x, 0 if x._version is None else x._version.count) if isinstance(x, Tensor) else (x,))
        forms = []
        for nr, y in enumerate(outputs):
            form = y._form
            forms.append(form)
            if form.dtype.kind in "fV" and nr not in self.non_differentiable:  # V: bfloat16
                y.requires_grad = True
                y._node = self
                y._output = nr
        if len(forms) > 1:  # the gradient of a single output always arrives
            self._outputs = [(form.shape, form.dtype) for form in forms]
        for nr in self.keep_outputs:
            saved.append(self._saved_output(nr, outputs[nr]))
        if anomaly.state.enabled:
            self.trace = anomaly.creation_trace()

    def _is_needed(self, i: int) -> bool:
        """Whether the gradients to be computed need input ``i``, which only some do."""
        for j in self.needed_for[i]:
            if self.needs_input_grad[j]:
                return True
        return False

    def _saved_output(self, nr: int, y: Tensor) -> tuple[Any, ...]:
        """An output is kept as its array, not as the tensor: that would be a reference cycle."""
        if y._version is None:
            y._version = Version()
        return (nr, y._data, y._version, y._version.count)

    def output_moved(self, nr: int, y: Tensor) -> None:
        """An in-place op made ``y`` the holder of output ``nr``."""
        if self._saved is not None and nr in self.keep_outputs:
            self._saved[len(self.keep_inputs) + self.keep_outputs.index(nr)] = self._saved_output(nr, y)

    @property
    def saved(self) -> list[Any]:
        """The tensors (or Python numbers) that ``keep_inputs`` and ``keep_outputs`` name."""
        if self._saved is None:
            raise RuntimeError(
                f"`backward` through `{self.name}` a second time: its saved tensors were freed by the first. "
                "Pass `retain_graph=True` to the first backward if you need two."
            )
        found = []
        for entry in self._saved:
            found.append(entry[0] if len(entry) == 1 else self._unpack(entry))
        return found

    def _unpack(self, entry: tuple[Any, ...]) -> Tensor:
        if len(entry) == 2:
            x, count = entry
            now = x._version.count if x._version is not None else 0
        else:
            nr, array, version, count = entry
            now = version.count
            x = wrap(array, self.backend)
            x._version = version
            if state.enabled:
                x._node, x._output, x.requires_grad = self, nr, True
        if now != count:
            raise RuntimeError(
                f"a tensor of shape {tuple(x.shape)} that `{self.name}` saved for its backward was modified in place: "
                f"it is at version {now}, expected version {count}. Use the out-of-place op, or clone the tensor "
                "before modifying it. `autograd.set_detect_anomaly(True)` shows where the op was created."
            )
        return x

    def zeros_for(self, nr: int) -> Tensor:
        """A zero gradient of output ``nr``."""
        shape, dtype = self._outputs[nr]
        return wrap(self.backend.xp.zeros(shape, dtype), self.backend)

    def release(self) -> None:
        """Free what was saved, once backward has passed."""
        self._saved = None

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """What made the inputs, as PyTorch shows it; leaves appear as :class:`AccumulateGrad`."""
        return tuple([(None, 0) if edge is None else _shown(edge) for edge in self.edges])

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _shown(edge: Edge) -> tuple[Any, int]:
    return (AccumulateGrad(edge[0]), 0) if isinstance(edge[0], Tensor) else edge


class AccumulateGrad:
    """How a leaf appears in ``next_functions``. Gradients that arrive there are added to ``variable.grad``."""

    next_functions: tuple[Any, ...] = ()

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def _again(cls: type[Node], params: dict[str, Any], x: Tensor) -> Tensor:
    """Call a view function once more, on another tensor."""
    function = cls.__new__(cls)
    function.__dict__.update(params)
    return function(x)


def _on_one_device(function: Node, inputs: tuple[Any, ...]) -> list[Any]:
    """0-d CPU tensors may meet tensors of another device, as in PyTorch; any other mixture is an error."""
    devices = {x._backend for x in inputs if isinstance(x, Tensor) and (x._data.ndim or x._backend.type != "cpu")}
    if len(devices) > 1:
        names = " and ".join(sorted({str(x.device) for x in inputs if isinstance(x, Tensor)}))
        raise DeviceMismatchError(
            f"`{type(function).__name__.lower()}`: all tensors must be on one device, but got tensors on {names}; "
            "move one with `.to(device)`"
        )
    (backend,) = devices
    return [Transfer(backend)(x) if isinstance(x, Tensor) and x._backend is not backend else x for x in inputs]


class Transfer(Node):
    """A copy on another device; the gradient goes back to the old one."""

    def __init__(self, target: Backend, non_blocking: bool = False) -> None:
        self.target = target
        self.non_blocking = non_blocking

    def __call__(self, x: Tensor) -> Tensor:
        self.origin = x._backend
        return super().__call__(x)

    def forward(self, x: Any) -> Any:
        array = self.target.receive(self.origin.to_numpy(x), self.non_blocking)
        self.backend = self.target
        return array

    def backward(self, g: Tensor) -> Tensor:
        return Transfer(self.origin)(g)
