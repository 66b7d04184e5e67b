"""The base class of learning-rate schedulers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from deepgpu.optim.optimizer import Optimizer
from deepgpu.tensor import Tensor

_EPOCH_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed "
    "form is used instead of the new chainable form, where available."
)
_ORDER_WARNING = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call `optimizer.step()` before "
    "`lr_scheduler.step()`; otherwise the first value of the learning rate schedule is skipped."
)


class LRScheduler:
    """Sets the learning rate of each parameter group as training goes on.

    A subclass defines ``get_lr``, which returns the new learning rate of each group, and may define
    ``_get_closed_form_lr``, which computes it from ``base_lrs`` and ``last_epoch`` alone. Most schedulers work by
    recursion, from the learning rate that is set to the next, so that several can be chained.

    Parameters
    ----------
    optimizer
        Whose learning rates are set.
    last_epoch
        The number of steps taken before; -1 begins, any other number goes on with groups that have an
        ``"initial_lr"``.

    Attributes
    ----------
    base_lrs
        The learning rate that each group began with.
    last_epoch
        How many steps have been taken.

    Raises
    ------
    TypeError
        If ``optimizer`` is no optimizer.
    KeyError
        If ``last_epoch`` is given and a group has no ``"initial_lr"``.
    """

    _is_initial = False  # during the step that the constructor takes
    _get_closed_form_lr: Callable[[], list[Any]]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0; load the optimizer's state dict first, or begin with last_epoch=-1"
                )
        self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        """Set the first learning rates."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Any]:
        """The next learning rate of each group; :meth:`get_last_lr` gives those that are set."""
        raise NotImplementedError(f"`{type(self).__name__}` has no `get_lr`")

    def get_last_lr(self) -> list[Any]:
        """The learning rate of each group, as last set."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the next learning rates; call it after the optimizer's step.

        Parameters
        ----------
        epoch
            Deprecated: go to this number of steps.
        """
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(_ORDER_WARNING, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(_EPOCH_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = epoch is not None and hasattr(self, "_get_closed_form_lr")
        self._apply(self._get_closed_form_lr() if closed_form else self.get_lr())

    def _apply(self, lrs: list[Any]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            set_option(group, "lr", lr)
        self._last_lr = self._current()

    def _current(self) -> list[Any]:
        """The learning rates that are set."""
        return [copied(group["lr"]) for group in self.optimizer.param_groups]

    def _scaled(self, factor: float) -> list[Any]:
        """The learning rates that are set, times ``factor``."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        self.__dict__.update(state_dict)


def check_optimizer(optimizer: Any) -> None:
    """Refuse anything that is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def copied(value: Any) -> Any:
    """A number as it is, a tensor as a copy that later changes do not reach."""
    return value.clone() if isinstance(value, Tensor) else value


def set_option(group: dict[str, Any], key: str, value: Any) -> None:
    """Set an option of a parameter group; one that is a tensor keeps being that tensor."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


def per_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """One value a parameter group: those given, or the same for all."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [copied(value) for _ in range(n)]
    if len(value) != n:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {n}."
        )
    return [copied(v) for v in value]


def state_of(function: Any) -> dict[str, Any] | None:
    """What can be saved of a user's function: the attributes of a callable object, nothing of a plain function."""
    state = getattr(function, "__dict__", None)
    return dict(state) if state is not None and not hasattr(function, "__code__") else None
