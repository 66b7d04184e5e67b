"""Choice of architecture: training error falls with capacity, generalization error has a minimum.

442 patients, ten measurements each, and how their diabetes went on after a year (Efron et al. 2004). Nets of one
hidden layer with more and more units learn from a third of the patients, for equally long; a second third chooses the
size, the last one judges the choice. All is repeated with several splits and starts, as one of them says little: the
bands are standard errors of their mean. The validation error that chose is biased downwards, so the test error is
what counts (Hastie, Tibshirani & Friedman, section 7.2).
"""

from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from study import Study, main

import deepgpu as dg
from deepgpu import nn

WIDTHS = (0, 1, 2, 4, 8, 16, 32)


def fit(x: dg.Tensor, y: dg.Tensor, parts: np.ndarray, width: int, steps: int) -> np.ndarray:
    """Train one net for each row of parts, all at once; their errors (training, validation, test) x nets.

    Weights are batches of matrices: w1 is (nets, 10, width).
    """
    nets, thirds = len(parts), dg.tensor(parts.reshape(len(parts), 3, -1))
    w1 = nn.Parameter(dg.randn(nets, 10, width) * 10**-0.5)
    b1 = nn.Parameter(dg.zeros(nets, 1, width))
    w2 = nn.Parameter(dg.randn(nets, width, 1) * max(width, 1) ** -0.5)
    b2 = nn.Parameter(dg.zeros(nets, 1, 1))

    def errors(part: int) -> dg.Tensor:
        chosen = thirds[:, part]
        return ((((x[chosen] @ w1 + b1).tanh() @ w2 + b2)[..., 0] - y[chosen]) ** 2).mean(1)

    optimizer = dg.optim.Adam([w1, b1, w2, b2], lr=0.02)
    for _ in range(steps):
        loss = errors(0).sum()  # the nets share nothing, so each gets its own gradient
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with dg.no_grad():
        return np.stack([errors(part).numpy() for part in range(3)])


def study(s: Study) -> dict[str, Any]:
    """Errors over capacity; choose by validation, judge by the test."""
    x, y = load_diabetes(return_X_y=True)
    inputs = dg.tensor(((x - x.mean(0)) / x.std(0)).astype(np.float32))
    targets = dg.tensor(((y - y.mean()) / y.std()).astype(np.float32))
    repeats, steps = (12, 250) if s.quick else (64, 2000)
    rng = np.random.default_rng(s.seed)
    parts = np.stack([rng.permutation(len(x))[:441] for _ in range(repeats)])
    found = np.stack([fit(inputs, targets, parts, width, steps) for width in s.track(WIDTHS, "widths")], 1)
    training, validation, test = found.mean(2)  # each over widths
    chosen = int(validation.argmin())
    s.found(
        "training error falls with capacity", f"{training[0]:.2f} to {training[-1]:.2f}", (np.diff(training) < 0).all()
    )
    low = f"{validation[0]:.2f} at 0, {validation[chosen]:.2f} at {WIDTHS[chosen]} and {validation[-1]:.2f} at 32 units"
    inside = validation[chosen] < min(validation[0], validation[-1]) - 0.1
    s.found("generalization error has a minimum inside", low, inside)
    worse = found[2, -1] - found[2, chosen]
    error = worse.std(ddof=1) / len(worse) ** 0.5
    measured = f"test error {test[chosen]:.2f} against {test[-1]:.2f} (difference {worse.mean():.2f} ± {error:.2f})"
    s.found("the chosen size tests better than the largest", measured, worse.mean() > 2 * error)
    with s.figure(1, 1, (7, 3.4)) as axes:
        axis = axes[0, 0]
        for values, name in zip(found, ("training", "validation", "test"), strict=True):
            band = values.std(1, ddof=1) / repeats**0.5
            axis.plot(WIDTHS, values.mean(1), "o-", label=name)
            axis.fill_between(WIDTHS, values.mean(1) - band, values.mean(1) + band, alpha=0.3)
        axis.axvline(WIDTHS[chosen], color="k", ls=":", label="chosen")
        axis.axhline(1, color="grey", lw=0.6)
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xticks(WIDTHS, WIDTHS)
        axis.set(xlabel="hidden units", title="mean squared error (grey: variance)")
        axis.legend(fontsize=8)
    return {"training": training, "validation": validation, "test": test, "chosen": WIDTHS[chosen]}


if __name__ == "__main__":
    main(study)
