"""What a tensor is: construction, metadata, memory shared with NumPy and PyTorch, Python's protocols."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.backends.cpu.backend import CPUBackend
from deepgpu.errors import DeviceMismatchError
from deepgpu.tensor import wrap


class OtherDevice(CPUBackend):
    """A second device for tests of what happens between devices: NumPy again, under another name."""

    type = "cuda"
    index = 0


OTHER = OtherDevice()

CONSTRUCTED = [
    (1, {}),
    (1.5, {}),
    (True, {}),
    ([1, 2], {}),
    ([1, 2.5], {}),
    ([True, False], {}),
    ([[1, 2], [3, 4]], {}),
    ([], {}),
    ([[], []], {}),
    ((1, 2), {}),
    (np.float64(2), {}),
    (np.arange(3, dtype=np.int16), {}),
    ([np.float32(1), np.float32(2)], {}),
]


@pytest.mark.parametrize(("data", "kwargs"), CONSTRUCTED, ids=lambda v: repr(v))
def test_tensor_from_data(data, kwargs):
    ours, theirs = dg.tensor(data, **kwargs), torch.tensor(data, **kwargs)
    assert ours.dtype.name == str(theirs.dtype).removeprefix("torch.")
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)


def test_tensor_of_tensors():
    x = dg.tensor([dg.tensor(1.0), dg.tensor(2.0)])
    assert x.tolist() == [1.0, 2.0]
    assert dg.tensor(x).tolist() == [1.0, 2.0]


def test_tensor_copies_and_from_numpy_shares():
    a = np.zeros(3, np.float32)
    copied, shared = dg.tensor(a), dg.from_numpy(a)
    a[0] = 5
    assert copied[0].item() == 0
    assert shared[0].item() == 5
    shared[1] = 7
    assert a[1] == 7
    assert np.shares_memory(shared.numpy(), a)


def test_ragged_and_unknown_data_are_refused():
    with pytest.raises(ValueError, match="one length each"):
        dg.tensor([[1, 2], [3]])
    with pytest.raises(TypeError, match="no dtype for data of type str"):
        dg.tensor("abc")
    with pytest.raises(TypeError, match="complex128"):
        dg.from_numpy(np.zeros(2, np.complex128))


def test_dtype_argument():
    for name in ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"):
        ours = dg.tensor([0, 1, 2], dtype=getattr(dg, name))
        assert ours.dtype is getattr(dg, name)
        assert ours.tolist() == torch.tensor([0, 1, 2], dtype=getattr(torch, name)).tolist()


def test_metadata():
    x = dg.zeros(2, 3, 4)
    assert x.shape == (2, 3, 4) == x.size()
    assert (x.size(1), x.ndim, x.dim(), x.numel(), x.nbytes) == (3, 3, 3, 24, 96)
    assert x.stride() == (12, 4, 1)
    assert x.transpose(0, 2).stride() == (1, 4, 12)
    assert x.stride(0) == 12
    assert x.is_contiguous()
    assert not x.transpose(0, 1).is_contiguous()
    assert repr(x.shape) == "deepgpu.Size([2, 3, 4])"
    assert x.shape.numel() == 24
    assert x.shape[1:] == (3, 4)
    assert isinstance(x.shape[1:], dg.Size)
    assert str(x.device) == "cpu"
    assert repr(x.device) == "device(type='cpu')"
    assert not x.is_cuda


def test_default_dtype():
    try:
        dg.set_default_dtype(dg.float64)
        assert dg.tensor(1.0).dtype is dg.float64
        assert dg.zeros(1).dtype is dg.float64
        assert (dg.tensor([1, 2]) / 2).dtype is dg.float64
    finally:
        dg.set_default_dtype(dg.float32)
    with pytest.raises(TypeError, match="floating-point dtype"):
        dg.set_default_dtype(dg.int64)


def test_item_tolist_and_conversions():
    assert dg.tensor(2.5).item() == 2.5
    assert dg.tensor([[3]]).item() == 3
    assert isinstance(dg.tensor(3).item(), int)
    assert isinstance(dg.tensor(1.5, dtype=dg.bfloat16).item(), float)
    assert dg.tensor([[1.0, 2.0]]).tolist() == [[1.0, 2.0]]
    assert (float(dg.tensor(2)), int(dg.tensor(2.7)), bool(dg.tensor([1]))) == (2.0, 2, True)
    assert [1, 2, 3][dg.tensor(1)] == 2
    assert range(dg.tensor(3)) == range(3)
    with pytest.raises(RuntimeError, match="2 elements cannot be converted"):
        dg.ones(2).item()
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(dg.ones(2))
    with pytest.raises(TypeError, match="one integer"):
        [1, 2][dg.tensor(1.0)]


def test_len_iter_contains():
    x = dg.tensor([[1, 2], [3, 4]])
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert 3 in x
    assert 7 not in x
    with pytest.raises(TypeError, match="0-d"):
        len(dg.tensor(1))
    with pytest.raises(TypeError, match="0-d"):
        iter(dg.tensor(1))


def test_tensors_are_hashable_by_identity():
    x, y = dg.ones(2), dg.ones(2)
    assert len({x, y, x}) == 2


def test_numpy_shares_memory_and_refuses_what_would_surprise():
    x = dg.zeros(3)
    a = x.numpy()
    a[0] = 4
    assert x[0].item() == 4
    with pytest.raises(RuntimeError, match="requires grad"):
        dg.zeros(2, requires_grad=True).numpy()
    with dg.no_grad():
        dg.zeros(2, requires_grad=True).numpy()
    assert dg.zeros(2, requires_grad=True).numpy(force=True).shape == (2,)
    with pytest.raises(TypeError, match=r"on cuda:0; copy it first"):
        wrap(np.zeros(2), OTHER).numpy()


def test_numpy_functions_take_tensors():
    x = dg.tensor([1.0, 4.0])
    np.testing.assert_array_equal(np.sqrt(x), [1, 2])
    assert np.asarray(x).base is not None or np.shares_memory(np.asarray(x), x.numpy())
    assert np.asarray(x, dtype=np.float64).dtype == np.float64


def test_dlpack_both_ways_without_copying():
    ours = dg.arange(6, dtype=dg.float32).reshape(2, 3)
    theirs = torch.from_dlpack(ours)
    theirs[0, 0] = 9
    assert ours[0, 0].item() == 9
    back = dg.from_dlpack(torch.ones(2, 2))
    assert back.dtype is dg.float32
    source = torch.zeros(3)
    view = dg.from_dlpack(source)
    source[1] = 8
    assert view[1].item() == 8
    with pytest.raises(BufferError, match="requires grad"):
        torch.from_dlpack(dg.ones(1, requires_grad=True))


def test_views_share_memory():
    x = dg.arange(12).reshape(3, 4)
    for view in (x[1], x[:, 1:3], x.t(), x.view(12), x.reshape(4, 3), x.permute(1, 0), x[None], x.flatten()):
        assert np.shares_memory(view.numpy(), x.numpy())
    x[1, 1] = 100
    assert x.t()[1, 1].item() == 100
    assert not np.shares_memory(x[[0, 1]].numpy(), x.numpy())
    assert not np.shares_memory(x.clone().numpy(), x.numpy())


def test_detach_shares_and_data_is_unseen():
    x = dg.ones(2, requires_grad=True)
    assert not x.detach().requires_grad
    y = x.exp()
    x.data.fill_(3)  # not noticed: no version is counted
    y.sum().backward()
    z = (x * 1).exp()
    z.detach().zero_()
    with pytest.raises(RuntimeError, match="modified in place"):
        z.sum().backward()


def test_deepcopy():
    x = dg.randn(2, 3).to(memory_format=dg.contiguous_format).requires_grad_()
    (x * 2).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad
    np.testing.assert_array_equal(y.grad, x.grad)
    assert not np.shares_memory(y.detach().numpy(), x.detach().numpy())
    a, b = copy.deepcopy([x, x])
    assert a is b
    with pytest.raises(RuntimeError, match="only leaf tensors"):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize("dtype", [dg.float32, dg.bfloat16, dg.int64, dg.bool])
def test_pickle(dtype):
    x = dg.tensor([[1, 0], [3, 4]]).to(dtype)
    y = pickle.loads(pickle.dumps(x))
    assert y.dtype is dtype
    np.testing.assert_array_equal(y, x)
    assert pickle.loads(pickle.dumps(dg.ones(2, requires_grad=True))).requires_grad
    assert pickle.loads(pickle.dumps(dtype)) is dtype
    assert pickle.loads(pickle.dumps(dg.device("cuda:1"))) == dg.device("cuda", 1)


def test_device_strings():
    assert dg.device("cuda:1") == dg.device("cuda", 1) == dg.device(1)
    assert dg.device("cuda").index is None
    assert str(dg.device("cuda:3")) == "cuda:3"
    assert dg.device("cpu") != "cpu"
    assert len({dg.device("cpu"), dg.device("cpu")}) == 1
    for bad in ("gpu", "cuda:x", "cuda:-1"):
        with pytest.raises(RuntimeError, match="takes 'cpu', 'cuda' or 'cuda:<index>'"):
            dg.device(bad)


def test_mixed_devices_are_an_error_that_names_both():
    a, b = dg.ones(3), wrap(np.ones(3, np.float32), OTHER)
    with pytest.raises(DeviceMismatchError, match=r"`add`: .* on cpu and cuda:0"):
        a + b
    with pytest.raises(RuntimeError, match="`matmul`"):
        dg.matmul(a, b)


def test_a_number_from_the_cpu_may_meet_another_device():
    x = wrap(np.ones(3, np.float32), OTHER)
    y = x * dg.tensor(2.0)
    assert y.device == dg.device("cuda:0")
    assert y._data.tolist() == [2, 2, 2]


def test_promotion_agrees_with_torch_for_all_pairs():
    names = ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
    for a in names:
        for b in names:
            for da, db in [((2,), (2,)), ((2,), ()), ((), (2,)), ((), ())]:
                ours = dg.result_type(dg.zeros(da, dtype=getattr(dg, a)), dg.zeros(db, dtype=getattr(dg, b)))
                theirs = torch.result_type(
                    torch.zeros(da, dtype=getattr(torch, a)), torch.zeros(db, dtype=getattr(torch, b))
                )
                assert f"torch.{ours.name}" == str(theirs), (a, da, b, db)
        for number in (True, 2, 2.5):
            ours = dg.result_type(dg.zeros(2, dtype=getattr(dg, a)), number)
            assert f"torch.{ours.name}" == str(torch.result_type(torch.zeros(2, dtype=getattr(torch, a)), number))


def test_finfo_and_iinfo():
    for name in ("float16", "bfloat16", "float32", "float64"):
        ours, theirs = dg.finfo(getattr(dg, name)), torch.finfo(getattr(torch, name))
        for field in ("bits", "eps", "max", "min", "tiny"):
            assert getattr(ours, field) == getattr(theirs, field)
    for name in ("int8", "int64", "uint8"):
        ours, theirs = dg.iinfo(getattr(dg, name)), torch.iinfo(getattr(torch, name))
        assert (ours.bits, ours.max, ours.min) == (theirs.bits, theirs.max, theirs.min)


def test_bfloat16_is_numpys_extension_dtype():
    assert dg.ones(1, dtype=dg.bfloat16).numpy().dtype == ml_dtypes.bfloat16


def test_same_seed_same_numbers_and_states():
    dg.manual_seed(3)
    a, state, b = dg.randn(4), dg.get_rng_state(), dg.rand(4)
    dg.manual_seed(3)
    assert dg.equal(dg.randn(4), a)
    dg.set_rng_state(state)
    assert dg.equal(dg.rand(4), b)
    g = dg.Generator().manual_seed(3)
    assert dg.equal(dg.randn(4, generator=g), a)
    assert dg.initial_seed() == 3 == g.initial_seed()
