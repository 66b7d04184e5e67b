"""LBFGS step by step against torch; LARS and LAMB against their formulas; averages of weights against torch."""

import copy

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import built, close, copy_weights, ours


def rosenbrock(lib, x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize(
    "options",
    [{"lr": 0.1}, {"lr": 0.5, "max_iter": 4, "history_size": 2}, {"line_search_fn": "strong_wolfe"}],
)
def test_lbfgs_takes_the_steps_of_torch(options):
    start = np.array([-1.2, 1.0, 0.5, 0.8])
    traces = []
    for lib in (torch, dg):
        x = lib.tensor(start).requires_grad_()
        optimizer = lib.optim.LBFGS([x], **options)

        def closure(x=x, optimizer=optimizer, lib=lib):
            optimizer.zero_grad()
            loss = rosenbrock(lib, x)
            loss.backward()
            return loss

        traces.append([(optimizer.step(closure).item(), x.detach().numpy().copy()) for _ in range(4)])
    for (f, x), (g, y) in zip(*traces, strict=True):
        np.testing.assert_allclose(g, f, rtol=1e-6)
        np.testing.assert_allclose(y, x, rtol=1e-6)


def test_lbfgs_needs_a_closure_and_one_group():
    x = dg.nn.Parameter(dg.zeros(2))
    with pytest.raises(RuntimeError, match="closure"):
        dg.optim.LBFGS([x]).step()
    with pytest.raises(ValueError, match="parameter groups"):
        dg.optim.LBFGS([{"params": [x]}, {"params": [dg.nn.Parameter(dg.zeros(1))]}])
    with pytest.raises(RuntimeError, match="strong_wolfe"):
        dg.optim.LBFGS([x], line_search_fn="armijo")


def gradients(shape, steps):
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape), [rng.standard_normal(shape) for _ in range(steps)]


@pytest.mark.parametrize("shape", [(3, 4), (5,)])
def test_lars_is_its_formula(shape):
    start, grads = gradients(shape, 5)
    p = dg.nn.Parameter(dg.tensor(start))
    optimizer = dg.optim.LARS([p], lr=0.5, momentum=0.9, weight_decay=0.01, trust_coefficient=0.02)
    x, v = start.copy(), np.zeros(shape)
    for g in grads:
        p.grad = dg.tensor(g)
        optimizer.step()
        if len(shape) > 1:
            own, other = np.linalg.norm(x), np.linalg.norm(g)
            g = (g + 0.01 * x) * (0.02 * own / (other + 0.01 * own + 1e-8))
        v = 0.9 * v + g
        x = x - 0.5 * v
    np.testing.assert_allclose(p.detach().numpy(), x, rtol=1e-10)


def test_lamb_is_its_formula():
    start, grads = gradients((3, 4), 5)
    p = dg.nn.Parameter(dg.tensor(start))
    optimizer = dg.optim.LAMB([p], lr=0.1, weight_decay=0.01)
    x, m, v = start.copy(), np.zeros((3, 4)), np.zeros((3, 4))
    for t, g in enumerate(grads, 1):
        p.grad = dg.tensor(g)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        r = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + 0.01 * x
        x = x - 0.1 * np.linalg.norm(x) / np.linalg.norm(r) * r
    np.testing.assert_allclose(p.detach().numpy(), x, rtol=1e-10)


@pytest.mark.parametrize("kind", ["swa", "ema", "buffers"])
def test_averaged_models(kind):
    theirs, mine = built("nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))")
    copy_weights(theirs, mine)
    averages = []
    for lib, model in ((torch, theirs), (dg, mine)):
        utils = lib.optim.swa_utils
        options = {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.9)} if kind == "ema" else {}
        averages.append(utils.AveragedModel(model, use_buffers=kind == "buffers", **options))
    rng = np.random.default_rng(0)
    for _ in range(3):
        for average, model in zip(averages, (theirs, mine), strict=True):
            average.update_parameters(model)
        x = torch.from_numpy(rng.standard_normal((6, 3)).astype(np.float32))
        theirs(x)
        mine(ours(x))
        with torch.no_grad():
            for p in theirs.parameters():
                p.add_(torch.from_numpy(rng.standard_normal(tuple(p.shape)).astype(np.float32)))
        copy_weights(theirs, mine)
    assert int(averages[1].n_averaged) == 3
    for (name, p), q in zip(averages[0].state_dict().items(), averages[1].state_dict().values(), strict=True):
        close(q, p, 1e-5, name)
    batches = [rng.standard_normal((6, 3)).astype(np.float32) for _ in range(3)]
    torch.optim.swa_utils.update_bn([torch.from_numpy(b) for b in batches], averages[0])
    dg.optim.swa_utils.update_bn([dg.tensor(b) for b in batches], averages[1])
    for (name, p), q in zip(averages[0].named_buffers(), averages[1].buffers(), strict=True):
        close(q, p, 1e-5, name)
    assert copy.deepcopy(averages[1])(dg.zeros(2, 3)).shape == (2, 4)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_swalr_is_its_torch_twin(strategy):
    rates = []
    for lib in (torch, dg):
        optimizer = lib.optim.SGD([lib.nn.Parameter(lib.zeros(1))], lr=1.0)
        scheduler = lib.optim.swa_utils.SWALR(optimizer, 0.05, 4, strategy)
        trace = []
        for _ in range(7):
            optimizer.step()
            scheduler.step()
            trace.append(optimizer.param_groups[0]["lr"])
        rates.append(trace)
    np.testing.assert_allclose(rates[1], rates[0], rtol=1e-12)
