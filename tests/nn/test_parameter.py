"""Parameters and buffers: tensors that a module keeps."""

import copy
import pickle

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.nn import Buffer, Parameter


def test_a_parameter_is_a_leaf_that_requires_grad_and_shares_memory():
    data = dg.ones(2, 3)
    p = Parameter(data)
    assert isinstance(p, dg.Tensor)
    assert p.requires_grad
    assert p.is_leaf
    data.add_(1)
    np.testing.assert_array_equal(p.detach(), np.full((2, 3), 2))
    assert type(p * 1) is dg.Tensor
    assert not Parameter(data, requires_grad=False).requires_grad


def test_a_parameter_of_a_computed_tensor_leaves_the_graph():
    x = dg.ones(2, requires_grad=True)
    assert Parameter(x * 2).is_leaf


def test_only_floating_point_can_require_grad():
    with pytest.raises(RuntimeError, match="floating-point"):
        Parameter(dg.arange(3))
    assert Parameter(dg.arange(3), requires_grad=False).dtype is dg.int64


def test_only_tensors_are_taken():
    with pytest.raises(TypeError, match="`data` takes a tensor, but got list"):
        Parameter([1.0])


def test_printed_form():
    assert repr(Parameter(dg.tensor([1.0, 2.0]))) == ("Parameter containing:\ntensor([1., 2.], requires_grad=True)")


def test_without_data_it_is_empty():
    assert Parameter().shape == (0,)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_are_parameters_of_their_own_without_gradient(again):
    for p in (Parameter(dg.randn(2, 3).bfloat16()), Parameter(dg.randn(2), requires_grad=False)):
        if p.requires_grad:
            p.sum().backward()
        q = again(p)
        assert type(q) is Parameter
        assert q.requires_grad is p.requires_grad
        assert q.grad is None
        assert q.dtype is p.dtype
        np.testing.assert_array_equal(q.detach().float(), p.detach().float())
        with dg.no_grad():
            q.zero_()
        assert (p != 0).any()


def test_deepcopy_keeps_what_is_shared_shared():
    p = Parameter(dg.randn(2))
    a, b = copy.deepcopy([p, p])
    assert a is b


def test_deepcopy_keeps_the_memory_format():
    p = Parameter(dg.randn(2, 3, 4, 5).contiguous(memory_format=dg.channels_last))
    assert copy.deepcopy(p).is_contiguous(memory_format=dg.channels_last)


def test_a_buffer_registers_itself():
    class Net(dg.nn.Module):
        def __init__(self):
            super().__init__()
            self.kept = Buffer(dg.ones(2))
            self.scratch = Buffer(dg.ones(2), persistent=False)

    net = Net()
    assert [name for name, _ in net.named_buffers()] == ["kept", "scratch"]
    assert list(net.state_dict()) == ["kept"]
    assert repr(net.kept) == "tensor([1., 1.])"
