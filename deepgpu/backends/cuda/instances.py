"""Every instance of the templates in ``kernels/cuda`` that the compile judge looks at, by source file.

An instance that the backend launches and that is missing here differs from one that is here only in what does not reach
the machine code: tensor-core kernels of float16 are those of bfloat16 with another name for the type.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepgpu.backends.cuda import tiles
from deepgpu.backends.cuda.gemm import K_MAJOR, MN_MAJOR
from deepgpu.backends.cuda.layernorm import warp_items
from deepgpu.backends.cuda.plans import C_TYPES, accumulator
from deepgpu.backends.cuda.tiles import itemsize, template

FLOATING = ("float32", "float64", "float16", "bfloat16")
_ORDERS = tuple((a, b) for a in (K_MAJOR, MN_MAJOR) for b in (K_MAJOR, MN_MAJOR))
_MMA_DTYPES = ("float32", "bfloat16")


def of_types(*templates: str, dtypes: Sequence[str] = FLOATING, narrow: bool = True) -> tuple[str, ...]:
    """Names of kernels from templates with ``{T}``, ``{A}`` (the accumulator) and ``{V}`` (elements in 16 bytes).

    Parameters
    ----------
    narrow
        Whether there are instances with one element a thread, too: of float32 stands for all of them.
    """
    names = []
    for dtype in dtypes:
        width = 16 // itemsize(dtype)
        for v in (width, 1) if narrow and dtype == "float32" else (width,):
            names += [t.format(T=C_TYPES[dtype], A=C_TYPES[accumulator(dtype)], V=v) for t in templates]
    return tuple(dict.fromkeys(names))


def _gemm() -> tuple[str, ...]:
    mma = [
        template("gemm", tile, dtype, dtype, *orders, ragged, 0)
        for dtype in _MMA_DTYPES
        for tile, ragged, some in (
            (tiles.MMA_LARGE, False, _ORDERS),
            (tiles.MMA_LARGE, True, _ORDERS),
            (tiles.MMA_NARROW, True, _ORDERS[::3]),
            (tiles.MMA_SMALL, True, _ORDERS[::3]),
        )
        for orders in some
    ]
    simt = [
        template("gemm", tile, dtype, dtype, *orders, 0)
        for dtype, tile in (
            ("float32", tiles.SIMT_LARGE),
            ("float32", tiles.SIMT_SMALL),
            ("bfloat16", tiles.SIMT_LARGE),
            ("float64", tiles.SIMT_SMALL),
            ("int64", tiles.SIMT_SMALL),
        )
        for orders in _ORDERS[1:3]
    ]
    return (*mma, *simt, *of_types("reduce_splits<{A}, {T}>"))


def _conv() -> tuple[str, ...]:
    names = []
    for dtype in _MMA_DTYPES:
        for tile in (tiles.MMA_LARGE, tiles.MMA_NARROW, tiles.MMA_SMALL):
            wide = tiles.MMA_LARGE_8_WARPS if (dtype, tile) == ("float32", tiles.MMA_LARGE) else tile
            names += [template("conv_fprop", tile, dtype, activation) for activation in (0, 1)]
            names += [template("conv_dgrad", tile, dtype, True, True)]
            names += [template("conv_dgrad", wide, dtype, whole, False) for whole in (False, True)]
        large = tiles.MMA_LARGE_8_WARPS if dtype == "float32" else tiles.MMA_LARGE
        for out in dict.fromkeys((dtype, "float32")):
            names += [template("conv_wgrad", tile, dtype, out) for tile in (large, tiles.MMA_SMALL)]
    for dtype, tile in (("float32", tiles.SIMT_LARGE), ("bfloat16", tiles.SIMT_LARGE), ("float64", tiles.SIMT_SMALL)):
        names += [template("conv_fprop", tile, dtype, activation, 0) for activation in (0, 1)]
        names += [template("conv_dgrad", tile, dtype), template("conv_wgrad", tiles.SIMT_SMALL, dtype, dtype)]
    return tuple(names)


def _depthwise() -> tuple[str, ...]:
    return tuple(
        f"depthwise_{direction}<{C_TYPES[dtype]}, {width}>"
        for direction in ("fprop", "dgrad", "wgrad")
        for dtype in FLOATING
        for width in (1, 16 // itemsize(dtype))
    )


def _pool() -> tuple[str, ...]:
    kinds, windows = ("max_pool", "avg_pool", "avg_pool_backward"), ("Windows", "Adaptive")
    windowed = [f"{kind}<{{T}}, {{V}}, {window}>" for kind in kinds for window in windows]
    return (*of_types(*windowed, "pool_scatter<{T}, {V}>", "pool_gather<{T}>"), "pool_reach")


def _batchnorm() -> tuple[str, ...]:
    kinds = [f"batchnorm_{kind}<{{T}}, {{V}}>" for kind in ("statistics", "apply", "backward_sums")]
    kinds += [f"batchnorm_backward_apply<{{T}}, {{V}}, {training}>" for training in ("true", "false")]
    merges = ("batchnorm_merge<{A}>", "batchnorm_backward_merge<{A}>")
    return (*of_types(*merges, dtypes=("float32", "float64")), *of_types(*kinds))


def _softmax() -> tuple[str, ...]:
    names: list[str] = []
    for log in ("false", "true"):
        for kernel in ("softmax", "softmax_backward"):
            names += [f"{kernel}_warp<{{T}}, {log}, {items}>" for items in (1, 4, 16)]
            names += [f"{kernel}_{kind}<{{T}}, {log}>" for kind in ("block", "columns")]
    return of_types(*names, narrow=False)


def _elementwise() -> tuple[str, ...]:
    unary = [f"unary<{f}, {{T}}, {{V}}>" for f in ("Relu", "Hardtanh", "Erf")]
    binary = [f"binary<{f}, {{T}}, {{V}}>" for f in ("ReluBackward", "HardtanhBackward")]
    return of_types(*unary, *binary)


def _transpose() -> tuple[str, ...]:
    pads = ("pad_channels<unsigned short>", "pad_channels<unsigned>")
    bits = ("unsigned char", "unsigned short", "unsigned", "unsigned long long")
    return (*[f"transpose<{b}>" for b in bits], *pads)


def _cross_entropy() -> tuple[str, ...]:
    kernels = ("cross_entropy", "cross_entropy_backward")
    return of_types(*[f"{kernel}<{{T}}, {threads}>" for kernel in kernels for threads in (32, 256)], narrow=False)


def _layernorm() -> tuple[str, ...]:
    names = []
    for dtype in FLOATING:
        c, width = C_TYPES[dtype], 16 // itemsize(dtype)
        for v in (width, 1) if dtype == "float32" else (width,):
            for centered in ("true", "false"):
                names += [f"layernorm_warp<{c}, {v}, {items}, {centered}>" for items in (1, warp_items(v))]
                names += [f"layernorm_backward<{c}, {v}, {threads}, {centered}>" for threads in (32, 256)]
                names += [f"layernorm_{kind}<{c}, {v}, {centered}>" for kind in ("block", "columns")]
    return tuple(names)


def _rnn() -> tuple[str, ...]:
    return of_types(*[f"{kernel}<{{T}}, {{V}}>" for kernel in ("lstm", "lstm_backward", "gru", "gru_backward")])


def _embedding() -> tuple[str, ...]:
    bits = {4: "unsigned", 8: "unsigned long long", 2: "unsigned short"}
    forward = [f"embedding<{bits[size]}, {v}>" for size in bits for v in (1, 16 // size)]
    return (*forward, *of_types("embedding_backward<{T}>", "embedding_merge<{T}>"))


INSTANCES: dict[str, tuple[str, ...]] = {
    "batchnorm.cu": _batchnorm(),
    "conv.cu": _conv(),
    "cross_entropy.cu": _cross_entropy(),
    "depthwise.cu": _depthwise(),
    "dropout.cu": of_types("dropout<{T}, {V}>"),
    "elementwise.cu": _elementwise(),
    "embedding.cu": _embedding(),
    "gemm.cu": _gemm(),
    "layernorm.cu": _layernorm(),
    "optim.cu": ("count_steps", *of_types("optimize<{T}, SGD<{A}>>", "optimize<{T}, Adam<{A}>>", narrow=False)),
    "pool.cu": _pool(),
    "rnn.cu": _rnn(),
    "softmax.cu": _softmax(),
    "transpose.cu": _transpose(),
}


def served(file: str, architecture: int) -> tuple[str, ...]:
    """The instances of a file that are launched on an architecture: no tensor-core kernel below sm_80."""
    return tuple(n for n in INSTANCES[file] if architecture >= 80 or "_mma<" not in n)
