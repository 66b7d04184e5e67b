"""Arguments and launch configurations, by CuPy's conventions; what does not fit is refused before anything runs."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from deepgpu.kernels.emulator import ArgumentError, LaunchError

from deepgpu.kernels import emulator

i32, f32 = np.int32, np.float32

CODE = r"""
struct Shape { int rows, columns; float scale; };
extern "C" __global__ void fill(float* out, float value, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) out[i] = value;
}
extern "C" __global__ void scaled(const Shape shape, float* out) {
  if (threadIdx.x == 0) out[0] = shape.rows * 1000 + shape.columns + shape.scale;
}
extern "C" __global__ void wide(long long a, double b, bool c, unsigned char d, double* out) { out[0] = a + b + c + d; }
extern "C" __global__ void anything(void* p, const unsigned char* q) {}
extern "C" __global__ void through_pointers(float** rows, int n) {
  for (int i = 0; i < n; i++) rows[i][threadIdx.x] = i;
}
extern "C" __global__ void __launch_bounds__(32 * 4) bounded(float* out) {
  __shared__ float line[1024];
  extern __shared__ float more[];
  line[threadIdx.x] = more[0] = 0;
}
extern "C" __global__ void transposed(float* x) { x[threadIdx.x * 4] = threadIdx.x; }
"""


@pytest.fixture(scope="module", params=[False, True], ids=["fast", "check"])
def module(request):
    return emulator.RawModule(CODE, check=request.param)


def test_arrays_and_scalars(module):
    out = np.zeros(10, f32)
    module.get_function("fill")((1,), (32,), (out, f32(2.5), i32(10)))
    assert (out == 2.5).all()


def test_python_numbers_are_64_bits_wide(module):
    out = np.zeros(1)
    module.get_function("wide")((1,), (1,), (1 << 40, 0.5, True, np.uint8(3), out))
    assert out[0] == (1 << 40) + 4.5


def test_structs_as_numpy_scalars_and_ctypes(module):
    out = np.zeros(1, f32)
    scalar = np.array((2, 3, 0.5), np.dtype([("rows", i32), ("columns", i32), ("scale", f32)]))[()]
    module.get_function("scaled")((1,), (32,), (scalar, out))
    assert out[0] == 2003.5

    class Shape(ctypes.Structure):
        _fields_ = [("rows", ctypes.c_int), ("columns", ctypes.c_int), ("scale", ctypes.c_float)]

    module.get_function("scaled")((1,), (32,), (Shape(4, 5, 0.25), out))
    assert out[0] == 4005.25


def test_any_array_goes_to_void_and_bytes(module):
    module.get_function("anything")((1,), (1,), (np.zeros(3), np.zeros(3, np.int16)))
    module.get_function("anything")((1,), (1,), (None, None))


def test_views_keep_their_strides_and_place(module):
    x = np.zeros((8, 4), f32)
    module.get_function("transposed")((1,), (8,), (x[:, 2],))
    np.testing.assert_array_equal(x[:, 2], np.arange(8))
    assert x.sum() == 28


def test_arrays_behind_pointers_are_named_reachable():
    rows = [np.zeros(32, f32) for _ in range(3)]
    table = np.array([r.ctypes.data for r in rows], np.uint64)
    for check in (False, True):
        kernel = emulator.RawModule(CODE, check=check).get_function("through_pointers")
        kernel((1,), (32,), (table, i32(3)), reachable=rows)
        assert [r[5] for r in rows] == [0, 1, 2]
    with pytest.raises(emulator.MemcheckError):
        kernel((1,), (32,), (table, i32(3)))


@pytest.mark.parametrize(
    ("kernel", "arguments", "message"),
    [
        ("fill", (np.zeros(3, f32), f32(1)), r"fill takes 3 arguments \(float\* out, float value, int n\), got 2"),
        (
            "fill",
            (np.zeros(3, f32), f32(1), 3),
            r"fill: argument 2 `n` is `int` \(4 bytes\), got int \(signed integer of 8 bytes\); pass np.int32\(...\)",
        ),
        ("fill", (np.zeros(3, f32), 1.0, i32(3)), r"argument 1 `value` is `float` .* pass np.float32"),
        ("fill", (np.zeros(3, f32), i32(1), i32(3)), "argument 1 `value` is `float`"),
        ("fill", (np.zeros(3), f32(1), i32(3)), r"argument 0 `out` is `float\*`, got an array of float64"),
        ("fill", (np.zeros(3, i32), f32(1), i32(3)), "got an array of int32"),
        ("fill", (f32(1), f32(1), i32(3)), "argument 0 `out` is a pointer .* got float32"),
        ("fill", ("x", f32(1), i32(3)), "takes a NumPy array, an address or None, got str"),
        ("fill", (np.zeros(3, f32), np.zeros(1, f32), i32(3)), "argument 1 `value` is a value .* got an array"),
        ("fill", (np.zeros(3, f32), None, i32(3)), "argument 1 `value` is a value .* got NoneType"),
        ("scaled", (np.zeros(2, f32)[0], np.zeros(1, f32)), "argument 0 `shape` is `a type of 12 bytes`"),
    ],
)
def test_arguments_that_do_not_fit(module, kernel, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        module.get_function(kernel)((1,), (32,), arguments)


@pytest.mark.parametrize(
    ("grid", "block", "shared", "message"),
    [
        ((1,), (1025,), 0, "out of range"),
        ((1,), (64, 32), 0, "2048 threads, at most 1024"),
        ((1,), (0,), 0, "out of range"),
        ((1, 70000), (32,), 0, "the grid"),
        ((1, 1, 1, 1), (32,), 0, "1 to 3 dimensions"),
        ((1,), (160,), 0, r"160 threads, but the kernel says __launch_bounds__\(128\)"),
        ((1,), (32,), 50000, "max_dynamic_shared_size_bytes=49152"),
        ((1,), (32,), 48 << 10, "4096 bytes of static and 49152 of dynamic shared memory are more than 49152"),
    ],
)
def test_launches_that_no_gpu_accepts(module, grid, block, shared, message):
    with pytest.raises(LaunchError, match=message):
        module.get_function("bounded")(grid, block, (np.zeros(1, f32),), shared_mem=shared)


def test_more_than_48_kib_of_shared_memory_must_be_asked_for(module):
    kernel = module.get_function("bounded")
    kernel.max_dynamic_shared_size_bytes = 200 << 10
    kernel((1,), (1,), (np.zeros(1, f32),), shared_mem=200 << 10)
    kernel.max_dynamic_shared_size_bytes = 227 << 10
    with pytest.raises(LaunchError, match="are more than 232448"):
        kernel((1,), (1,), (np.zeros(1, f32),), shared_mem=227 << 10)


def test_raw_kernel_as_in_cupy():
    kernel = emulator.RawKernel(r'extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }', "twice")
    x = np.arange(8, dtype=f32)
    kernel((1,), (8,), (x,))
    np.testing.assert_array_equal(x, 2 * np.arange(8))
    templated = emulator.RawKernel(
        "template <int N> __global__ void add(int* x) { x[threadIdx.x] += N; }", "add<5>", check=True
    )
    y = np.zeros(4, i32)
    templated((1,), (4,), (y,))
    assert y.tolist() == [5] * 4


def test_module_takes_code_or_path():
    with pytest.raises(TypeError, match="either `code` or `path`"):
        emulator.RawModule()


def test_launches_from_several_python_threads():
    """Every operating-system thread has its own shared memory and its own fibers."""
    import threading

    module = emulator.RawModule(
        r"""extern "C" __global__ void reverse(int* x) {
          __shared__ int s[256];
          for (int i = 0; i < 50; i++) {
            s[threadIdx.x] = x[threadIdx.x];
            __syncthreads();
            x[threadIdx.x] = s[255 - threadIdx.x];
            __syncthreads();
          }
        }"""
    )
    kernel = module.get_function("reverse")
    arrays = [np.arange(256, dtype=i32) + 1000 * t for t in range(4)]
    threads = [threading.Thread(target=kernel, args=((1,), (256,), (a,))) for a in arrays]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for t, a in enumerate(arrays):
        np.testing.assert_array_equal(a, np.arange(256) + 1000 * t)
