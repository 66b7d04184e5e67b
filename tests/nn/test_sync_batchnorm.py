"""SyncBatchNorm, in one process, against PyTorch's batch norms."""

import pytest
import torch

import deepgpu as dg
from tests.nn.twins import close, copy_weights, ours, plain


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4), (2, 3, 4, 5), (2, 3, 2, 3, 4)])
def test_it_is_a_batch_norm(shape: tuple[int, ...]) -> None:
    kind = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}[len(shape)]
    theirs = getattr(torch.nn, kind)(3, 1e-3, 0.3).double()
    mine = dg.nn.SyncBatchNorm(3, 1e-3, 0.3).double()
    copy_weights(theirs, mine)
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    y = ours(x).requires_grad_()
    expected, actual = theirs(x), mine(y)
    close(actual, expected, 1e-10, "training")
    expected.pow(3).sum().backward()
    actual.pow(3).sum().backward()
    close(y.grad, x.grad, 1e-9, "input")
    close(mine.weight.grad, theirs.weight.grad, 1e-9, "weight")
    close(mine.eval()(y), theirs.eval()(x), 1e-10, "evaluation")


def test_conversion() -> None:
    def net(nn):
        inner = nn.Sequential(nn.BatchNorm2d(4, affine=False), nn.ReLU(), nn.BatchNorm2d(4, bias=False))
        return nn.Sequential(nn.Conv2d(3, 4, 3), inner, nn.BatchNorm2d(4, track_running_stats=False))

    theirs = torch.nn.SyncBatchNorm.convert_sync_batchnorm(net(torch.nn).eval())
    plain_net = net(dg.nn).eval()
    before = dict(plain_net.named_parameters())
    mine = dg.nn.SyncBatchNorm.convert_sync_batchnorm(plain_net)
    assert plain(repr(mine)) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert not mine[1][0].training
    assert all(p is before[name] for name, p in mine.named_parameters())
    single = dg.nn.SyncBatchNorm.convert_sync_batchnorm(dg.nn.BatchNorm1d(3))
    assert type(single) is dg.nn.SyncBatchNorm


def test_errors() -> None:
    with pytest.raises(ValueError, match="expected at least 2D input"):
        dg.nn.SyncBatchNorm(3)(dg.ones(3))
    with pytest.raises(ValueError, match="`process_group` takes None: there is one process"):
        dg.nn.SyncBatchNorm(3, process_group="world")
