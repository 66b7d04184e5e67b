"""The perceptron: what one threshold unit learns, how soon, and what it never can.

A unit sums up its inputs, weighted, and a bias: the induced field v = w . x + b. What it makes of v is its model: a
step, a ramp, a sigmoid, a Gaussian. With a step it is Rosenblatt's perceptron (1958), and learns by its rule: for
every wrong answer, w += (t - y) x and b += t - y.

Novikoff's theorem (1962): if a hyperplane through the origin of (x, 1) space separates the classes with margin gamma,
and no |(x, 1)| exceeds R, the rule makes at most (R / gamma)^2 mistakes, in whatever order the examples come. If none
separates them, it never ends: on integers its weights come back to a state they have been in (Minsky & Papert 1969).
"""

from typing import Any

import numpy as np
from sklearn.datasets import load_iris
from study import Study, main

import deepgpu as dg
from deepgpu import nn

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
GATES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}


def learn(x: np.ndarray, t: Any, order: np.random.Generator | None = None, epochs: int = 1000) -> dict[str, Any]:
    """The perceptron rule from zero weights, until an epoch without mistakes.

    Without random order an epoch is a function of the weights: once they come back, they will for ever.
    """
    unit = nn.Step()
    inputs = dg.cat([dg.tensor(x), dg.ones(len(x), 1, dtype=dg.float64)], 1)
    targets = dg.tensor(np.asarray(t, np.float64))
    w = dg.zeros(x.shape[1] + 1, dtype=dg.float64)  # the last is the bias, the weight of a constant input 1
    mistakes, seen, period = [], [], 0
    while len(mistakes) < epochs and not (mistakes and mistakes[-1] == 0):
        state = tuple(w.tolist())
        if order is None and state in seen:
            period = len(seen) - seen.index(state)
            break
        seen.append(state)
        mistakes.append(0)
        for i in range(len(x)) if order is None else order.permutation(len(x)):
            error = targets[i] - unit(w @ inputs[i])
            w += error * inputs[i]
            mistakes[-1] += int(error != 0)
    right = bool((unit(inputs @ w) == targets).all())
    return {"w": w.numpy(), "mistakes": mistakes, "learnt": right, "period": period}


def margin(z: np.ndarray, steps: int = 20000) -> float:
    """A lower bound of the greatest margin of a hyperplane through the origin with all rows of z on one side.

    Gilbert's algorithm (1966) goes to the point of the rows' convex hull that is nearest to the origin; the margin of
    the hyperplane that belongs to its last point is a bound, however near it has come.
    """
    w = z[0]
    for _ in range(steps):
        towards = z[(z @ w).argmin()] - w
        w = w + towards * np.clip(-(w @ towards) / max(towards @ towards, 1e-300), 0, 1)
    return float((z @ w).min() / np.linalg.norm(w))


def study(s: Study) -> dict[str, Any]:
    """Learn gates and irises, count the mistakes."""
    gates = {name: learn(CORNERS, t) for name, t in GATES.items()}
    for name in ("AND", "OR"):
        made, learnt = sum(gates[name]["mistakes"]), gates[name]["learnt"]
        s.found(f"the rule learns {name}", f"{made} mistakes in {len(gates[name]['mistakes'])} epochs", learnt)
    period, epochs = gates["XOR"]["period"], len(gates["XOR"]["mistakes"])
    s.found("it never learns XOR", f"from epoch {epochs} on the weights come back every {period} epochs", period > 0)

    iris = load_iris()
    kept = iris.target < 2
    x, t = iris.data[kept][:, 2:], iris.target[kept]  # length and width of the petals of setosa and versicolor
    z = np.hstack([x, np.ones((len(x), 1))]) * np.where(t == 1, 1, -1)[:, None]
    radius, gamma = float(np.linalg.norm(z, axis=1).max()), margin(z)
    bound = (radius / gamma) ** 2
    order = np.random.default_rng(s.seed)
    runs = [learn(x, t, order) for _ in s.track(range(5 if s.quick else 50), "orders of the irises")]
    counts = [sum(r["mistakes"]) for r in runs]
    s.found("irises: it ends, all are right", f"{len(runs)} of {len(runs)} orders", all(r["learnt"] for r in runs))
    measured = f"at most {max(counts)} mistakes; R = {radius:.2f}, gamma = {gamma:.3f}, bound {bound:.0f}"
    s.found("mistakes <= (R / gamma)²", measured, gamma > 0 and max(counts) <= bound)
    draw(s, gates, x, t, runs[0]["w"], counts, bound)
    return {"gates": gates, "counts": counts, "bound": bound, "gamma": gamma, "z": z}


def draw(s: Study, gates: dict, x: np.ndarray, t: np.ndarray, w: np.ndarray, counts: list, bound: float) -> None:
    """Neuron models; the lines that the rule found; mistakes and their bound."""
    with s.figure(1, 4, (12, 3)) as axes:
        models, logic, irises, bars = axes[0]
        v = np.linspace(-4, 4, 400)
        for layer in (nn.Step(), nn.Ramp(-1, 1, -1, 1), nn.ParametricSigmoid(-1, 2, 2), nn.Gaussian()):
            models.plot(v, layer(dg.tensor(v)).numpy(), label=type(layer).__name__)
        models.set(title="neuron models", xlabel="induced field v")
        models.legend(fontsize=6)
        logic.scatter(*CORNERS.T, c="k")
        grid = np.linspace(-0.3, 1.3, 2)
        for name, found in gates.items():
            a, b, c = found["w"]
            if name != "XOR":
                logic.plot(grid, -(c + a * grid) / b, label=name)
        logic.set(title="AND and OR, learnt", xlim=(-0.3, 1.3), ylim=(-0.3, 1.5))
        logic.legend(fontsize=7)
        irises.scatter(*x.T, c=t, s=8, cmap="coolwarm")
        grid = np.array([x[:, 0].min(), x[:, 0].max()])
        irises.plot(grid, -(w[2] + w[0] * grid) / w[1], "k")
        irises.set(title="irises", xlabel="petal length (cm)", ylabel="width", ylim=(0, 2))
        bars.bar(range(len(counts)), counts)
        bars.axhline(bound, color="tab:red", label=f"(R/γ)² = {bound:.0f}")
        bars.set(title="mistakes, for each order", yscale="log")
        bars.legend(fontsize=7)


if __name__ == "__main__":
    main(study)
