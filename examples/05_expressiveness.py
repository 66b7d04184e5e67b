"""Expressiveness: what one hidden layer of sigmoids can be, and what a second one is for.

With a linear output, one hidden layer of sigmoids comes as near as one likes to every continuous function on a
bounded set, in the sup norm (Cybenko 1989; Hornik, Stinchcombe & White 1989): more units, less error. No continuous
function is near a jump in that norm, so there the mean error counts. With two hidden layers the units of the first
are half-planes, of the second their intersections (Lippmann 1987): regions with an edge, to which one layer of
equally many parameters comes less near.
"""

from typing import Any

import numpy as np
from study import Study, main

import deepgpu as dg
from deepgpu import nn

WIDTHS = (1, 2, 4, 8, 16)


def smooth(x: np.ndarray) -> np.ndarray:
    """A continuous function on [-1, 1]: a chirp, bounded by 1."""
    return np.sin(7 * x * (1 + 0.5 * x)) * np.exp(-(x**2))


def region(p: np.ndarray) -> np.ndarray:
    """1 on a ring in the plane, 0 elsewhere: a jump at two circles."""
    r = np.hypot(p[:, 0], p[:, 1])
    return ((r > 0.4) & (r < 0.8)).astype(float)


def minimise(net: nn.Module, loss: Any, steps: int) -> float:
    """L-BFGS on all samples at once, in float64: no noise hides what the net could be."""
    optimizer = dg.optim.LBFGS(net.parameters(), max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> dg.Tensor:
        optimizer.zero_grad()
        value = loss(net)
        value.backward()
        return value

    optimizer.step(closure)
    return loss(net).item()


def one_layer(inputs: int, width: int, spread: float) -> nn.Sequential:
    """Sigmoids that turn on at places spread over the domain, and a linear output."""
    net = nn.Sequential(nn.Linear(inputs, width), nn.Sigmoid(), nn.Linear(width, 1)).double()
    with dg.no_grad():
        direction = dg.randn(width, inputs, dtype=dg.float64)
        direction = direction / direction.norm(dim=1, keepdim=True) * spread
        net[0].weight.copy_(direction)
        net[0].bias.copy_(spread * (2 * dg.rand(width, dtype=dg.float64) - 1))
    return net


def two_layers() -> nn.Sequential:
    """Half-planes, their intersections, and a linear output."""
    first = one_layer(2, 12, 6.0)[:2]
    return nn.Sequential(*first, nn.Linear(12, 6).double(), nn.Sigmoid(), nn.Linear(6, 1).double())


def plane(side: int) -> np.ndarray:
    """The points of a square lattice on [-1, 1]²."""
    ticks = np.linspace(-1, 1, side)
    return np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)


def study(s: Study) -> dict[str, Any]:
    """Fit a continuous function with more and more units, then a region with one and two hidden layers."""
    steps, starts = (100, 2) if s.quick else (1000, 4)  # the best start: local minima are not what is asked about
    x = np.linspace(-1, 1, 81)[:, None]
    between = np.linspace(-1, 1, 1601)[:, None]  # also where no sample was
    inputs, goal = dg.tensor(x), dg.tensor(smooth(x))
    sup: dict[int, float] = {}
    fits = {}
    for width in s.track(WIDTHS, "units"):
        for _ in range(starts):
            net = one_layer(1, width, 2.0 + width)
            minimise(net, lambda n: ((n(inputs) - goal) ** 2).mean(), steps)
            y = net(dg.tensor(between)).detach().numpy()
            error = float(np.abs(y - smooth(between)).max())
            if error < sup.get(width, np.inf):
                sup[width], fits[width] = error, y[:, 0]
    measured = ", ".join(f"{sup[w]:.3f}" for w in WIDTHS)
    falls = sup[16] < sup[4] < sup[1] and sup[16] < 0.1 * sup[1]
    s.found("1, 2, 4, 8, 16 units: the sup-norm error falls to a tenth", measured, falls)

    points, fine = plane(17), plane(121)
    sample, inside = dg.tensor(points), dg.tensor(region(points))[:, None]
    best: dict[str, tuple[float, np.ndarray]] = {}
    makers = {"one hidden layer": lambda: one_layer(2, 30, 6.0), "two hidden layers": two_layers}
    sizes = {name: sum(p.numel() for p in make().parameters()) for name, make in makers.items()}
    for name, make in s.track(list(makers.items()), "layers"):
        for _ in range(starts):
            net = make()
            minimise(net, lambda n: ((n(sample) - inside) ** 2).mean(), 2 * steps)
            y = net(dg.tensor(fine)).detach().numpy()[:, 0]
            error = float(np.abs(y - region(fine)).mean())
            if error < best.get(name, (np.inf,))[0]:
                best[name] = error, y
    mean = {name: error for name, (error, _) in best.items()}
    one, two = mean.values()
    measured = f"mean error {two:.3f}, one layer {one:.3f}, with {sizes['two hidden layers']} parameters each"
    equal = len(set(sizes.values())) == 1
    s.found("a region's edge: two hidden layers are nearer", measured, equal and two < 0.9 * one)
    with s.figure(1, 4, (13, 3.2)) as axes:
        curves, fall, *maps = axes[0]
        curves.plot(between, smooth(between), "k", lw=2, label="function")
        for width in WIDTHS[:4]:
            curves.plot(between, fits[width], lw=0.9, label=f"{width} units")
        curves.legend(fontsize=6)
        curves.set(title="one hidden layer")
        fall.loglog(list(sup), list(sup.values()), "o-")
        fall.set(title="sup-norm error", xlabel="units")
        for axis, (name, (error, y)) in zip(maps, best.items(), strict=True):
            axis.imshow(y.reshape(121, 121), vmin=-0.2, vmax=1.2, extent=(-1, 1, -1, 1))
            axis.set(title=f"{name}: {error:.3f}")
    return {"sup": sup, "mean": mean, "sizes": sizes}


if __name__ == "__main__":
    main(study)
