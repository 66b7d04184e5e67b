"""Optimizer steps over all parameters of a network in one call; each number is read and written once.

The parameters lie end to end in thought: parameter i is elements ``offsets[i] .. offsets[i + 1]``, and a task is one of
`parts` equal runs of them, whatever the sizes of the parameters. ``table[i, k]`` is the address of the k-th array of
parameter i (itself, its gradient, its state): dense, of the dtype of `factors`, and laid out alike.
"""

from __future__ import annotations

import math

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compile import kernel
from .parallel import parallel_for

FUSED = {"contract"}  # a * b + c may be rounded once


@intrinsic
def _pointer(typingctx, address):
    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), generate


@kernel
def _run(table, k, i, first, end, like):
    """Elements ``first .. end`` of the k-th array of parameter i."""
    return numba.carray(_pointer(table[i, k] + first * like.itemsize), end - first, like.dtype)


@kernel(fastmath=FUSED)
def _momentum(p, g, m, sign, lr, momentum, fresh, weight_decay, nesterov, first_step):
    """A step with momentum of any kind."""
    for j in range(len(p)):
        d = sign * g[j]
        if weight_decay != 0:
            d += weight_decay * p[j]
        v = d if first_step else momentum * m[j] + fresh * d
        m[j] = v
        p[j] -= lr * (d + momentum * v if nesterov else v)


@parallel_for(fastmath=FUSED)
def sgd(part, table, offsets, factors, has_momentum, nesterov, first_step, parts):
    """``torch.optim.SGD``. Arrays: parameter, gradient, momentum.

    Factors: the sign of the gradient (-1 to maximize), lr, momentum, 1 - dampening, weight decay.
    """
    sign, lr, momentum, fresh, weight_decay = factors[0], factors[1], factors[2], factors[3], factors[4]
    start, stop = offsets[-1] * part // parts, offsets[-1] * (part + 1) // parts
    for i in range(len(offsets) - 1):
        first, end = max(start, offsets[i]) - offsets[i], min(stop, offsets[i + 1]) - offsets[i]
        if first >= end:
            continue
        p, g = _run(table, 0, i, first, end, factors), _run(table, 1, i, first, end, factors)
        if has_momentum:
            m = _run(table, 2, i, first, end, factors)
            if first_step or nesterov or weight_decay == 0:
                _momentum(p, g, m, sign, lr, momentum, fresh, weight_decay, nesterov, first_step)
            else:  # the usual step, without a choice that would keep the loop from being vectors
                for j in range(end - first):
                    v = momentum * m[j] + fresh * (sign * g[j] + weight_decay * p[j])
                    m[j] = v
                    p[j] -= lr * v
        else:
            for j in range(end - first):
                d = sign * g[j]
                if weight_decay != 0:
                    d += weight_decay * p[j]
                p[j] -= lr * d


@parallel_for(fastmath=FUSED)
def adam(part, table, offsets, factors, amsgrad, parts):
    """Adam (Kingma and Ba, 2015). Arrays: parameter, gradient, mean, mean square, with `amsgrad` its maximum so far.

    Factors: the sign of the gradient (-1 to maximize), ``lr / (1 - beta1^t)``, 1 - beta1, beta2, 1 - beta2,
    ``1 / sqrt(1 - beta2^t)``, eps, what AdamW (Loshchilov and Hutter, 2019) scales the parameter by first (1 for none),
    weight decay.
    """
    sign, step, fresh1, beta2, fresh2 = factors[0], factors[1], factors[2], factors[3], factors[4]
    correction, eps, decay, weight_decay = factors[5], factors[6], factors[7], factors[8]
    start, stop = offsets[-1] * part // parts, offsets[-1] * (part + 1) // parts
    for i in range(len(offsets) - 1):
        first, end = max(start, offsets[i]) - offsets[i], min(stop, offsets[i + 1]) - offsets[i]
        if first >= end:
            continue
        p, g = _run(table, 0, i, first, end, factors), _run(table, 1, i, first, end, factors)
        m, v = _run(table, 2, i, first, end, factors), _run(table, 3, i, first, end, factors)
        highest = _run(table, 4, i, first, end, factors) if amsgrad else v
        for j in range(end - first):
            d = sign * g[j]
            w = decay * p[j]
            if weight_decay != 0:
                d += weight_decay * w
            mean = m[j] + fresh1 * (d - m[j])
            square = beta2 * v[j] + fresh2 * (d * d)
            m[j], v[j] = mean, square
            if amsgrad:
                h = highest[j]
                square = h if h > square else square
                highest[j] = square
            p[j] = w - step * mean / (math.sqrt(square) * correction + eps)
