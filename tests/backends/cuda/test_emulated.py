"""The emulated device: as strict as CuPy, and with its conventions."""

import subprocess
import sys

import numpy as np
import pytest
from deepgpu.kernels.emulator import InitcheckError, RacecheckError

import deepgpu as dg
from deepgpu.backends import registry
from deepgpu.backends.cuda import emulator as xp, runtime
from deepgpu.errors import DeviceUnavailableError, KernelCompileError
from deepgpu.testing import emulated_cuda


@pytest.fixture
def x():
    return xp.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))


def test_no_implicit_conversion(x):
    for convert in (np.asarray, np.array, np.float32, lambda a: np.zeros(6) @ a, lambda a: memoryview(a)):
        with pytest.raises(TypeError):
            convert(x)


def test_mixes_with_no_host_array(x):
    host = np.ones((2, 3), np.float32)
    mixtures = [
        lambda: x + host,
        lambda: host + x,
        lambda: x[host > 0],
        lambda: xp.add(x, host),
        lambda: np.add(x, host),
        lambda: xp.concatenate([x, host]),
        lambda: x.__setitem__(0, host[0]),
        lambda: x.__iadd__(host),
        lambda: xp.where(x > 0, host, x),
    ]
    for mix in mixtures:
        with pytest.raises(TypeError, match="from_numpy"):
            mix()


def test_takes_numbers_and_functions_of_numpy(x):
    assert type(x + 1) is type(np.float32(1) + x) is type(np.exp(x)) is type(np.sum(x, axis=0)) is xp.ndarray
    assert (x + 1).dtype == (np.float32(1) * x).dtype == np.float32
    x += 1
    x[0, 0] = 5
    np.testing.assert_array_equal(x.get(), [[5, 2, 3], [4, 5, 6]])


def test_single_elements_and_reductions_are_arrays(x):
    for value in (x[0, 1], x.sum(), xp.max(x), x[0].mean(), np.add.reduce(x[0])):
        assert type(value) is xp.ndarray
        assert value.shape == ()
    element = x[1, 2]
    element[...] = 7  # a view, as in CuPy
    assert int(x[1, 2]) == float(x.max()) == 7


def test_copies_there_and_back():
    host = np.arange(4.0)
    there = xp.asarray(host)
    host[0] = 9
    back = there.get()
    back[1] = 9
    np.testing.assert_array_equal(there.get(), [0, 1, 2, 3])
    assert xp.asarray(there) is there
    assert there.data.ptr % 16 == 0


def test_fresh_memory_is_nan():
    assert np.isnan(xp.empty((2, 3), np.float32).get()).all()
    assert np.isnan(xp.empty_like(xp.zeros((4, 3), np.float16)[:, ::1].T).get()).all()


def test_atomics_as_a_gpu_has_them():
    for dtype in (np.int32, np.float32, np.float64):
        out = xp.zeros(3, dtype)
        xp.add.at(out, xp.asarray(np.array([1, 1])), 1)
        assert out.get().tolist() == [0, 2, 0]
    with pytest.raises(TypeError, match="int64"):
        xp.add.at(xp.zeros(3, np.int64), xp.asarray(np.array([1])), 1)
    with emulated_cuda():
        backend = registry.get("cuda")
        for dtype in (np.int64, np.int8, np.float32):  # the backend knows a way
            out = xp.zeros(3, dtype)
            backend.add_at(out, xp.asarray(np.array([1, 1])), xp.ones(2, dtype))
            assert out.get().tolist() == [0, 2, 0]


def test_has_no_more_than_cupy():
    """Every function of the emulated namespace is one of CuPy's, which imports without a GPU where it is installed."""
    pytest.importorskip("cupy", reason="CuPy is not installed: pip install 'deepgpu[kernels]'")
    names = sorted(xp._NUMPY_FUNCTIONS)
    code = f"import cupy; print([n for n in {names} if not hasattr(cupy, n)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_names_are_told():
    with pytest.raises(AttributeError, match="no `blackman`"):
        _ = xp.blackman


def test_the_device_exists_inside_only():
    with emulated_cuda():
        assert dg.cuda.is_available()
        assert dg.cuda.device_count() == 1
        assert dg.cuda.get_device_name() == "CUDA emulator"
        t = dg.ones(2, 3, device="cuda")
        assert t.device == dg.device("cuda:0")
        with pytest.raises(DeviceUnavailableError, match="1 CUDA device, cuda:0"):
            dg.ones(1, device="cuda:1")
        with pytest.raises(RuntimeError, match="cpu"):
            _ = t + dg.ones(2, 3)
        with pytest.raises(TypeError, match=r"\.cpu\(\)"):
            t.numpy()
    if not runtime.is_available():
        with pytest.raises(DeviceUnavailableError, match="DEEPGPU_CUDA=emulate"):
            dg.ones(1, device="cuda")
    assert float((t.relu() + 1).sum()) == 12  # what was made inside still works


def test_by_environment():
    code = "import deepgpu as dg; print(dg.ones(2, device='cuda').relu().sum().item())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"DEEPGPU_CUDA": "emulate", **_environment()},
    )
    assert done.stdout.strip() == "2.0"


def _environment():
    import os

    return {k: v for k, v in os.environ.items() if k != "DEEPGPU_CUDA"}


