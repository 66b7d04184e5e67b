"""Ordinary CUDA C++ runs as it is: types, qualifiers, built-in functions, against NumPy and Python's own arithmetic."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from deepgpu.kernels import emulator

PATH = Path(__file__).with_name("language.cu")
NAMES = ["shapes::reverse<float>", "shapes::reverse<short>"]
i32, f32 = np.int32, np.float32


@pytest.fixture(scope="module", params=[False, True], ids=["fast", "check"])
def module(request):
    return emulator.RawModule(path=PATH, name_expressions=NAMES, check=request.param, options=("-arch=sm_86",))


@pytest.mark.parametrize(("name", "dtype"), [("float", f32), ("short", np.int16)])
def test_shared_memory_of_template_instances(module, name, dtype):
    x = np.arange(64).astype(dtype)
    module.get_function(f"shapes::reverse<{name}>")((1,), (64,), (x,), seed=2)
    np.testing.assert_array_equal(x, np.arange(64)[::-1])


def test_kernels_that_macros_define(module):
    out, long = np.zeros(64, f32), np.zeros(64, np.int64)
    module.get_function("fill_float")((2,), (32,), (out, f32(1.5)))
    module.get_function("fill_ll")((2,), (32,), (long, np.int64(-(1 << 40))))
    assert (out == 1.5).all()
    assert (long == -(1 << 40)).all()


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_every_way_to_declare_shared_memory(module, seed):
    out = np.zeros(32, i32)
    module.get_function("shared_declarations")((1,), (32,), (out,), shared_mem=128, seed=seed)
    np.testing.assert_array_equal(out, 7 * np.arange(31, -1, -1) + 1001)


def test_module_variables(module):
    counter = module.get_global("counter").view(i32)
    before, out = int(counter[0]), np.zeros(8, f32)
    module.get_function("module_variables")((1,), (8,), (out,))
    assert counter[0] == before + 3
    np.testing.assert_array_equal(out, [1, 2, 4, 8] * 2)
    with pytest.raises(KeyError, match="counter"):
        module.get_global("missing")


def test_built_in_variables_in_three_dimensions(module):
    out = np.zeros((2 * 3 * 4, 8 * 3 * 2), i32)
    module.get_function("builtins")((2, 3, 4), (8, 3, 2), (out,))
    np.testing.assert_array_equal(out, np.arange(24)[:, None] * 1000 + np.arange(48)[None, :] % 32)


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_warp_functions(module, seed):
    out = np.zeros((64, 12), i32)
    module.get_function("warp_functions")((1,), (64,), (out,), seed=seed)
    lane = np.arange(64) % 32
    every_third = sum(1 << i for i in range(0, 32, 3))
    want = [
        np.full(64, 5),
        lane // 8 * 8 + (lane + 1) % 8,
        np.where(lane % 16 >= 3, lane - 3, lane),
        np.where(lane % 16 + 3 < 16, lane + 3, lane),
        lane ^ 9,
        np.full(64, every_third, np.uint32).view(i32),
        np.full(64, 2),
        (np.uint32(15) << (lane // 4 * 4).astype(np.uint32)).view(i32),
        np.full(64, 0),  # all 32 lanes: -1, plus 1
        np.full(64, 496 - 9),
        np.where(lane < 16, 0, 16),
        np.full(64, 20 + 100 + 1000),
    ]
    np.testing.assert_array_equal(out, np.stack(want, 1))


@pytest.mark.parametrize("seed", [0, 1, 5, 6])
def test_atomics(module, seed):
    i, u, long = np.zeros(11, i32), np.zeros(2, np.uint32), np.zeros(2, np.uint64)
    i[5] = -1
    f, d, h = np.zeros(1, f32), np.zeros(1), np.zeros(2, np.float16)
    module.get_function("atomics")((1,), (96,), (i, u, long, f, d, h), seed=seed)
    t = np.arange(96)
    xor = int(np.bitwise_xor.reduce(t))
    assert i[8] in t + 1
    i[8] = 0
    assert i.tolist() == [t.sum(), -t.sum(), -95, 95, -1, np.uint32(0xFFFF0000).view(i32), xor, 77, 0, 1, 192]
    assert u.tolist() == [96 % 10, (0 - 96) % 10]
    assert long.tolist() == [96 << 40, 95 << 40]
    assert (f[0], d[0], h.tolist()) == (48, 24, [96, 192])


def test_vector_types(module):
    rng = np.random.default_rng(0)
    a = rng.integers(0, 100, (32, 4)).astype(f32)
    b = rng.integers(0, 100, (32, 2)).astype(i32)
    c, d = np.zeros((32, 4), np.uint8), np.zeros((32, 2))
    module.get_function("vector_types")((1,), (32,), (a, b, c, d))
    np.testing.assert_array_equal(c, np.stack([a[:, 0] + b[:, 0], a[:, 1], a[:, 2], b[:, 1]], 1))
    np.testing.assert_array_equal(d, np.stack([a[:, 3], np.full(32, 0.5)], 1))


def test_half_types(module):
    a = np.random.default_rng(0).standard_normal(32).astype(np.float16)
    b = np.random.default_rng(1).standard_normal(32).astype(ml_dtypes.bfloat16)
    c, e, f = np.zeros((4, 32), np.float16), np.zeros((3, 32), ml_dtypes.bfloat16), np.zeros((3, 32), f32)
    module.get_function("half_types")((1,), (32,), (a, b, c, e, f))
    x, y = a.astype(np.float64), b.astype(np.float64)
    squared = (x * x).astype(np.float16).astype(np.float64)  # the product and the sum round by themselves
    np.testing.assert_array_equal(c[0], (squared + 1).astype(np.float16))
    np.testing.assert_allclose(c[1].astype(np.float64), np.exp(x), rtol=6e-4)
    np.testing.assert_array_equal(c[2], (x * x + x).astype(np.float16))
    np.testing.assert_array_equal(c[3], np.maximum(a, np.float16(0.25)))
    np.testing.assert_array_equal(e[0], (y + 1).astype(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(e[1], (y / 2).astype(ml_dtypes.bfloat16))
    np.testing.assert_allclose(e[2].astype(np.float64), np.sqrt(np.abs(y)), rtol=4e-3)
    np.testing.assert_allclose(f[0], x + y, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(f[1], (x + 2).astype(np.float16))
    np.testing.assert_array_equal(f[2], np.rint((x * 100).astype(np.float16).astype(np.float64)))


def test_integer_functions(module):
    x = np.r_[0, 1, -1, 2**31 - 1, -(2**31), np.random.default_rng(0).integers(-(2**31), 2**31, 27)].astype(i32)
    out = np.zeros((32, 12), i32)
    module.get_function("integer_functions")((1,), (32,), (x, out))

    def signed(v):
        return (v + 2**31) % 2**32 - 2**31

    for got, a in zip(out.tolist(), x.tolist(), strict=True):
        u = a % 2**32
        bits = f"{u:032b}"
        pair = (0x89ABCDEF << 32 | u).to_bytes(8, "little")
        signed_bytes = [b - 256 if b > 127 else b for b in u.to_bytes(4, "little")]
        third = float(f32(a) * f32(0.3))
        saturated = {k: max(-(2**31), min(2**31 - 1, v)) for k, v in (("rn", round(third)), ("rd", math.floor(third)))}
        assert got == [
            bits.count("1"),
            (bits + "1").index("1"),
            (bits[::-1].index("1") + 1) if u else 0,
            signed(int(bits[::-1], 2)),
            (a * 123456789) >> 32,
            signed(int.from_bytes(bytes(pair[i] for i in (0, 4, 3, 7)), "little")),
            signed((0x12345678 << 8 | u >> 24) % 2**32),
            signed(sum(p * q for p, q in zip(signed_bytes, (4, 3, 2, 1), strict=True)) + 5),
            signed(min(a, 100) + max(a, -5)),
            signed(abs(a - 7) + 1),
            saturated["rn"],
            saturated["rd"],
        ], a


def test_structs_by_value(module):
    large = np.zeros((), np.dtype([("values", f32, 40), ("n", i32)]))
    large["values"][:] = np.arange(40)
    large["n"] = 40
    v = np.array((1, 2, 3), np.dtype([("x", f32), ("y", f32), ("z", f32)]))
    out = np.zeros(4, f32)
    module.get_function("structs")((1,), (4,), (large[()], v[()], out))
    assert (out == 780 + 14).all()


def test_printf(module, capsys):
    module.get_function("said")((1,), (3,), (i32(3),))
    assert capsys.readouterr().out == "thread 1 of 3: 0.50 done\n"


def test_assert(module):
    x = np.arange(12, dtype=i32)
    with pytest.raises(emulator.DeviceAssertError, match=r"x\[threadIdx.x\] < 10") as caught:
        module.get_function("asserted")((1,), (12,), (x,))
    assert caught.value.thread == (10, 0, 0)
    assert "assert" in PATH.read_text().splitlines()[caught.value.line - 1]


def test_recursion_lambdas_and_conditional_compilation(module):
    out, values, arch = np.zeros(10, i32), np.zeros(5, f32), np.zeros(1, i32)
    module.get_function("recursion")((1,), (10,), (out,))
    assert out.tolist() == [math.factorial(max(i, 1)) for i in range(10)]
    module.get_function("lambdas")((1,), (5,), (values,))
    assert values.tolist() == [6 * i + 1 for i in range(5)]
    module.get_function("conditional")((1,), (1,), (arch,))
    assert arch[0] == 860


UNARY = {
    "rsqrtf": lambda x: 1 / math.sqrt(x),
    "rcbrtf": lambda x: x ** (-1 / 3),
    "sinpif": lambda x: math.sin(math.pi * x),
    "cospif": lambda x: math.cos(math.pi * x),
    "normcdff": lambda x: statistics.NormalDist().cdf(x),
    "erfcxf": lambda x: math.exp(x * x) * math.erfc(x),
    "erff": math.erf,
    "exp10f": lambda x: 10**x,
    "__expf": math.exp,
    "__logf": math.log,
    "__sinf": math.sin,
    "__tanhf": math.tanh,
    "__frcp_rn": lambda x: 1 / x,
}
PROBABILITY = {
    "normcdfinvf": lambda p: statistics.NormalDist().inv_cdf(p),
    "erfinvf": lambda p: statistics.NormalDist().inv_cdf((p + 1) / 2) / math.sqrt(2),
    "erfcinvf": lambda p: -statistics.NormalDist().inv_cdf(p / 2) / math.sqrt(2),
}


def test_mathematical_functions():
    functions = {**UNARY, **PROBABILITY}
    body = "\n".join(f"  out[{i} * n + t] = {name}(x[t]);" for i, name in enumerate(functions))
    module = emulator.RawModule(
        f'extern "C" __global__ void f(const float* x, float* out, int n) {{ int t = threadIdx.x;\n{body} }}'
    )
    for chosen, x in ((UNARY, np.linspace(0.05, 4, 64)), (PROBABILITY, np.linspace(0.001, 0.999, 64))):
        x = x.astype(f32)
        out = np.zeros((len(functions), 64), f32)
        module.get_function("f")((1,), (64,), (x, out, i32(64)))
        for i, name in enumerate(functions):
            if name in chosen:
                want = [chosen[name](float(v)) for v in x]
                np.testing.assert_allclose(out[i], want, rtol=3e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("direction", ["rn", "rz", "ru", "rd"])
def test_operations_with_a_stated_rounding(direction):
    operations = {
        "fadd": lambda a, b: a + b,
        "fsub": lambda a, b: a - b,
        "fmul": lambda a, b: a * b,
        "fdiv": lambda a, b: a / b,
    }
    body = "\n".join(f"  out[{i} * n + t] = __{name}_{direction}(a[t], b[t]);" for i, name in enumerate(operations))
    body += f"\n  out[4 * n + t] = __fmaf_{direction}(a[t], b[t], 0.1f);"
    module = emulator.RawModule(
        'extern "C" __global__ void f(const float* a, const float* b, float* out, int n) {\n'
        f"  int t = threadIdx.x;\n{body} }}"
    )
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(256).astype(f32), rng.standard_normal(256).astype(f32)
    out = np.zeros((5, 256), f32)
    module.get_function("f")((1,), (256,), (a, b, out, i32(256)))
    exact = [
        [f(Fraction(float(p)), Fraction(float(q))) for p, q in zip(a, b, strict=True)] for f in operations.values()
    ]
    exact.append(
        [Fraction(float(p)) * Fraction(float(q)) + Fraction(float(f32(0.1))) for p, q in zip(a, b, strict=True)]
    )
    for row, wanted in zip(out, exact, strict=True):
        for got, want in zip(row, wanted, strict=True):
            below, above = (Fraction(float(np.nextafter(got, f32(s)))) for s in (-np.inf, np.inf))
            value = Fraction(float(got))
            if direction == "rn":
                assert abs(value - want) <= min(abs(below - want), abs(above - want))
            elif direction == "ru" or (direction == "rz" and want < 0):
                assert below < want <= value
            else:
                assert value <= want < above


def test_errors_of_the_compiler_name_file_and_line():
    with pytest.raises(emulator.CompileError, match=r"kernel\.cu:2:.*undefined_name"):
        emulator.RawModule('extern "C" __global__ void f(int* x) {\n  x[0] = undefined_name; }').get_function("f")
    with pytest.raises(emulator.CompileError, match="atomicAdd is not defined for this type"):
        emulator.RawModule('extern "C" __global__ void f(unsigned long* x) { atomicAdd(x, 1); }').get_function("f")


def test_inline_ptx_is_explained():
    code = """extern "C" __global__ void f(unsigned* x) {
    #ifdef __CUDA_EMULATOR__
      x[0] = 5;
    #else
      asm("mov.u32 %0, %laneid;" : "=r"(x[0]));
    #endif
    }"""
    x = np.zeros(1, np.uint32)
    emulator.RawKernel(code, "f")((1,), (1,), (x,))
    assert x[0] == 5
    with pytest.raises(emulator.CompileError, match=r"inline PTX.*ptx\.cuh"):
        emulator.RawModule(code.replace("#ifdef", "#ifndef")).compile()


def test_kernels_are_found_by_their_names():
    code = """namespace a { __global__ void k(int* x) {} }
    extern "C" __global__ void c() {}
    template <class T> __global__ void t(T) {}"""
    module = emulator.RawModule(code, name_expressions=["a::k", "t<int>"])
    assert module.kernel_names == ["a::k", "t<int>", "c"]
    assert module.declared_kernels == ["a::k", "c", "t"]
    with pytest.raises(emulator.CompileError, match=r'`t<float>` is not extern "C": name it in name_expressions'):
        module.get_function("t<float>")
    with pytest.raises(emulator.CompileError, match="there is no kernel `missing`; the source has `a::k`, `c`, `t`"):
        module.get_function("missing")
    with pytest.raises(emulator.CompileError, match="there is no __global__ function `x<int>`"):
        emulator.RawModule(code, name_expressions=["x<int>"]).compile()


def test_headers_beside_the_source_are_found_and_watched(tmp_path):
    header, source = tmp_path / "value.cuh", tmp_path / "k.cu"
    source.write_text('#include "value.cuh"\nextern "C" __global__ void k(int* x) { *x = VALUE; }')
    for value in (3, 4):
        header.write_text(f"#define VALUE {value}\n")
        out = np.zeros(1, i32)
        emulator.RawModule(path=source).get_function("k")((1,), (1,), (out,))
        assert out[0] == value


def test_options():
    code = '#ifdef N\nextern "C" __global__ void k(int* x) { *x = N + EXTRA; }\n#endif'
    out = np.zeros(1, i32)
    emulator.RawKernel(code, "k", ("-DN=40", "-D", "EXTRA=2", "-lineinfo", "--use_fast_math", "-std=c++20"))(
        (1,), (1,), (out,)
    )
    assert out[0] == 42
    with pytest.raises(emulator.CompileError, match="does not know the compiler option `--frobnicate`"):
        emulator.RawModule(code, options=("--frobnicate",)).compile()
