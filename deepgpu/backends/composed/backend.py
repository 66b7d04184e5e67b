"""A backend without a kernel of its own: right, readable and slow. A device's backend overrides what it does faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array, Backend, Pair
from deepgpu.backends.composed import (
    activation,
    batchnorm,
    conv,
    cross_entropy,
    dropout,
    gemm,
    groupnorm,
    layernorm,
    optim,
    pool,
    rnn,
    softmax,
)
from deepgpu.backends.layout import memory_order
from deepgpu.backends.precision import accumulation_dtype, rounded
from deepgpu.backends.unfinished import Normalisation


class ComposedBackend(Backend):
    """Every compute method of the contract on ``self.xp``'s operations; what they do is documented there."""

    def sum(self, x: Array, axes: Sequence[int], keepdims: bool) -> Array:
        return rounded(x.sum(axis=axes, dtype=accumulation_dtype(x.dtype), keepdims=keepdims), x.dtype)

    def empty_like(self, x: Array, shape: tuple[int, ...]) -> Array:
        order = memory_order(x)
        return self.xp.empty([shape[d] for d in order], x.dtype).transpose(np.argsort(order).tolist())

    def cumsum(self, x: Array, axis: int, reverse: bool) -> Array:
        if reverse:
            return self.xp.flip(self.xp.cumsum(self.xp.flip(x, axis), axis, dtype=x.dtype), axis).copy()
        return self.xp.cumsum(x, axis, dtype=x.dtype)

    def scalar(self, value: Any) -> Array:
        return self.xp.full((), value, value.dtype)

    def add_at(self, out: Array, index: Any, values: Array) -> None:
        self.xp.add.at(out, index, values)

    def reduce_at(self, ufunc: str, out: Array, index: tuple[Array, ...], values: Array) -> None:
        getattr(self.xp, ufunc).at(out, index, values)

    def matmul(self, a: Array, b: Array) -> Array:
        return gemm.matmul(self.xp, a, b)

    def linear(self, x: Array, w: Array, bias: Array | None) -> Array:
        return gemm.linear(self.matmul, x, w, bias)

    def conv2d_fprop(
        self, x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.conv2d_fprop(self.xp, x, w, bias, stride, padding, dilation, groups)

    def conv2d_dgrad(
        self, gy: Array, w: Array, input_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.conv2d_dgrad(self.xp, gy, w, input_size, stride, padding, dilation, groups)

    def conv2d_wgrad(
        self, gy: Array, x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.conv2d_wgrad(self.xp, gy, x, kernel_size, stride, padding, dilation, groups)

    def max_pool2d(
        self, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output_size: Pair
    ) -> tuple[Array, Array]:
        return pool.max_pool2d(self.xp, x, kernel, stride, padding, dilation, output_size)

    def adaptive_max_pool2d(self, x: Array, output_size: Pair) -> tuple[Array, Array]:
        return pool.adaptive_max_pool2d(self.xp, x, output_size)

    def pool_scatter(self, gy: Array, index: Array, input_size: Pair) -> Array:
        return pool.pool_scatter(self.xp, gy, index, input_size)

    def pool_gather(self, x: Array, index: Array) -> Array:
        return pool.pool_gather(self.xp, x, index)

    def avg_pool2d(
        self,
        x: Array,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        output_size: Pair,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> Array:
        return pool.avg_pool2d(self.xp, x, kernel, stride, padding, output_size, count_include_pad, divisor_override)

    def avg_pool2d_backward(
        self,
        gy: Array,
        input_size: Pair,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> Array:
        return pool.avg_pool2d_backward(
            self.xp, gy, input_size, kernel, stride, padding, count_include_pad, divisor_override
        )

    def adaptive_avg_pool2d(self, x: Array, output_size: Pair) -> Array:
        return pool.adaptive_avg_pool2d(self.xp, x, output_size)

    def adaptive_avg_pool2d_backward(self, gy: Array, input_size: Pair) -> Array:
        return pool.adaptive_avg_pool2d_backward(self.xp, gy, input_size)

    def batch_norm_train(
        self, x: Array, weight: Array | None, bias: Array | None, eps: float
    ) -> tuple[Normalisation, Array, Array]:
        return batchnorm.batch_norm_train(self.xp, x, weight, bias, eps)

    def batch_norm_eval(
        self, x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
    ) -> Normalisation:
        return batchnorm.batch_norm_eval(self.xp, x, weight, bias, mean, var, eps)

    def batch_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array, var: Array, eps: float, training: bool
    ) -> tuple[Array, Array, Array]:
        return batchnorm.batch_norm_backward(self.xp, gy, x, weight, mean, var, eps, training)

    def layer_norm(
        self, x: Array, weight: Array | None, bias: Array | None, eps: float, centered: bool
    ) -> tuple[Array, Array | None, Array]:
        return layernorm.layer_norm(self.xp, x, weight, bias, eps, centered)

    def layer_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array | None, invstd: Array, affine: bool
    ) -> tuple[Array, Array | None, Array | None]:
        return layernorm.layer_norm_backward(self.xp, gy, x, weight, mean, invstd, affine)

    def group_norm(
        self, x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
    ) -> tuple[Array, Array, Array]:
        return groupnorm.group_norm(self, x, groups, weight, bias, eps)

    def group_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
    ) -> tuple[Array, Array, Array]:
        return groupnorm.group_norm_backward(self, gy, x, weight, mean, invstd)

    def relu(self, x: Array) -> Array:
        return activation.relu(self.xp, x)

    def relu_backward(self, gy: Array, y: Array) -> Array:
        return activation.relu_backward(self.xp, gy, y)

    def prelu(self, x: Array, weight: Array) -> Array:
        return activation.prelu(self.xp, x, weight)

    def prelu_backward(self, gy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
        return activation.prelu_backward(self.xp, gy, x, weight)

    def hardtanh(self, x: Array, low: float, high: float) -> Array:
        return activation.hardtanh(self.xp, x, low, high)

    def hardtanh_backward(self, gy: Array, y: Array, low: float, high: float) -> Array:
        return activation.hardtanh_backward(self.xp, gy, y, low, high)

    def softmax(self, x: Array, axis: int) -> Array:
        return softmax.softmax(self.xp, x, axis)

    def log_softmax(self, x: Array, axis: int) -> Array:
        return softmax.log_softmax(self.xp, x, axis)

    def softmax_backward(self, gy: Array, y: Array, axis: int) -> Array:
        return softmax.softmax_backward(self.xp, gy, y, axis)

    def log_softmax_backward(self, gy: Array, y: Array, axis: int) -> Array:
        return softmax.log_softmax_backward(self.xp, gy, y, axis)

    def cross_entropy(self, x: Array, labels: Array, weight: Array | None, smoothing: float) -> tuple[Array, Array]:
        return cross_entropy.cross_entropy(self.xp, x, labels, weight, smoothing)

    def cross_entropy_backward(
        self, g: Array, x: Array, norms: Array, labels: Array, weight: Array | None, smoothing: float
    ) -> Array:
        return cross_entropy.cross_entropy_backward(self.xp, g, x, norms, labels, weight, smoothing)

    def dropout_mask(
        self, x: Array, shape: tuple[int, ...], p: float, generator: Callable[[], np.random.Generator]
    ) -> Any:
        return self.from_numpy(generator().random(shape, dtype=np.float32) >= p)

    def dropout(self, x: Array, mask: Any, scale: float) -> Array:
        return dropout.dropout(x, mask, scale)

    def lstm_gates(self, gates: Array, c: Array) -> tuple[Array, Array]:
        return rnn.lstm_gates(self.xp, gates, c)

    def lstm_gates_backward(self, gh: Array, gc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
        return rnn.lstm_gates_backward(self.xp, gh, gc, gates, c, new)

    def gru_gates(self, x: Array, hidden: Array, h: Array) -> Array:
        return rnn.gru_gates(self.xp, x, hidden, h)

    def gru_gates_backward(self, g: Array, x: Array, hidden: Array, h: Array) -> tuple[Array, Array, Array]:
        return rnn.gru_gates_backward(self.xp, g, x, hidden, h)

    def embedding(self, table: Array, index: Array) -> Array:
        return table[index]

    def embedding_backward(self, g: Array, index: Array, rows: int) -> Array:
        table = self.xp.zeros((rows, g.shape[-1]), g.dtype)
        self.add_at(table, (index,), g)
        return table

    def sgd_step(
        self, params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array] | None, **options: Any
    ) -> None:
        optim.sgd_step(self.xp, params, grads, momenta, **options)

    def adam_step(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        exp_avgs: Sequence[Array],
        exp_avg_sqs: Sequence[Array],
        max_exp_avg_sqs: Sequence[Array] | None,
        **options: Any,
    ) -> None:
        optim.adam_step(self.xp, params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, **options)
