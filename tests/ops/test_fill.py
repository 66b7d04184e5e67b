"""deepgpu.ops.fill: in-place filling against PyTorch."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import dtypes

NAMES = [d.name for d in dtypes.ALL]
N = 100_000


@pytest.mark.parametrize("name", NAMES)
def test_fill_and_zero(name: str) -> None:
    for shape in ((3, 4), (), (0,)):
        x = dg.ones(shape, dtype=dtypes.named(name))
        y = torch.ones(shape, dtype=getattr(torch, name))
        for value in (3, True) if not x.is_floating_point() else (3, 2.5, True, float("inf")):
            assert x.fill_(value) is x
            assert x.tolist() == y.fill_(value).tolist()
        assert x.fill_(dg.tensor(2)).tolist() == y.fill_(torch.tensor(2)).tolist()
        assert x.zero_().tolist() == y.zero_().tolist()
        assert x.dtype is dtypes.named(name)


def test_fill_refuses_what_does_not_fit() -> None:
    with pytest.raises(RuntimeError):
        torch.zeros(2, dtype=torch.uint8).fill_(300)
    with pytest.raises(RuntimeError, match=r"`fill_`.*`value`.*uint8.*300"):
        dg.zeros(2, dtype=dg.uint8).fill_(300)
    with pytest.raises(RuntimeError):
        torch.zeros(2).fill_(torch.zeros(2))
    with pytest.raises(RuntimeError, match=r"`fill_`.*`value`.*0-d.*\(2,\)"):
        dg.zeros(2).fill_(dg.zeros(2))


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_copy_between_dtypes(source: str, target: str) -> None:
    values = [0, 1, 2, 100]
    x, y = dg.zeros(2, 4, dtype=dtypes.named(target)), torch.zeros(2, 4, dtype=getattr(torch, target))
    x.copy_(dg.tensor(values, dtype=dtypes.named(source)))
    y.copy_(torch.tensor(values, dtype=getattr(torch, source)))
    assert x.tolist() == y.tolist()


def test_copy_takes_part_in_the_graph() -> None:
    x, y = dg.ones(3, requires_grad=True), dg.ones(2, 3)
    y.copy_(x)
    (y * y * dg.tensor([[1.0], [2.0]])).sum().backward()
    assert x.grad.tolist() == [6, 6, 6]
    z = dg.ones(3, requires_grad=True)
    (z * 2).copy_(dg.zeros(3)).sum().backward()
    assert z.grad.tolist() == [0, 0, 0]


def test_copy_checks_the_shape() -> None:
    with pytest.raises(RuntimeError):
        torch.zeros(3).copy_(torch.zeros(2))
    with pytest.raises(RuntimeError, match=r"`copy_`.*`src`.*\(3,\).*\(2,\)"):
        dg.zeros(3).copy_(dg.zeros(2))
    with pytest.raises(RuntimeError, match=r"`copy_`.*\(3,\).*\(1, 3\)"):
        dg.zeros(3).copy_(dg.zeros(1, 3))
    with pytest.raises(TypeError, match=r"`copy_`.*`src`.*tensor.*list"):
        dg.zeros(3).copy_([1, 2, 3])


def test_random_filling() -> None:
    dg.manual_seed(0)
    for x, mean, var in [
        (dg.empty(N).uniform_(), 0.5, 1 / 12),
        (dg.empty(N, dtype=dg.float64).uniform_(-1, 3), 1.0, 16 / 12),
        (dg.empty(N).normal_(), 0.0, 1.0),
        (dg.empty(N).normal_(2, 3), 2.0, 9.0),
        (dg.empty(N).bernoulli_(0.3), 0.3, 0.21),
        (dg.empty(N, dtype=dg.int64).bernoulli_(0.3), 0.3, 0.21),
    ]:
        values = x.double().numpy()
        assert abs(values.mean() - mean) < 6 * (var / N) ** 0.5
        assert abs(values.var() - var) < 0.05 * var
    assert dg.empty(N).uniform_(2, 3).min().item() >= 2
    drawn = dg.empty(5).normal_(generator=dg.Generator().manual_seed(1))
    assert drawn.tolist() == dg.empty(5).normal_(generator=dg.Generator().manual_seed(1)).tolist()


def test_random_filling_checks_its_arguments() -> None:
    for call, match in [
        (lambda x: x.uniform_(3, 1), "`uniform_`.*3.*1"),
        (lambda x: x.normal_(0, -1), "`normal_`.*`std`.*-1"),
        (lambda x: x.bernoulli_(1.5), "`bernoulli_`.*`p`.*1.5"),
    ]:
        with pytest.raises(RuntimeError, match=match):
            call(dg.empty(3))
        with pytest.raises(RuntimeError):
            call(torch.empty(3))


def test_detach_in_place() -> None:
    x = dg.ones(3, requires_grad=True)
    y = x * 2
    assert y.detach_() is y
    assert y.is_leaf
    assert not y.requires_grad
    with pytest.raises(RuntimeError):
        torch.ones(3, requires_grad=True).view(3).detach_()
    with pytest.raises(RuntimeError, match=r"`detach_`.*view"):
        x.view(3).detach_()


def test_set() -> None:
    x, y = dg.zeros(2), dg.ones(3)
    assert x.set_(y) is x
    x[0] = 5
    assert y.tolist() == [5, 1, 1]
    np.testing.assert_array_equal(x.numpy(), y.numpy())
