"""The CUDA backend as far as a machine without a GPU can tell, on a stand-in for CuPy."""

import inspect

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.backends import registry
from deepgpu.backends.base import Backend
from deepgpu.testing import emulated_cuda

from ..conftest import FakeDevice


@pytest.fixture
def cuda(fake_cupy):
    fake_cupy(2)
    backend = registry.get("cuda", 1)
    FakeDevice.entered = []
    return backend


def test_every_method_of_the_contract_runs_on_the_backend_s_device(cuda):
    methods = [name for name, _ in inspect.getmembers(Backend, inspect.isfunction) if not name.startswith("_")]
    assert len(methods) > 25
    for name in methods:
        with pytest.raises(TypeError):  # the device is entered before the arguments are found missing
            getattr(cuda, name)(no_such_argument=0)
    assert [1] * len(methods) == FakeDevice.entered


def test_copies_there_and_back(cuda):
    x = np.arange(3.0)
    there = cuda.from_numpy(x)
    assert registry.backend_of(there) is cuda
    back = cuda.to_numpy(there)
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, x)
    assert not np.shares_memory(back, x)


def test_synchronize_waits_for_the_device(cuda):
    cuda.synchronize()
    assert FakeDevice.synchronized == [1]


def test_computes_like_the_cpu(rng_arrays):
    """One op a family, in float64; tests/kernels/cuda judges the kernels, and the op tests the rest."""
    x, w, gy = rng_arrays((2, 4, 6, 6), (8, 2, 3, 3), (2, 8, 6, 6))
    cpu = registry.get("cpu")
    geometry = ((1, 1), (1, 1), (1, 1), 2)
    with emulated_cuda():
        cuda = registry.get("cuda")
        for name, args in {
            "matmul": (x, w[0, 0, 0, 0] * np.ones((6, 5))),
            "conv2d_fprop": (x, w, None, *geometry),
            "conv2d_dgrad": (gy, w, (6, 6), *geometry),
            "conv2d_wgrad": (gy, x, (3, 3), *geometry),
            "avg_pool2d": (x, (2, 2), (2, 2), (0, 0), (3, 3), True, None),
            "relu": (x,),
            "softmax": (x, 1),
        }.items():
            expected = getattr(cpu, name)(*args)
            there = [cuda.from_numpy(a) if isinstance(a, np.ndarray) else a for a in args]
            got = cuda.to_numpy(getattr(cuda, name)(*there))
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.fixture
def rng_arrays():
    rng = np.random.default_rng(0)
    return lambda *shapes: [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32", "float16", "float64"])
@pytest.mark.parametrize("ufunc", ["multiply", "maximum", "minimum"])
def test_reductions_into_places_of_every_dtype(ufunc, dtype):
    """CuPy has atomics for few of them: ours need none."""
    rng = np.random.default_rng(0)
    out, values = rng.integers(1, 4, (4, 5)).astype(dtype), rng.integers(1, 3, (9, 5)).astype(dtype)
    index = (rng.integers(0, 4, (9, 5)), np.broadcast_to(np.arange(5), (9, 5)))
    want = out.copy()
    for i, j, value in zip(index[0].ravel(), index[1].ravel(), values.ravel(), strict=True):
        want[i, j] = getattr(np, ufunc)(want[i, j], value)
    with emulated_cuda():
        cuda = registry.get("cuda")
        there = cuda.from_numpy(out)
        cuda.reduce_at(
            ufunc, there, tuple(cuda.from_numpy(np.ascontiguousarray(i)) for i in index), cuda.from_numpy(values)
        )
        np.testing.assert_array_equal(there.get(), want, strict=True)
        cuda.reduce_at(ufunc, there, (cuda.from_numpy(index[0][:0]),) * 2, cuda.from_numpy(values[:0]))
        np.testing.assert_array_equal(there.get(), want)


@pytest.mark.parametrize("reduce", ["prod", "amax", "amin", "sum", "mean"])
def test_scatter_reduce_of_integers(reduce):
    rng = np.random.default_rng(0)
    x, src, index = rng.integers(-3, 4, (3, 4)), rng.integers(-3, 4, (6, 4)), rng.integers(0, 3, (6, 4))
    want = dg.tensor(x).scatter_reduce(0, dg.tensor(index), dg.tensor(src), reduce).numpy()
    with emulated_cuda():
        on_device = [dg.tensor(a, device="cuda") for a in (x, index, src)]
        got = on_device[0].scatter_reduce(0, *on_device[1:], reduce)
        np.testing.assert_array_equal(got.cpu().numpy(), want, strict=True)
