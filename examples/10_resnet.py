"""Residual nets: more layers made plain nets worse, and a sum in each block was enough to change that.

A net of 56 layers can be what one of 20 is, if 36 layers copy their input. But training does not find it: the deeper
plain net has the larger error on the training set itself, so over-fitting is not the reason. In a residual net (He et
al. 2016) every two layers add to their input, y = x + f(x), so that doing nothing is what they do with f = 0.

Batch normalization keeps the volumes in bounds, not the gradients: in a plain net at its random start they grow by a
factor with each layer on the way back, exponentially with depth (Yang et al. 2019). In a residual net block l adds
one part to l earlier ones, so the factor is about 1 + 1/l, and their product grows like a power of the depth only.

The nets are those of He et al. for CIFAR-10, narrower: a 3x3 convolution, three stages of n blocks of two, the mean
over each map, and the one layer that is fully connected: 6n + 2 layers.
"""

from typing import Any

import numpy as np
from study import Study, accuracy, fashion, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.train import Trainer, seed_all
from deepgpu.train.display import Silence
from deepgpu.utils.data import DataLoader, TensorDataset
from deepgpu.vision import models
from deepgpu.viz import summarize

DEPTHS = (8, 20, 56)
KINDS = {"plain": "plain{}", "residual": "resnet{}"}


def gradients(net: nn.Module, x: dg.Tensor, t: dg.Tensor) -> np.ndarray:
    """The norm of the loss's gradient by each convolution's weights."""
    F.cross_entropy(net(x), t).backward()
    return np.array([float(m.weight.grad.norm()) for m in net.modules() if isinstance(m, nn.Conv2d)])


def factor(norms: np.ndarray) -> float:
    """By what the gradient grows from a layer to the one before it: the slope of three lines, one for each stage."""
    index = np.arange(len(norms) - 1)  # without the first convolution, which no stage has
    columns = [index, *(index // (len(index) // 3) == stage for stage in range(3))]
    slope = np.linalg.lstsq(np.stack(columns, 1).astype(float), np.log(norms[1:]), rcond=None)[0][0]
    return float(np.exp(-slope))


def train(s: Study, net: nn.Module, data: tuple[dg.Tensor, dg.Tensor], epochs: int) -> list[float]:
    """The mean loss of each epoch's batches, with the paper's optimizer and a warm-up, which 56 layers need."""
    batches = DataLoader(TensorDataset(*data), 125, shuffle=True)
    optimizer = dg.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    schedule = dg.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs * len(batches), cycle_momentum=False)
    trainer = Trainer(net, optimizer, scheduler=schedule, device=s.device, display=Silence())
    return [record["train_loss"] for record in trainer.fit(batches, epochs=epochs)]


def study(s: Study) -> dict[str, Any]:
    """Plain and residual nets at three depths: layers, gradients at the start, training, test."""
    layers = summarize(models.resnet56(), (3, 32, 32)).layers
    connected = [layer.name for layer in layers if layer.kind == "Linear"]
    weights = [layer for layer in layers if layer.kind in ("Conv2d", "Linear")]
    measured = f"ResNet-56 has {len(weights)} layers with weights; fully connected: {', '.join(connected)}"
    s.found("no layer but the last is fully connected", measured, connected == [weights[-1].name] == [layers[-1].name])

    training, test = fashion(True, 2000 if s.quick else 10000, s.seed), fashion(False, 2000)
    width = 4 if s.quick else 8
    if s.quick:  # a quarter of the pixels
        training, test = ((F.avg_pool2d(x, 2), t) for x, t in (training, test))
    x, t = (part[:128].to(s.device) for part in training)
    norms, losses, scores = {}, {}, {}
    for depth in DEPTHS:
        for kind, name in KINDS.items():
            net = models.get_model(name.format(depth), in_channels=1).to(s.device)
            norms[kind, depth] = gradients(net, x, t)
    for kind, depth in s.track([(kind, depth) for depth in DEPTHS for kind in KINDS], "nets"):
        seed_all(s.seed)
        net = models.get_model(KINDS[kind].format(depth), in_channels=1, width=width)
        losses[kind, depth] = train(s, net, training, 8)
        scores[kind, depth] = accuracy(net, test, s.device)

    factors = {key: factor(value) for key, value in norms.items()}
    totals = {key: float(value[1:3].mean() / value[-2:].mean()) for key, value in norms.items()}  # first block, last
    shown = {kind: ", ".join(f"{factors[kind, depth]:.2f}" for depth in DEPTHS) for kind in KINDS}
    measured = f"{shown['plain']} a layer at depth 8, 20, 56; in all {totals['plain', 56]:.0f} times"
    same = abs(factors["plain", 56] - factors["plain", 20]) < 0.05
    s.found("plain: gradients grow by one factor, 20 layers or 56", measured, same and totals["plain", 56] > 100)
    measured = f"{shown['residual']} a layer; in all {totals['residual', 56]:.1f} times"
    falls = factors["residual", 56] < factors["residual", 20] < factors["plain", 20]
    s.found("residual: by less, the deeper", measured, falls and totals["residual", 56] < 27)  # a net of 27 blocks

    last = {key: values[-1] for key, values in losses.items()}
    measured = ", ".join(f"{depth}: {last['plain', depth]:.2f}" for depth in DEPTHS)
    worse = last["plain", 56] > 1.2 * last["plain", 20]
    s.found("plain-56 has a larger training loss than plain-20", measured, worse)
    measured = ", ".join(f"{depth}: {last['residual', depth]:.2f}" for depth in DEPTHS)
    lost = {kind: last[kind, 56] - last[kind, 20] for kind in KINDS}
    s.found("residual-56 does not lose half as much", measured, lost["residual"] < 0.5 * lost["plain"])
    gains = [last["plain", depth] - last["residual", depth] for depth in DEPTHS]
    measured = ", ".join(f"{gain:.2f}" for gain in gains)
    s.found("the deeper, the more of the loss do shortcuts save", measured, gains[0] < gains[1] < gains[2])
    measured = ", ".join(f"{d}: {100 * scores['plain', d]:.0f} to {100 * scores['residual', d]:.0f} %" for d in DEPTHS)
    better = scores["residual", 56] > scores["plain", 56]
    s.found("56 layers tell new images better with shortcuts", measured, better)
    with s.figure(1, 3, (13, 3.4)) as axes:
        for axis, kind in zip(axes[0], KINDS, strict=False):
            for depth in DEPTHS:
                axis.plot(range(1, 9), losses[kind, depth], "o-", ms=3, label=f"{kind}-{depth}")
            axis.set(title=f"{kind}: training loss", xlabel="epoch", ylim=(0, 2.6))
            axis.legend(fontsize=8)
        for (kind, depth), values in norms.items():
            color, style = f"C{DEPTHS.index(depth)}", "--" if kind == "plain" else "-"
            axes[0, 2].semilogy(np.linspace(0, 1, len(values)), values, style, color=color, label=f"{kind}-{depth}")
        axes[0, 2].set(title="norm of the gradient at the start", xlabel="first layer ... last convolution")
        axes[0, 2].legend(fontsize=7)
    return {"losses": losses, "norms": norms, "factors": factors, "scores": scores, "connected": connected}


if __name__ == "__main__":
    main(study)
