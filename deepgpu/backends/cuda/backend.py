"""A CUDA device behind the contract, on handwritten kernels; what they do not take goes to CuPy's operations."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepgpu.backends import cuda, cudnn, determinism
from deepgpu.backends.base import Array, Backend, Pair
from deepgpu.backends.composed import ComposedBackend
from deepgpu.backends.cuda import (
    batchnorm,
    conv,
    cross_entropy,
    dropout,
    elementwise,
    embedding,
    gemm,
    graphs,
    layernorm,
    memory,
    optim,
    pool,
    rnn,
    scatter,
    softmax,
)
from deepgpu.backends.unfinished import Normalisation


def _on_own_device(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method`, run with its backend's device as CuPy's current one."""

    @functools.wraps(method)
    def run(self: CUDABackend, *args: Any, **kwargs: Any) -> Any:
        with self._device:
            return method(self, *args, **kwargs)

    return run


class CUDABackend(ComposedBackend):
    """Arrays of one CUDA device.

    Parameters
    ----------
    index
        Which device.
    cupy
        CuPy, or what emulates it: see :func:`deepgpu.backends.cuda.runtime.cupy`.
    """

    type = "cuda"

    def __init__(self, index: int, cupy: Any) -> None:
        self.xp = cupy
        self.index = index
        self._device = self.xp.cuda.Device(index)
        memory.allocator(cupy)

    def from_numpy(self, array: Array) -> Array:
        return graphs.uploaded(self.xp, array)

    def receive(self, array: Array, non_blocking: bool) -> Array:
        if non_blocking and self.is_pinned(array):
            return memory.copied_asynchronously(self.xp, array)
        graphs.refuse(
            "to",
            "a copy of pageable memory would be complete before the first replay",
            "copy from a pinned tensor with `non_blocking=True`, or into a static tensor before the replay",
        )
        return self.xp.asarray(array)

    def pinned(self, array: Array) -> Array:
        """A copy of a NumPy array in pinned memory."""
        return memory.pinned_copy(self.xp, array)

    def is_pinned(self, array: Array) -> bool:
        """Whether a NumPy array lies in pinned memory."""
        return memory.is_pinned(self.xp, array)

    def to_numpy(self, array: Array) -> Array:
        return self.xp.asnumpy(array)

    def keep_for(self, stream: Any, array: Array) -> None:
        """Keep an array's memory until the work that a stream has now is done."""
        memory.keep_until(stream.record(), array)

    def synchronize(self) -> None:
        self._device.synchronize()

    def add_at(self, out: Array, index: Any, values: Array) -> None:
        if out.dtype.kind not in "iub":
            determinism.check("index_add", "sums of floating-point numbers by index can be done on the CPU: `x.cpu()`")
        if out.dtype == np.int64:  # CuPy has atomics for the unsigned type only, and addition is the same
            self.xp.add.at(out.view(np.uint64), index, values.astype(np.int64).view(np.uint64))
        elif out.dtype.name in _ATOMIC_DTYPES:
            self.xp.add.at(out, index, values)
        else:
            wide = out.astype(np.int32 if out.dtype.kind in "iub" else np.float32)
            self.xp.add.at(wide, index, values.astype(wide.dtype))
            out[...] = wide.astype(out.dtype)

    def reduce_at(self, ufunc: str, out: Array, index: tuple[Array, ...], values: Array) -> None:
        scatter.reduce_at(self.xp, ufunc, out, index, values)

    def matmul(self, a: Array, b: Array) -> Array:
        return gemm.matmul(self.xp, a, b, allow_tf32=cuda.matmul.allow_tf32)

    def conv2d_fprop(
        self, x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        tf32 = cudnn.allow_tf32
        return conv.fprop(self.xp, x, w, bias, stride, padding, dilation, groups, allow_tf32=tf32)

    def conv2d_dgrad(
        self, gy: Array, w: Array, input_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        tf32 = cudnn.allow_tf32
        return conv.dgrad(self.xp, gy, w, input_size, stride, padding, dilation, groups, allow_tf32=tf32)

    def conv2d_wgrad(
        self, gy: Array, x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        tf32 = cudnn.allow_tf32
        return conv.wgrad(self.xp, gy, x, kernel_size, stride, padding, dilation, groups, allow_tf32=tf32)

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

    def relu(self, x: Array) -> Array:
        return elementwise.relu(self.xp, x)

    def relu_backward(self, gy: Array, y: Array) -> Array:
        return elementwise.relu_backward(self.xp, gy, y)

    def hardtanh(self, x: Array, low: float, high: float) -> Array:
        return elementwise.hardtanh(self.xp, x, low, high)

    def hardtanh_backward(self, gy: Array, y: Array, low: float, high: float) -> Array:
        return elementwise.hardtanh_backward(self.xp, gy, y, low, high)

    def erf(self, x: Array) -> Array:
        return elementwise.erf(self.xp, x)

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
        if shape == x.shape:
            return dropout.dropout_mask(self.xp, x, p, generator)
        return dropout.channel_mask(self.xp, shape, p, generator)

    def dropout(self, x: Array, mask: Any, scale: float) -> Array:
        if isinstance(mask, dropout.PhiloxMask):
            return dropout.dropout(self.xp, x, mask, scale)
        return super().dropout(x, mask, scale)

    def lstm_gates(self, gates: Array, c: Array) -> tuple[Array, Array]:
        return rnn.lstm_gates(self.xp, gates, c)

    def lstm_gates_backward(self, gh: Array, gc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
        return rnn.lstm_gates_backward(self.xp, gh, gc, gates, c, new)

    def gru_gates(self, x: Array, hidden: Array, h: Array) -> Array:
        return rnn.gru_gates(self.xp, x, hidden, h)

    def gru_gates_backward(self, g: Array, x: Array, hidden: Array, h: Array) -> tuple[Array, Array, Array]:
        return rnn.gru_gates_backward(self.xp, g, x, hidden, h)

    def embedding(self, table: Array, index: Array) -> Array:
        return embedding.embedding(self.xp, table, index)

    def embedding_backward(self, g: Array, index: Array, rows: int) -> Array:
        return embedding.embedding_backward(self.xp, g, index, rows)

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


_ATOMIC_DTYPES = ("int32", "uint32", "uint64", "float16", "float32", "float64")

for _name, _ in inspect.getmembers(Backend, inspect.isfunction):
    if not _name.startswith("_"):
        setattr(CUDABackend, _name, _on_own_device(getattr(CUDABackend, _name)))
