"""Training steps of whole networks on a GPU, eager and as a captured graph, written once for both libraries."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.networks import NETWORKS, mlp


class Step(NamedTuple):
    """A training step: a network of ``benchmarks.networks``, and the images of a batch."""

    network: str
    batch: int
    precision: str
    """``"float32"``, ``"tf32"`` or ``"bfloat16"`` (autocast)."""
    captured: bool


PRECISIONS = ("float32", "tf32", "bfloat16")


def all_steps() -> list[Step]:
    """What the report times."""
    chosen = [("ResNet-18 32x32", 256), ("ResNet-50 224x224", 64), ("VGG-16 224x224", 32)]
    names = [(next(n for n in NETWORKS if n.startswith(start)), batch) for start, batch in chosen]
    return [Step(n, b, p, captured) for n, b in names for p in PRECISIONS[::-1] for captured in (False, True)]


def make(library: Any, step: Step) -> Callable[[], Any]:
    """A call that does one step. Options of precision are set for the whole library."""
    build, _, shape, classes = (mlp, 0, (1, 28, 28), 10) if step.network == "MLP" else NETWORKS[step.network]
    tf32 = step.precision == "tf32"
    library.backends.cuda.matmul.allow_tf32 = library.backends.cudnn.allow_tf32 = tf32
    library.backends.cudnn.benchmark = True
    library.manual_seed(0)
    net = build(library.nn).to("cuda").to(memory_format=library.channels_last)
    x = library.randn(step.batch, *shape, device="cuda").contiguous(memory_format=library.channels_last)
    y = library.arange(step.batch, device="cuda") % classes
    optimizer = library.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    low = step.precision == "bfloat16"

    def run() -> Any:
        optimizer.zero_grad()
        with library.autocast("cuda", dtype=library.bfloat16) if low else contextlib.nullcontext():
            loss = library.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    if not step.captured:
        return run
    side = library.cuda.Stream()
    side.wait_stream(library.cuda.current_stream())
    with library.cuda.stream(side):
        for _ in range(3):
            run()
    library.cuda.current_stream().wait_stream(side)
    optimizer.zero_grad()
    graph = library.cuda.CUDAGraph()
    with library.cuda.graph(graph):
        run()
    return graph.replay
