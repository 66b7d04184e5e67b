"""Convolutions on the GPU: which kernel of conv.cu, gemm.cu or depthwise.cu, with which arguments.

A plan is a function of shapes, strides and dtypes. Images are channels-last in memory, filters are
``(K, R, S, C / groups)``. The three channels of a first layer are padded to whole chunks of 16 bytes, 4 (float32) or 8,
so that tensor cores take it.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from deepgpu.backends.base import Array, Pair
from deepgpu.backends.cuda import depthwise, gemm, layout
from deepgpu.backends.cuda.gemm import PLAIN, Finish, Layout, uses_tensor_cores
from deepgpu.backends.cuda.geometry import Conv, Image, channels_last
from deepgpu.backends.cuda.im2col import DgradPhase, Im2col, im2col, phases as dgrad_phases
from deepgpu.backends.cuda.plans import (
    ACTIVATIONS,
    Launch,
    Plan,
    accumulator,
    by_value,
    epilogue,
    epilogue_type,
    i32,
    i64,
    is_aligned,
    run,
    strides,
    up,
)
from deepgpu.backends.cuda.tiles import (
    MMA_LARGE,
    MMA_LARGE_8_WARPS,
    MMA_SMALL,
    MMA_TYPES,
    SIMT_SMALL,
    itemsize,
    mma_tile,
    simt_tile,
    splits,
    template,
)

PHASES = 4
"""Phases of dgrad in one launch, as conv.cu has it."""


def _struct(name: str, *fields: tuple[str, Any]) -> type[ctypes.Structure]:
    return type(name, (ctypes.Structure,), {"_fields_": list(fields)})


@functools.cache
def _fprop_args(dtype: str) -> type[ctypes.Structure]:
    return _struct("FpropArgs", ("x", Im2col), ("filters", i32), ("groups", i32), ("epilogue", epilogue_type(dtype)))


@functools.cache
def _dgrad_args(dtype: str) -> type[ctypes.Structure]:
    end = ("epilogue", epilogue_type(dtype))
    return _struct("DgradArgs", ("channels", i32), ("filters", i32), end, ("phase", DgradPhase * PHASES))


@functools.cache
def _wgrad_args(dtype: str) -> type[ctypes.Structure]:
    sizes = [(name, i32) for name in ("filters", "groups", "k_tiles")]
    return _struct("WgradArgs", ("x", Im2col), *sizes, ("split_stride", i64), ("epilogue", epilogue_type(dtype)))


# --- plans ------------------------------------------------------------------------------------------------------------


def _renamed(plan: Plan, a: str, b: str, c: str) -> Plan:
    """A product's plan with a convolution's names of its arrays."""
    names = {"a": a, "b": b, "c": c}
    launches = (
        launch._replace(arguments=tuple(names.get(x, x) if isinstance(x, str) else x for x in launch.arguments))
        for launch in plan.launches
    )
    return plan._replace(launches=tuple(launches))


MAX_TAPS = 15
"""Height and width of a filter up to which the tensor-core kernels' masks suffice."""


def _fits_mma(dtype: str, g: Conv, image: Image, contiguous: bool, rows: int, channels: tuple[int, ...]) -> bool:
    """Whether the tensor-core kernels take a convolution.

    Parameters
    ----------
    image
        The image that windows are taken of, x or dy; it must be `contiguous`.
    rows
        Windows, of all images.
    channels
        What must be whole chunks of 16 bytes.
    """
    if dtype not in MMA_TYPES or not contiguous or not image.aligned or max(g.r, g.s) > MAX_TAPS:
        return False
    images = up(128 * g.n, rows) + 1  # that a tile spans: offsets within them have 32 bits
    return images * image.n < 1 << 31 and _whole_chunks(dtype, *channels)


