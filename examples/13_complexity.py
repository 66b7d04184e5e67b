"""Computational complexity: operations and bytes of each layer against the time it takes, and the roofline.

A convolution of C channels to D with kernel K x K does 2 K^2 C D operations at each of its places, and moves at least
its input, its output and its K^2 C D weights through the memory. A machine that computes at most P operations and moves
at most B bytes a second cannot be faster than max(operations / P, bytes / B): the roofline (Williams, Waterman &
Patterson 2009). The ridge P / B is the intensity, in operations a byte, above which P limits and below which B does.
Both are measured here (of the CPU: of one core), P with large matrix products, B with the sum of two large arrays.
Two things beat the roof: a volume that is still in the cache moves faster than B, and Winograd's algorithm does 3x3
convolutions with fewer multiplications than are counted.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from study import Study, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.vision import models
from deepgpu.viz import LayerSummary, summarize

BATCH = 4


@dataclass(frozen=True)
class Cost:
    """What one call of a layer costs: counted and measured, for the whole batch."""

    net: str
    name: str
    kind: str
    flops: float
    bytes: float
    seconds: float


def seconds(call: Callable[[], dg.Tensor], budget: float) -> float:
    """The least time of a call whose result is complete, in at least three calls."""
    times: list[float] = []
    end = time.perf_counter() + budget
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        finish(call())
        times.append(time.perf_counter() - begin)
    return min(times)


def finish(result: dg.Tensor) -> None:
    """Wait until the device has computed this."""
    result.data_ptr()  # what is pending is computed now
    if result.device.type == "cuda":
        dg.cuda.synchronize()


def machine(device: Any) -> tuple[float, float]:
    """The most operations a second, and the most bytes a second."""
    best = 0.0
    for n in (256, 512, 1024, 2048):
        a, b = dg.randn(n, n, device=device), dg.randn(n, n, device=device)
        best = max(best, 2 * n**3 / seconds(partial(dg.matmul, a, b), 0.3))
    x, y = dg.randn(1 << 25, device=device), dg.randn(1 << 25, device=device)
    return best, 3 * x.nbytes / seconds(lambda: x + y, 0.5)


def kind(layer: LayerSummary) -> str:
    """What sort of a layer; an empty string for those that are not timed."""
    if layer.kind == "Conv2d":
        if layer.weight[1] == 1:
            return "depthwise convolution"
        return (
            "3x3 convolution" if layer.weight[2:] == (3, 3) and layer.input[1:] == layer.output[1:] else "convolution"
        )
    return {"Linear": "linear", "BatchNorm2d": "norm", "MaxPool2d": "pool"}.get(layer.kind, "")


def costs(s: Study, name: str, size: int) -> list[Cost]:
    """Count and time the layers of a net on the volumes that they get there, those of equal shapes once."""
    net = models.get_model(name).to(s.device).eval()
    calls: list[tuple[nn.Module, dg.Tensor]] = []
    leaves = [m for m in net.modules() if not any(True for _ in m.children())]
    handles = [m.register_forward_hook(lambda m, args, _: calls.append((m, args[0]))) for m in leaves]
    with dg.no_grad():
        net(dg.randn(BATCH, 3, size, size, device=s.device))
    for handle in handles:
        handle.remove()
    pairs = zip(summarize(net, (3, size, size)).layers, calls, strict=True)
    chosen = {(e.kind, e.input, e.output, e.weight): (e, call) for e, call in pairs if kind(e)}
    result = []
    with dg.no_grad():
        for layer, (module, x) in s.track(list(chosen.values()), name):
            finish(x)
            numbers = BATCH * (math.prod(layer.input) + math.prod(layer.output)) + layer.parameters
            took = seconds(partial(module, x), 0.03 if s.quick else 0.3)
            result.append(Cost(name, layer.name, kind(layer), 2 * BATCH * layer.multiply_adds, 4 * numbers, took))
    return result


def ranks(x: Any, y: Any) -> float:
    """Spearman's rank correlation."""
    return float(np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(y)))[0, 1])


def study(s: Study) -> dict[str, Any]:
    """Count, measure and compare the layers of nets of three kinds."""
    names = ["alexnet", "resnet18", "mobilenet_v2"] + ["vgg16", "resnet50"] * (not s.quick)
    threads = dg.get_num_threads()
    dg.set_num_threads(1)  # one core is timed: two of them would wait for whatever else runs here
    try:
        peak, bandwidth = machine(s.device)
        layers = [c for name in names for c in costs(s, name, 224)]
    finally:
        dg.set_num_threads(threads)
    flops, moved, took = np.array([(c.flops, c.bytes, c.seconds) for c in layers]).T
    predicted = np.maximum(flops / peak, moved / bandwidth)
    ridge = peak / bandwidth

    rank, of_flops, of_bytes = (ranks(x, took) for x in (predicted, flops, moved))
    measured = (
        f"rank correlation {rank:.2f} over {len(layers)} layers, {took.max() / took.min():.0f} times between them"
    )
    s.found("the roofline orders the layers by their time", measured, rank > 0.85)
    measured = f"operations {of_flops:.2f}, bytes {of_bytes:.2f}"
    s.found("neither operations nor bytes do so alone", measured, max(of_flops, of_bytes) < rank)
    ratio = took / predicted
    near = float(np.mean((ratio > 0.5) & (ratio < 2)))
    measured = f"{near:.0%} of them; the time is {ratio.min():.2f} to {ratio.max():.1f} times the prediction"
    s.found("most layers are within a factor of 2", measured, near > 0.6)
    weighted = flops > 0
    below = weighted & (flops < ridge * moved)
    shares = [float(np.median((flops / took / peak)[which])) for which in (below, weighted & ~below)]
    measured = (
        f"median {shares[0]:.0%} of the peak below the ridge of {ridge:.1f} operations a byte, {shares[1]:.0%} above"
    )
    s.found("where bytes limit, the peak is out of reach", measured, shares[0] < 0.6 * shares[1])
    kinds = np.array([c.kind for c in layers])
    best = float((flops / took / peak)[kinds == "3x3 convolution"].max())
    if s.device.type == "cpu":
        measured = f"up to {best:.1f} times the peak in the operations of the direct way"
        s.found("Winograd's 3x3 convolutions are above the roof", measured, 1 < best < 4)

    with s.figure(1, 2, (11, 4)) as axes:
        roof, times = axes[0]
        line = np.geomspace(0.1, 1000, 200)
        label = f"roofline: {peak / 1e9:.0f} GFLOP/s, {bandwidth / 1e9:.0f} GB/s"
        roof.plot(line, np.minimum(peak, line * bandwidth) / 1e9, "k", lw=1, label=label)
        ends = 1e3 * np.array([took.min(), took.max()])
        times.plot(ends, ends, "k", lw=1)
        for kind in dict.fromkeys(kinds):
            of = kinds == kind
            times.plot(1e3 * predicted[of], 1e3 * took[of], "o", ms=3, label=kind)
            shown = of & weighted
            roof.plot((flops / moved)[shown], (flops / took)[shown] / 1e9, "o", ms=3, color=times.lines[-1].get_color())
        roof.set(xscale="log", yscale="log", xlabel="operations / byte", ylabel="GFLOP/s", title="layers with weights")
        times.set(xscale="log", yscale="log", xlabel="predicted (ms)", ylabel="measured (ms)", title="all layers")
        roof.legend(fontsize=7, loc="lower right")
        times.legend(fontsize=7)
    return {"layers": layers, "peak": peak, "bandwidth": bandwidth, "predicted": predicted}


if __name__ == "__main__":
    main(study)
