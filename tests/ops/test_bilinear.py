"""bilinear and its layer."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import FLOATING, Failure, OpEntry, OpTests, Sample


def samples(make):
    yield Sample(make(4, 2), make(4, 3), make(5, 2, 3), make(5))
    yield Sample(make(2, 3, 2), make(2, 3, 1), make(4, 2, 1))
    yield Sample(make(2), make(3), make(1, 2, 3), make(1))
    yield Sample(make(0, 2), make(0, 3), make(5, 2, 3), bias=None)


def errors(make):
    yield Failure(Sample(make(4, 2), make(3, 3), make(5, 2, 3)), "leading sizes")
    yield Failure(Sample(make(4, 2), make(4, 2), make(5, 2, 3)), "features")


ENTRIES = [OpEntry("bilinear", samples, errors, dtypes=FLOATING[:2], reference="nn.functional.bilinear")]


class TestBilinear(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("bias", [True, False])
def test_the_layer_is_pytorch_s(bias):
    theirs, ours = torch.nn.Bilinear(2, 3, 4, bias), dg.nn.Bilinear(2, 3, 4, bias)
    assert str(ours) == str(theirs)
    assert ours.weight.abs().max().item() <= 2**-0.5
    ours.load_state_dict({k: dg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x, y = (np.random.default_rng(0).standard_normal((5, n)).astype(np.float32) for n in (2, 3))
    expected = theirs(torch.tensor(x), torch.tensor(y)).detach().numpy()
    np.testing.assert_allclose(ours(dg.tensor(x), dg.tensor(y)).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
