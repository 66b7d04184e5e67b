"""Limited-memory BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu.autograd.grad_mode import enable_grad, no_grad
from deepgpu.ops.joining import cat
from deepgpu.optim.optimizer import Optimizer, check_learning_rate
from deepgpu.tensor import Tensor


def _cubic(x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: Any = None) -> float:
    """Where the cubic through two points with these slopes has its minimum, inside of the bounds."""
    low, high = bounds or (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2
    d2 = square**0.5
    if x1 <= x2:
        found = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        found = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(found, low), high)


Point = tuple[float, float, Tensor, float]
"""A step length, the loss there, its gradient, and the slope along the direction."""


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, Tensor]],
    t: float,
    d: Tensor,
    start: Point,
    tolerance: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    most: int = 25,
) -> tuple[float, Tensor, float, int]:
    """A step length whose loss and slope meet the strong Wolfe conditions.

    Parameters
    ----------
    evaluate
        The loss and the gradient at a step length.
    t
        The length to try first.
    d
        The direction.
    start
        Length 0.
    tolerance
        The smallest change of the length, relative to the direction's largest element.

    Returns
    -------
    tuple
        The loss, the gradient, the length, and the number of evaluations.

    Notes
    -----
    Nocedal & Wright, Numerical Optimization, algorithms 3.5 and 3.6: first a bracket, then a zoom, with cubic steps.
    """
    largest = d.abs().max().item()
    _, f0, _, slope0 = start

    def at(t: float) -> Point:
        f, g = evaluate(t)
        return t, f, g, (g @ d).item()

    previous, now, count = start, at(t), 1
    bracket: list[Point] = []
    done = False
    while count < most:
        t, f, _, slope = now
        if f > f0 + c1 * t * slope0 or (count > 1 and f >= previous[1]):
            bracket = [previous, now]
            break
        if abs(slope) <= -c2 * slope0:
            bracket, done = [now], True
            break
        if slope >= 0:
            bracket = [previous, now]
            break
        bounds = t + 0.01 * (t - previous[0]), t * 10
        step = _cubic(previous[0], previous[1], previous[3], t, f, slope, bounds)
        previous, now = now, at(step)
        count += 1
    if not bracket:
        bracket = [start, now]
    stalled = False
    low, high = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and count < most:
        a, b = bracket
        width = abs(b[0] - a[0])
        if width * largest < tolerance:
            break
        t = _cubic(a[0], a[1], a[3], b[0], b[1], b[3])
        smallest, greatest = min(a[0], b[0]), max(a[0], b[0])
        margin = 0.1 * width
        if min(greatest - t, t - smallest) < margin:
            if stalled or t >= greatest or t <= smallest:
                t = greatest - margin if abs(t - greatest) < abs(t - smallest) else smallest + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        now = at(t)
        count += 1
        if now[1] > f0 + c1 * t * slope0 or now[1] >= bracket[low][1]:
            bracket[high] = now
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(now[3]) <= -c2 * slope0:
                done = True
            elif now[3] * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
    best = bracket[low] if len(bracket) == 2 else bracket[0]
    return best[1], best[2], best[0], count


class LBFGS(Optimizer):
    """Quasi-Newton steps from the last gradients, with a closure that computes the loss again.

    Parameters
    ----------
    params
        One group of parameters.
    lr
        Length of the steps, or of the first try of the line search.
    max_iter
        Iterations a step.
    max_eval
        Evaluations of the closure a step; by default ``max_iter * 1.25``.
    tolerance_grad, tolerance_change
        Stop when no element of the gradient, or of the change of the parameters, is larger.
    history_size
        How many changes are remembered.
    line_search_fn
        None, or ``"strong_wolfe"``.

    Notes
    -----
    Nocedal 1980: the inverse Hessian's product with the gradient by the two-loop recursion.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_learning_rate(lr)
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _flat_grad(self) -> Tensor:
        return cat([(p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1)) for p in self._params])

    def _move(self, t: float, direction: Tensor) -> None:
        start = 0
        for p in self._params:
            p.add_(direction[start : start + p.numel()].reshape(p.shape), alpha=t)
            start += p.numel()

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to ``max_iter`` steps; ``closure`` clears the gradients, computes the loss and its gradients."""
        if closure is None:
            raise RuntimeError("`LBFGS`: `step` takes a closure that computes the loss again, but got None")

        def evaluated() -> Any:
            with enable_grad():
                return closure()

        group = self.param_groups[0]
        lr = float(group["lr"])
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = evaluated()
        loss, evals = float(first), 1
        state["func_evals"] += 1
        g = self._flat_grad()
        if g.abs().max().item() <= group["tolerance_grad"]:
            return first
        d, t = state.get("d"), state.get("t")
        ys, ss, rhos = state.get("old_dirs"), state.get("old_stps"), state.get("ro")
        scale, before, loss_before = state.get("H_diag"), state.get("prev_flat_grad"), state.get("prev_loss")
        iterations = 0
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, ys, ss, rhos, scale = -g, [], [], [], 1.0
            else:
                y, s = g - before, d * t
                curvature = (y @ s).item()
                if curvature > 1e-10:
                    if len(ys) == group["history_size"]:
                        for table in (ys, ss, rhos):
                            table.pop(0)
                    ys.append(y)
                    ss.append(s)
                    rhos.append(1 / curvature)
                    scale = curvature / (y @ y).item()
                d = -self._product(g, ys, ss, rhos, scale)
            before, loss_before = g.clone(), loss
            slope = (g @ d).item()
            t = min(1.0, 1.0 / g.abs().sum().item()) * lr if state["n_iter"] == 1 else lr
            if slope > -group["tolerance_change"]:
                break
            if group["line_search_fn"] == "strong_wolfe":
                origin = [p.clone() for p in self._params]
                direction = d

                def at(length: float, origin: Any = origin, direction: Tensor = direction) -> tuple[float, Tensor]:
                    self._move(length, direction)
                    found = float(evaluated()), self._flat_grad()
                    for p, old in zip(self._params, origin, strict=True):
                        p.copy_(old)
                    return found

                loss, g, t, tried = strong_wolfe(at, t, d, (0.0, loss, g, slope), group["tolerance_change"])
                self._move(t, d)
            else:
                self._move(t, d)
                tried = 0
                if iterations != group["max_iter"]:
                    loss, g, tried = float(evaluated()), self._flat_grad(), 1
            evals += tried
            state["func_evals"] += tried
            if (
                iterations == group["max_iter"]
                or evals >= group["max_eval"]
                or g.abs().max().item() <= group["tolerance_grad"]
                or (d * t).abs().max().item() <= group["tolerance_change"]
                or abs(loss - loss_before) < group["tolerance_change"]
            ):
                break
        state |= {"d": d, "t": t, "old_dirs": ys, "old_stps": ss, "ro": rhos}
        state |= {"H_diag": scale, "prev_flat_grad": before, "prev_loss": loss_before}
        return first

    @staticmethod
    def _product(g: Tensor, ys: list[Tensor], ss: list[Tensor], rhos: list[float], scale: float) -> Tensor:
        """The approximate inverse Hessian times a gradient."""
        q, alphas = g, []
        for y, s, rho in zip(reversed(ys), reversed(ss), reversed(rhos), strict=True):
            alphas.append(rho * (s @ q).item())
            q = q - alphas[-1] * y
        r = q * scale
        for y, s, rho, alpha in zip(ys, ss, rhos, reversed(alphas), strict=True):
            r = r + s * (alpha - rho * (y @ r).item())
        return r
