"""Challenges of depth: vanishing gradients, slow training, over-fitting, and settings that nobody can derive.

Vanishing gradients. Back-propagation multiplies the error by f'(z) W in each layer. A sigmoid's f' is at most 1/4, so
with weights of Glorot's size (n var(w) = 1) the gradient shrinks to less than a quarter with each layer, and those
near the input learn nothing. A ReLU's f' is 1 for half of the units, and He's weights (n var(w) = 2) make up for the
other half: a factor of 1.

Batch normalization (Ioffe & Szegedy 2015) keeps sigmoids where they are not flat, so training takes fewer steps, and
larger ones. Their net: three hidden layers of 100 sigmoids; each side here has the best learning rate of a grid.

Over-fitting. A large net learns 500 images by heart, while its loss on new ones falls and then rises. Dropout
(Srivastava et al. 2014) turns half of the units off at random, so no unit can rely on another: the loss rises less. Of
the answers about as many are right as without.

Hyper-parameters are searched for: `deepgpu tune` keeps its trials in a file and goes on with them (here it is stopped
halfway), samples near those that were good (TPE, Bergstra et al. 2011; the first ten anywhere), and cuts hopeless ones
short.
"""

import tempfile
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from study import Study, accuracy, fashion, fit, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.train import Trainer, evaluate
from deepgpu.train.display import Silence
from deepgpu.train.experiment import Experiment
from deepgpu.train.recipe import Recipe
from deepgpu.train.tuning import best_recipe, open_study, tune
from deepgpu.utils.data import DataLoader, TensorDataset

GOAL = 0.75
RATES = (0.1, 0.3, 1.0, 3.0)
ACTIVATIONS = {"sigmoid": (1.0, lambda m: nn.Sigmoid()), "ReLU": (2.0, lambda m: nn.ReLU())}  # with n var(w)


def perceptron(widths: list[int], scale: float, *behind: Callable[[int], nn.Module]) -> nn.Sequential:
    """Linear layers with weights of variance scale / n, and modules, made for a width, behind each but the last."""
    layers: list[nn.Module] = [nn.Flatten()]
    for n, m in pairwise(widths):
        linear = nn.Linear(n, m)
        nn.init.normal_(linear.weight, std=(scale / n) ** 0.5)
        nn.init.zeros_(linear.bias)
        layers += [linear, *(make(m) for make in behind)]
    return nn.Sequential(*layers[: len(layers) - len(behind)])


def gradients(net: nn.Module, x: dg.Tensor, t: dg.Tensor) -> np.ndarray:
    """The norm of the gradient by the weights of each hidden layer but the first, whose inputs are pixels."""
    F.cross_entropy(net(x), t).backward()
    return np.array([float(m.weight.grad.norm()) for m in net.modules() if isinstance(m, nn.Linear)])[1:-1]


