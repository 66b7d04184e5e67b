"""The base class: groups, closures, hooks, state dicts, errors."""

import copy

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.optim import SGD, Adam, Optimizer
from deepgpu.optim.optimizer import required

LIBRARIES = (torch, dg)


def parameter():
    return dg.nn.Parameter(dg.ones(2))


# (statements with `lib`, `nn`, `optim` and parameters `a`, `b`)
MISTAKES = [
    "optim.SGD(a)",
    "optim.SGD([])",
    "optim.SGD([3])",
    "optim.SGD([a, 3])",
    "optim.SGD([a * 2])",
    "optim.SGD({a, b}); optim.SGD([{'params': {a, b}}])",
    "optim.SGD([a]).add_param_group(3)",
    "optim.SGD([a]).add_param_group({'params': a})",
    "optim.SGD([('x', a), b])",
    "optim.SGD([('x', a)]).add_param_group({'params': [b]})",
    "optim.SGD([a]).add_param_group({'params': [('x', b)]})",
    "optim.Optimizer([a], {}).step()",
    "optim.SGD([a]).load_state_dict(optim.SGD([a, b]).state_dict())",
    "optim.SGD([a]).load_state_dict(optim.SGD([{'params': a}, {'params': b}]).state_dict())",
]


@pytest.mark.parametrize("source", MISTAKES)
def test_mistakes_raise_the_errors_that_torch_raises(source):
    kinds = []
    for lib in LIBRARIES:
        names = {"lib": lib, "optim": lib.optim}
        names |= {name: lib.nn.Parameter(lib.ones(2)) for name in "ab"}
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is compared
            exec(source, names)
        kinds.append(caught.type)
    assert kinds[1] is kinds[0]


def test_options_without_default_are_required():
    class Own(Optimizer):
        def step(self, closure=None):
            """Do nothing."""

    with pytest.raises(ValueError, match="required optimization parameter lr"):
        Own([parameter()], {"lr": required})
    assert Own([{"params": parameter(), "lr": 1}], {"lr": required}).param_groups[0]["lr"] == 1
    assert repr(required) == "<required parameter>"


def test_a_parameter_that_occurs_twice_is_warned_about():
    a = parameter()
    with pytest.warns(UserWarning, match="duplicate"):
        SGD([a, a])


def test_named_parameters():
    for lib in LIBRARIES:
        net = lib.nn.Linear(2, 1)
        optimizer = lib.optim.SGD(net.named_parameters(), lr=0.1)
        assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
        assert [p is q for p, q in zip(optimizer.param_groups[0]["params"], net.parameters(), strict=True)]
        state = optimizer.state_dict()
        assert state["param_groups"][0]["param_names"] == ["weight", "bias"]
        unnamed = lib.optim.SGD(net.parameters()).state_dict()
        optimizer.load_state_dict(unnamed)
        assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


def test_zero_grad():
    a, b = parameter(), parameter()
    optimizer = SGD([a, b])
    (a * a).sum().backward()
    grad = a.grad
    optimizer.zero_grad(set_to_none=False)
    assert a.grad is grad
    np.testing.assert_array_equal(grad, np.zeros(2))
    assert b.grad is None
    optimizer.zero_grad()
    assert a.grad is None


def test_a_closure_runs_with_gradients_and_its_loss_is_returned():
    for make in (SGD, Adam):
        a = parameter()
        optimizer = make([a], lr=0.1)

        def closure(a=a, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (a * a).sum()
            loss.backward()
            return loss

        with dg.no_grad():
            assert optimizer.step(closure).item() == 2.0
        assert (a < 1).all()


def test_parameters_without_gradient_stay_and_have_no_state():
    a, b = parameter(), parameter()
    optimizer = Adam([a, b])
    a.sum().backward()
    optimizer.step()
    assert (b == 1).all()
    assert list(optimizer.state) == [a]


def test_state_of_a_step_without_momentum_is_empty():
    a = parameter()
    optimizer = SGD([a])
    a.sum().backward()
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}


def test_step_hooks():
    for lib in LIBRARIES:
        a = lib.nn.Parameter(lib.ones(2))
        optimizer = lib.optim.SGD([a], lr=0.1)
        log = []
        optimizer.register_step_pre_hook(lambda o, args, kwargs, log=log: log.append(("pre", len(args), kwargs)))
        handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((*args, lambda: 7), kwargs))
        optimizer.register_step_post_hook(lambda o, args, kwargs, log=log: log.append(("post", len(args), kwargs)))
        assert optimizer.step() == 7
        assert log == [("pre", 1, {}), ("post", 2, {})]
        handle.remove()
        assert optimizer.step() is None
        optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
        with pytest.raises(RuntimeError, match=r"None or|\(new_args, new_kwargs\)"):
            optimizer.step()


def test_hooks_run_once_though_a_step_calls_the_step_it_overrides():
    class Own(SGD):
        def step(self, closure=None):
            return super().step(closure)

    log = []
    optimizer = Own([parameter()])
    optimizer.register_step_post_hook(lambda *given: log.append(1))
    optimizer.step()
    optimizer.step()
    assert log == [1, 1]


def test_state_dict_hooks():
    for lib in LIBRARIES:
        optimizer = lib.optim.SGD([lib.nn.Parameter(lib.ones(2))], lr=0.1)
        log = []
        optimizer.register_state_dict_pre_hook(lambda o, log=log: log.append("pre"))
        optimizer.register_state_dict_post_hook(lambda o, s: {**s, "note": 1})
        optimizer.register_state_dict_post_hook(lambda o, s, log=log: log.append(sorted(s)), prepend=True)
        state = optimizer.state_dict()
        assert state["note"] == 1
        optimizer.register_load_state_dict_pre_hook(lambda o, s, log=log: log.append(s["note"]))

        def faster(o, s):
            s = copy.deepcopy(s)
            s["param_groups"][0]["lr"] = 0.5
            return s

        optimizer.register_load_state_dict_pre_hook(faster)
        optimizer.register_load_state_dict_post_hook(lambda o, log=log: log.append(o.param_groups[0]["lr"]))
        optimizer.load_state_dict(state)
        assert log == ["pre", ["param_groups", "state"], 1, 0.5]
        assert state["param_groups"][0]["lr"] == 0.1


def test_loading_leaves_the_given_dict_alone():
    a = parameter()
    optimizer = SGD([a], lr=0.1)
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    optimizer.param_groups[0]["lr"] = 5
    assert state["param_groups"][0]["lr"] == 0.1
    assert state["param_groups"][0]["params"] == [0]


def test_an_optimizer_of_ones_own():
    class SignSGD(Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        @dg.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.add_(p.grad.sign(), alpha=-group["lr"])
                        self.state[p]["steps"] = self.state[p].get("steps", 0) + 1

    a = parameter()
    optimizer = SignSGD([a])
    (a * dg.tensor([3.0, -2.0])).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(a.detach(), [0.9, 1.1], rtol=1e-6)
    other = SignSGD([a])
    other.load_state_dict(optimizer.state_dict())
    assert other.state[a]["steps"] == 1


def test_training_a_small_net_lowers_the_loss():
    dg.manual_seed(0)
    x, y = dg.randn(64, 3), dg.randn(64, 1)
    for make in (lambda p: SGD(p, lr=0.05, momentum=0.9), lambda p: Adam(p, lr=0.02)):
        net = dg.nn.Sequential(dg.nn.Linear(3, 16), dg.nn.Tanh(), dg.nn.Linear(16, 1))
        optimizer = make(net.parameters())
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            loss = dg.nn.functional.mse_loss(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.8 * losses[0]
