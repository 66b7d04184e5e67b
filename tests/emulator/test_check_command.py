"""``python -m deepgpu.kernels.emulator file.cu`` and check(): launches written as text, reports, exit statuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from deepgpu.kernels.emulator import launch_line
from deepgpu.kernels.emulator.__main__ import main
from deepgpu.kernels.emulator.check import check

GOOD = r"""
// launch: saxpy<<<4, 256>>>(2.0, random(1000), zeros(1000), 1000)
extern "C" __global__ void saxpy(float a, const float* x, float* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = a * x[i] + y[i];
}
// launch: block_sum<float, 128><<<dim3(3, 2), 128>>>(random(768), empty(6))
template <class T, int N>
__global__ void block_sum(const T* x, T* sums) {
  __shared__ T part[N];
  const int t = threadIdx.x, block = blockIdx.y * gridDim.x + blockIdx.x;
  part[t] = x[block * N + t];
  for (int half = N / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) part[t] += part[t + half];
  }
  if (t == 0) sums[block] = part[0];
}
extern "C" __global__ void idle(int* x) {}
"""


@pytest.fixture
def source(tmp_path):
    def write(text):
        path = tmp_path / "kernels.cu"
        path.write_text(text)
        return str(path)

    return write


def test_a_good_source_passes(source, capsys):
    assert main([source(GOOD), "--traffic"]) == 0
    out = capsys.readouterr().out
    assert out.count("no errors under 8 schedules") == 2
    assert "not launched: idle" in out
    assert "2 launches, 0 failed" in out
    assert "shared load" in out


def test_a_bad_source_fails(source, capsys):
    assert main([source(GOOD.replace("if (i < n)", "if (i <= n)")), "--seeds", "2"]) == 1
    out = capsys.readouterr().out
    assert "memcheck: kernel `saxpy`: load of 4 bytes out of bounds on argument `x`" in out
    assert "kernels.cu:5" in out
    assert "2 launches, 1 failed" in out


def test_memory_that_is_empty_must_be_written(source):
    text = GOOD.replace("zeros(1000)", "empty(1000)")
    report = check(source(text), seeds=1)
    assert report.launches[0].failure is not None
    assert "initcheck" in str(report.launches[0].failure)
    assert report.launches[1].failure is None
    assert not report.ok


def test_launches_on_the_command_line(source, capsys):
    path = source("#ifdef ENABLED\n" + GOOD + "\n#endif")
    assert main([path, "-DENABLED", "--launch", "idle<<<1, 32>>>(nullptr)", "--seeds", "1"]) == 0
    assert "3 launches, 0 failed" in capsys.readouterr().out


def test_a_source_without_launches_is_not_passed(source, capsys):
    assert main([source('extern "C" __global__ void k(int* x) {}')]) == 1
    assert "nothing was run" in capsys.readouterr().out


def test_a_cooperative_launch(source):
    text = """#include <cooperative_groups.h>
    // launch: k<<<4, 32>>>(zeros(1))
    extern "C" __global__ void k(int* x) {
      atomicAdd(x, 1);
      cooperative_groups::this_grid().sync();
      assert(*x == 128);
    }"""
    assert check(source(text), seeds=3, cooperative=True).ok


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extern "C" __global__ void k(int* x) { oops; }', "oops"),
        ('// launch: k<<<1>>>(zeros(1))\nextern "C" __global__ void k(int* x) {}', "the grid, the block"),
        ('// launch: k(1)\nextern "C" __global__ void k(int* x) {}', "is not a launch such as"),
        ('// launch: k<<<1, 1>>>(3)\nextern "C" __global__ void k(int* x) {}', "argument 0 `x` of `k` is a pointer"),
        ('// launch: k<<<1, 1>>>()\nextern "C" __global__ void k(int* x) {}', r"takes \(int\* x\)"),
        ('// launch: k<<<1, 1>>>(heap(3))\nextern "C" __global__ void k(int* x) {}', "`heap` is not one of random"),
        (
            '// launch: m<<<1, 1>>>(zeros(3))\nextern "C" __global__ void k(int* x) {}',
            "there is no __global__ function `m`",
        ),
    ],
)
def test_what_cannot_be_checked_says_why(source, capsys, text, message):
    import re

    assert main([source(text)]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_launch_lines_are_parsed():
    line = launch_line.parse("  a::k<float, 4> <<< dim3(2, 3), (8, 4), 1024 >>> ( random((4, 5)), -1.5, nullptr ) ; ")
    assert (line.kernel, line.grid, line.block, line.shared_mem) == ("a::k<float, 4>", (2, 3), (8, 4), 1024)
    assert len(line.arguments) == 3


def test_arrays_get_the_types_of_their_parameters(source):
    from deepgpu.kernels.emulator import RawModule

    code = """#include <cuda_fp16.h>
    extern "C" __global__ void k(float* a, int* b, const float4* c, __half* d, unsigned char* e,
                                 double* f, bool* g, short h, float i) {}"""
    kernel = RawModule(code).get_function("k")
    line = launch_line.parse(
        "k<<<1, 1>>>(random((2, 3)), integers(5, 10), ones(4), zeros(7), arange(3), full(2, 1.5), random(9), 3, 4)"
    )
    made = launch_line.make_arguments(line, kernel.signature, kernel.parameter_names)
    assert [getattr(a, "shape", None) for a in made] == [(2, 3), (5,), (4, 4), (7,), (3,), (2,), (9,), (), ()]
    dtypes = [np.float32, np.int32, np.float32, np.float16, np.uint8, np.float64, np.bool_, np.int16, np.float32]
    assert [a.dtype for a in made] == [np.dtype(d) for d in dtypes]
    again = launch_line.make_arguments(line, kernel.signature, kernel.parameter_names)
    np.testing.assert_array_equal(made[0], again[0])


def test_the_module_runs_as_a_program(source):
    done = subprocess.run(
        [sys.executable, "-m", "deepgpu.kernels.emulator", source(GOOD), "--seeds", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 launches, 0 failed" in done.stdout


@pytest.mark.kernels
def test_architectures_are_judged_too(source, capsys):
    assert main([source("// judge saxpy: registers <= 2\n" + GOOD), "--seeds", "1", "--arch", "90"]) == 1
    assert "| `saxpy` | 1" in (out := capsys.readouterr().out)
    assert "> 2" in out
