"""The shapes of convolutions and the strides of their images."""

from __future__ import annotations

from typing import NamedTuple

from deepgpu.backends.base import Pair
from deepgpu.backends.cuda.gemm import K_MAJOR, MN_MAJOR


class Conv(NamedTuple):
    """A convolution's geometry: ``x (N, C, H, W) * w (K, C / groups, R, S)``."""

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def p(self) -> int:
        """Height of the output."""
        return (self.h + 2 * self.padding[0] - self.dilation[0] * (self.r - 1) - 1) // self.stride[0] + 1

    @property
    def q(self) -> int:
        """Width of the output."""
        return (self.w + 2 * self.padding[1] - self.dilation[1] * (self.s - 1) - 1) // self.stride[1] + 1

    @property
    def channels(self) -> int:
        """Channels of a group."""
        return self.c // self.groups

    @property
    def filters(self) -> int:
        """Filters of a group."""
        return self.k // self.groups

    @property
    def depth(self) -> int:
        """Numbers in a filter."""
        return self.r * self.s * self.channels

    @property
    def rows(self) -> int:
        """Pixels of the output, of all images."""
        return self.n * self.p * self.q

    @property
    def is_pointwise(self) -> bool:
        """Whether it is a product of the pixels with the filters, as they lie in memory."""
        one = (1, 1)
        return (self.r, self.s) == self.stride == one and self.padding == (0, 0) and self.groups == 1


class Image(NamedTuple):
    """Strides of an image, in elements, and whether its first element lies at a multiple of 16 bytes."""

    n: int
    h: int
    w: int
    c: int
    aligned: bool = True

    @property
    def order(self) -> int:
        """Along what neighbouring threads should read: channels, or pixels."""
        return K_MAJOR if self.c == 1 else MN_MAJOR


def channels_last(channels: int, h: int, w: int) -> Image:
    """The strides of a contiguous NHWC image."""
    return Image(h * w * channels, w * channels, channels, 1)
