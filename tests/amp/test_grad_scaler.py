"""GradScaler, step by step as PyTorch's."""

import pytest
import torch

import deepgpu as dg


def run(t, overflows):
    """The factors, and the parameter, over steps of which some overflow."""
    p = t.nn.Parameter(t.tensor([1.0, -2.0]))
    optimizer = t.optim.SGD([p], lr=0.25)
    scaler = t.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    seen = []
    for overflow in overflows:
        optimizer.zero_grad()
        loss = (p * (float("inf") if overflow else 1.0)).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        seen.append((scaler.get_scale(), p.detach().tolist()))
    return seen, scaler.state_dict()


def test_grows_and_backs_off_as_pytorch_s():
    overflows = [False, False, True, False, True, True, False, False, False, False]
    assert run(dg, overflows) == run(torch, overflows)


def test_several_losses_and_optimizers():
    p, q = (dg.nn.Parameter(dg.ones(2)) for _ in range(2))
    first, second = dg.optim.SGD([p], lr=1.0), dg.optim.SGD([q], lr=1.0)
    scaler = dg.amp.GradScaler("cpu", init_scale=4.0)
    a, b = scaler.scale([p.sum(), (q * float("nan")).sum()])
    a.backward()
    b.backward()
    scaler.unscale_(first)
    assert p.grad.tolist() == [1, 1]
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert p.tolist() == [0, 0]
    assert q.tolist() == [1, 1]
    assert scaler.get_scale() == 2.0


@pytest.mark.parametrize("t", [torch, dg], ids=["torch", "deepgpu"])
def test_wrong_order(t):
    p = t.nn.Parameter(t.tensor([1.0]))
    optimizer, scaler = t.optim.SGD([p], lr=1.0), t.amp.GradScaler("cpu")
    scaler.scale(p.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    scaler.update()
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.update()


def test_half_gradients_are_refused():
    p = dg.nn.Parameter(dg.ones(2).half())
    p.grad = dg.ones(2).half()
    with pytest.raises(ValueError, match="FP16"):
        dg.amp.GradScaler("cpu").unscale_(dg.optim.SGD([p], lr=1.0))


def test_disabled_it_passes_through():
    p = dg.nn.Parameter(dg.ones(2))
    optimizer, scaler = dg.optim.SGD([p], lr=1.0), dg.amp.GradScaler("cpu", enabled=False)
    loss = p.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0, 0]
    assert (scaler.state_dict(), scaler.get_scale(), scaler.is_enabled()) == ({}, 1.0, False)


def test_state_goes_from_one_to_another():
    one, other = dg.amp.GradScaler("cpu", init_scale=4.0), dg.amp.GradScaler("cpu")
    one.update(16.0)
    other.load_state_dict(one.state_dict())
    assert other.get_scale() == 16.0
    assert other.state_dict() == one.state_dict()
    with pytest.raises(RuntimeError, match="empty"):
        other.load_state_dict({})


def test_without_a_gpu_it_warns(monkeypatch):
    monkeypatch.setattr("deepgpu.backends.cuda.runtime.is_available", lambda: False)
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not dg.cuda.amp.GradScaler().is_enabled()


def test_on_the_gpu(emulated):
    p = dg.nn.Parameter(dg.ones(3, device="cuda"))
    optimizer, scaler = dg.optim.SGD([p], lr=0.5), dg.cuda.amp.GradScaler(init_scale=1024.0)
    with dg.autocast("cuda"):
        loss = (p * 2).sum()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0, 0, 0]
