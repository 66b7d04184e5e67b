"""SGD, Adam and AdamW: thirty steps against torch, and state that goes from one to the other."""

import copy
import pickle

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import close, ours, plain

SHAPES = [(4, 3), (5,), (2, 3, 3, 3), (), (0, 2)]

# (class, options)
CASES = [
    ("SGD", {}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.01, "momentum": 0.5, "maximize": True, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-4, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "amsgrad": True}),
    ("Adam", {"lr": 0.02, "maximize": True}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1, "momentum": 0.8, "centered": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.3, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.02, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.02}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.01, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.02}),
    ("RAdam", {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.05, "etas": (0.4, 1.5), "step_sizes": (1e-3, 0.2), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.05, "lambd": 0.01, "alpha": 0.5, "t0": 5, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {"lr": 0.02}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
]


def parameters(dtype, channels_last=False):
    """The same values as torch's parameters and as ours."""
    rng = np.random.default_rng(0)
    theirs = []
    for shape in SHAPES:
        p = torch.from_numpy(np.asarray(rng.standard_normal(shape))).to(dtype)
        if channels_last and p.dim() == 4:
            p = p.to(memory_format=torch.channels_last)
        theirs.append(torch.nn.Parameter(p))
    return theirs, [dg.nn.Parameter(ours(p)) for p in theirs]


def step(optimizers, pairs, i, absent=()):
    """One step of both with the same random gradients; those of ``absent`` parameters are None."""
    rng = np.random.default_rng(100 + i)
    for nr, (p, q) in enumerate(zip(*pairs, strict=True)):
        g = torch.from_numpy(np.asarray(rng.standard_normal(tuple(p.shape)))).to(p.dtype)
        p.grad = None if nr in absent else g
        q.grad = None if nr in absent else ours(g)
    for optimizer in optimizers:
        optimizer.step()


def agree(pairs, rtol):
    for p, q in zip(*pairs, strict=True):
        close(q, p, rtol, f"parameter of shape {tuple(p.shape)}")


def same_state(mine, theirs, rtol):
    """State dicts with the same keys, options and values."""
    a, b = mine.state_dict(), theirs.state_dict()
    assert list(a) == list(b) == ["state", "param_groups"]
    assert [list(g.items()) for g in a["param_groups"]] == [list(g.items()) for g in b["param_groups"]]
    assert list(a["state"]) == list(b["state"])
    for number, entry in b["state"].items():
        assert list(a["state"][number]) == list(entry)
        for key, value in entry.items():
            close(a["state"][number][key], value, rtol, f"{key} of {number}")


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_thirty_steps_as_torch(name, options, dtype, rtol):
    pairs = parameters(dtype)
    optimizers = [getattr(lib.optim, name)(p, **options) for lib, p in zip((torch, dg), pairs, strict=True)]
    for i in range(30):
        step(optimizers, pairs, i, absent=(1,) if i < 5 else ())  # one parameter is behind the others
    agree(pairs, rtol)
    same_state(optimizers[1], optimizers[0], rtol)
    assert repr(optimizers[1]) == plain(repr(optimizers[0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_half_precision_is_rounded_once_a_step(name, dtype):
    wide, own = parameters(torch.float32)
    half = [dg.nn.Parameter(q.detach().to(getattr(dg, str(dtype)[6:]))) for q in own]
    for p, q in zip(wide, half, strict=True):
        p.data = torch.from_numpy(q.detach().float().numpy().copy())
    optimizers = [torch.optim.__dict__[name](wide, lr=0.1), dg.optim.__dict__[name](half, lr=0.1)]
    rng = np.random.default_rng(1)
    for p, q in zip(wide, half, strict=True):
        g = torch.from_numpy(np.asarray(rng.standard_normal(tuple(p.shape)))).to(dtype)
        p.grad, q.grad = g.float(), ours(g.float()).to(q.dtype)
    for optimizer in optimizers:
        optimizer.step()
    for p, q in zip(wide, half, strict=True):
        assert q.dtype is getattr(dg, str(dtype)[6:])
        np.testing.assert_allclose(q.detach().float(), p.detach(), rtol=2**-7 if dtype is torch.bfloat16 else 2**-9)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_memory_formats_may_differ(name):
    options = {"momentum": 0.9} if name == "SGD" else {}
    pairs = parameters(torch.float64, channels_last=True)
    assert not pairs[1][2].is_contiguous()
    optimizers = [getattr(lib.optim, name)(p, lr=0.1, **options) for lib, p in zip((torch, dg), pairs, strict=True)]
    for i in range(3):
        step(optimizers, pairs, i)  # gradients are contiguous
    agree(pairs, 1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_groups_have_options_of_their_own(name):
    momentum = {"momentum": 0.9} if name == "SGD" else {}
    pairs = parameters(torch.float64)
    optimizers = []
    for lib, p in zip((torch, dg), pairs, strict=True):
        groups = [{"params": p[:2], "lr": 0.2}, {"params": p[2], "weight_decay": 0.3}]
        optimizer = getattr(lib.optim, name)(groups, lr=0.01, **momentum)
        optimizer.add_param_group({"params": p[3:], "lr": 0.5})
        optimizers.append(optimizer)
    for i in range(5):
        step(optimizers, pairs, i)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] *= 0.9
    agree(pairs, 1e-12)
    same_state(optimizers[1], optimizers[0], 1e-12)
    assert repr(optimizers[1]) == repr(optimizers[0])


@pytest.mark.parametrize(("name", "options"), [CASES[3], CASES[8]])
def test_state_of_torch_continues_here(name, options):
    """Ten steps with torch, its state dict through numpy, twenty more with both."""
    pairs = parameters(torch.float64)
    theirs = getattr(torch.optim, name)(pairs[0], **options)
    first = getattr(dg.optim, name)(pairs[1], lr=3.0)
    for i in range(10):
        step([theirs, first], pairs, i)
    pairs = pairs[0], [dg.nn.Parameter(ours(p)) for p in pairs[0]]
    state = theirs.state_dict()
    state["state"] = {n: {k: ours(v) for k, v in entry.items()} for n, entry in state["state"].items()}
    mine = getattr(dg.optim, name)(pairs[1], lr=5.0)
    mine.load_state_dict(state)
    for i in range(10, 30):
        step([theirs, mine], pairs, i)
    agree(pairs, 1e-12)


@pytest.mark.parametrize("again", ["state_dict", "pickle", "deepcopy"])
@pytest.mark.parametrize(("name", "options"), [CASES[4], CASES[8]])
def test_resuming_continues_bit_for_bit(name, options, again):
    def fresh():
        own = parameters(torch.float32)[1]
        return own, getattr(dg.optim, name)(own, **options)

    def train(own, optimizer, steps):
        for i in steps:
            rng = np.random.default_rng(i)
            for q in own:
                q.grad = dg.tensor(rng.standard_normal(tuple(q.shape)), dtype=dg.float32)
            optimizer.step()

    straight, optimizer = fresh()
    train(straight, optimizer, range(10))
    interrupted, optimizer = fresh()
    train(interrupted, optimizer, range(5))
    if again == "state_dict":
        saved = copy.deepcopy((optimizer.state_dict(), [q.detach() for q in interrupted]))
        interrupted, optimizer = fresh()
        optimizer.load_state_dict(saved[0])
        with dg.no_grad():
            for q, value in zip(interrupted, saved[1], strict=True):
                q.copy_(value)
    else:
        copied = pickle.loads(pickle.dumps(optimizer)) if again == "pickle" else copy.deepcopy(optimizer)
        interrupted, optimizer = copied.param_groups[0]["params"], copied
    train(interrupted, optimizer, range(5, 10))
    for a, b in zip(straight, interrupted, strict=True):
        np.testing.assert_array_equal(a.detach(), b.detach())


def test_loading_copies_casts_and_takes_the_layout():
    q = dg.nn.Parameter(dg.randn(2, 3, 4, 5, dtype=dg.float64).contiguous(memory_format=dg.channels_last))
    optimizer = dg.optim.Adam([q])
    given = {"step": 3, "exp_avg": dg.ones(2, 3, 4, 5), "exp_avg_sq": dg.ones(2, 3, 4, 5), "note": [dg.ones(2)]}
    group = {k: v for k, v in optimizer.state_dict()["param_groups"][0].items() if k != "fused"}
    optimizer.load_state_dict({"state": {0: given, "other": 1}, "param_groups": [group]})
    state = optimizer.state[q]
    assert state["exp_avg"].dtype is dg.float64
    assert state["exp_avg"].stride() == q.stride()
    assert state["note"][0].dtype is dg.float64
    assert isinstance(state["step"], dg.Tensor)  # older state dicts have a number
    assert state["step"].item() == 3
    assert optimizer.param_groups[0]["fused"] is None
    assert optimizer.state["other"] == 1
    q.grad = dg.ones_like(q)
    optimizer.step()
    assert (given["exp_avg"] == 1).all()


def test_adamw_stays_decoupled_whatever_it_loads():
    q = dg.nn.Parameter(dg.ones(1))
    adam, adamw = dg.optim.Adam([q]), dg.optim.AdamW([q])
    adamw.load_state_dict(adam.state_dict())
    assert adamw.param_groups[0]["decoupled_weight_decay"]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_learning_rate_may_be_a_tensor(name):
    pairs = parameters(torch.float64)
    optimizers = [
        getattr(lib.optim, name)(p, lr=lib.tensor(0.1, dtype=lib.float64))
        for lib, p in zip((torch, dg), pairs, strict=True)
    ]
    step(optimizers, pairs, 0)
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"].fill_(0.2)
    step(optimizers, pairs, 1)
    agree(pairs, 1e-12)


def test_betas_may_be_tensors():
    q = dg.nn.Parameter(dg.ones(1))
    optimizer = dg.optim.Adam([q], betas=(dg.tensor(0.5), dg.tensor([0.25])))
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.25)


# (class, options, message)
BAD = [
    ("SGD", {"lr": -1.0}),
    ("SGD", {"lr": "tensor of two"}),
    ("SGD", {"momentum": -0.1}),
    ("SGD", {"weight_decay": -0.1}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("Adam", {"lr": -1.0}),
    ("Adam", {"eps": -1.0}),
    ("Adam", {"betas": (1.0, 0.9)}),
    ("Adam", {"betas": (0.9, -0.1)}),
    ("Adam", {"betas": (0, 0.9)}),
    ("Adam", {"weight_decay": -1.0}),
    ("AdamW", {"weight_decay": -1.0}),
    ("SGD", {"fused": True, "foreach": True}),
    ("Adam", {"fused": True, "differentiable": True}),
]


@pytest.mark.parametrize(("name", "options"), BAD)
def test_bad_options_raise_the_errors_of_torch(name, options):
    errors = []
    for lib in (torch, dg):
        given = {k: lib.ones(2) if v == "tensor of two" else v for k, v in options.items()}
        with pytest.raises((ValueError, RuntimeError)) as caught:
            getattr(lib.optim, name)([lib.nn.Parameter(lib.ones(1))], **given)
        errors.append((caught.type, str(caught.value)))
    assert errors[1] == errors[0]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_nan_option_is_refused(name):
    with pytest.raises(ValueError, match="Invalid learning rate: nan"):
        getattr(dg.optim, name)([dg.nn.Parameter(dg.ones(1))], lr=float("nan"))


def test_differentiable_is_absent_and_says_what_to_do():
    with pytest.raises(NotImplementedError, match="create_graph=True"):
        dg.optim.AdamW([dg.nn.Parameter(dg.ones(1))], differentiable=True)


def test_autograd_notices_a_step():
    q = dg.nn.Parameter(dg.ones(2))
    loss = (q * q).sum()
    loss.backward(retain_graph=True)
    dg.optim.SGD([q], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified in place"):
        loss.backward()
