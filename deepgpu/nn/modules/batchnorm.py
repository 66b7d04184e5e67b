"""Batch normalization layers."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.nn import functional as F, init
from deepgpu.nn.modules.module import Module
from deepgpu.nn.parameter import Parameter
from deepgpu.ops.assign import store
from deepgpu.ops.creation import empty, ones, tensor, zeros
from deepgpu.tensor import Tensor


class _BatchNorm(Module):
    """Batch normalization over all dimensions but the channels; see :func:`deepgpu.nn.functional.batch_norm`.

    Parameters
    ----------
    num_features
        The number of channels.
    eps
        Added to the variance.
    momentum
        Share of a batch in the update of the running statistics; None takes the average of all batches.
    affine
        Whether there are a ``weight`` and a ``bias``.
    track_running_stats
        Whether there are running statistics; without, evaluation too uses the batch's own.
    bias
        Whether an affine layer has a ``bias``.

    Attributes
    ----------
    weight, bias
        ``(num_features,)``, ones and zeros, or None
    running_mean, running_var
        ``(num_features,)``, zeros and ones, or None; the variance is the unbiased estimate
    num_batches_tracked
        How many batches have gone into them.
    """

    _version = 2  # since which `num_batches_tracked` is saved

    num_features: int
    affine: bool
    track_running_stats: bool

    _ndims: tuple[int, ...] = ()
    """Numbers of dimensions that the input may have."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(
                name, Parameter(empty(num_features, device=device, dtype=dtype)) if wanted else None
            )
        if track_running_stats:
            self.register_buffer("running_mean", zeros(num_features, device=device, dtype=dtype))
            self.register_buffer("running_var", ones(num_features, device=device, dtype=dtype))
            self.register_buffer("num_batches_tracked", tensor(0, device=device))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget all batches."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set the initial values."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        share = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            store(self.num_batches_tracked, self.num_batches_tracked._data + 1, "add_")
            if self.momentum is None:
                share = 1.0 / float(self.num_batches_tracked)
        own_statistics = self.training or self.running_mean is None
        tracked = self.track_running_stats or not self.training
        return F.batch_norm(
            input,
            self.running_mean if tracked else None,
            self.running_var if tracked else None,
            self.weight,
            self.bias,
            own_statistics,
            share,
            self.eps,
        )

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in self._ndims:
            expected = " or ".join(f"{n}D" for n in self._ndims)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *args: Any) -> None:
        key = prefix + "num_batches_tracked"
        if local_metadata.get("version", 1) < 2 and self.num_batches_tracked is not None and key not in state_dict:
            state_dict[key] = self.num_batches_tracked
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    __doc__ = f"For ``(N, C)`` or ``(N, C, L)``. {_BatchNorm.__doc__}"
    _ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__ = f"For ``(N, C, H, W)``. {_BatchNorm.__doc__}"
    _ndims = (4,)


class BatchNorm3d(_BatchNorm):
    __doc__ = f"For ``(N, C, D, H, W)``. {_BatchNorm.__doc__}"
    _ndims = (5,)


class SyncBatchNorm(_BatchNorm):
    __doc__ = f"""For inputs of two dimensions or more, in every process of a group together.

    Here there is one process, whose batch is the whole: the same as the other batch norms. ``process_group`` takes
    None.

    {_BatchNorm.__doc__}
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: None = None,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        if process_group is not None:
            raise ValueError(takes("SyncBatchNorm", "process_group", "None: there is one process", process_group))
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: None = None) -> Module:
        """The module with every batch norm in it, at any depth, replaced; parameters and statistics stay the same.

        Parameters
        ----------
        module
            A batch norm, or what contains some. It is modified, unless it is a batch norm itself.
        """
        made = module
        if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d)):
            made = cls(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
                bias=module.bias is not None,
            )
            made._parameters.update(module._parameters)
            made._buffers.update(module._buffers)
            made.training = module.training
        for name, child in module.named_children():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made
