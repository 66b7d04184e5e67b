"""A backend without a kernel of its own: right, readable and slow. A device's backend overrides what it does faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgpu.backends.base import Array, Backend, Normalisation, Pair
from deepgpu.backends.composed import activation, batchnorm, conv, gemm, optim, pool, softmax


class ComposedBackend(Backend):
    """Every compute method of the contract on ``self.xp``'s operations; what they do is documented there."""

    def scalar(self, value: Any) -> Array:
        return self.xp.full((), value, value.dtype)

    def add_at(self, out: Array, index: Any, values: Array) -> None:
        self.xp.add.at(out, index, values)

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

    def relu(self, x: Array) -> Array:
        return activation.relu(self.xp, x)

    def relu_backward(self, gy: Array, y: Array) -> Array:
        return activation.relu_backward(self.xp, gy, y)

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