def _whole_chunks(dtype: str, *channels: int) -> bool:
    """Whether all of these numbers of channels are multiples of 16 bytes."""
    return all(c % (16 // itemsize(dtype)) == 0 for c in channels)


@functools.lru_cache(maxsize=4096)
def fprop_plan(dtype: str, g: Conv, image: Image, finish: Finish = PLAIN, tensor_cores: bool = False) -> Plan:
    """Plan ``y = activation(alpha * conv(x, w) + bias + residual)``.

    The launches name the arrays ``x``, ``w`` (contiguous ``(K, R, S, C / groups)``), ``y`` (contiguous
    ``(N, P, Q, K)``), ``bias``, ``residual`` (as ``y``) and ``workspace``.

    Parameters
    ----------
    image
        Strides of ``x``.
    """
    if 0 in (g.rows, g.k):
        return Plan(())
    contiguous = image[:4] == channels_last(g.c, g.h, g.w)[:4]
    if finish in (PLAIN, Finish(bias=True)) and contiguous and depthwise.serves(dtype, g):
        return depthwise.fprop_plan(dtype, g, image.aligned, finish.bias)
    if g.is_pointwise and contiguous:
        x, w = Layout(g.c, 1, aligned=image.aligned), Layout(g.c, 1)
        return _renamed(gemm.plan(dtype, g.rows, g.k, g.c, x, w, 1, finish, tensor_cores), "x", "w", "y")
    mma = tensor_cores and _fits_mma(dtype, g, image, contiguous, g.rows, (g.channels,))
    tile = mma_tile(g.rows, g.filters, g.groups, dtype) if mma else simt_tile(g.rows, g.filters, g.groups, dtype)
    end = epilogue(dtype, finish.alpha, g.filters % tile.vector(dtype) == 0)
    args = _fprop_args(dtype)(im2col(g, image), g.filters, g.groups, end)
    flags = (ACTIVATIONS[finish.activation],) if mma else (image.order, ACTIVATIONS[finish.activation])
    launch = Launch(
        "conv.cu",
        template("conv_fprop", tile, dtype, *flags),
        (tile.blocks(g.rows, g.filters), g.groups, 1),
        tile.threads,
        ("x", "w", "y", *finish.arrays, by_value(args)),
        tile.shared_bytes,
    )
    return Plan((launch,))


@functools.lru_cache(maxsize=4096)
def dgrad_plan(dtype: str, g: Conv, image: Image | None = None, tensor_cores: bool = False) -> Plan:
    """Plan the gradient with respect to the input.

    The launches name the arrays ``dy``, ``w`` (as for :func:`fprop_plan`) and ``dx`` (contiguous ``(N, H, W, C)``).

    Parameters
    ----------
    image
        Strides of ``dy``; contiguous ``(N, P, Q, K)`` if None.
    """
    if 0 in (g.n, g.c, g.h, g.w):
        return Plan(())
    image = image or channels_last(g.k, g.p, g.q)
    contiguous = image[:4] == channels_last(g.k, g.p, g.q)[:4]
    if contiguous and depthwise.serves(dtype, g):
        return depthwise.dgrad_plan(dtype, g, image.aligned)
    if g.is_pointwise and contiguous:
        dy, w = Layout(g.k, 1, aligned=image.aligned), Layout(1, g.c)
        return _renamed(gemm.plan(dtype, g.rows, g.c, g.k, dy, w, 1, PLAIN, tensor_cores), "dy", "w", "dx")
    phases = dgrad_phases(g, image)
    largest = max(phase.dy.rows for phase in phases)
    copies = g.groups * len(phases)
    if tensor_cores and _fits_mma(dtype, g, image, contiguous, largest, (g.channels, g.filters)):
        tile = mma_tile(largest, g.channels, copies, dtype)
        whole = g.filters % tile.depth(dtype) == 0
        if tile == MMA_LARGE and dtype == "float32" and not (whole and len(phases) == 1):
            tile = MMA_LARGE_8_WARPS  # four warps of 64x64 would spill registers
        flags: tuple[bool, ...] = (whole, len(phases) == 1)
    else:
        tile, flags = simt_tile(largest, g.channels, copies, dtype), ()
    end = epilogue(dtype, aligned=g.channels % tile.vector(dtype) == 0)
    launches = []
    for i in range(0, len(phases), PHASES):
        some = phases[i : i + PHASES]
        args = _dgrad_args(dtype)(g.channels, g.filters, end, (DgradPhase * PHASES)(*some))
        launches.append(
            Launch(
                "conv.cu",
                template("conv_dgrad", tile, dtype, *flags),
                (max(tile.blocks(phase.dy.rows, g.channels) for phase in some), g.groups, len(some)),
                tile.threads,
                ("dy", "w", "dx", by_value(args)),
                tile.shared_bytes,
            )
        )
    return Plan(tuple(launches))


@functools.lru_cache(maxsize=4096)
def wgrad_plan(dtype: str, g: Conv, image: Image, tensor_cores: bool = False) -> Plan:
    """Plan the gradient with respect to the filters.

    The launches name the arrays ``dy`` (contiguous ``(N, P, Q, K)``), ``x``, ``dw`` (contiguous
    ``(K, R, S, C / groups)``) and ``workspace``.

    Parameters
    ----------
    image
        Strides of ``x``.
    """
    if 0 in (g.k, g.depth):
        return Plan(())
    contiguous = image[:4] == channels_last(g.c, g.h, g.w)[:4]
    if contiguous and depthwise.serves(dtype, g):
        return depthwise.wgrad_plan(dtype, g, image.aligned)
    if g.is_pointwise and contiguous:
        dy, x = Layout(1, g.k), Layout(1, g.c, aligned=image.aligned)
        return _renamed(gemm.plan(dtype, g.k, g.c, g.rows, dy, x, 1, PLAIN, tensor_cores), "dy", "x", "dw")
    if tensor_cores and _fits_mma(dtype, g, image, contiguous, g.rows, (g.channels, g.filters)):
        large = MMA_LARGE_8_WARPS if dtype == "float32" else MMA_LARGE  # four warps would spill registers
        tile = large if min(g.filters, g.depth) > 64 else MMA_SMALL
    else:
        tile = SIMT_SMALL
    blocks = tile.blocks(g.filters, g.depth)
    count, k_tiles = splits(tile, blocks * g.groups, g.rows, dtype)
    whole, size = count == 1, g.k * g.depth
    out = dtype if whole else accumulator(dtype)
    end = epilogue(dtype, aligned=g.depth % tile.vector(out) == 0)
    args = _wgrad_args(dtype)(im2col(g, image), g.filters, g.groups, k_tiles, size, end)
    launch = Launch(
        "conv.cu",
        template("conv_wgrad", tile, dtype, out),
        (blocks, g.groups, count),
        tile.threads,
        ("dy", "x", "dw" if whole else "workspace", by_value(args)),
        tile.shared_bytes,
    )
    if whole:
        return Plan((launch,))
    return Plan((launch, gemm.reduction(dtype, "dw", size, g.depth, count)), count * size, out)


# --- on arrays: see deepgpu.backends.base.Backend ---------------------------------------------------------------------
# allow_tf32: whether float32 may be rounded to the 10 bits of TF32 for tensor cores; on by default as in PyTorch.


def fprop(
    xp: Any,
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    *,
    allow_tf32: bool = True,
) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_fprop`."""
    n, c, height, width = x.shape
    k, _, r, s = w.shape
    g = Conv(n, c, height, width, k, r, s, _pair(stride), _pair(padding), _pair(dilation), groups)
    tensor_cores = uses_tensor_cores(xp, x.dtype, allow_tf32)
    if tensor_cores and _padded(str(x.dtype), g):
        x, w = layout.padded_channels(xp, x), layout.padded_channels(xp, w)
        g = g._replace(c=x.shape[1])
    elif tensor_cores and _whole_chunks(str(x.dtype), g.channels):
        x = _channels_last(xp, x)
    y = xp.empty((n, g.p, g.q, k), x.dtype)
    plan = fprop_plan(str(x.dtype), g, _image(x), Finish(bias=bias is not None), tensor_cores)
    run(xp, plan, x=x, w=_filters(xp, w), y=y, bias=None if bias is None else _ready(xp, bias))
    return y.transpose(0, 3, 1, 2)


def dgrad(
    xp: Any,
    gy: Array,
    w: Array,
    input_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    *,
    allow_tf32: bool = True,
) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_dgrad`."""
    n = gy.shape[0]
    k, channels, r, s = w.shape
    g = Conv(n, channels * groups, *input_size, k, r, s, _pair(stride), _pair(padding), _pair(dilation), groups)
    tensor_cores = uses_tensor_cores(xp, gy.dtype, allow_tf32)
    gy = _channels_last(xp, gy) if tensor_cores and _whole_chunks(str(gy.dtype), g.channels, g.filters) else gy
    dx = xp.empty((n, *input_size, g.c), gy.dtype)
    run(xp, dgrad_plan(str(gy.dtype), g, _image(gy), tensor_cores), dy=gy, w=_filters(xp, w), dx=dx)
    return dx.transpose(0, 3, 1, 2)


def wgrad(
    xp: Any,
    gy: Array,
    x: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    *,
    allow_tf32: bool = True,
) -> Array:
    """See :meth:`deepgpu.backends.base.Backend.conv2d_wgrad`. The result's memory is ``(K, R, S, C / groups)``."""
    n, c, height, width = x.shape
    k = gy.shape[1]
    g = Conv(n, c, height, width, k, *kernel_size, _pair(stride), _pair(padding), _pair(dilation), groups)
    tensor_cores = uses_tensor_cores(xp, gy.dtype, allow_tf32)
    if tensor_cores and _padded(str(x.dtype), g) and _whole_chunks(str(x.dtype), g.filters):
        x = layout.padded_channels(xp, x)
        g = g._replace(c=x.shape[1])
    elif tensor_cores and _whole_chunks(str(x.dtype), g.channels, g.filters):
        x = _channels_last(xp, x)
    dw = xp.empty((k, *kernel_size, g.channels), gy.dtype)
    run(xp, wgrad_plan(str(gy.dtype), g, _image(x), tensor_cores), dy=_channels_last(xp, gy), x=x, dw=dw)
    return xp.ascontiguousarray(dw[..., : c // groups]).transpose(0, 3, 1, 2)


def _padded(dtype: str, g: Conv) -> bool:
    """Whether an image gets zero channels, so that tensor cores take it: a pass over it, for R * S products with it."""
    if dtype not in MMA_TYPES or g.groups > 1 or g.is_pointwise or _whole_chunks(dtype, g.c) or g.rows == 0:
        return False
    chunk = 16 // itemsize(dtype)
    image = channels_last(up(g.c, chunk) * chunk, g.h, g.w)
    return _fits_mma(dtype, g, image, True, g.rows, ()) and g.n * image.n < chunk << 31


def _pair(x: Pair) -> Pair:
    """A sequence of two as a tuple: plans are found by their arguments."""
    return x[0], x[1]


def _ready(xp: Any, x: Array) -> Array:
    """`x` contiguous and aligned, a copy where it is not."""
    x = xp.ascontiguousarray(x)
    return x if is_aligned(x) else x.copy()


def _channels_last(xp: Any, x: Array) -> Array:
    """`x` with the memory of a contiguous NHWC image, a copy where it has another."""
    return _filters(xp, x).transpose(0, 3, 1, 2)


def _filters(xp: Any, w: Array) -> Array:
    """`w` as a contiguous array ``(K, R, S, C)``, a copy where its memory is another."""
    return _ready(xp, layout.channels_last(xp, w).transpose(0, 2, 3, 1))


def _image(x: Array) -> Image:
    """The strides of an image; those of sides of one element, which mean nothing, as a contiguous image has them."""
    n, c, h, w = x.shape
    own = strides(x)
    dense = channels_last(c, h, w)
    sizes = (n, h, w, c)
    image, line, pixel, channel = (dense[i] if sizes[i] == 1 else (own[0], own[2], own[3], own[1])[i] for i in range(4))
    return Image(image, line, pixel, channel, is_aligned(x))
