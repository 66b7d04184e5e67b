"""The portable context switch, the messages about what is missing, and the cache."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from deepgpu.kernels.emulator import report, toolchain, traffic

from deepgpu.kernels import emulator

PROGRAM = """
import numpy as np
from deepgpu.kernels import emulator
code = r'''extern "C" __global__ void reverse(int* x) {
  __shared__ int s[96];
  s[threadIdx.x] = __shfl_xor_sync(~0u, x[threadIdx.x], 0);
  __syncthreads();
  x[threadIdx.x] = s[95 - threadIdx.x];
}'''
for check in (False, True):
    x = np.arange(96, dtype=np.int32)
    emulator.RawKernel(code, "reverse", check=check)((1,), (96,), (x,), seed=5)
    assert x.tolist() == list(range(95, -1, -1))
try:
    emulator.RawKernel(code.replace("__syncthreads();", ""), "reverse", check=True)((1,), (96,), (x,))
except (emulator.RacecheckError, emulator.InitcheckError):
    print("caught")
"""


def test_the_portable_context_switch():
    environment = {**os.environ, "DEEPGPU_EMULATOR_UCONTEXT": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "caught\n"), done.stderr


@pytest.fixture
def no_memory_of_tools():
    """toolchain.py remembers what it found."""
    for function in (toolchain.tool, toolchain.nvidia_include):
        function.cache_clear()
    yield
    for function in (toolchain.tool, toolchain.nvidia_include):
        function.cache_clear()


def test_a_missing_compiler_is_named_with_its_remedy(monkeypatch, no_memory_of_tools):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(emulator.ToolchainError, match=r"`no-such-compiler`.*apt-get install g\+\+"):
        toolchain.tool("g++")


def test_missing_headers_are_named_with_their_remedy(monkeypatch, no_memory_of_tools):
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(toolchain.Path, "exists", lambda self: False)
    with pytest.raises(emulator.ToolchainError, match="pip install nvidia-cuda-runtime nvidia-cuda-crt"):
        toolchain.nvidia_include()


@pytest.mark.parametrize(
    ("header", "enumeration", "names"),
    [
        ("include/emulator/interface.h", "Failure", [k[0] for k in report.KINDS]),
        ("runtime/traffic.h", "Traffic", [k.replace(" ", "_") for k in traffic.KINDS]),
    ],
)
def test_enumerations_of_both_languages_agree(header, enumeration, names):
    text = (toolchain.HERE / header).read_text()
    body = re.search(rf"enum class {enumeration}[^{{]*{{([^}}]*)}}", text)[1]
    assert re.findall(r"\w+", body) == names


def test_modules_are_cached(tmp_path, monkeypatch):
    runtime = emulator.compiler._runtime_object()  # the one part that takes long
    monkeypatch.setenv("DEEPGPU_CACHE", str(tmp_path))
    real = emulator.compiler.run
    calls = []
    monkeypatch.setattr(emulator.compiler, "run", lambda *a, **k: calls.append(a) or real(*a, **k))
    monkeypatch.setattr(emulator.compiler, "_runtime_object", lambda: runtime)
    code = 'extern "C" __global__ void k(int* x) { *x = 1; }'
    for expected in (True, False):
        calls.clear()
        x = np.zeros(1, np.int32)
        emulator.RawKernel(code, "k")((1,), (1,), (x,))
        assert x[0] == 1
        assert bool(calls) is expected
    names = {p.suffix for p in (tmp_path / "emulator").iterdir() if p.is_file()}
    assert names == {".json", ".so"}, "temporary files are gone"


def test_many_modules_do_not_use_up_the_mappings_of_a_process():
    """A stack has a guard page; each module has stacks of its own, and only some modules keep them."""

    def mappings():
        with open("/proc/self/maps") as lines:
            return sum(1 for _ in lines)

    def launch(i):
        out = np.zeros(1024, np.int32)
        code = f'extern "C" __global__ void k(int* x) {{ __syncthreads(); x[threadIdx.x] = {i % 4}; }}'
        module = emulator.RawModule(code, options=(f"-DCOPY={i // 4}",))
        module.get_function("k")((1,), (1024,), (out,))
        assert (out == i % 4).all()
        return module

    modules = [launch(i) for i in range(18)]  # two more than keep their stacks
    many = mappings()
    modules += [launch(i) for i in range(18, 20)]
    assert mappings() - many < 1024
    assert len(modules) == 20
