"""DenseNet: each layer sees what all layers before it have made.

A dense block of n layers puts the k new maps of each layer beside all earlier ones, so no layer has to hand on what it
got, and k can be small (Huang et al. 2017). Before each 3x3 convolution a 1x1 one brings the many maps to 4k (the B of
DenseNet-BC), and between the blocks another one halves them (the C).

Layer l normalises k0 + (l - 1) k maps: kept for the backward pass that is memory that grows with n squared. But it is
cheap to compute: checkpointing drops it and computes it again (Pleiss et al. 2017), at which the memory grows with n
and the gradients are the same numbers. Here it is measured in one step of CIFAR's DenseNet-BC (k = 12).

A ResNet of as many parameters learns the same images for equally many steps. In the paper DenseNet-BC needs a third
of a ResNet's parameters for the same error, after 300 epochs on CIFAR. After few epochs nothing of that is seen, and
it does more operations for its parameters.
"""

import gc
from typing import Any

import numpy as np
from study import Study, accuracy, fashion, fit, main

import deepgpu as dg
from deepgpu.nn import functional as F
from deepgpu.train import seed_all
from deepgpu.vision import models
from deepgpu.vision.models.cifar_densenet import CifarDenseNet
from deepgpu.viz import summarize

DEPTHS = (22, 40, 100)  # 3, 6 and 16 layers a block


def step(s: Study, depth: int, efficient: bool, data: tuple[dg.Tensor, dg.Tensor]) -> tuple[list[np.ndarray], float]:
    """The gradients of one step, and the most memory in MB that it took besides the weights."""
    seed_all(s.seed)
    net = CifarDenseNet(depth, in_channels=1, memory_efficient=efficient).to(s.device)
    x, t = (part.to(s.device) for part in data)
    gc.collect()
    gpu = s.device.type == "cuda"
    (dg.cuda.reset_peak_memory_stats if gpu else dg.reset_peak_memory_stats)()
    before = dg.cuda.memory_allocated() if gpu else dg.memory_stats()["allocated"]
    F.cross_entropy(net(x), t).backward()
    peak = dg.cuda.max_memory_allocated() if gpu else dg.memory_stats()["peak"]
    return [p.grad.cpu().numpy() for p in net.parameters()], (peak - before) / 1e6


def study(s: Study) -> dict[str, Any]:
    """The volumes of DenseNet-121, the memory of a step with and without checkpointing, a race with a ResNet."""
    summary = summarize(models.densenet121(), (3, 224, 224))
    weights = [layer for layer in summary.layers if layer.kind in ("Conv2d", "Linear")]
    pooled = [layer.input for layer in summary.layers if layer.name.endswith(".pool")]
    shapes = [*pooled, next(layer.output for layer in summary.layers if layer.name == "features.norm5")]
    measured = f"{len(weights)} layers, {summary.parameters:,} parameters, maps {shapes[0][1]}x{shapes[0][2]} ... "
    measured += f"{shapes[-1][1]}x{shapes[-1][2]}, {', '.join(str(shape[0]) for shape in shapes)} of them"
    table = [(128, 56, 56), (256, 28, 28), (512, 14, 14), (1024, 7, 7)]  # table 1 of the paper
    s.found("DenseNet-121 in the summary", measured, shapes == table and len(weights) == 121)

    batch = fashion(True, 16, s.seed)
    memory: dict[bool, list[float]] = {False: [], True: []}
    differences = []
    for depth in s.track(DEPTHS, "memory"):
        kept, peak = step(s, depth, False, batch)
        memory[False].append(peak)
        again, peak = step(s, depth, True, batch)
        memory[True].append(peak)
        differences.append(max(float(np.abs(a - b).max()) for a, b in zip(kept, again, strict=True)))
    equal = max(differences) == 0 if s.device.type == "cpu" else max(differences) < 1e-4
    measured = f"largest difference {max(differences):.0e} at {', '.join(map(str, DEPTHS))} layers"
    s.found("checkpointing does not change the gradients", measured, equal)
    times = {efficient: values[-1] / values[0] for efficient, values in memory.items()}
    ratio = (DEPTHS[-1] - 4) / (DEPTHS[0] - 4)
    measured = f"{memory[False][0]:.0f} to {memory[False][-1]:.0f} MB, checkpointed "
    measured += f"{memory[True][0]:.0f} to {memory[True][-1]:.0f} MB: {times[False]:.1f} and {times[True]:.1f} times"
    holds = times[True] < 1.1 * ratio < times[False]
    s.found(
        f"{ratio:.1f} times the layers: all kept takes more memory than so often, checkpointed not", measured, holds
    )

    count = 2000 if s.quick else 20000
    training, test = fashion(True, count, s.seed), fashion(False, 2000)
    if s.quick:  # a quarter of the pixels
        training, test = ((F.avg_pool2d(x, 2), t) for x, t in (training, test))
    makers = {
        "DenseNet": lambda: models.densenet40_bc(in_channels=1),
        "ResNet": lambda: models.resnet20(in_channels=1, width=13),
    }
    sizes, curves, scores = {}, {}, {}
    for name, make in s.track(list(makers.items()), "training"):
        seed_all(s.seed)
        net = make()
        sizes[name] = sum(p.numel() for p in net.parameters())
        curves[name] = [r["train_loss"] for r in fit(net, training, 5, 3e-3, s.device, batch=100).position.history]
        scores[name] = accuracy(net, test, s.device)
    work = {name: summarize(make(), (1, 28, 28)).multiply_adds / 1e6 for name, make in makers.items()}
    pairs = [f"{n} {100 * scores[n]:.1f} % ({sizes[n]:,} parameters, {work[n]:.0f} M multiply-adds)" for n in makers]
    same = abs(sizes["DenseNet"] / sizes["ResNet"] - 1) < 0.02
    close = abs(scores["DenseNet"] - scores["ResNet"]) < 0.05
    s.found(
        "a ResNet of equal size is within 5 points", "; ".join(pairs), same and close and min(scores.values()) > 0.6
    )
    with s.figure(1, 2, (10, 3.4)) as axes:
        used, race = axes[0]
        layers = [(depth - 4) // 6 for depth in DEPTHS]
        for efficient, name in ((False, "all kept"), (True, "checkpointed")):
            used.plot(layers, memory[efficient], "o-", label=name)
        used.set(title="DenseNet-BC (k = 12): memory of a step (MB)", xlabel="layers a block", ylim=(0, None))
        used.legend(fontsize=8)
        for name, values in curves.items():
            race.plot(range(1, len(values) + 1), values, "o-", label=f"{name}: {100 * scores[name]:.1f} % right")
        race.set(title="training loss at 180,000 parameters", xlabel="epoch", xticks=range(1, 6))
        race.legend(fontsize=8)
    return {
        "parameters": summary.parameters,
        "memory": memory,
        "differences": differences,
        "shapes": shapes,
        "sizes": sizes,
        "scores": scores,
    }


if __name__ == "__main__":
    main(study)
