"""deepgpu.pending: fusion must not be seen. The judges are the same ops on a tensor whose values were looked at."""

import copy
import gc
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import nn
from deepgpu.backends.cpu.backend import CPUBackend
from deepgpu.nn import functional as F
from deepgpu.pending import Pending

SHAPE = (4, 8, 32, 33)
ARRAYS = np.random.default_rng(0).standard_normal((3, *SHAPE))


@pytest.fixture
def normalised() -> dg.Tensor:
    """A pending batch norm."""
    y = F.batch_norm(dg.tensor(ARRAYS[0]), None, None, training=True)
    assert type(y) is Pending
    return y


VALUES = F.batch_norm(dg.tensor(ARRAYS[0]), None, None, training=True).numpy().copy()

CHAINS: dict[str, Callable] = {
    "relu": lambda y, x, F: F.relu(y),
    "relu_": lambda y, x, F: F.relu(y, inplace=True),
    "relu6": lambda y, x, F: F.relu6(y),
    "hardtanh": lambda y, x, F: F.hardtanh(y, -0.5, 0.25),
    "add": lambda y, x, F: y + x,
    "radd": lambda y, x, F: x + y,
    "add_": lambda y, x, F: y.add_(x),
    "add, alpha": lambda y, x, F: y.add(x, alpha=2),
    "residual": lambda y, x, F: F.relu(y.add_(x), inplace=True),
    "two sums": lambda y, x, F: F.relu((y + x) + x),
    "sum of two": lambda y, x, F: F.relu(y + F.batch_norm(x, None, None, training=True)),
    "with itself": lambda y, x, F: F.relu(y + y),
    "broadcast": lambda y, x, F: F.relu(y + x[:1]),
    "number": lambda y, x, F: F.relu(y + 1.5),
    "twice": lambda y, x, F: F.relu(y) * y,
    "sum twice": lambda y, x, F: F.relu(y + x) * (y + x),
    "view": lambda y, x, F: F.relu(y[1]),
    "relu of relu": lambda y, x, F: F.relu6(F.relu(y)),
    "mul_": lambda y, x, F: y.mul_(x).relu(),
}


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", CHAINS)
def test_chains_agree_with_pytorch(name: str, recorded: bool) -> None:
    arrays = [ARRAYS[0], ARRAYS[1], ARRAYS[2][0, :, 0, 0], ARRAYS[2][1, :, 0, 0]]
    found = []
    for library, functional in ((dg, F), (torch, torch.nn.functional)):
        x, other, w, b = (library.tensor(a, requires_grad=recorded) for a in arrays)
        y = functional.batch_norm(x * 1, None, None, w, b, training=True)
        out = CHAINS[name](y, other * 1, functional)
        if recorded:
            (out * out).sum().backward()
        found.append([out.detach().numpy(), *([t.grad.numpy() for t in (x, other, w, b) if t.grad is not None])])
    assert len(found[0]) == len(found[1])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_chain_is_one_pass(normalised: dg.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is computed before the ReLU, and then all at once."""
    calls = []
    original = type(normalised.recipe.image).__call__
    monkeypatch.setattr(
        type(normalised.recipe.image),
        "__call__",
        lambda self, *args: calls.append(args) or original(self, *args),
    )
    other = dg.tensor(ARRAYS[1])
    total = normalised + other
    assert type(total) is Pending
    assert not calls
    y = F.relu(total)
    assert type(y) is type(normalised) is Pending
    y.stride()
    assert len(calls) == 1
    np.testing.assert_array_equal(y.numpy(), np.maximum(VALUES + ARRAYS[1], 0))
    np.testing.assert_array_equal(normalised.numpy(), VALUES)
    assert len(calls) == 2


def test_what_is_known_without_the_values(normalised: dg.Tensor) -> None:
    assert (normalised.shape, normalised.ndim, normalised.dtype) == (SHAPE, 4, dg.float64)
    assert (normalised.size(), normalised.size(1), normalised.dim()) == (SHAPE, 8, 4)
    assert normalised.device == dg.device("cpu")
    assert isinstance(normalised, dg.Tensor)
    assert type(normalised) is Pending


LOOKS: dict[str, Callable] = {
    "numpy": lambda y: y.numpy(),
    "detach": lambda y: y.detach().numpy(),
    "data": lambda y: y.data.numpy(),
    "repr": lambda y: (repr(y), y.numpy())[1],
    "clone": lambda y: y.clone().numpy(),
    "pickle": lambda y: pickle.loads(pickle.dumps(y)).numpy(),
    "deepcopy": lambda y: copy.deepcopy(y).numpy(),
    "dlpack": lambda y: np.from_dlpack(y),
    "stride": lambda y: (y.stride(), y.numpy())[1],
    "iteration": lambda y: np.stack([row.numpy() for row in y]),
    "transpose": lambda y: y.transpose(0, 1).numpy().transpose(1, 0, 2, 3),
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_computes_it(normalised: dg.Tensor, name: str) -> None:
    np.testing.assert_array_equal(LOOKS[name](normalised), VALUES)
    assert type(normalised) is dg.Tensor


WRITES: dict[str, Callable] = {
    "zero_": lambda x: x.zero_(),
    "copy_": lambda x: x.copy_(dg.ones(SHAPE, dtype=dg.float64)),
    "mul_": lambda x: x.mul_(2),
    "relu_": lambda x: F.relu(x, inplace=True),
    "setitem": lambda x: x.__setitem__(0, 5.0),
    "view": lambda x: x[1].zero_(),
    "detach": lambda x: x.detach().zero_(),
    "data": lambda x: x.data.zero_(),
    "numpy": lambda x: x.numpy().fill(3),
    "uniform_": lambda x: x.uniform_(),
}


@pytest.mark.parametrize("of", ["input", "residual"])
@pytest.mark.parametrize("name", WRITES)
def test_a_write_to_what_it_is_computed_from_comes_after(name: str, of: str) -> None:
    x, other = dg.tensor(ARRAYS[0]), dg.tensor(ARRAYS[1])
    y = F.batch_norm(x, None, None, training=True) + other
    assert type(y) is Pending
    WRITES[name](x if of == "input" else other)
    np.testing.assert_array_equal(y.numpy(), VALUES + ARRAYS[1])


def test_memory_that_others_can_write_to_is_read_at_once() -> None:
    array = ARRAYS[0].copy()
    y = F.batch_norm(dg.from_numpy(array), None, None, training=True)
    array[:] = 0
    np.testing.assert_array_equal(y.numpy(), VALUES)
    x = dg.tensor(ARRAYS[0])
    seen = x.numpy()
    y = F.batch_norm(x, None, None, training=True)
    seen[:] = 0
    np.testing.assert_array_equal(y.numpy(), VALUES)


def test_parameters_and_statistics_may_change() -> None:
    norm = nn.BatchNorm2d(8, dtype=dg.float64)
    norm(dg.tensor(ARRAYS[1]))
    norm.eval()
    y, expected = norm(dg.tensor(ARRAYS[0])), norm(dg.tensor(ARRAYS[0])).detach().numpy()
    with dg.no_grad():
        for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            t.fill_(7)
    np.testing.assert_array_equal(y.detach().numpy(), expected)


def test_an_optimizer_step_comes_after() -> None:
    x = nn.Parameter(dg.tensor(ARRAYS[0]))
    x.grad = dg.ones(SHAPE, dtype=dg.float64)
    y = F.batch_norm(x, None, None, training=True)
    dg.optim.SGD([x], lr=1.0).step()
    np.testing.assert_array_equal(y.detach().numpy(), VALUES)


def test_hooks_see_values() -> None:
    norm = nn.BatchNorm2d(8, dtype=dg.float64)
    seen = []
    norm.register_forward_hook(lambda module, args, output: seen.append(output.detach().numpy().copy()))
    F.relu(norm(dg.tensor(ARRAYS[0])), inplace=True)
    np.testing.assert_allclose(seen[0], VALUES, rtol=1e-12)


def test_gradient_of_the_pending_tensor_itself() -> None:
    y = F.batch_norm(dg.tensor(ARRAYS[0], requires_grad=True), None, None, training=True)
    y.retain_grad()
    F.relu(y).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), VALUES > 0)


@pytest.mark.parametrize("limit", [F.relu, F.relu6, lambda y: F.hardtanh(y, -0.5, 0.25)])
def test_the_gradient_of_a_limit_is_done_by_the_norm(limit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit what it is if each goes alone; infinite and undefined values too."""
    calls = []
    for name in ("relu_backward", "hardtanh_backward"):
        original = getattr(CPUBackend, name)
        monkeypatch.setattr(CPUBackend, name, lambda *args, of=original: calls.append(args) or of(*args))
    start = dg.tensor(ARRAYS[1])
    start[0, 0, 0, 0] = float("inf")
    found = []
    for alone in (False, True):
        x = dg.tensor(ARRAYS[0], requires_grad=True)
        norm = nn.BatchNorm2d(8, dtype=dg.float64)
        y = norm(x * 1)
        if alone:
            y.stride()
        limit(y).backward(start)
        found.append([x.grad.numpy(), norm.weight.grad.numpy(), norm.bias.grad.numpy()])
        assert len(calls) == alone
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_gradient_of_a_limit_can_be_looked_at() -> None:
    x = dg.tensor(ARRAYS[0], requires_grad=True)
    y = F.batch_norm(x, None, None, training=True)
    seen = []
    y.register_hook(lambda g: seen.append(g.numpy().copy()))
    z = F.relu(y)
    (first,) = dg.autograd.grad(z.sum(), x, create_graph=True)
    (second,) = dg.autograd.grad((first * first).sum(), x)
    twin = torch.tensor(ARRAYS[0], requires_grad=True)
    z = torch.relu(torch.nn.functional.batch_norm(twin, None, None, training=True))
    (expected,) = torch.autograd.grad(z.sum(), twin, create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    (expected,) = torch.autograd.grad((expected * expected).sum(), twin)
    np.testing.assert_allclose(second.numpy(), expected.numpy(), rtol=1e-7, atol=1e-12)
    np.testing.assert_array_equal(seen[0], VALUES > 0)


def test_a_leaf_is_not_modified_in_place() -> None:
    with dg.no_grad():
        y = F.batch_norm(dg.tensor(ARRAYS[0]), None, None, training=True)
    y.requires_grad_()
    assert type(y) is Pending
    with pytest.raises(RuntimeError, match="a leaf that requires grad cannot be modified in place"):
        F.relu(y, inplace=True)


def test_in_place_is_noticed_by_whoever_saved_it() -> None:
    x = dg.tensor(ARRAYS[0], requires_grad=True)
    y = F.batch_norm(x, None, None, training=True)
    square = y * y
    F.relu(y, inplace=True)
    with pytest.raises(RuntimeError, match="modified in place"):
        square.sum().backward()


def test_nothing_is_kept_alive() -> None:
    x = dg.tensor(ARRAYS[0])
    y = F.batch_norm(x, None, None, training=True)
    F.relu(y)
    gc.disable()
    try:
        version = x._version
        del y
        assert [reader() for reader in version.memory.waiting] == [None, None]  # of the norm, and of the ReLU
    finally:
        gc.enable()


def test_small_and_half_tensors_do_not_wait() -> None:
    assert type(F.batch_norm(dg.randn(4, 8, 2, 2), None, None, training=True)) is dg.Tensor
    half = dg.tensor(ARRAYS[0], dtype=dg.float16)
    assert type(F.batch_norm(half, None, None, training=True)) is dg.Tensor
