"""What the convolution kernels share: the words for a convolution's geometry.

Every algorithm (``im2col``, ``winograd``, ``direct``, ``depthwise``) is a module of three functions::

    fprop(x, w, bias, y, conv)      y  = x * w + bias, and all but ``im2col`` take an epilogue (:mod:`.finish`)
    dgrad(gy, w, gx, conv)          gx = the gradient with respect to x
    wgrad(gy, x, gw, conv)          gw = the gradient with respect to w

on C-contiguous arrays: images channels-last, ``x (N, H, W, C)`` and ``y (N, P, Q, K)``; weights ``(K, C/groups, R,
S)``.
The result is written into an array that the caller gives, so that the caller decides about memory.
"""

from __future__ import annotations

from typing import NamedTuple

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """Where the windows of a convolution lie; pairs are (height, width). Numba kernels take it as it is."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def output_size(self, image: Pair, window: Pair) -> Pair:
        """Height and width of the result: ``(H + 2 padding - dilation (R - 1) - 1) // stride + 1``."""
        (stride_h, stride_w), (padding_h, padding_w), (dilation_h, dilation_w), _ = self
        height = (image[0] + 2 * padding_h - dilation_h * (window[0] - 1) - 1) // stride_h + 1
        width = (image[1] + 2 * padding_w - dilation_w * (window[1] - 1) - 1) // stride_w + 1
        return height, width

    def is_pointwise(self, window: Pair) -> bool:
        """Whether the convolution is a matrix product of the pixels as they lie in memory."""
        return window == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0)
