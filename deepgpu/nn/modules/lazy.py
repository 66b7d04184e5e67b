"""Layers that learn the number of their input's channels or features from the first input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from deepgpu.nn.modules.conv import Conv2d
from deepgpu.nn.modules.conv_nd import Conv1d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from deepgpu.nn.modules.linear import Linear
from deepgpu.nn.modules.normalization import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from deepgpu.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from deepgpu.ops.creation import tensor
from deepgpu.tensor import Tensor

Size = int | Sequence[int]


class LazyModuleMixin:
    """Makes a module lazy; to be derived from before the module's own class.

    The module's constructor sets :class:`~deepgpu.nn.parameter.UninitializedParameter` and
    :class:`~deepgpu.nn.parameter.UninitializedBuffer`, and :meth:`initialize_parameters` gives them shapes. A loaded
    state dict does so too; the state dict of a lazy module holds what has no shape yet as it is.

    Attributes
    ----------
    cls_to_become
        The class of the module after its first call; None to stay what it is.
    """

    cls_to_become: type[Any] | None = None
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        became = self.cls_to_become
        if became is not None or self.has_uninitialized_params():
            self.initialize_parameters(*args, **kwargs)
            if self.has_uninitialized_params():
                raise RuntimeError(f"module {type(self).__name__} has not been fully initialized")
        if became is None:
            return super().__call__(*args, **kwargs)  # type: ignore[misc]
        self.__class__ = became
        return self(*args, **kwargs)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give all parameters and buffers their shapes and first values, from the arguments of the first call."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer has no shape yet."""
        return any(is_lazy(t) for t in (*self._parameters.values(), *self._buffers.values()))

    def _materialize(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Give those of these names that have no shape yet theirs."""
        with no_grad():
            for name, shape in shapes.items():
                t = getattr(self, name)
                if is_lazy(t):
                    t.materialize(shape)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        lazy = {k: t for k, t in self._own_state().items() if is_lazy(t)}  # type: ignore[attr-defined]
        if not lazy:
            super()._save_to_state_dict(destination, prefix, keep_vars)  # type: ignore[misc]
            return
        for name, t in self._own_state().items():  # type: ignore[attr-defined]
            destination[prefix + name] = t if keep_vars or name in lazy else t.detach()

    def _load_entry(self, name: str, target: Tensor, value: Any, key: str, assign: bool) -> str | None:
        if is_lazy(target) and is_lazy(value):
            return None
        if is_lazy(target) and isinstance(value, Tensor):
            target.materialize(tuple(value.shape))
        return super()._load_entry(name, target, value, key, assign)  # type: ignore[misc]


class LazyLinear(LazyModuleMixin, Linear):
    """A :class:`Linear` whose ``in_features`` is the last size of the first input.

    Parameters
    ----------
    out_features, bias
        As for :class:`Linear`.
    """

    cls_to_become = Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: dtypes.dtype | None = None
    ) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw new initial values, if there are any yet."""
        if not self.has_uninitialized_params() and self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Make the parameters for inputs like this one."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self._materialize({"weight": (self.out_features, self.in_features), "bias": (self.out_features,)})
            self.reset_parameters()
        self.in_features = self.weight.shape[-1]  # from a state dict, perhaps


class _LazyConvNd(LazyModuleMixin):
    """What lazy convolutions share."""

    groups: int
    in_channels: int
    kernel_size: tuple[int, ...]
    _channels: Any

    def _leave_open(self, out_channels: int, bias: bool, device: Any, dtype: dtypes.dtype | None) -> None:
        """Set what the constructor of the module's own class could not."""
        if out_channels % self.groups:
            raise ValueError("out_channels must be divisible by groups")
        self.out_channels = out_channels
        self.weight: Any = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias: Any = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw new initial values, if there are any yet."""
        if not self.has_uninitialized_params() and self.in_channels:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Make the parameters for inputs like this one."""
        ndim = len(self.kernel_size)
        if input.dim() not in (ndim + 1, ndim + 2):
            raise RuntimeError(
                f"Expected {ndim + 1}D (unbatched) or {ndim + 2}D (batched) input to {type(self).__name__}, but got "
                f"input of size: {tuple(input.shape)}"
            )
        self.in_channels = input.shape[-ndim - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        if self.has_uninitialized_params():
            self._materialize({"weight": (*self._channels(), *self.kernel_size), "bias": (self.out_channels,)})
            self.reset_parameters()


class _LazyConv(_LazyConvNd):
    """A convolution whose ``in_channels`` is that of the first input.

    Parameters
    ----------
    out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As for :class:`Conv2d`.
    """

    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)  # type: ignore[call-arg]
        self._leave_open(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    __doc__ = f":class:`Conv1d` in waiting. {_LazyConv.__doc__}"
    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    __doc__ = f":class:`Conv2d` in waiting. {_LazyConv.__doc__}"
    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    __doc__ = f":class:`Conv3d` in waiting. {_LazyConv.__doc__}"
    cls_to_become = Conv3d


class _LazyConvTranspose(_LazyConvNd):
    """A transposed convolution whose ``in_channels`` is that of the first input.

    Parameters
    ----------
    out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode
        As for :class:`ConvTranspose2d`.
    """

    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__(  # type: ignore[call-arg]
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode
        )
        self._leave_open(out_channels, bias, device, dtype)


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    __doc__ = f":class:`ConvTranspose1d` in waiting. {_LazyConvTranspose.__doc__}"
    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    __doc__ = f":class:`ConvTranspose2d` in waiting. {_LazyConvTranspose.__doc__}"
    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    __doc__ = f":class:`ConvTranspose3d` in waiting. {_LazyConvTranspose.__doc__}"
    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModuleMixin):
    """A normalization whose ``num_features`` is the number of the first input's channels.

    Parameters
    ----------
    eps, momentum, affine, track_running_stats, bias
        As for :class:`BatchNorm2d` and :class:`InstanceNorm2d`.
    """

    affine: bool
    num_features: int
    track_running_stats: bool
    _check_input_dim: Any

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False)  # type: ignore[call-arg]
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self.weight: Any = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias: Any = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean: Any = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var: Any = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0, device=device)

    def reset_parameters(self) -> None:
        """Set the initial values, if there are any yet."""
        if not self.has_uninitialized_params() and self.num_features:
            super().reset_parameters()  # type: ignore[misc]

    def _count(self, input: Tensor) -> int:
        """The number of channels of an input."""
        return input.shape[1]

    def initialize_parameters(self, input: Tensor) -> None:
        """Make parameters and running statistics for inputs like this one."""
        self._check_input_dim(input)
        self.num_features = self._count(input)
        if self.has_uninitialized_params():
            own = ("weight", "bias", "running_mean", "running_var")
            self._materialize(dict.fromkeys(own, (self.num_features,)))
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    __doc__ = f":class:`BatchNorm1d` in waiting. {_LazyNorm.__doc__}"
    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    __doc__ = f":class:`BatchNorm2d` in waiting. {_LazyNorm.__doc__}"
    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    __doc__ = f":class:`BatchNorm3d` in waiting. {_LazyNorm.__doc__}"
    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    """As lazy batch norm, but an input may come without the batch dimension."""

    def _count(self: Any, input: Tensor) -> int:
        return input.shape[0 if input.dim() == self._ndims[0] else 1]


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    __doc__ = f":class:`InstanceNorm1d` in waiting. {_LazyNorm.__doc__}"
    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    __doc__ = f":class:`InstanceNorm2d` in waiting. {_LazyNorm.__doc__}"
    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    __doc__ = f":class:`InstanceNorm3d` in waiting. {_LazyNorm.__doc__}"
    cls_to_become = InstanceNorm3d
