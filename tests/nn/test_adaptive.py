"""AdaptiveLogSoftmaxWithLoss against PyTorch's."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import built, close, copy_weights, ours, plain

SOURCE = "nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 10, 15], div_value=2.0, head_bias=True)"


@pytest.mark.parametrize("classes", [range(20), range(4), (11,), (3, 19, 19, 0)])
def test_it_is_pytorchs(classes) -> None:
    theirs, mine = built(SOURCE)
    assert plain(repr(mine)) == repr(theirs)
    copy_weights(theirs, mine)
    theirs, mine = theirs.double(), mine.double()
    target = torch.tensor(list(classes))
    x = torch.randn(len(target), 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    y = ours(x).requires_grad_()
    expected, actual = theirs(x, target), mine(y, ours(target))
    close(actual.output, expected.output, 1e-10, "output")
    close(actual.loss, expected.loss, 1e-10, "loss")
    (expected.loss + expected.output.square().sum()).backward()
    (actual.loss + actual.output.square().sum()).backward()
    close(y.grad, x.grad, 1e-9, "input")
    for (name, p), q in zip(theirs.named_parameters(), mine.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), name
        if p.grad is not None:
            close(q.grad, p.grad, 1e-9, name)
    close(mine.log_prob(y), theirs.log_prob(x), 1e-10, "log_prob")
    np.testing.assert_array_equal(mine.predict(y).numpy(), theirs.predict(x).numpy())


def test_one_sample() -> None:
    theirs, mine = built(SOURCE)
    copy_weights(theirs, mine)
    x = torch.randn(16, generator=torch.Generator().manual_seed(0))
    for c in (2, 12):
        expected, actual = theirs(x, torch.tensor(c)), mine(ours(x), dg.tensor(c))
        close(actual.output, expected.output, 1e-5, "output")
        close(actual.loss, expected.loss, 1e-5, "loss")


@pytest.mark.parametrize("lib", [torch, dg], ids=["torch", "deepgpu"])
def test_errors(lib) -> None:
    for cutoffs in ([], [3, 2], [0, 3], [3, 10], [3, 3], [1.5]):
        with pytest.raises(ValueError, match="cutoffs should be a sequence of"):
            lib.nn.AdaptiveLogSoftmaxWithLoss(4, 10, cutoffs)
    layer = lib.nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3])
    for shape, target in (((2, 4), [1]), ((4,), [1]), ((2, 4), 1), ((2, 4), [[1], [2]]), ((2, 4), [1, 10])):
        with pytest.raises(RuntimeError):
            layer(lib.ones(*shape), lib.tensor(target))


def test_what_is_wrong_with_a_target_is_said() -> None:
    layer = dg.nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3])
    with pytest.raises(RuntimeError, match=r"`target_` takes classes in \[0, 9\], but got values in \[-1, 3\]"):
        layer(dg.ones(2, 4), dg.tensor([-1, 3]))


def test_new_values() -> None:
    layer = dg.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 10])
    before = [p.detach().clone() for p in layer.parameters()]
    layer.reset_parameters()
    assert not any(bool((a == b).all()) for a, b in zip(before, layer.parameters(), strict=True))
