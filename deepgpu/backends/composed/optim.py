"""One step of the optimizers, composed of array operations. `xp` is the array namespace, NumPy or CuPy.

Half-precision parameters are updated in float32 and rounded once.
"""

from __future__ import annotations

import math
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
    lr: float | Array,
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
    step: int | Sequence[Array],
    lr: float | Array,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Adam (Kingma and Ba, 2015), AdamW (Loshchilov and Hutter, 2019) with `decoupled`, in place.

    AMSGrad (Reddi et al., 2018) if `max_exp_avg_sqs` is given. `step` counts from 1; arrays of it are counted up here.
    """
    if isinstance(step, int):
        bias1, bias2 = 1 - beta1**step, 1 - beta2**step
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        if not isinstance(step, int):
            step[i][...] += 1
            bias1, bias2 = (
                -xp.expm1(step[i].astype(float) * math.log(beta)) if beta else 1.0 for beta in (beta1, beta2)
            )
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
        param[...] = p - lr / bias1 * m / (xp.sqrt(v) / bias2**0.5 + eps)
