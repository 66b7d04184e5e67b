"""``GradScaler``: keeps the gradients of a float16 network within float16's range."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.backends.cuda import runtime
from deepgpu.device import device as as_device
from deepgpu.ops.comparison import isfinite
from deepgpu.optim.optimizer import Optimizer
from deepgpu.tensor import Tensor

_READY, _UNSCALED, _STEPPED = "ready", "unscaled", "stepped"


class GradScaler:
    """Multiplies the loss by a factor, so that small gradients do not vanish in float16, and divides the gradients.

    A step whose gradients overflowed is left out, and the factor becomes smaller; after a while without overflow it
    grows. ``bfloat16`` has the range of float32 and needs none of this.

    Parameters
    ----------
    device
        ``"cuda"`` or ``"cpu"``; without a GPU a scaler for ``"cuda"`` warns and does nothing.
    init_scale
        The first factor.
    growth_factor, growth_interval
        By what it grows, after so many steps in a row without overflow.
    backoff_factor
        By what it shrinks at an overflow.
    enabled
        With False the methods pass through: ``scale`` returns the loss, ``step`` calls ``optimizer.step()``.

    Examples
    --------
    >>> scaler = dg.amp.GradScaler("cuda")
    >>> with dg.autocast("cuda"):
    ...     loss = loss_fn(net(x), y)
    >>> scaler.scale(loss).backward()
    >>> scaler.step(optimizer)
    >>> scaler.update()
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = as_device(device).type
        self._enabled = enabled
        if enabled and self._device == "cuda" and not runtime.is_available():
            warnings.warn("GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
            self._enabled = False
        if self._enabled:
            if not growth_factor > 1.0:
                raise AssertionError("The growth factor must be > 1.0.")
            if not backoff_factor < 1.0:
                raise AssertionError("The backoff factor must be < 1.0.")
        self._scale = float(init_scale)
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._stages: dict[int, str] = {}
        self._overflowed: dict[int, bool] = {}

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def scale(self, outputs: Any) -> Any:
        """A loss, or each of several, times the factor."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            scaled = [self.scale(x) for x in outputs]
            return scaled if isinstance(outputs, list) else tuple(scaled)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    @no_grad()
    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of an optimizer's parameters, for example to clip them before :meth:`step`.

        Raises
        ------
        RuntimeError
            If it was done already since the last :meth:`update`.
        ValueError
            If a gradient is float16: the parameters should be float32.
        """
        if not self._enabled:
            return
        stage = self._stages.get(id(optimizer), _READY)
        if stage == _UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if stage == _STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        finite = []
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.dtype is dtypes.float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                p.grad.mul_(1.0 / self._scale)
                finite.append(isfinite(p.grad).all())
        # One wait for the device: the flags are added up there.
        total = None
        for flag in finite:
            total = flag.long() if total is None else total + flag.to(total.device).long()
        self._overflowed[id(optimizer)] = total is not None and int(total) < len(finite)
        self._stages[id(optimizer)] = _UNSCALED

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step()`` on divided gradients, left out if one of them is infinite or NaN.

        Returns
        -------
        Any
            What the optimizer's step returned; None if it was left out.

        Raises
        ------
        RuntimeError
            If it is the second step since the last :meth:`update`, or a closure was given.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        if self._stages.get(id(optimizer)) == _STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if self._stages.get(id(optimizer), _READY) == _READY:
            self.unscale_(optimizer)
        result = None if self._overflowed[id(optimizer)] else optimizer.step(*args, **kwargs)
        self._stages[id(optimizer)] = _STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapt the factor, once all optimizers have made their step; or set it.

        Raises
        ------
        AssertionError
            If no optimizer's gradients were looked at since the last call.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            if not self._overflowed:
                raise AssertionError("No inf checks were recorded prior to update.")
            if any(self._overflowed.values()):
                self._scale *= self._backoff_factor
                self._growth_tracker = 0
            else:
                self._growth_tracker += 1
                if self._growth_tracker == self._growth_interval:
                    self._scale *= self._growth_factor
                    self._growth_tracker = 0
        self._stages.clear()
        self._overflowed.clear()

    def get_scale(self) -> float:
        """The factor."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """By what the factor grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set by what the factor grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """By what the factor shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set by what the factor shrinks."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many steps without overflow the factor grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many steps without overflow the factor grows."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The factor and how it changes, under PyTorch's keys; empty if it is not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale = float(state_dict["scale"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval, self._growth_tracker = state_dict["growth_interval"], state_dict["_growth_tracker"]
