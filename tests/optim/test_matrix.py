"""Adafactor and Muon against PyTorch's; joined small parameters against single ones."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.optim import composed


def run(t, name, options, shapes, dtype, steps=12):
    rng = np.random.default_rng(0)
    params = [t.nn.Parameter(t.tensor(rng.standard_normal(s).astype(dtype))) for s in shapes]
    optimizer = getattr(t.optim, name)(params, **options)
    for _ in range(steps):
        for p in params:
            p.grad = t.tensor(rng.standard_normal(tuple(p.shape)).astype(dtype))
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.1, "weight_decay": 0.1, "d": 2.0, "maximize": True}, {"eps": (1e-3, 1e-2), "beta2_decay": -0.5}],
)
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-11), ("float32", 1e-4)])
def test_adafactor_as_pytorch_s(options, dtype, rtol):
    shapes = [(4, 3), (5,), (2, 3, 3, 2), ()]
    ours, mine = run(dg, "Adafactor", options, shapes, dtype)
    theirs, other = run(torch, "Adafactor", options, shapes, dtype)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=rtol, atol=1e-7)
        assert list(mine.state[p]) == list(other.state[q])


@pytest.mark.parametrize(
    "options", [{"lr": 0.05}, {"lr": 0.05, "nesterov": False, "momentum": 0.8, "adjust_lr_fn": "match_rms_adamw"}]
)
def test_muon_as_pytorch_s(options):
    """PyTorch's iteration is in bfloat16: its rounding is all that may differ."""
    shapes = [(4, 3), (3, 8), (5, 5)]
    ours, mine = run(dg, "Muon", options, shapes, "float32", steps=4)
    theirs, other = run(torch, "Muon", options, shapes, "float32", steps=4)
    start, _ = run(torch, "Muon", options, shapes, "float32", steps=0)
    for p, q, s in zip(ours, theirs, start, strict=True):
        moved = (q - s).abs().max().item()
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=0.03 * moved)
        buffer, expected = mine.state[p]["momentum_buffer"], other.state[q]["momentum_buffer"]
        np.testing.assert_allclose(buffer.numpy(), expected.numpy(), rtol=1e-5)


def test_wrong_options():
    p = [dg.nn.Parameter(dg.ones(2, 2, 2))]
    with pytest.raises(ValueError, match="2D parameters"):
        dg.optim.Muon(p)
    with pytest.raises(ValueError, match="learning rate function"):
        dg.optim.Muon([dg.nn.Parameter(dg.ones(2, 2))], adjust_lr_fn="best")
    with pytest.raises(ValueError, match="beta2_decay"):
        dg.optim.Adafactor(p, beta2_decay=0.5)
    with pytest.raises(ValueError, match="eta values"):
        dg.optim.Rprop(p, etas=(1.5, 2))


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_joined_parameters_are_updated_as_single_ones(monkeypatch, emulated, name, device):
    results = []
    for small in (composed.SMALL, 0):
        monkeypatch.setattr(composed, "SMALL", small)
        rng = np.random.default_rng(0)
        shapes = [(3, 2), (4,), (), (2, 3, 2, 2)]
        params = [dg.nn.Parameter(dg.tensor(rng.standard_normal(s), device=device)) for s in shapes]
        optimizer = getattr(dg.optim, name)(params, lr=0.1)
        versions = [p.version for p in params]
        for _ in range(4):
            for p in params:
                p.grad = dg.tensor(rng.standard_normal(tuple(p.shape)), device=device)
            optimizer.step()
        assert all(p.version > v for p, v in zip(params, versions, strict=True))
        values = [p.detach().cpu().numpy() for p in params]
        results.append(values + [v.cpu().numpy() for s in optimizer.state.values() for v in s.values()])
    for joined, single in zip(*results, strict=True):
        np.testing.assert_allclose(joined, single, rtol=1e-13)


def test_a_step_of_many_small_parameters_takes_few_ops(monkeypatch):
    """What Python costs must not grow with the number of parameters times the length of the rule."""
    calls = []
    monkeypatch.setattr(dg.optim.RMSprop, "_update", lambda self, p, g, group, state, t: calls.append(p.numel()))
    params = [dg.nn.Parameter(dg.ones(10)) for _ in range(50)]
    for p in params:
        p.grad = dg.ones(10)
    dg.optim.RMSprop(params).step()
    assert calls == [500]