def test_views_that_repeat_elements_hold_no_memory_of_their_own():
    with emulated_cuda():
        x = dg.zeros(2, 1, device="cuda")
        before = dg.cuda.memory_allocated()
        wide = x.expand(2, 5000)
        assert dg.cuda.memory_allocated() == before
        with dg.cuda.graph(dg.cuda.CUDAGraph()):
            also = (x + 1).expand(2, 5000)  # the end of the capture fills it, as far as there is memory
        assert also.isnan().all().item()
        assert not wide.any().item()


def test_memory_is_counted():
    with emulated_cuda():
        before = dg.cuda.memory_allocated()
        t = dg.zeros(1000, device="cuda")
        view = t[:10]
        assert dg.cuda.memory_allocated() - before == t.nbytes
        del t
        assert dg.cuda.memory_allocated() - before == 4000
        del view
        assert dg.cuda.memory_allocated() == before
        free, total = dg.cuda.mem_get_info()
        assert 0 < free <= total


KERNEL = """
extern "C" __global__ void reverse(const float* x, float* y, int n) {
  __shared__ float line[64];
  line[threadIdx.x] = x[threadIdx.x];
  BARRIER
  y[threadIdx.x] = line[n - 1 - threadIdx.x];
}
template <class T> __global__ void twice(const T* x, T* y) { y[threadIdx.x] = 2 * x[threadIdx.x]; }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of kernels in place of ours."""
    (tmp_path / "include").mkdir()
    monkeypatch.setattr(runtime, "kernel_folder", lambda: tmp_path)
    caches = (runtime._kernel, runtime.compiler_options)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()


def launch(file, name, *args, threads=64):
    runtime.launch(file, name, (1,), (threads,), args)


def test_launch(folder):
    (folder / "k.cu").write_text(KERNEL.replace("BARRIER", "__syncthreads();"))
    x = xp.asarray(np.arange(64, dtype=np.float32))
    y = xp.empty(64, np.float32)
    with emulated_cuda():
        launch("k.cu", "reverse", x, y, np.int32(64))
        np.testing.assert_array_equal(y.get(), np.arange(64)[::-1])
        launch("k.cu", "twice<float>", x, y)
        np.testing.assert_array_equal(y.get(), 2 * np.arange(64))
        runtime.launch("k.cu", "reverse", (0, 3), (64,), (None, None, np.int32(0)))  # nothing to do
        with pytest.raises(TypeError, match="no device array"):
            launch("k.cu", "twice<float>", np.zeros(64, np.float32), y)


def test_launch_says_what_is_wrong(folder):
    (folder / "k.cu").write_text(KERNEL.replace("BARRIER", ""))
    with emulated_cuda():
        with pytest.raises(FileNotFoundError, match=r"'missing\.cu'"):
            launch("missing.cu", "reverse")
        with pytest.raises(KernelCompileError, match=r"k\.cu: `twist<float>` cannot be compiled.*there is no"):
            launch("k.cu", "twist<float>")
        (folder / "broken.cu").write_text('#include "missing.cuh"\nextern "C" __global__ void k() {}')
        with pytest.raises(KernelCompileError, match=r"broken\.cu.*missing\.cuh"):
            launch("broken.cu", "k", threads=1)


def test_checked_on_request(folder):
    (folder / "k.cu").write_text(KERNEL.replace("BARRIER", ""))
    (folder / "sum.cu").write_text('extern "C" __global__ void add(const float* x, float* y) { y[0] = x[0] + x[1]; }')
    x = xp.zeros(64, np.float32)
    with emulated_cuda(check=True):
        with pytest.raises(RacecheckError, match="reverse"):
            launch("k.cu", "reverse", x, xp.empty(64, np.float32), np.int32(64))
        with pytest.raises(InitcheckError, match="x"):
            launch("sum.cu", "add", xp.empty(2, np.float32), x, threads=1)
    with emulated_cuda():
        launch("k.cu", "reverse", x, xp.empty(64, np.float32), np.int32(64))


def test_headers_are_a_part_of_the_key(folder):
    """CuPy's cache on disk knows a source and its options only."""
    before = runtime.compiler_options()
    (folder / "include" / "new.cuh").write_text("// changes what is compiled")
    runtime.compiler_options.cache_clear()
    assert runtime.compiler_options() != before


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RuntimeError("CuPy failed to load libnvrtc.so.13"), "pip install nvidia-cuda-nvrtc"),
        (ImportError("libnvrtc.so.12: cannot open shared object file"), "pip install nvidia-cuda-nvrtc"),
        (
            Exception('gemm.cu(3): catastrophic error: cannot open source file "cuda_fp16.h"'),
            "pip install nvidia-cuda-runtime",
        ),
        (Exception("nvrtc: error: expected a ;"), ": nvrtc: error"),
    ],
)
def test_missing_software_is_named(folder, monkeypatch, error, advice):
    (folder / "k.cu").write_text(KERNEL)

    def fail(self, name):
        raise error

    monkeypatch.setattr(xp.RawModule, "get_function", fail)
    with emulated_cuda(), pytest.raises(KernelCompileError, match="`reverse` cannot be compiled") as caught:
        launch("k.cu", "reverse")
    assert advice in str(caught.value)
    assert ("pip" in advice) == ("pip" in str(caught.value))
