"""``deepgpu kernels check``."""

import re

import pytest
from typer.testing import CliRunner

from deepgpu.cli.app import app

REVERSE = """// launch: reverse<<<2, 64>>>(random(128), 64)
extern "C" __global__ void reverse(float* x, int n) {
  __shared__ float line[64];
  const int t = threadIdx.x;
  line[t] = x[blockIdx.x * n + t];
  BARRIER
  x[blockIdx.x * n + t] = line[n - 1 - t];
}
"""


@pytest.fixture
def check(tmp_path):
    """Check a source; gives the exit status and all that was printed."""

    def run(source, *options):
        path = tmp_path / "reverse.cu"
        path.write_text(source)
        result = CliRunner().invoke(app, ["kernels", "check", str(path), *options])
        return result.exit_code, result.output

    return run


def test_all_is_well(check):
    status, output = check(REVERSE.replace("BARRIER", "__syncthreads();"), "--traffic", "--seeds", "2")
    assert status == 0
    assert "no errors under 2 schedules" in output
    assert "global load" in output
    assert "1 launches, 0 failed" in output


def test_a_race_is_reported(check):
    status, output = check(REVERSE.replace("BARRIER", ""))
    assert status == 1
    assert "racecheck" in output
    assert "reverse.cu:5" in output


TAKE = """// launch: take<<<1, 64>>>(full(1, 10), zeros(1))
#include <assert.h>
extern "C" __global__ void take(int* left, int* taken) {
  if (atomicAdd(left, 0) > 0) {
    assert(atomicSub(left, 1) > 0);
    atomicAdd(taken, 1);
  }
}
"""


def test_a_failing_schedule_is_shrunk_and_seen_again_by_its_seed(check):
    status, output = check(TAKE)
    assert status == 1
    found = re.search(r"found with seed (\d+); fails under the default order, except: (.*)", output)
    assert found, output
    assert found[2] == "block 0, decision 24: a thread is interrupted at an atomic"
    assert int(found[1]) > 1
    status, again = check(TAKE, "--seed", found[1])
    assert status == 1
    assert again == output
    status, output = check(TAKE, "--seed", "0")
    assert status == 0
    assert "no errors under 1 schedule\n" in output


def test_macros_and_further_launches(check):
    status, output = check(REVERSE, "-D", "BARRIER=__syncthreads();", "--launch", "reverse<<<1, 32>>>(zeros(32), 32)")
    assert status == 0
    assert "2 launches, 0 failed" in output


def test_a_source_that_does_not_compile(check):
    status, output = check(REVERSE)
    assert status == 2
    assert "BARRIER" in output
    assert check("// launch: nothing<<<")[0] == 2
    result = CliRunner().invoke(app, ["kernels", "check", "no/such/file.cu"])
    assert (result.exit_code, "no/such/file.cu" in result.output) == (2, True)
