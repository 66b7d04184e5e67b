"""The compile judge: it passes what is right, and it can fail."""

from __future__ import annotations

import pytest
from deepgpu.kernels.emulator import CompileError, compile_judge
from deepgpu.kernels.emulator.compile_judge import Bounds, declared_bounds, judge, resources

from tests.emulator.test_samples import CASES, SAMPLES

GEMM_STEP = r"""
#include <ptx.cuh>
// judge step: registers <= 64, shared <= 2048, stack <= 0; sm_80+: HMMA, LDSM, LDGSTS.*128; !LDL; sm_75+: STG
extern "C" __global__ void step(const __half* in, float* out) {
  __shared__ __align__(16) __half tile[2][16][24];
  const int lane = threadIdx.x;
  dg::cp_async<16>(dg::shared_address(&tile[lane / 16][lane % 16][0]), in + lane * 8);
  dg::cp_async_wait_all();
  __syncthreads();
  unsigned a[4], b[2];
  float d[4] = {};
  dg::ldmatrix(a, dg::shared_address(&tile[0][lane % 16][lane / 16 * 8]));
  dg::ldmatrix_transposed(b, dg::shared_address(&tile[1][lane % 16][0]));
  dg::mma(d, a, b, __half());
  for (int i = 0; i < 4; i++) out[lane * 4 + i] = d[i];
}
"""


def test_declared_bounds_are_read():
    text = "// judge a: registers <= 40, shared <= 1024; sm_80+: HMMA, LDGSTS.*128; !LDL\n  //judge b : spills <= 8\n"
    assert declared_bounds(text) == {
        "a": Bounds(
            {"spills": 0, "registers": 40, "shared": 1024},
            ((80, "HMMA", True), (80, "LDGSTS.*128", True), (0, "LDL", False)),
        ),
        "b": Bounds({"spills": 8}),
    }


def test_a_bound_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="registers <= 128"):
        declared_bounds("// judge a: registers <= 3, shared < 4")


def test_ptxas_log_is_read():
    log = (
        "ptxas info    : Compiling entry function '_Z1kPf' for 'sm_80'\n"
        "ptxas info    : Function properties for _Z1kPf\n"
        "    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n"
        "ptxas info    : Used 42 registers, used 1 barriers, 1024 bytes smem, 360 bytes cmem[0]\n"
    )
    assert resources(log) == {"_Z1kPf": compile_judge.Resources(42, 1024, 16, 12)}


@pytest.mark.kernels
def test_the_declared_instructions_are_there_on_every_architecture():
    verdicts = judge(code=GEMM_STEP, architectures=(80, 86, 90, 100, 120))
    assert [v.architecture for v in verdicts] == [80, 86, 90, 100, 120]
    assert all(v.complaints == () for v in verdicts), verdicts
    assert all(v.opcodes["LDL"] == 0 and v.resources.shared == 1536 for v in verdicts)
    assert "| `step` |" in compile_judge.table(verdicts)


@pytest.mark.kernels
def test_the_judge_can_fail():
    strict = GEMM_STEP.replace("registers <= 64, shared <= 2048", "registers <= 8, shared <= 1024").replace(
        "!LDL", "!HMMA"
    )
    (verdict,) = judge(code=strict, architectures=(80,))
    assert [c.split()[0] for c in verdict.complaints] == ["registers", "shared", "has"]
    without_copies = GEMM_STEP.replace(
        "dg::cp_async<16>(dg::shared_address(&tile[lane / 16][lane % 16][0]), in + lane * 8)",
        "tile[0][0][lane] = in[lane]",
    )
    (verdict,) = judge(code=without_copies, architectures=(80,))
    assert "no LDGSTS.*128" in verdict.complaints


@pytest.mark.kernels
def test_spills_are_reported():
    code = """extern "C" __global__ void __launch_bounds__(1024, 2) spilling(const float* x, float* y) {
      float v[64];
      for (int i = 0; i < 64; i++) v[i] = x[threadIdx.x + i * 1024];
      __syncthreads();
      for (int j = 0; j < 64; j++)
        for (int i = 0; i < 64; i++) v[i] = v[i] * v[(i + 7) % 64] + x[j];
      for (int i = 0; i < 64; i++) y[threadIdx.x + i * 1024] = v[i];
    }"""
    (verdict,) = judge(code=code, architectures=(80,))
    assert verdict.resources.spills > 0
    assert verdict.complaints[0].startswith("spills")


@pytest.mark.kernels
def test_messages_of_nvrtc_are_passed_on():
    with pytest.raises(CompileError, match="undefined_name"):
        judge(code='extern "C" __global__ void f(int* x) { x[0] = undefined_name; }', architectures=(90,))


@pytest.mark.kernels
@pytest.mark.parametrize("sample", list(CASES))
def test_samples_compile_for_the_gpu(sample):
    """The emulator runs CUDA C++ as NVRTC understands it: the same text compiles there."""
    verdicts = judge(
        SAMPLES / f"{sample}.cu", name_expressions=[n for n in CASES[sample] if "<" in n], architectures=(80,)
    )
    assert {v.kernel for v in verdicts} >= set(CASES[sample])