def race(s: Study, net: nn.Module, lr: float, data: Any, test: Any, most: int) -> list[float]:
    """Gradient descent until enough of the test is right, or so many steps; the accuracy after every ten."""
    optimizer = dg.optim.SGD(net.to(s.device).parameters(), lr)
    x, t = (part.to(s.device) for part in data)
    reached: list[float] = []
    while len(reached) < most // 10 and max(reached, default=0) < GOAL:
        net.train()
        for batch in dg.randint(0, len(x), (10, 60), device=s.device):
            loss = F.cross_entropy(net(x[batch]), t[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        reached.append(accuracy(net, test, s.device))
    return reached


def study(s: Study) -> dict[str, Any]:
    """Gradients over depth, steps with and without batch norm, over-fitting with and without dropout, a search."""
    data, test = fashion(True, 3000 if s.quick else 30000, s.seed), fashion(False, 1000)
    deep = [784, *[128] * 12, 10]
    norms, losses = {}, {}
    some = data[0][:3000], data[1][:3000]  # 138 steps; after ten times as many Adam has the sigmoids moving
    for name, made in s.track(list(ACTIVATIONS.items()), "vanishing gradients"):
        x, t = (part[:500].to(s.device) for part in data)
        norms[name] = gradients(perceptron(deep, *made).to(s.device), x, t)
        trainer = fit(perceptron(deep, *made), some, 3, 1e-3, s.device)
        losses[name] = trainer.position.history[-1]["train_loss"]
    factors = {}
    for name, values in norms.items():
        factors[name] = float(np.exp(-np.polyfit(np.arange(len(values)), np.log(values), 1)[0]))
    measured = ", ".join(f"{name} {factors[name]:.2f}" for name in factors)
    holds = factors["sigmoid"] < 0.25 * 1.1 and 0.8 < factors["ReLU"] < 1.25
    s.found("a layer's factor on the gradient: up to 1/4 for sigmoids, 1 for ReLUs", measured, holds)
    measured = f"loss {losses['sigmoid']:.2f} (chance {np.log(10):.2f}), ReLUs {losses['ReLU']:.2f}"
    s.found(
        "12 layers of sigmoids have learnt nothing after 138 steps",
        measured,
        losses["sigmoid"] > 2 > 2 * losses["ReLU"],
    )

    kinds = {"plain": [], "batch norm": [nn.BatchNorm1d]}
    runs, most = {}, 600 if s.quick else 3000
    for name, lr in s.track([(name, lr) for name in kinds for lr in RATES], "batch norm"):
        net = perceptron([784, 100, 100, 100, 10], 1.0, *kinds[name], lambda m: nn.Sigmoid())
        runs[name, lr] = race(s, net, lr, data, test, most)
    steps = {key: 10 * len(reached) for key, reached in runs.items()}
    best = {name: min((steps[key], key[1]) for key in runs if key[0] == name) for name in kinds}
    measured = ", ".join(f"{name} {count} (rate {lr:g})" for name, (count, lr) in best.items())
    holds = best["batch norm"][0] < 0.5 * best["plain"][0]
    s.found(f"batch norm: less than half the steps to {GOAL:.0%} right", measured, holds)
    pairs = [(steps["plain", lr], steps["batch norm", lr]) for lr in RATES]
    measured = ", ".join(f"{plain} to {normed}" for plain, normed in pairs) + f" (stopped at {most})"
    s.found("fewer at each of the rates", measured, all(plain > normed for plain, normed in pairs))

    few = tuple(part[:500] for part in data)
    histories = {}
    for rate in s.track((0.0, 0.5), "dropout"):
        net = perceptron([784, 512, 512, 10], 2.0, lambda m: nn.ReLU(), lambda m, rate=rate: nn.Dropout(rate))
        trainer = Trainer(net, dg.optim.Adam(net.parameters(), 1e-3), device=s.device, display=Silence())
        batches = DataLoader(TensorDataset(*few), 50, shuffle=True)
        histories[rate] = trainer.fit(batches, DataLoader(TensorDataset(*test), 500), 40)
    curves = {rate: [record["validation_loss"] for record in history] for rate, history in histories.items()}
    (without, dropped), ends = curves.values(), [history[-1] for history in histories.values()]
    measured = f"{ends[0]['train_accuracy']:.0%} of 500 right; loss on new ones falls to {min(without):.2f}, "
    by_heart = ends[0]["train_accuracy"] > 0.99 and without[-1] > 1.1 * min(without)
    s.found("over-fitting: learnt by heart", measured + f"then rises to {without[-1]:.2f}", by_heart)
    measured = f"least {min(dropped):.2f}, in the end {dropped[-1]:.2f}; {ends[1]['validation_accuracy']:.1%} right, "
    measured += f"{ends[0]['validation_accuracy']:.1%} without"
    s.found("dropout: it rises less", measured, sum(dropped[-10:]) < sum(without[-10:]))

    settings = {"model_args": {"width": 4}, "epochs": 2, "validation": 0.3, "seed": s.seed}
    recipe, wanted = Recipe.make("resnet8", "digits", settings), 10 if s.quick else 40
    with tempfile.TemporaryDirectory() as folder:
        tune(open_study(folder, recipe), wanted // 2, s.device)
        search = open_study(folder, recipe)
        there = len(search.trials)
        tune(search, wanted, s.device)
        trials = [max(trial.intermediate_values.values(), default=0.0) for trial in search.trials]
        chosen, _ = best_recipe(search)
    measured = f"{there} trials in the file, then {len(trials)}"
    s.found("a search goes on where it stopped", measured, there == wanted // 2 and len(trials) == wanted)
    made = Experiment(chosen, s.device)
    settings = {"scheduler": made.scheduler, "loss": made.loss, "device": s.device, "display": Silence()}
    Trainer(made.model, made.optimizer, **settings).fit(made.batches, epochs=chosen.epochs)
    score = evaluate(made.model, DataLoader(made.splits.test, 500), device=s.device).accuracy
    middle = float(np.median(trials))
    measured = f"{score:.0%} of the test right after two epochs; trials {min(trials):.0%}, {middle:.0%} (median), "
    s.found("what it finds is better than the middle", measured + f"{max(trials):.0%}", score > middle)
    with s.figure(1, 4, (15, 3.4)) as axes:
        vanishing, speed, loss, points = axes[0]
        for name, values in norms.items():
            vanishing.semilogy(range(2, 2 + len(values)), values, "o-", ms=3, label=name)
        vanishing.set(title="norm of the gradient at the start", xlabel="layer")
        for name, (count, lr) in best.items():
            reached = runs[name, lr]
            speed.plot(10 * np.arange(1, 1 + len(reached)), reached, label=f"{name}: {count} steps")
        speed.axhline(GOAL, color="grey", lw=0.6)
        speed.set(title="3 layers of sigmoids: test accuracy", xlabel="step")
        for rate, values in curves.items():
            loss.plot(range(1, 1 + len(values)), values, label=f"dropout {rate:g}")
        loss.set(title="500 images: loss on new ones", xlabel="epoch")
        points.plot(range(1, 1 + len(trials)), trials, "o", label="trial")
        points.plot(range(1, 1 + len(trials)), np.maximum.accumulate(trials), lw=0.8, label="best so far")
        points.set(title="tuning: validation accuracy", xlabel="trial")
        for axis in axes[0]:
            axis.legend(fontsize=8)
    trained = {rate: history[-1]["train_accuracy"] for rate, history in histories.items()}
    found = {"trials": trials, "chosen": score, "trained": trained}
    return {"norms": norms, "losses": losses, "steps": steps, "curves": curves, **found}


if __name__ == "__main__":
    main(study)
