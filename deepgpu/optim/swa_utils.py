"""Averages of a model's weights: stochastic weight averaging and exponential moving averages."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.nn.modules.batchnorm import _BatchNorm
from deepgpu.nn.modules.module import Module
from deepgpu.ops.creation import tensor
from deepgpu.optim.lr_scheduler.scheduler import LRScheduler
from deepgpu.optim.optimizer import Optimizer
from deepgpu.tensor import Tensor


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """An exponential moving average of single parameters: ``decay * old + (1 - decay) * new``."""
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[list[Tensor], list[Tensor], Any], None]:
    """As :func:`get_ema_avg_fn`, for all parameters at once, in place."""
    average = get_ema_avg_fn(decay)

    @no_grad()
    def ema_update(ema_param_list: list[Tensor], current_param_list: list[Tensor], num_averaged: Any) -> None:
        for old, new in zip(ema_param_list, current_param_list, strict=True):
            old.copy_(average(old, new, num_averaged))

    return ema_update


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The mean of all parameters so far."""

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (int(num_averaged) + 1)

    return swa_update


def get_swa_multi_avg_fn() -> Callable[[list[Tensor], list[Tensor], Any], None]:
    """As :func:`get_swa_avg_fn`, for all parameters at once, in place."""
    average = get_swa_avg_fn()

    @no_grad()
    def swa_update(averaged_param_list: list[Tensor], current_param_list: list[Tensor], num_averaged: Any) -> None:
        for old, new in zip(averaged_param_list, current_param_list, strict=True):
            old.copy_(average(old, new, num_averaged))

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages (Izmailov et al., arXiv 1803.05407).

    Parameters
    ----------
    model
        The model that is trained.
    device
        Where the averages are kept.
    avg_fn
        A function of the average, the current parameter and the number of averages so far, that gives the new average.
    multi_avg_fn
        Instead of it, one that changes a list of averages in place.
    use_buffers
        Average the buffers too; otherwise they are copied.

    Attributes
    ----------
    module
        The copy.
    n_averaged
        How often the parameters were averaged.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[[Tensor, Tensor, Any], Tensor] | None = None,
        multi_avg_fn: Callable[[list[Tensor], list[Tensor], Any], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the current parameters of a model into the averages."""

        def held(m: Module) -> list[Tensor]:
            return [*m.parameters(), *(m.buffers() if self.use_buffers else ())]

        own, new = (
            held(self.module),
            [p.detach().to(q.device) for p, q in zip(held(model), held(self.module), strict=True)],
        )
        if int(self.n_averaged) == 0:
            for a, b in zip(own, new, strict=True):
                a.copy_(b)
        elif self.avg_fn is not None:
            for a, b in zip(own, new, strict=True):
                a.copy_(self.avg_fn(a.detach(), b, self.n_averaged))
        else:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(own, new, self.n_averaged)
        if not self.use_buffers:
            for a, b in zip(self.module.buffers(), model.buffers(), strict=True):
                a.copy_(b.detach().to(a.device))
        self.n_averaged.add_(1)


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the statistics of all batch norms anew, from the data of a loader, for averaged weights.

    Parameters
    ----------
    loader
        Yields batches, or sequences that begin with one.
    model
        Whose batch norms are updated.
    device
        Where batches are moved.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    was_training = model.training
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # the mean of all batches
    model.train()
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneal the rates to ``swa_lr``, and keep them there.

    Parameters
    ----------
    optimizer
        Whose rates are set.
    swa_lr
        The final rate, one or one a group.
    anneal_epochs
        In how many steps.
    anneal_strategy
        ``"cos"`` or ``"linear"``
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        rates = list(swa_lr) if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(optimizer.param_groups)
        for rate, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        super().__init__(optimizer, last_epoch)

    def _share(self, t: float) -> float:
        t = max(0.0, min(1.0, t))
        return (1 - math.cos(math.pi * t)) / 2 if self.anneal_strategy == "cos" else t

    def get_lr(self) -> list[Any]:
        """The rates of the next step."""
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (self._share((step - i) / max(1, self.anneal_epochs)) for i in (1, 0))
        rates = []
        for group in self.optimizer.param_groups:
            if before == 1:
                start = group["swa_lr"]
            else:  # the rate that the annealing began with
                start = (group["lr"] - before * group["swa_lr"]) / (1 - before)
            rates.append(group["swa_lr"] * now + start * (1 - now))
        return rates
