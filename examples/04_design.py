"""Design issues: what data representation, topology, parameters, training and validation each do, on one data set.

178 wines of three growers in the Langhe, with 13 chemical measurements each (Forina et al. 1988, UCI). The
measurements have very different scales: proline goes to 1680, hue to 1.7. Every choice is judged by 5-fold
cross-validation, so by samples that did not train, and compared with one design: standardised inputs, one-hot
targets, 8 hidden sigmoids, learning rate 0.3. Early stopping (Prechelt 1998) keeps the weights of the epoch whose
validation was best.
"""

from typing import Any

import numpy as np
from sklearn.datasets import load_wine
from study import Study, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.train import EarlyStopping, Trainer, k_fold
from deepgpu.train.display import Silence
from deepgpu.utils.data import DataLoader, TensorDataset

GOOD = {"scaled": True, "one_hot": True, "hidden": 8, "lr": 0.3}
CHOICES = {
    "the design": {},
    "raw measurements": {"scaled": False},
    "the class as one number": {"one_hot": False},
    "no hidden unit": {"hidden": 0},
    "1 hidden unit": {"hidden": 1},
    "64 hidden units": {"hidden": 64},
    "learning rate 0.003": {"lr": 0.003},
    "learning rate 100": {"lr": 100.0},
}


def fit(
    x: np.ndarray,
    t: np.ndarray,
    training: list[int],
    validation: list[int],
    epochs: int,
    patience: int | None = None,
    **design: Any,
) -> tuple[float, Trainer]:
    """Train on some samples; the accuracy on the others."""
    design = {**GOOD, **design}
    if design["scaled"]:  # by the training samples only: the others must not tell anything
        x = (x - x[training].mean(0)) / x[training].std(0)
    inputs, labels = dg.tensor(x.astype(np.float32)), dg.tensor(t)
    outputs, width = 3 if design["one_hot"] else 1, design["hidden"]
    layers = [nn.Linear(13, width), nn.Sigmoid(), nn.Linear(width, outputs)] if width else [nn.Linear(13, outputs)]
    net = nn.Sequential(*layers)
    targets = labels if design["one_hot"] else labels.float()
    loss = F.cross_entropy if design["one_hot"] else lambda y, goal: F.mse_loss(y[:, 0], goal)
    parts = [TensorDataset(inputs[i], targets[i]) for i in (training, validation)]
    trainer = Trainer(
        net,
        dg.optim.SGD(net.parameters(), lr=design["lr"]),
        loss=loss,
        device="cpu",
        early_stopping=None if patience is None else EarlyStopping(patience),
        display=Silence(),
    )
    batches = [DataLoader(part, n, shuffle=n == 32) for part, n in zip(parts, (32, len(x)), strict=True)]
    trainer.fit(batches[0], batches[1], epochs)
    with dg.no_grad():
        y = net(inputs[validation])
    guess = y.argmax(1) if design["one_hot"] else y[:, 0].round()
    return float((guess == labels[validation]).float().mean()), trainer


def study(s: Study) -> dict[str, Any]:
    """Each choice by cross-validation, then early stopping."""
    x, t = load_wine(return_X_y=True)
    epochs = 15 if s.quick else 60
    folds = list(k_fold(len(x), 5, s.seed))
    runs = [(name, fold) for name in CHOICES for fold in folds]
    scores: dict[str, list[float]] = {name: [] for name in CHOICES}
    for name, (training, validation) in s.track(runs, "designs"):
        scores[name].append(fit(x, t, training, validation, epochs, **CHOICES[name])[0])
    mean = {name: float(np.mean(v)) for name, v in scores.items()}
    best = mean["the design"]
    claims = {
        "raw measurements": ("scaling the inputs matters", lambda a: best - a > 0.2),
        "the class as one number": ("one-hot targets, not one number", lambda a: best - a > 0.03),
        "1 hidden unit": ("one hidden unit is too few for 3 classes", lambda a: best - a > 0.1),
        "64 hidden units": ("64 hidden units gain nothing over 8", lambda a: a - best < 0.02),
        "learning rate 0.003": (f"a low rate has not arrived in {epochs} epochs", lambda a: best - a > 0.2),
        "learning rate 100": ("a high rate throws weights about", lambda a: best - a > 0.02),
    }
    for name, (claim, holds) in claims.items():
        s.found(claim, f"{name} {100 * mean[name]:.1f} %, the design {100 * best:.1f} %", holds(mean[name]))
    full = 8 * epochs
    stopped = [fit(x, t, *fold, full, patience=8) for fold in s.track(folds, "early stopping")]
    share = sum(trainer.position.epoch for _, trainer in stopped) / (full * len(folds))
    accuracy = float(np.mean([trainer.position.best for _, trainer in stopped]))
    measured = f"{100 * share:.0f} % of the epochs, {100 * accuracy:.1f} % right at the best"
    s.found("early stopping spares epochs, not accuracy", measured, share < 0.75 and accuracy >= best - 0.02)
    with s.figure(1, 2, (10, 3.2)) as axes:
        bars, curve = axes[0]
        spread = [100 * np.std(v) for v in scores.values()]
        bars.barh(list(mean), [100 * m for m in mean.values()], xerr=spread, color="tab:blue")
        bars.invert_yaxis()
        bars.set(title="5-fold cross-validation", xlabel="accuracy (%)", xlim=(0, 104))
        for part, color in (("train", "tab:blue"), ("validation", "tab:orange")):
            for _, trainer in stopped:
                losses = [r[f"{part}_loss"] for r in trainer.position.history]
                curve.plot(range(1, len(losses) + 1), losses, color=color, lw=0.8)
                curve.plot(len(losses), losses[-1], "o", color=color, ms=3)
        curve.set(title="early stopping (orange: validation)", xlabel="epoch", ylabel="loss", yscale="log")
    return {"mean": mean, "share": share, "accuracy": accuracy}


if __name__ == "__main__":
    main(study)
