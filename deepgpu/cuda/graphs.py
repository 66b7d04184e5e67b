"""CUDA graphs: the launches of a training step, captured once and started again and again by one call.

What a step costs on the host, Python and launches, is then next to nothing. The price: a graph works on fixed memory.
Inputs are copied into the same tensors before each replay, and results appear in the tensors of the capture::

    static_x, static_y = x.clone(), y.clone()
    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):  # warm up: kernels are compiled, optimizers make their state
        for _ in range(3):
            optimizer.zero_grad()
            loss_fn(net(static_x), static_y).backward()
            optimizer.step()
    cuda.current_stream().wait_stream(side)

    graph = cuda.CUDAGraph()
    optimizer.zero_grad()  # so that the capture makes the gradients
    with cuda.graph(graph):
        loss = loss_fn(net(static_x), static_y)
        loss.backward()
        optimizer.step()

    for x, y in loader:
        static_x.copy_(x)
        static_y.copy_(y)
        graph.replay()

What the host does is not in the graph: random numbers (``rand``, but :class:`~deepgpu.nn.Dropout` drops other elements
in each replay), the step counts of most optimizers, and whatever depends on a value (``item()``, ``nonzero()``, masks).
Trying to capture it is an error.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from deepgpu.autograd.engine import grad
from deepgpu.autograd.function import Function
from deepgpu.autograd.grad_mode import enable_grad
from deepgpu.backends.cuda import graphs, memory, runtime
from deepgpu.cuda.devices import synchronize
from deepgpu.cuda.memory import empty_cache
from deepgpu.cuda.streams import Stream, current_stream, stream as use_stream
from deepgpu.device import device as as_device
from deepgpu.tensor import Tensor


class PoolHandle:
    """Memory that only graphs use; those that share it must be replayed in the order of their capture."""

    def __init__(self) -> None:
        allocator = memory.allocator(runtime.cupy())
        self.pool = allocator.private_pool()
        weakref.finalize(self, allocator.forget, self.pool)


def graph_pool_handle() -> PoolHandle:
    """New memory to share between graphs."""
    return PoolHandle()


def is_current_stream_capturing() -> bool:
    """Whether what is launched now becomes part of a graph."""
    return graphs.capturing()


class CUDAGraph:
    """A captured sequence of launches; see :mod:`deepgpu.cuda.graphs` and :class:`graph`."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._kept: list[Any] = []
        self._draws = graphs.Draws()
        self._pool: PoolHandle | None = None
        self._capture: contextlib.ExitStack | None = None

    def capture_begin(self, pool: PoolHandle | None = None, capture_error_mode: str = "relaxed") -> None:
        """Record from now on what is launched on the current stream, which must not be the default one.

        Parameters
        ----------
        pool
            The memory of another graph (:meth:`pool`), or of :func:`graph_pool_handle`, to use too.
        capture_error_mode
            Accepted for PyTorch's sake; other streams may always go on.
        """
        self.check_new()
        cupy = runtime.cupy()
        stream = cupy.cuda.get_current_stream()
        if stream.ptr == cupy.cuda.Stream.null.ptr:
            raise RuntimeError(
                "`capture_begin`: the default stream cannot be captured; use `with deepgpu.cuda.graph(g):`, which "
                "takes another"
            )
        self._pool = pool or PoolHandle()
        as_device("cuda").backend.fixed_memory = True
        with contextlib.ExitStack() as stack:
            stack.enter_context(memory.allocator(cupy).drawing_from(self._pool.pool))
            graphs.state.capture = graphs.Capture(cupy)
            stack.callback(setattr, graphs.state, "capture", None)
            stream.begin_capture(mode=cupy.cuda.runtime.streamCaptureModeRelaxed)
            self._capture = stack.pop_all()
        self._stream = stream

    def check_new(self) -> None:
        """Raise RuntimeError if there is a graph already, or another is being captured."""
        if self._graph is not None:
            raise RuntimeError("`graph`: this CUDAGraph has been captured already; `reset()` it, or make a new one")
        if graphs.capturing():
            raise RuntimeError("`graph`: another graph is being captured; end that first")

    def capture_end(self) -> None:
        """End what :meth:`capture_begin` began."""
        if self._capture is None or graphs.state.capture is None:
            raise RuntimeError("`capture_end`: `capture_begin` was not called")
        capture, stack, self._capture = graphs.state.capture, self._capture, None
        with stack:
            self._graph = self._stream.end_capture()
        self._kept, self._draws = capture.kept, capture.draws

    def abandon(self) -> None:
        """End a capture in which something went wrong; there is no graph then."""
        stack, self._capture = self._capture, None
        if stack is not None:
            with stack, contextlib.suppress(Exception):  # that it failed is known
                self._stream.end_capture()

    def replay(self) -> None:
        """Launch everything once more, on the current stream."""
        if self._graph is None:
            raise RuntimeError("`replay`: nothing was captured yet; use `with deepgpu.cuda.graph(g):` first")
        self._draws.replay(runtime.cupy())
        self._graph.launch(runtime.cupy().cuda.get_current_stream())

    def reset(self) -> None:
        """Drop the graph and its memory, as far as no tensor holds it."""
        self._graph, self._pool, self._kept, self._draws = None, None, [], graphs.Draws()

    def pool(self) -> PoolHandle:
        """The graph's memory, for another graph's capture."""
        if self._pool is None:
            raise RuntimeError("`pool`: nothing was captured yet")
        return self._pool


