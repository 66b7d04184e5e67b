"""Reading preprocessed source: which kernels there are and what their parameters are called."""

from __future__ import annotations

import pytest
from deepgpu.kernels.emulator.source import scan, tokens


def declarations(code: str):
    """As if preprocessed: `__global__` and `__launch_bounds__` are what qualifiers.h makes of them."""
    code = code.replace("__global__", "__attribute__((emu_global, flatten))").replace(
        "__launch_bounds__", "__emu_launch_bounds__"
    )
    return scan(f'# 1 "k.cu"\n{code}')


def only(code: str):
    (kernel,) = declarations(code)[1]
    return kernel


@pytest.mark.parametrize(
    ("code", "parameters"),
    [
        ("__global__ void k() {}", ()),
        ("__global__ void k(void) {}", ()),
        ("__global__ void k(float *x, const int* __restrict__ y, int n) {}", ("x", "y", "n")),
        ("__global__ void k(std::pair<int, float> p, float (&a)[3], int n = f(1, 2)) {}", ("p", "#1", "n")),
        ("__global__ void k(float, int*, unsigned long long) {}", ("#0", "#1", "long")),
        ("__global__ void k(const Shape shape, float x[4]) {}", ("shape", "x")),
    ],
)
def test_parameter_names(code, parameters):
    assert only(code).parameters == parameters


@pytest.mark.parametrize(
    ("code", "name", "extern_c", "max_threads"),
    [
        ('extern "C" __global__ void k(int* x) {}', "k", True, 0),
        ('extern "C" { __global__ void k(int* x) {} }', "k", True, 0),
        ('namespace a { namespace b { extern "C" __global__ void k() {} } }', "a::b::k", True, 0),
        ("namespace a::b { __global__ void k() {} }", "a::b::k", False, 0),
        ("namespace { static __global__ void k() {} }", "k", False, 0),
        ("template <int N> __global__ void __launch_bounds__(128, 2) k(int* x) {}", "k", False, 128),
        ("template <int N> __global__ void __launch_bounds__(N * 32) k(int* x) {}", "k", False, 0),
        ('extern "C" __global__ __launch_bounds__((4 + 4) * 32) void k(int* x) {}', "k", True, 256),
        ("__global__ __attribute__((cold)) void k(int* x) {}", "k", False, 0),
        ("void __global__ k(int* x) {}", "k", False, 0),
        ('struct S { int a; };\nint b[] = {1, 2};\nextern "C" __global__ void k(S s);', "k", True, 0),
    ],
)
def test_kernels_are_recognised(code, name, extern_c, max_threads):
    kernel = only(code)
    assert (kernel.name, kernel.extern_c, kernel.max_threads) == (name, extern_c, max_threads)


def test_a_kernel_that_is_declared_and_defined_counts_once():
    assert len(declarations("__global__ void k(int* x);\n__global__ void k(int* x) {}")[1]) == 1


def test_launch_bounds_are_blanked_out_in_place():
    text, _ = declarations("__global__ void __launch_bounds__(64,\n 2) k() { int after; }")
    assert "launch_bounds" not in text
    assert text.splitlines()[2].index("k()") == len(" 2) ")
    assert "int after;" in text


def test_lines_and_files_follow_the_markers():
    text = '# 1 "a.cu"\nint x;\n\n# 7 "b.cuh" 1\nint y;\n# 4 "a.cu" 2\nint z;\n'
    text += '# 1 "/usr/include/sys.h" 1 3 4\nint hidden;\n# 6 "a.cu" 2\nint w;'
    places = {t.text: (t.file, t.line) for t in tokens(text) if t.text in ("x", "y", "z", "w", "hidden")}
    assert places == {"x": ("a.cu", 1), "y": ("b.cuh", 7), "z": ("a.cu", 4), "w": ("a.cu", 6)}


def test_strings_and_characters_hide_what_is_in_them():
    code = r"""const char* a = "__global__ void no() { \" }";
    const char* b = R"x(__global__ void no2() {)" )x"; char c = '{', d = '\'';
    __global__ void yes() {}"""
    assert [k.name for k in declarations(code)[1]] == ["yes"]


def test_digit_separators_and_exponents_are_numbers():
    assert [t.text for t in tokens("1'000'000 0x1p-3f 1e+5 .5 a1") if t.kind != "space"] == [
        "1'000'000",
        "0x1p-3f",
        "1e+5",
        ".5",
        "a1",
    ]
