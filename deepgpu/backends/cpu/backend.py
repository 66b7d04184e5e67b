"""The CPU behind the contract: each method goes to the module of its noun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array, Pair, RecurrenceTrace
from deepgpu.backends.composed import ComposedBackend
from deepgpu.backends.cpu import (
    accumulate,
    activation,
    arithmetic,
    batchnorm,
    binary_cross_entropy,
    conv,
    copy,
    cross_entropy,
    cumsum,
    elementwise,
    erf,
    gemm,
    groupnorm,
    indexing,
    layernorm,
    memory,
    optim,
    pool,
    prelu,
    recurrence,
    reduction,
    rnn,
    softmax,
    transpose,
    where,
)
from deepgpu.backends.layout import memory_order
from deepgpu.backends.unfinished import Convolution, Normalisation


class CPUBackend(ComposedBackend):
    """NumPy arrays; kernels are imported, and compiled, at the first call that needs them."""

    type = "cpu"
    index = None
    xp = np

    def contiguous(self, x: Array) -> Array:
        return transpose.contiguous(x)

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return transpose.reshape(x, shape)

    def from_numpy(self, array: Array) -> Array:
        return array

    def scalar(self, value: Any) -> Array:
        return np.asarray(value)

    def receive(self, array: Array, non_blocking: bool) -> Array:
        return array

    def to_numpy(self, array: Array) -> Array:
        return array

    def synchronize(self) -> None:
        """Return at once: every call has finished when it returns."""

    def accumulate(self, total: Array, other: Array) -> None:
        accumulate.accumulate(total, other)

    def sum(self, x: Array, axes: Sequence[int], keepdims: bool) -> Array:
        found = reduction.sum(x, axes, keepdims)
        return super().sum(x, axes, keepdims) if found is None else found

    def where(self, mask: Array, a: Array, b: Array) -> Array:
        return where.where(mask, a, b)

    def empty_like(self, x: Array, shape: tuple[int, ...]) -> Array:
        order = memory_order(x)
        return memory.empty([shape[d] for d in order], x.dtype).transpose(np.argsort(order))

    def assign(self, out: Array, x: Array) -> None:
        copy.assign(out, x)

    def add_at(self, out: Array, index: Any, values: Array) -> None:
        if not indexing.add_at(out, index, values):
            super().add_at(out, index, values)

    def binary_cross_entropy(self, p: Array, t: Array) -> Array | None:
        return binary_cross_entropy.binary_cross_entropy(p, t)

    def binary_cross_entropy_backward(self, gy: Array, p: Array, t: Array) -> Array | None:
        return binary_cross_entropy.binary_cross_entropy_backward(gy, p, t)

    def cumsum(self, x: Array, axis: int, reverse: bool) -> Array:
        found = cumsum.cumsum(x, axis, reverse)
        return super().cumsum(x, axis, reverse) if found is None else found

    def dropout(self, x: Array, mask: Any, scale: float) -> Array:
        if mask.shape != x.shape and x.dtype == np.float32:  # whole channels
            found = arithmetic.arithmetic("multiply", x, mask * np.float32(scale))
            if found is not None:
                return found
        return super().dropout(x, mask, scale)

    def prelu(self, x: Array, weight: Array) -> Array:
        return prelu.prelu(x, weight) if x.dtype == np.float32 and x.size else super().prelu(x, weight)

    def prelu_backward(self, gy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
        if not gy.dtype == x.dtype == np.float32 or x.size == 0:
            return super().prelu_backward(gy, x, weight)
        return prelu.prelu_backward(gy, x, weight)

    def erf(self, x: Array) -> Array:
        return erf.erf(x)

    def matmul(self, a: Array, b: Array) -> Array:
        return gemm.matmul(a, b)

    def linear(self, x: Array, w: Array, bias: Array | None) -> Array:
        return gemm.linear(x, w, bias)

    def conv2d_fprop(
        self, x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.fprop(x, w, bias, stride, padding, dilation, groups)

    def conv2d_unfinished(
        self,
        x: Array,
        w: Array,
        bias: Array | None,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
        kept: dict[Any, Any] | None,
    ) -> Convolution | None:
        return conv.unfinished(x, w, bias, stride, padding, dilation, groups, kept)

    def conv2d_dgrad(
        self, gy: Array, w: Array, input_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.dgrad(gy, w, input_size, stride, padding, dilation, groups)

    def conv2d_wgrad(
        self, gy: Array, x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        return conv.wgrad(gy, x, kernel_size, stride, padding, dilation, groups)

    def max_pool2d(
        self, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output_size: Pair
    ) -> tuple[Array, Array]:
        return pool.max_pool2d(x, kernel, stride, padding, dilation, output_size)

    def adaptive_max_pool2d(self, x: Array, output_size: Pair) -> tuple[Array, Array]:
        return pool.adaptive_max_pool2d(x, output_size)

    def pool_scatter(self, gy: Array, index: Array, input_size: Pair) -> Array:
        return pool.pool_scatter(gy, index, input_size)

    def pool_gather(self, x: Array, index: Array) -> Array:
        return pool.pool_gather(x, index)

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
        return pool.avg_pool2d(x, kernel, stride, padding, output_size, count_include_pad, divisor_override)

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
        return pool.avg_pool2d_backward(gy, input_size, kernel, stride, padding, count_include_pad, divisor_override)

    def adaptive_avg_pool2d(self, x: Array, output_size: Pair) -> Array:
        return pool.adaptive_avg_pool2d(x, output_size)

    def adaptive_avg_pool2d_backward(self, gy: Array, input_size: Pair) -> Array:
        return pool.adaptive_avg_pool2d_backward(gy, input_size)

    def batch_norm_train(
        self, x: Array | Convolution, weight: Array | None, bias: Array | None, eps: float
    ) -> tuple[Normalisation, Array, Array]:
        return batchnorm.batch_norm_train(x, weight, bias, eps)

    def batch_norm_eval(
        self, x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
    ) -> Normalisation:
        return batchnorm.batch_norm_eval(x, weight, bias, mean, var, eps)

    def batch_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array, var: Array, eps: float, training: bool
    ) -> tuple[Array, Array, Array]:
        return batchnorm.batch_norm_backward(gy, x, weight, mean, var, eps, training)

    def layer_norm(
        self, x: Array, weight: Array | None, bias: Array | None, eps: float, centered: bool
    ) -> tuple[Array, Array | None, Array]:
        return layernorm.layer_norm(x, weight, bias, eps, centered)

    def layer_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array | None, invstd: Array, affine: bool
    ) -> tuple[Array, Array | None, Array | None]:
        return layernorm.layer_norm_backward(gy, x, weight, mean, invstd, affine)

    def group_norm(
        self, x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
    ) -> tuple[Array, Array, Array]:
        if x.dtype != np.float32 or x.size == 0:
            return super().group_norm(x, groups, weight, bias, eps)
        return groupnorm.group_norm(x, groups, weight, bias, eps)

    def group_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
    ) -> tuple[Array, Array, Array]:
        if not gy.dtype == x.dtype == np.float32 or x.size == 0:
            return super().group_norm_backward(gy, x, weight, mean, invstd)
        return groupnorm.group_norm_backward(gy, x, weight, mean, invstd)

    def relu(self, x: Array) -> Array:
        return activation.relu(x)

    def relu_backward(self, gy: Array, y: Array) -> Array:
        return activation.relu_backward(gy, y)

    def hardtanh(self, x: Array, low: float, high: float) -> Array:
        return activation.hardtanh(x, low, high)

    def hardtanh_backward(self, gy: Array, y: Array, low: float, high: float) -> Array:
        return activation.hardtanh_backward(gy, y, low, high)

    def arithmetic(self, name: str, a: Any, b: Any) -> Array | None:
        return arithmetic.arithmetic(name, a, b)

    def elementwise(self, name: str, x: Array, *factors: float) -> Array | None:
        return elementwise.elementwise(name, x, *factors)

    def elementwise_backward(self, name: str, gy: Array, at: Array, *factors: float) -> Array | None:
        return elementwise.elementwise_backward(name, gy, at, *factors)

    def softmax(self, x: Array, axis: int) -> Array:
        return softmax.softmax(x, axis)

    def log_softmax(self, x: Array, axis: int) -> Array:
        return softmax.log_softmax(x, axis)

    def softmax_backward(self, gy: Array, y: Array, axis: int) -> Array:
        return softmax.softmax_backward(gy, y, axis)

    def log_softmax_backward(self, gy: Array, y: Array, axis: int) -> Array:
        return softmax.log_softmax_backward(gy, y, axis)

    def cross_entropy(self, x: Array, labels: Array, weight: Array | None, smoothing: float) -> tuple[Array, Array]:
        return cross_entropy.cross_entropy(x, labels, weight, smoothing)

    def cross_entropy_backward(
        self, g: Array, x: Array, norms: Array, labels: Array, weight: Array | None, smoothing: float
    ) -> Array:
        return cross_entropy.cross_entropy_backward(g, x, norms, labels, weight, smoothing)

    def has_recurrence(self, dtype: Any) -> bool:
        return dtype == np.float32

    def recurrence(self, *arguments: Any) -> tuple[Array, tuple[Array, ...], RecurrenceTrace]:
        return recurrence.forward(*arguments)

    def recurrence_backward(self, *arguments: Any) -> tuple[Array, Array, tuple[Array, ...]]:
        return recurrence.backward(*arguments)

    def lstm_gates(self, gates: Array, c: Array) -> tuple[Array, Array]:
        return rnn.lstm_gates(gates, c)

    def lstm_gates_backward(self, gh: Array, gc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
        return rnn.lstm_gates_backward(gh, gc, gates, c, new)

    def gru_gates(self, x: Array, hidden: Array, h: Array) -> Array:
        return rnn.gru_gates(x, hidden, h)

    def gru_gates_backward(self, g: Array, x: Array, hidden: Array, h: Array) -> tuple[Array, Array, Array]:
        return rnn.gru_gates_backward(g, x, hidden, h)

    def sgd_step(
        self, params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array] | None, **options: Any
    ) -> None:
        optim.sgd_step(params, grads, momenta, **options)

    def adam_step(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        exp_avgs: Sequence[Array],
        exp_avg_sqs: Sequence[Array],
        max_exp_avg_sqs: Sequence[Array] | None,
        **options: Any,
    ) -> None:
        optim.adam_step(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, **options)
