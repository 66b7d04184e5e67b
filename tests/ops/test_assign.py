"""deepgpu.ops.assign: in-place ops, views and version counters, against PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg

DATA = np.random.default_rng(0).uniform(0.5, 1.5, (4, 3))


# Programs that run unchanged in both libraries: they get the library and a leaf, and return what to differentiate.
def assign_row(lib: Any, x: Any) -> Any:
    y = x * 2
    y[0] = x[1] * 3
    return y


def assign_element(lib: Any, x: Any) -> Any:
    y = x.clone()
    y[1, 2] = x[0, 0] * x[3, 1]
    return y * y


def multiply_column(lib: Any, x: Any) -> Any:
    y = x * 1
    y[:, 1].mul_(x[:, 0])
    return y.exp()


def view_of_view(lib: Any, x: Any) -> Any:
    y = x * 2
    y.t()[1:].reshape(2, 4)[0].mul_(3)
    y.t().unsqueeze(0)[:, 2, 1:].add_(x[0, 0])
    return y * x


def base_after_view(lib: Any, x: Any) -> Any:
    y = x * 2
    v = y[1:3]
    y.mul_(x)
    return v * v


def view_after_base(lib: Any, x: Any) -> Any:
    y = x * 2
    v, w = y[1:], y.reshape(-1)
    v.add_(x[1:] * 5)
    return w * 2 + y.reshape(-1)


def two_views(lib: Any, x: Any) -> Any:
    y = x * 2
    a, b = y[0], y[:, 0]
    a.mul_(2)
    b.mul_(3)
    return (a.sum() + 2 * b.sum()) * y


def constant_base(lib: Any, x: Any) -> Any:
    y = x.new_zeros(4, 3)
    y[1:3] = x[:2]
    y[3].add_(x[0])
    return y * y


def constant_source(lib: Any, x: Any) -> Any:
    y = x * x
    y[0] = 7.0
    y[:, 2] = x.new_ones(4)
    return y * x


def overwritten(lib: Any, x: Any) -> Any:
    y = x * x
    y.copy_(x.exp())
    y.zero_()
    y.add_(x)
    return y


def masked(lib: Any, x: Any) -> Any:
    y = x * 3
    y[x > 1] = 0
    y[[0, 1], [1, 2]] = x[2, :2]
    y.masked_fill_(x < 0.7, 2.0)
    return y * y


def chain(lib: Any, x: Any) -> Any:
    y = x.clone()
    return y.mul_(x).add_(1).sin_().clamp_(0.5, 0.9).neg_().square_().div_(x + 1).sub_(x).log1p_().reciprocal_()


def activation(lib: Any, x: Any) -> Any:
    y = (x - 1) * 2
    z = y.sigmoid() + 1
    y.relu_()
    return y * z.tanh_()


def slices_of_slices(lib: Any, x: Any) -> Any:
    y = x * 1
    for i in range(3):
        y[i + 1 :] += y[i] * 2
    return y


def swap(lib: Any, x: Any) -> Any:
    y = x * 2
    first = y[0].clone()
    y[0] = y[1]
    y[1] = first
    return y * x


def accumulate(lib: Any, x: Any) -> Any:
    total = x.new_zeros(())
    for row in x:
        total += row.prod()
    return total


def broadcast_into(lib: Any, x: Any) -> Any:
    y = x * 2
    y[:] = x[0]
    y += x[:, :1]
    return y * y


def through_detach(lib: Any, x: Any) -> Any:
    y = x * 2
    with lib.no_grad():
        y[0] = 5
    return y * 3


def expanded(lib: Any, x: Any) -> Any:
    y = x[0].clone().expand(4, 3).clone()
    y[1] *= 2
    return y * x


def flat_view_of_transposed(lib: Any, x: Any) -> Any:
    y = (x * 2).t().contiguous().t()  # columns are contiguous: y.t().reshape(-1) is a view
    y.t().reshape(-1)[2:5] = x[0]
    y.t().reshape(-1)[4:7].mul_(x[1])
    return y * y


def channels_last(lib: Any, x: Any) -> Any:
    y = (x.reshape(1, 3, 2, 2) * 2).contiguous(memory_format=lib.channels_last)
    y.permute(0, 2, 3, 1).reshape(-1)[1:4].mul_(3)
    y.permute(0, 2, 3, 1).reshape(4, 3)[2] *= x[0]
    return y * y


def zeroed(lib: Any, x: Any) -> Any:
    y = x * 2
    y.zero_()
    y[0].fill_(3)
    return y * y + x


def transposed_twin(lib: Any, x: Any) -> Any:
    y = x.clone()
    y.t_()
    y[0] *= 2
    y.unsqueeze_(0)
    return y * y


PROGRAMS = [
    assign_row,
    assign_element,
    multiply_column,
    view_of_view,
    base_after_view,
    view_after_base,
    two_views,
    constant_base,
    constant_source,
    overwritten,
    masked,
    chain,
    activation,
    slices_of_slices,
    swap,
    accumulate,
    broadcast_into,
    through_detach,
    expanded,
    flat_view_of_transposed,
    channels_last,
    zeroed,
    transposed_twin,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_programs_agree(program: Callable[[Any, Any], Any], device: str) -> None:
    """Values, gradients and gradients of gradients."""
    results = []
    for lib, place in ((dg, device), (torch, "cpu")):
        x = lib.tensor(DATA, requires_grad=True, device=place)
        out = program(lib, x)
        weights = lib.tensor(np.random.default_rng(1).uniform(size=tuple(out.shape)), device=place)
        (g,) = lib.autograd.grad((out * weights).sum(), x, create_graph=True)
        second = np.zeros_like(DATA)
        if g.requires_grad:
            (gg,) = lib.autograd.grad((g * g).sum(), x, allow_unused=True)
            second = second if gg is None else gg.cpu().numpy()
        results.append([out.detach().cpu().numpy(), g.detach().cpu().numpy(), second])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


# Programs that must fail in both.
def modified_after_square(lib: Any, x: Any) -> Any:
    a = x * 1
    y = a * a
    a += 1
    return y


def modified_output(lib: Any, x: Any) -> Any:
    y = x.exp()
    y += 1
    return y


def modified_through_view(lib: Any, x: Any) -> Any:
    a = x * 1
    y = a.sin()
    a[0, 0] = 5
    return y


def modified_base_of_saved_view(lib: Any, x: Any) -> Any:
    a = x * 1
    y = a[0].sin()
    a.mul_(2)
    return y


def modified_index(lib: Any, x: Any) -> Any:
    index = lib.tensor([0, 1], device=x.device)
    y = x[index]
    index[0] = 2
    return y


def modified_weight(lib: Any, x: Any) -> Any:
    w = x.new_ones(3, 2)
    y = x @ w
    w[0] = 3
    return y


def modified_detached(lib: Any, x: Any) -> Any:
    a = x * 1
    y = a * a
    a.detach().zero_()
    return y


BROKEN = [
    modified_after_square,
    modified_output,
    modified_through_view,
    modified_base_of_saved_view,
    modified_index,
    modified_weight,
    modified_detached,
]


@pytest.mark.parametrize("program", BROKEN, ids=lambda p: p.__name__)
def test_modified_saved_tensors_are_noticed(program: Callable[[Any, Any], Any], device: str) -> None:
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        program(torch, torch.tensor(DATA, requires_grad=True)).sum().backward()
    with pytest.raises(RuntimeError, match=r"`\w+Backward` saved.*modified in place.*version 1, expected version 0"):
        program(dg, dg.tensor(DATA, requires_grad=True, device=device)).sum().backward()


def test_modifying_what_nobody_saved_is_fine() -> None:
    for lib in (dg, torch):
        x = lib.tensor(DATA, requires_grad=True)
        a = x * 2
        y = a + 1
        a.mul_(5)
        y.sum().backward()
        assert x.grad.sum().item() == 24


def test_data_hides_a_modification() -> None:
    for lib in (dg, torch):
        x = lib.tensor(DATA, requires_grad=True)
        a = x * 1
        y = (a * a).sum()
        a.data.zero_()
        y.backward()
        assert x.grad.abs().sum().item() == 0


LEAF_WRITES: list[Callable[[Any], Any]] = [
    lambda x: x.add_(1),
    lambda x: x.zero_(),
    lambda x: x.copy_(x * 2),
    lambda x: x[0].mul_(2),
    lambda x: x.view(-1)[1:].add_(1),
    lambda x: x.__setitem__(0, 1.0),
    lambda x: x.__setitem__([0, 1], 1.0),
    lambda x: x.t_(),
    lambda x: x.clamp_(0, 1),
    lambda x: x.normal_(),
]


@pytest.mark.parametrize("write", LEAF_WRITES, ids=range(len(LEAF_WRITES)))
def test_a_leaf_that_requires_grad_cannot_be_modified(write: Callable[[Any], Any]) -> None:
    with pytest.raises(RuntimeError, match="leaf Variable"):
        write(torch.tensor(DATA, requires_grad=True))
    x = dg.tensor(DATA, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"`\w+_`.*leaf that requires grad.*`no_grad`"):
        write(x)
    np.testing.assert_array_equal(x.detach().numpy(), DATA)
    with dg.no_grad():
        write(x)
    assert x.requires_grad
    assert x.is_leaf


def test_shapes_and_dtypes_are_kept() -> None:
    x = dg.ones(2, 1)
    with pytest.raises(RuntimeError, match=r"`add_`.*\(2, 3\).*\(2, 1\)"):
        x.add_(dg.ones(2, 3))
    i = dg.ones(2, dtype=dg.int64)
    with pytest.raises(RuntimeError, match=r"`add_`.*float32.*int64"):
        i.add_(1.5)
    with pytest.raises(RuntimeError, match=r"`__itruediv__`|`div_`.*float32.*int64"):
        i /= 2
    h = dg.ones(2, dtype=dg.float16)
    h += dg.ones(2, dtype=dg.float64)
    assert h.dtype is dg.float16
    b = dg.ones(2, dtype=dg.bool)
    with pytest.raises(RuntimeError, match=r"`add_`.*int64.*bool"):
        b += 1


def test_versions_count_modifications_of_the_memory() -> None:
    for lib, version in ((dg, lambda t: t.version), (torch, lambda t: t._version)):
        x = lib.zeros(4)
        y = x[1:]
        assert (version(x), version(y)) == (0, 0)
        x.add_(1)
        y.add_(1)
        y[0] = 3
        x.detach().mul_(2)
        assert (version(x), version(y)) == (4, 4)


def test_in_place_results_keep_identity_and_memory() -> None:
    x = dg.ones(3)
    pointer, same = x.data_ptr(), x
    x += 1
    x *= dg.tensor([1.0, 2.0, 3.0])
    x.exp_()
    x[0] = 5
    assert x is same
    assert x.data_ptr() == pointer


def test_overlap_of_source_and_target() -> None:
    """The source is read as it was before the op began."""
    for lib in (dg, torch):
        x = lib.arange(12.0).reshape(3, 4)
        x.copy_(x.clone().flip(0))
        y = lib.arange(4.0)
        y += y.flip(0)
        assert x[0].tolist() == [8, 9, 10, 11]
        assert y.tolist() == [3, 3, 3, 3]
    x = dg.arange(9.0).reshape(3, 3)
    x.copy_(x.t())
    assert x.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    z = dg.arange(5.0)
    z[1:] += z[:-1]
    assert z.tolist() == [0, 1, 3, 5, 7]


def test_a_copy_shares_nothing_with_its_source() -> None:
    for source in (dg.ones(3), dg.ones(3, requires_grad=True) * 1, dg.ones(3, requires_grad=True)):
        for write in (lambda y, x: y.copy_(x), lambda y, x: y.__setitem__(slice(None), x)):
            y = dg.zeros(3, requires_grad=True) * 2
            write(y, source)
            y.mul_(5)
            assert source.tolist() == [1, 1, 1]
            assert y.tolist() == [5, 5, 5]


def test_expanded_memory_cannot_be_written() -> None:
    with pytest.raises(RuntimeError):
        torch.ones(1).expand(3).add_(1)
    with pytest.raises(RuntimeError, match=r"`add_`.*expand.*clone"):
        dg.ones(1).expand(3).add_(1)


def test_failed_op_leaves_the_tensor_as_it_was() -> None:
    x = dg.ones(3)
    for call in (lambda: x.add_("a"), lambda: x.add_(dg.ones(2)), lambda: x.__setitem__(9, 1)):
        with pytest.raises((RuntimeError, TypeError, IndexError)):
            call()
    assert x.tolist() == [1, 1, 1]
    assert x.version == 0


def test_retain_grad_and_hooks_follow_an_in_place_op() -> None:
    for lib in (dg, torch):
        x = lib.tensor(DATA, requires_grad=True)
        y = x * 2
        y.add_(1)
        y.retain_grad()
        (y * y).sum().backward()
        np.testing.assert_allclose(y.grad.numpy(), 2 * (2 * DATA + 1))
