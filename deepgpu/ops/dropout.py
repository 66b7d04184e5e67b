"""Dropout (Srivastava et al. 2014, jmlr.org/papers/v15/srivastava14a)."""

from __future__ import annotations

import warnings
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.assign import assign
from deepgpu.ops.op import op
from deepgpu.ops.sampling import rand
from deepgpu.random import default_generator
from deepgpu.tensor import Tensor


class Dropout(Node):
    """``x`` times a mask and a factor, which is its own adjoint. On a GPU the mask is the key it is made from."""

    def __init__(self, mask: Any, scale: float) -> None:
        self.mask = mask
        self.scale = scale

    def forward(self, x: Any) -> Any:
        return self.backend.dropout(x, self.mask, self.scale)

    def backward(self, g: Tensor) -> Tensor:
        return Dropout(self.mask, self.scale)(g)


def _dropped(name: str, input: Tensor, shape: tuple[int, ...], p: float, inplace: bool) -> Tensor:
    """The input with each element of a mask of this shape, which broadcasts, set to 0 with probability `p`."""
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    if p == 1:
        node = Dropout(input._backend.xp.zeros(shape, bool), 1.0)
    else:
        mask = input._backend.dropout_mask(input._data, shape, p, lambda: default_generator.numpy)
        node = Dropout(mask, 1 / (1 - p))
    return assign(input, node(input), f"{name}_") if inplace else node(input)


def _check_probability(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(takes(name, "p", "a probability in [0, 1]", p))


@op
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability ``p`` and scale the others by ``1 / (1 - p)``; nothing unless training.

    The same seed drops the same elements on a device of the same type; on a GPU they are not those of the CPU.

    Parameters
    ----------
    inplace
        Store the result in ``input``.

    Raises
    ------
    ValueError
        If ``p`` is no probability.
    """
    _check_probability("dropout", p)
    if not training or p == 0:
        return input
    return _dropped("dropout", input, tuple(input.shape), p, inplace)


@op
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero whole channels of ``(N, C, L)`` or ``(C, L)`` with probability ``p`` and scale the others.

    See :func:`dropout`.
    """
    _check_probability("dropout1d", p)
    if input._data.ndim not in (2, 3):
        raise RuntimeError(takes("dropout1d", "input", "(N, C, L) or (C, L)", f"shape {tuple(input.shape)}"))
    return _channels("dropout1d", input, input._data.ndim - 1, p, training, inplace)


@op
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero whole channels of ``(N, C, H, W)`` with probability ``p`` and scale the others.

    See :func:`dropout`. Other shapes are taken as PyTorch does, with its warning: the first two dimensions are always
    batch and channels, of a 3-d input too.
    """
    _check_probability("dropout2d", p)
    ndim = input._data.ndim
    if ndim < 2:
        raise RuntimeError(takes("dropout2d", "input", "(N, C, H, W)", f"shape {tuple(input.shape)}"))
    if ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d, which is taken as (N, C, L), as in PyTorch; "
            "dropout1d does the same without this warning. For an image (C, H, W), add a batch dimension.",
            stacklevel=2,
        )
    elif ndim != 4:
        warnings.warn(
            f"dropout2d: Received a {ndim}-D input to dropout2d, which is deprecated. It takes (N, C, H, W).",
            stacklevel=2,
        )
    return _channels("dropout2d", input, 2, p, training, inplace)


@op
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)`` with probability ``p`` and scale the others.

    See :func:`dropout`.
    """
    _check_probability("dropout3d", p)
    if input._data.ndim not in (4, 5):
        raise RuntimeError(
            takes("dropout3d", "input", "(N, C, D, H, W) or (C, D, H, W)", f"shape {tuple(input.shape)}")
        )
    return _channels("dropout3d", input, input._data.ndim - 3, p, training, inplace)


def _channels(name: str, input: Tensor, leading: int, p: float, training: bool, inplace: bool) -> Tensor:
    """Dropout of whole channels: the mask has the `leading` dimensions only."""
    if not training or p == 0:
        return input
    shape = input._data.shape[:leading]
    return _dropped(name, input, (*shape, *[1] * (input._data.ndim - leading)), p, inplace)


ALPHA_DROP = -1.7580993408473766
"""What SELU tends to for large negative inputs."""


def _alpha(name: str, input: Tensor, shape: tuple[int, ...], p: float, training: bool, inplace: bool) -> Tensor:
    _check_probability(name, p)
    if not training or p == 0:
        return input
    if p == 1:
        out = input * 0.0
    else:
        kept = rand(shape, dtype=dtypes.float32, device=input.device) >= p
        scale = ((1 - p) * (1 + p * ALPHA_DROP**2)) ** -0.5
        out = input.where(kept.expand(*input.shape), ALPHA_DROP) * scale - scale * p * ALPHA_DROP
    return assign(input, out, f"{name}_") if inplace else out


@op
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Set elements to SELU's lower limit, and scale and shift all so that mean and variance stay (arXiv 1706.02515).

    See :func:`dropout`.
    """
    return _alpha("alpha_dropout", input, tuple(input.shape), p, training, inplace)


@op
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """:func:`alpha_dropout` of whole channels of ``(N, C, ...)``."""
    shape = input._data.shape
    if len(shape) < 2:
        raise RuntimeError(takes("feature_alpha_dropout", "input", "(N, C, ...)", f"shape {tuple(shape)}"))
    return _alpha("feature_alpha_dropout", input, (*shape[:2], *[1] * (len(shape) - 2)), p, training, inplace)
