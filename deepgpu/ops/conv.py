"""Convolution: three bilinear maps, fprop, dgrad and wgrad, each the derivative of the others."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

from deepgpu.autograd.grad_mode import state
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.op import op
from deepgpu.ops.pad import pad
from deepgpu.pending import Origin, Recipe, worthwhile
from deepgpu.tensor import Tensor

Pair = tuple[int, int]

NO_WIDTHS = (0, 0, 0, 0)
"""Nothing to pad: left, right, top, bottom."""


class Geometry:
    """Stride, padding, dilation and groups, which fprop, dgrad and wgrad share."""

    __slots__ = ("dilation", "groups", "padding", "stride")

    def __init__(self, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> None:
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups

    def args(self) -> tuple[Pair, Pair, Pair, int]:
        """In the order that backends take them."""
        return self.stride, self.padding, self.dilation, self.groups


class Conv2d(Node):
    """fprop: ``y = x * w + bias``."""

    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,), 1: (0,)}

    def __init__(self, geometry: Geometry, kept: dict[Any, Any] | None = None) -> None:
        self.geometry = geometry
        self.kept = kept

    def forward(self, x: Any, w: Any, bias: Any) -> Any:
        self.input_size, self.kernel_size = x.shape[2:], w.shape[2:]
        kept, self.kept = self.kept, None
        image = self.backend.conv2d_unfinished(x, w, bias, *self.geometry.args(), kept)
        if image is None:
            return self.backend.conv2d_fprop(x, w, bias, *self.geometry.args())
        return Recipe(image, origin=Origin(image)) if worthwhile(image) else image()  # batch norm and ReLU may follow

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, w = self.saved
        need_x, need_w, need_bias = self.needs_input_grad
        gx = Conv2dDgrad(self.geometry, self.input_size)(g, w) if need_x else None
        gw = Conv2dWgrad(self.geometry, self.kernel_size)(g, x) if need_w else None
        return gx, gw, g.sum((0, 2, 3)) if need_bias else None


class Conv2dDgrad(Node):
    """The gradient with respect to the input, bilinear in ``g`` and ``w``; also the transposed convolution."""

    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,), 1: (0,)}

    def __init__(self, geometry: Geometry, input_size: Pair) -> None:
        self.geometry = geometry
        self.input_size = input_size

    def forward(self, g: Any, w: Any) -> Any:
        self.kernel_size = w.shape[2:]
        return self.backend.conv2d_dgrad(g, w, self.input_size, *self.geometry.args())

    def backward(self, gx: Tensor) -> tuple[Tensor | None, Tensor | None]:
        g, w = self.saved
        need_g, need_w = self.needs_input_grad
        gg = Conv2d(self.geometry)(gx, w, None) if need_g else None
        gw = Conv2dWgrad(self.geometry, self.kernel_size)(g, gx) if need_w else None
        return gg, gw


class Conv2dWgrad(Node):
    """The gradient with respect to the weight, bilinear in ``g`` and ``x``."""

    keep_inputs = (0, 1)
    needed_for: ClassVar = {0: (1,), 1: (0,)}

    def __init__(self, geometry: Geometry, kernel_size: Pair) -> None:
        self.geometry = geometry
        self.kernel_size = kernel_size

    def forward(self, g: Any, x: Any) -> Any:
        self.input_size = x.shape[2:]
        return self.backend.conv2d_wgrad(g, x, self.kernel_size, *self.geometry.args())

    def backward(self, gw: Tensor) -> tuple[Tensor | None, Tensor | None]:
        g, x = self.saved
        need_g, need_x = self.needs_input_grad
        gg = Conv2d(self.geometry)(x, gw, None) if need_g else None
        gx = Conv2dDgrad(self.geometry, self.input_size)(g, gw) if need_x else None
        return gg, gx


def pair(value: Any, name: str, argument: str) -> Pair:
    """One number for both directions, or one each.

    Raises
    ------
    TypeError
        If it is not made of integers.
    RuntimeError
        If it is another number of them.
    """
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int:  # as modules keep them
        return value
    found = (value,) if isinstance(value, int) or not isinstance(value, Sequence) else tuple(value)
    try:
        found = tuple([operator.index(v) for v in found])
    except TypeError:
        raise TypeError(takes(name, argument, "an integer, or two", repr(value))) from None
    if len(found) not in (1, 2):
        raise RuntimeError(takes(name, argument, "an integer, or two for height and width", value))
    return found[0], found[-1]


def positive_pair(value: Any, name: str, argument: str) -> Pair:
    """A :func:`pair` of numbers of at least 1."""
    found = pair(value, name, argument)
    if min(found) < 1:
        raise RuntimeError(takes(name, argument, "positive numbers", value))
    return found


@op
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """2-d convolution (a cross-correlation, as everywhere in deep learning).

    Parameters
    ----------
    input
        ``(N, C, H, W)`` or ``(C, H, W)``
    weight
        ``(K, C / groups, R, S)``
    bias
        ``(K,)``
    stride, dilation
        One number, or one each for height and width.
    padding
        Zeros around the image: a number, one each for height and width, ``"valid"`` (none) or ``"same"`` (as many as
        keep the size; stride 1 only).
    groups
        Input and output channels are split into so many groups that do not see each other; both must be divisible.

    Returns
    -------
    Tensor
        ``(N, K, P, Q)`` with ``P = (H + 2 padding - dilation (R - 1) - 1) // stride + 1``, channels-last in memory.

    Raises
    ------
    RuntimeError
        If shapes, dtypes or groups do not fit, or if the padded image is smaller than the kernel.
    """
    s, d = pair(stride, "conv2d", "stride"), pair(dilation, "conv2d", "dilation")
    p = padding if isinstance(padding, str) else pair(padding, "conv2d", "padding")
    x, w, b = input._data, weight._data, None if bias is None else bias._data
    if x.dtype.kind not in "fV" or w.dtype != x.dtype or (b is not None and b.dtype != x.dtype):
        _refuse_dtypes(input, weight, bias)
    geometry, named = _checked(x.shape, w.shape, None if b is None else b.shape, s, p, d, groups)
    image = input if x.ndim == 4 else input.unsqueeze(0)
    padded = image if named == NO_WIDTHS else pad(image, named)
    kept = None if state.enabled and weight.requires_grad else weight._kept()  # in training they change at each step
    y = Conv2d(geometry, kept)(padded, weight, bias)
    return y if image is input else y.squeeze(0)


def _refuse_dtypes(input: Tensor, weight: Tensor, bias: Tensor | None) -> NoReturn:
    if input._data.dtype.kind not in "fV":  # V: bfloat16
        raise RuntimeError(takes("conv2d", "input", "a floating-point tensor", input.dtype))
    argument, t = ("weight", weight) if bias is None or weight.dtype != input.dtype else ("bias", bias)
    raise RuntimeError(takes("conv2d", argument, f"the dtype of `input`, {input.dtype}", t.dtype))


@functools.lru_cache(maxsize=1024)
def _checked(
    x: tuple[int, ...],
    w: tuple[int, ...],
    bias: tuple[int, ...] | None,
    stride: Pair,
    padding: Pair | str,
    dilation: Pair,
    groups: int,
) -> tuple[Geometry, tuple[int, int, int, int]]:
    """The geometry for input, weight and bias of these shapes, and what is to be padded beforehand.

    A network calls with the same shapes again and again, so that what is right need not be checked each time.
    """
    for argument, found in (("stride", stride), ("dilation", dilation)):
        if min(found) < 1:
            raise RuntimeError(takes("conv2d", argument, "positive numbers", found))
    _check_shapes(x, w, bias, groups)
    widths = NO_WIDTHS
    if isinstance(padding, str):
        padding, widths = _named_padding(padding, (w[2], w[3]), stride, dilation)
    if min(padding) < 0:
        raise RuntimeError(takes("conv2d", "padding", "numbers that are not negative", padding))
    reach = tuple([step * (k - 1) + 1 for k, step in zip(w[2:], dilation, strict=True)])
    before = widths[2] + widths[3], widths[0] + widths[1]
    padded = tuple([size + 2 * n + more for size, n, more in zip(x[-2:], padding, before, strict=True)])
    if 0 in x[-2:] or padded[0] < reach[0] or padded[1] < reach[1]:
        expected = f"an image of at least {reach} with its padding, for the kernel {w[2:]} and dilation {dilation}"
        raise RuntimeError(takes("conv2d", "input", expected, f"{padded} from shape {x}"))
    return Geometry(stride, padding, dilation, groups), widths


def _check_shapes(x: tuple[int, ...], w: tuple[int, ...], bias: tuple[int, ...] | None, groups: int) -> None:
    if len(x) not in (3, 4):
        raise RuntimeError(takes("conv2d", "input", "a 4-d tensor (N, C, H, W) or a 3-d one (C, H, W)", f"shape {x}"))
    if len(w) != 4:
        expected = "a 4-d tensor (out_channels, in_channels / groups, height, width)"
        raise RuntimeError(takes("conv2d", "weight", expected, f"shape {w}"))
    if 0 in (w[0], *w[2:]):
        expected = "at least one output channel and a kernel of at least (1, 1)"
        raise RuntimeError(takes("conv2d", "weight", expected, f"shape {w}"))
    channels, out = x[-3], w[0]
    if groups < 1 or out % groups:
        raise RuntimeError(takes("conv2d", "groups", f"a divisor of the {out} output channels of `weight`", groups))
    if channels != w[1] * groups:
        some = f"{groups} group{'s' if groups > 1 else ''}"
        expected = f"{w[1] * groups} channels, for a weight of shape {w} and {some}"
        raise RuntimeError(takes("conv2d", "input", expected, f"{channels} channels in shape {x}"))
    if bias is not None and bias != (out,):
        raise RuntimeError(takes("conv2d", "bias", f"shape ({out},)", f"shape {bias}"))


def _named_padding(padding: str, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, tuple[int, int, int, int]]:
    """The padding, or else what is to be padded beforehand: left, right, top, bottom."""
    if padding == "valid":
        return (0, 0), NO_WIDTHS
    if padding != "same":
        raise RuntimeError(takes("conv2d", "padding", "a number, two numbers, 'valid' or 'same'", repr(padding)))
    if stride != (1, 1):
        raise RuntimeError("`conv2d`: `padding='same'` is only defined for stride 1")
    total = [step * (k - 1) for k, step in zip(kernel, dilation, strict=True)]
    top, left = total[0] // 2, total[1] // 2
    if total[0] % 2 == 0 and total[1] % 2 == 0:
        return (top, left), NO_WIDTHS
    return (0, 0), (left, total[1] - left, top, total[0] - top)  # one pixel more at the end, as PyTorch does it
