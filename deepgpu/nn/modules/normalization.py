"""Layers that normalize within a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.nn import functional as F, init
from deepgpu.nn.modules.batchnorm import _BatchNorm
from deepgpu.nn.modules.module import Module
from deepgpu.nn.parameter import Parameter
from deepgpu.ops.creation import empty
from deepgpu.tensor import Tensor


class _Affine(Module):
    """A module with ``weight`` and ``bias``, ones and zeros at first, each of which may be missing."""

    weight: Parameter | None
    bias: Parameter | None

    def _make(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            made = Parameter(empty(*shape, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the initial values."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


def _shape(size: int | Sequence[int]) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(size)


class LayerNorm(_Affine):
    """Normalization over the last dimensions; see :func:`deepgpu.nn.functional.layer_norm`.

    Parameters
    ----------
    normalized_shape
        The last sizes of the input, or the last one.
    eps
        Added to the variance.
    elementwise_affine, bias
        Whether there are a ``weight`` and a ``bias``.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        bias = self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={bias}"


class RMSNorm(_Affine):
    """Division by the root of the mean square; see :func:`deepgpu.nn.functional.rms_norm`.

    Parameters
    ----------
    normalized_shape, elementwise_affine
        As for :class:`LayerNorm`.
    eps
        Added to the mean square; None for the dtype's smallest step above 1.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = Parameter(empty(*self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the initial values."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Normalization of groups of channels; see :func:`deepgpu.nn.functional.group_norm`.

    Parameters
    ----------
    num_groups, num_channels
        How many groups, and of how many channels in all.
    eps
        Added to the variance.
    affine, bias
        Whether there are a ``weight`` and a ``bias``.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        bias = self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={bias}"


class _InstanceNorm(_BatchNorm):
    """Normalization of each channel of each sample; see :func:`deepgpu.nn.functional.instance_norm`.

    Parameters
    ----------
    num_features
        The number of channels.
    eps, momentum, affine, track_running_stats
        As for batch norm; here there are no parameters and no statistics by default.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _check_input_dim(self, input: Tensor) -> None:
        low, high = self._ndims
        if input.dim() not in self._ndims:
            raise ValueError(f"expected {low}D or {high}D input (got {input.dim()}D input)")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        single = input.dim() == self._ndims[0]
        channels = input.shape[0 if single else 1]
        if channels != self.num_features and self.affine:
            raise ValueError(
                f"expected input's size at dim={0 if single else 1} to match num_features ({self.num_features}), "
                f"but got: {channels}."
            )
        out = F.instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum if self.momentum is not None else 0.0,
            self.eps,
        )
        return out.squeeze(0) if single else out


class InstanceNorm1d(_InstanceNorm):
    __doc__ = f"For ``(N, C, L)`` or ``(C, L)``. {_InstanceNorm.__doc__}"
    _ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    __doc__ = f"For ``(N, C, H, W)`` or ``(C, H, W)``. {_InstanceNorm.__doc__}"
    _ndims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    __doc__ = f"For ``(N, C, D, H, W)`` or ``(C, D, H, W)``. {_InstanceNorm.__doc__}"
    _ndims = (4, 5)


class LocalResponseNorm(Module):
    """Division by the squares of neighbouring channels; see :func:`deepgpu.nn.functional.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
