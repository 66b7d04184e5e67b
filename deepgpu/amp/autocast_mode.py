"""``autocast``: inside, ops choose their precision; see :mod:`deepgpu.ops.autocast` for which takes which."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from deepgpu import dtypes
from deepgpu.device import device as as_device
from deepgpu.ops.autocast import State, state
from deepgpu.tensor import Tensor

_HALF = (dtypes.bfloat16, dtypes.float16)


def _checked_type(device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    return as_device(device_type).type


class autocast:
    """Inside, products and convolutions run in a half type, and what needs the range or digits of float32 in float32.

    As a context around the forward pass and the loss, or as a decorator. ``backward()`` belongs outside: it runs in the
    dtypes that the forward pass chose. Results may have the half type.

    Parameters
    ----------
    device_type
        ``"cuda"`` or ``"cpu"``: only ops there are concerned.
    dtype
        ``float16`` or ``bfloat16``; by default float16 on a GPU and bfloat16 on the CPU. With float16 use a
        :class:`GradScaler`.
    enabled
        False switches it off inside.
    cache_enabled
        Whether the cast of a parameter is kept for the next op that uses it, until the outermost ``autocast`` ends.

    Notes
    -----
    On the CPU bfloat16 is stored in 2 bytes and computed by way of float32, which is slower than float32: it is there
    to try out on a laptop what will run on a GPU.

    Examples
    --------
    >>> with dg.autocast("cuda", dtype=dg.bfloat16):
    ...     loss = loss_fn(net(x), y)
    >>> loss.backward()
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtypes.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        self.device = _checked_type(device_type)
        self.fast_dtype = state.dtypes[self.device] if dtype is None else dtype
        if enabled and self.fast_dtype not in _HALF:
            warnings.warn(
                f"In {self.device.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{self.device.upper()} autocast takes deepgpu.bfloat16 and deepgpu.float16, not {self.fast_dtype}.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._cache_enabled = cache_enabled
        self._before: list[tuple[bool, dtypes.dtype, bool]] = []

    def __enter__(self) -> autocast:
        self._before.append((state.enabled[self.device], state.dtypes[self.device], state.cache_enabled))
        state.set_enabled(self.device, self._enabled)
        state.dtypes[self.device] = self.fast_dtype
        if self._cache_enabled is not None:
            state.cache_enabled = self._cache_enabled
        state.depth += 1
        return self

    def __exit__(self, *error: Any) -> None:
        state.depth -= 1
        if not state.depth:
            clear_autocast_cache()
        enabled, state.dtypes[self.device], state.cache_enabled = self._before.pop()
        state.set_enabled(self.device, enabled)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inside


def is_autocast_available(device_type: str) -> bool:
    """Whether there is autocast for a device type."""
    return device_type in State().enabled


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on, for ``"cuda"`` unless said otherwise."""
    return state.enabled[_checked_type("cuda" if device_type is None else device_type)]


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Switch autocast without a context."""
    state.set_enabled(_checked_type(device_type), enabled)


def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The half type that autocast rounds to, or would."""
    return state.dtypes[_checked_type(device_type)]


def set_autocast_dtype(device_type: str, dtype: dtypes.dtype) -> None:
    """Choose the half type that autocast rounds to."""
    state.dtypes[_checked_type(device_type)] = dtype


def is_autocast_cache_enabled() -> bool:
    """Whether casts of parameters are kept."""
    return state.cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Choose whether casts of parameters are kept."""
    state.cache_enabled = enabled


def clear_autocast_cache() -> None:
    """Drop the casts of parameters."""
    state.cache.clear()


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: dtypes.dtype | None = None) -> Any:
    """Decorate the ``forward`` of an :class:`~deepgpu.autograd.Function` that is to work under autocast.

    Parameters
    ----------
    cast_inputs
        Cast floating-point tensors to this dtype, and run ``forward`` without autocast. By default it runs under
        autocast as it is around the call.
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    device = _checked_type(device_type)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._autocast_dtype = state.dtypes[device]
        ctx._autocast_enabled = state.enabled[device] and cast_inputs is None
        if cast_inputs is None or not state.enabled[device]:
            return fwd(ctx, *args, **kwargs)
        with autocast(device, enabled=False):
            named = {k: _cast(v, device, cast_inputs) for k, v in kwargs.items()}
            return fwd(ctx, *[_cast(a, device, cast_inputs) for a in args], **named)

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Decorate the ``backward`` beside a :func:`custom_fwd`: it runs under autocast as that did."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)
    device = _checked_type(device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *grads: Any) -> Any:
        with autocast(device, dtype=ctx._autocast_dtype, enabled=ctx._autocast_enabled):
            return bwd(ctx, *grads)

    return backward


def _cast(x: Any, device: str, dtype: dtypes.dtype) -> Any:
    if isinstance(x, Tensor):
        fits = x.dtype.is_floating_point and x._backend.type == device and x.dtype is not dtypes.float64
        return x.to(dtype) if fits else x
    if isinstance(x, dict):
        return {k: _cast(v, device, dtype) for k, v in x.items()}
    return type(x)(_cast(v, device, dtype) for v in x) if type(x) in (tuple, list) else x
