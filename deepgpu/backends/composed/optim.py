"""One step of the optimizers, composed of array operations. `xp` is the array namespace, NumPy or CuPy.

Half-precision parameters are updated in float32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.backends.base import Array
from deepgpu.backends.precision import widened


def sgd_step(
    xp: Any,
    params: Sequence[Array],
    grads: Sequence[Array],
    momenta: Sequence[Array] | None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> None:
    """``torch.optim.SGD``'s rule, in place. `first`: the momenta are undefined and become the gradients."""
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        p, g = widened(param), widened(grad)
        if maximize:
            g = -g
        if weight_decay:
            g = g + weight_decay * p
        if momenta is not None:
            buffer = g if first else momentum * widened(momenta[i]) + (1 - dampening) * g
            momenta[i][...] = buffer
            g = g + momentum * buffer if nesterov else buffer
        param[...] = p - lr * g


def adam_step(
    xp: Any,
    params: Sequence[Array],
    grads: Sequence[Array],
    exp_avgs: Sequence[Array],
    exp_avg_sqs: Sequence[Array],
    max_exp_avg_sqs: Sequence[Array] | None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Adam (Kingma and Ba, 2015), AdamW (Loshchilov and Hutter, 2019) with `decoupled`, in place.

    AMSGrad (Reddi et al., 2018) if `max_exp_avg_sqs` is given. `step` counts from 1.
    """
    step_size, correction2 = lr / (1 - beta1**step), (1 - beta2**step) ** 0.5
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        p, g, m, v = (widened(a) for a in (param, grad, exp_avgs[i], exp_avg_sqs[i]))
        if maximize:
            g = -g
        if weight_decay and decoupled:
            p = p * (1 - lr * weight_decay)
        elif weight_decay:
            g = g + weight_decay * p
        m = m + (1 - beta1) * (g - m)
        v = beta2 * v + (1 - beta2) * (g * g)
        exp_avgs[i][...], exp_avg_sqs[i][...] = m, v
        if max_exp_avg_sqs is not None:
            v = xp.maximum(widened(max_exp_avg_sqs[i]), v)
            max_exp_avg_sqs[i][...] = v
        param[...] = p - step_size * m / (xp.sqrt(v) / correction2 + eps)
