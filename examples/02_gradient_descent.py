"""The sigmoid unit and gradient descent: a surface that one can see, and steps that are too long.

The sigmoid f(v) = 1 / (1 + exp(-v)) has the derivative f' = f (1 - f), and tanh(v) = 2 f(2v) - 1 has 1 - tanh². So a
unit with one input, y = f(w x + b), can be trained by gradient descent; with a mean cross-entropy loss its surface
over (w, b) is convex, with squared errors it is not.

Of a convex loss whose gradient has the Lipschitz constant L (here the greatest eigenvalue of X'X / 4n), descent with
steps eta <= 1/L never goes up, and after k steps is at most |start - minimum|² / (2 eta k) above the minimum
(Nesterov 2004, section 2.1.5). Near the minimum, where the Hessian's greatest eigenvalue is lambda, it can only
settle if eta < 2 / lambda.
"""

from typing import Any

import numpy as np
from sklearn.datasets import load_iris
from study import Study, main

import deepgpu as dg
from deepgpu.autograd.functional import hessian
from deepgpu.nn import functional as F


def descend(loss: Any, start: np.ndarray, step: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The path of gradient descent with its two ends, and the loss at each point."""
    p = dg.tensor(start, requires_grad=True)
    optimizer = dg.optim.SGD([p], lr=step)
    path, losses = [], []
    for _ in range(steps + 1):
        value = loss(p)
        path.append(p.detach().numpy().copy())
        losses.append(value.item())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return np.array(path), np.array(losses)


def study(s: Study) -> dict[str, Any]:
    """Derivatives, then descent on the loss of one unit that tells two irises apart."""
    v = dg.linspace(-8, 8, 1001, dtype=dg.float64)
    errors, h = {}, 1e-5
    for f, derivative in ((dg.sigmoid, lambda y: y * (1 - y)), (dg.tanh, lambda y: 1 - y * y)):
        central = (f(v + h) - f(v - h)) / (2 * h)
        errors[f.__name__] = float((central - derivative(f(v))).abs().max())
    error = max(errors.values())
    s.found("f' = f (1 - f), tanh' = 1 - tanh²", f"central differences differ by {error:.0e} at most", error < 1e-9)

    iris = load_iris()
    kept = iris.target > 0  # versicolor and virginica, which overlap
    length = iris.data[kept][:, 2]
    x = dg.tensor((length - length.mean()) / length.std())
    t = dg.tensor(iris.target[kept] - 1.0)
    start = np.random.default_rng(s.seed).uniform(-4, 4, 2)

    def entropy(p: dg.Tensor) -> dg.Tensor:  # of one point (w, b), or of each of several
        v = p[..., :1] * x + p[..., 1:]
        return F.binary_cross_entropy_with_logits(v, t.expand_as(v), reduction="none").mean(-1)

    def squares(p: dg.Tensor) -> dg.Tensor:
        return (((p[..., :1] * x + p[..., 1:]).sigmoid() - t) ** 2).mean(-1)

    minimum = dg.tensor([0.0, 0.0], dtype=dg.float64)
    for _ in range(20):  # Newton's method, to the last digit
        minimum.requires_grad_()
        (g,) = dg.autograd.grad(entropy(minimum), minimum)
        minimum = (minimum - dg.linalg.inv(hessian(entropy, minimum)) @ g).detach()
    best = entropy(minimum).item()
    design = np.stack([x.numpy(), np.ones(len(x))])
    lipschitz = float(np.linalg.eigvalsh(design @ design.T / (4 * len(x)))[-1])
    sharpness = float(np.linalg.eigvalsh(hessian(entropy, minimum).numpy())[-1])

    steps = 300 if s.quick else 3000
    path, losses = descend(entropy, start, 1 / lipschitz, steps)
    k = np.arange(1, steps + 1)
    bound = ((path[0] - minimum.numpy()) ** 2).sum() * lipschitz / (2 * k)
    falls = bool((np.diff(losses) <= 1e-15).all())
    s.found("with eta = 1/L the loss never rises", f"{losses[0]:.2f} to {losses[-1]:.4f} in {steps} steps", falls)
    share = float(((losses[1:] - best) / bound).max())
    s.found("it is below |start - minimum|² L / 2k", f"at most {share:.2f} of the bound", share <= 1)
    paths, ends = {}, {}
    for factor in (0.9, 1.1):
        paths[factor], _ = descend(entropy, start, factor * 2 / sharpness, 600)
        ends[factor] = float(np.abs(paths[factor][-20:] - minimum.numpy()).max())
    settles = ends[0.9] < 1e-6 and ends[1.1] > 1e-2
    s.found(
        "it settles only with eta < 2 / lambda", f"0.9 of it: {ends[0.9]:.0e} off, 1.1: {ends[1.1]:.2f} off", settles
    )

    grid = np.stack(np.meshgrid(np.linspace(-4, 9, 14), np.linspace(-5, 5, 11)), -1).reshape(-1, 2)
    least = {}
    for name, loss in (("entropy", entropy), ("squares", squares)):
        points = s.track(dg.tensor(grid), name, len(grid))
        least[name] = min(float(np.linalg.eigvalsh(hessian(loss, p).numpy())[0]) for p in points)
    measured = f"least eigenvalues of the Hessian {least['entropy']:.0e} and {least['squares']:.3f}"
    convex = least["entropy"] > -1e-12 and least["squares"] < -1e-3
    s.found("cross-entropy is convex, squares are not", measured, convex)
    draw(s, (entropy, squares), path, paths, minimum.numpy())
    return {"errors": errors, "losses": losses, "best": best, "ends": ends, "least": least, "minimum": minimum.numpy()}


def draw(s: Study, surfaces: Any, path: np.ndarray, paths: dict[float, np.ndarray], minimum: np.ndarray) -> None:
    """The functions, the two surfaces with a path, steps that are too long."""
    with s.figure(1, 4, (13, 3.2)) as axes:
        functions, *maps, long = axes[0]
        v = dg.linspace(-6, 6, 200)
        for name in ("sigmoid", "tanh"):
            y = getattr(dg, name)(v)
            functions.plot(v.numpy(), y.numpy(), label=name)
            functions.plot(v.numpy(), (y * (1 - y) if name == "sigmoid" else 1 - y * y).numpy(), "--", label=f"{name}'")
        functions.legend(fontsize=7)
        functions.set(title="unit and derivative", xlabel="v")
        points = np.stack(np.meshgrid(np.linspace(-5, 9, 60), np.linspace(-5, 5, 60)), -1)
        for axis, loss, title in zip(maps, surfaces, ("cross-entropy, eta = 1/L", "squared errors"), strict=True):
            axis.contourf(points[..., 0], points[..., 1], loss(dg.tensor(points)).numpy(), 20, cmap="viridis")
            axis.set(title=title, xlabel="w", ylabel="b")
        maps[0].plot(*path.T, "w.-", ms=3, lw=0.7)
        maps[0].plot(*minimum, "r*")
        for factor, found in paths.items():
            long.plot(np.abs(found[:200] - minimum).max(1), lw=0.8, label=f"eta = {factor} · 2/λ")
        long.set(title="distance from the minimum", xlabel="step", yscale="log")
        long.legend(fontsize=7)


if __name__ == "__main__":
    main(study)
