"""Motivation for depth: what few layers need many units for, on a sawtooth and on Fashion-MNIST.

The tent map T(x) = 2 min(x, 1 - x) = 2 relu(x) - 4 relu(x - 1/2) takes two units. Applied k times it is a sawtooth of
2^k straight pieces: k layers of two units each. One hidden layer of n ReLUs has at most n + 1 pieces, so it needs
exponentially many (Telgarsky 2016). How far must it miss? With p pieces it crosses the line 1/2 at most p times, the
sawtooth 2^k times. Of the sawtooth's 2^k + 1 stretches above and below the line at most p are cut by a crossing; of
the others that lie between two crossings every second one is on the wrong side. So at least (2^k - 2p) / 2 are, and
each adds 2^-k / 4 to the L1 distance, the two at the ends half of that: the distance is at least (1 - 2p / 2^k) / 8 -
2^-k / 4.

On real images nothing of the kind is proved, and little is seen at this size: one wide layer of convolutions and three
narrow ones with as many parameters come out within a few points of each other, and which is ahead depends on the
set-up. What depth does there takes more of it: see the residual nets.
"""

from typing import Any

import numpy as np
from study import Study, accuracy, fashion, fit, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F

K = 7


def sawtooth(x: np.ndarray) -> np.ndarray:
    """The tent map, K times."""
    for _ in range(K):
        x = 2 * np.minimum(x, 1 - x)
    return x


def deep() -> nn.Sequential:
    """K hidden layers of two ReLUs, with the weights of the tent map."""
    layers: list[nn.Module] = [nn.Linear(1, 2)]
    for _ in range(K - 1):
        layers += [nn.ReLU(), nn.Linear(2, 2)]
    net = nn.Sequential(*layers, nn.ReLU(), nn.Linear(2, 1)).double()
    with dg.no_grad():
        for layer in net[::2]:
            tent = layer is not net[0]
            layer.weight.copy_(dg.tensor([[2.0, -4.0]] if tent else [[1.0]]).expand_as(layer.weight))
            layer.bias.copy_(dg.tensor([0.0, -0.5])[: len(layer.bias)])
    return net


def convolutional(channels: tuple[int, ...], kernel: int, pool: int, features: int) -> nn.Sequential:
    """Convolutions with batch norm, ReLU and max-pooling, then one linear layer."""
    layers: list[nn.Module] = []
    for before, after in zip((1, *channels), channels, strict=False):
        layers += [nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(after)]
        layers += [nn.ReLU(), nn.MaxPool2d(pool)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 10))


def size(net: nn.Module) -> int:
    """How many parameters."""
    return sum(p.numel() for p in net.parameters())


def study(s: Study) -> dict[str, Any]:
    """Deep and shallow at equal numbers of parameters."""
    x = np.linspace(0, 1, 8 * 2**K + 1)[:, None]
    inputs, goal = dg.tensor(x), dg.tensor(sawtooth(x))
    exact = deep()
    largest = float((exact(inputs) - goal).abs().max())
    pieces = int((np.diff(np.sign(np.diff(sawtooth(x)[:, 0]))) != 0).sum()) + 1
    measured = f"{size(exact)} parameters, {pieces} pieces, largest error {largest:.0e}"
    s.found(f"{K} layers of two units are the sawtooth", measured, largest == 0 and pieces == 2**K)

    width = (size(exact) - 1) // 3
    bound = (1 - 2 * (width + 1) / 2**K) / 8 - 2**-K / 4
    distances = []
    for _ in s.track(range(2 if s.quick else 10), "shallow nets"):
        shallow = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, 1)).double()
        optimizer = dg.optim.Adam(shallow.parameters(), lr=0.02)
        for _ in range(300 if s.quick else 3000):
            loss = F.l1_loss(shallow(inputs), goal)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        distances.append(loss.item())
    measured = f"L1 distance {min(distances):.3f} after training, bound {bound:.3f}"
    s.found(f"one layer of {width} units misses it", measured, 0 < bound < min(distances))

    nets = {
        "shallow": lambda: convolutional((34,), 3, 4, 34 * 7 * 7),
        "deep": lambda: convolutional((16, 32, 32), 3, 2, 32 * 3 * 3),
    }
    sizes = {name: size(make()) for name, make in nets.items()}
    training, test = fashion(True, 6000 if s.quick else 60000, s.seed), fashion(False, 10000)
    scores = {}
    for name, make in s.track(list(nets.items()), "Fashion-MNIST"):
        net = make()
        fit(net, training, 4, 1e-2, s.device)
        scores[name] = accuracy(net, test, s.device)
    measured = "; ".join(f"{n} {100 * scores[n]:.1f} % ({sizes[n]:,} parameters)" for n in nets)
    equal = abs(sizes["deep"] / sizes["shallow"] - 1) < 0.02
    close = abs(scores["deep"] - scores["shallow"]) < 0.04
    s.found("Fashion-MNIST: one layer and three are within 4 points", measured, equal and close)
    with s.figure(1, 2, (10, 3)) as axes:
        curves, bars = axes[0]
        curves.plot(x, sawtooth(x), lw=0.6, label=f"sawtooth = {K} layers of 2")
        curves.plot(x, shallow(inputs).detach().numpy(), label=f"1 layer of {width}, trained")
        curves.legend(fontsize=7, loc="lower right")
        curves.set(title=f"{size(exact)} parameters each")
        bars.bar(list(scores), [100 * v for v in scores.values()], width=0.5)
        bars.set(title="Fashion-MNIST, 17,000 parameters each", ylabel="test accuracy (%)", ylim=(70, 95))
    return {"bound": bound, "distances": distances, "largest": largest, "pieces": pieces, "scores": scores}


if __name__ == "__main__":
    main(study)