class graph:
    """Inside, what is launched becomes part of a graph instead of being done.

    Parameters
    ----------
    cuda_graph
        What is to be captured.
    pool
        See :meth:`CUDAGraph.capture_begin`.
    stream
        On which it is captured; by default one of its own.
    capture_error_mode
        Accepted for PyTorch's sake.
    """

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: PoolHandle | None = None,
        stream: Stream | None = None,
        capture_error_mode: str = "relaxed",
    ) -> None:
        self.cuda_graph = cuda_graph
        self._pool, self._mode = pool, capture_error_mode
        self._stream = stream or Stream()

    def __enter__(self) -> None:
        self.cuda_graph.check_new()
        synchronize()
        gc.collect()
        empty_cache()
        self._context = use_stream(self._stream)
        self._context.__enter__()
        try:
            self.cuda_graph.capture_begin(self._pool, self._mode)
        except BaseException as error:
            self._context.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, kind: Any, *error: Any) -> None:
        try:
            if kind is None:
                self.cuda_graph.capture_end()
            else:
                self.cuda_graph.abandon()
        finally:
            self._context.__exit__(kind, *error)


def make_graphed_callables(
    callables: Any, sample_args: Any, num_warmup_iters: int = 3, allow_unused_input: bool = False, pool: Any = None
) -> Any:
    """Modules or functions that do their forward and backward by replaying graphs.

    Parameters
    ----------
    callables
        One, or a tuple of them, of tensors to a tensor or a tuple of tensors. A module's ``forward`` is replaced; it
        goes back to the plain one while ``training`` is not what it was.
    sample_args
        A tuple of tensors for each: shapes, dtypes and ``requires_grad`` of all later calls.
    num_warmup_iters
        Runs before the capture.
    allow_unused_input
        Whether an input may take no part in the result.
    pool
        See :meth:`CUDAGraph.capture_begin`.

    Returns
    -------
    Callable or tuple of them
        The results of a call live in fixed memory: the next call overwrites them.
    """
    several = isinstance(callables, tuple)
    functions = callables if several else (callables,)
    samples = sample_args if several else (sample_args,)
    pool = pool or graph_pool_handle()
    made = tuple(
        _graphed(f, tuple(args), num_warmup_iters, allow_unused_input, pool)
        for f, args in zip(functions, samples, strict=True)
    )
    return made if several else made[0]


def _graphed(
    function: Any, args: tuple[Tensor, ...], warmups: int, allow_unused: bool, pool: PoolHandle
) -> Callable[..., Any]:
    parameters = tuple(function.parameters()) if hasattr(function, "parameters") else ()
    inputs = (*args, *parameters)
    wanted = [x for x in inputs if x.requires_grad]

    def differentiated(outputs: Sequence[Tensor], starts: Sequence[Tensor]) -> Sequence[Tensor | None]:
        return grad(outputs, wanted, starts, allow_unused=allow_unused) if wanted else []

    side = Stream()
    side.wait_stream(current_stream())
    with use_stream(side), enable_grad():
        for _ in range(warmups):
            warm = _tuple(function(*args))
            differentiated([y for y in warm if y.requires_grad], [y.detach() for y in warm if y.requires_grad])
    current_stream().wait_stream(side)

    forward_graph, backward_graph = CUDAGraph(), CUDAGraph()
    with graph(forward_graph, pool), enable_grad():
        result = function(*args)
    outputs = _tuple(result)
    static_outputs = [y.detach() for y in outputs]
    active = [y for y in outputs if y.requires_grad]
    starts = [y.detach().clone() for y in active]
    with graph(backward_graph, pool), enable_grad():
        static_grads = list(differentiated(active, starts))
    del active, outputs

    class Graphed(Function):
        @staticmethod
        def forward(ctx: Any, *given: Tensor) -> Any:
            for static, x in zip(args, given, strict=False):
                if static.data_ptr() != x.data_ptr():
                    static.detach().copy_(x)
            forward_graph.replay()
            return tuple([y.detach() for y in static_outputs])

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor) -> Any:
            for start, g in zip(starts, cotangents, strict=False):
                start.copy_(g)
            backward_graph.replay()
            found = iter(static_grads)
            return tuple([next(found) if x.requires_grad else None for x in inputs])

    def call(*given: Tensor) -> Any:
        made = Graphed.apply(*given, *parameters)
        return made if isinstance(result, tuple) else made[0]

    if not parameters and not hasattr(function, "forward"):
        return call
    plain, training = function.forward, function.training

    def forward(*given: Any, **options: Any) -> Any:
        return call(*given) if function.training == training and not options else plain(*given, **options)

    function.forward = forward
    return function


def _tuple(result: Any) -> tuple[Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)
