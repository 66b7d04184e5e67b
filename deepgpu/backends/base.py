"""The contract between the ops and the devices.

A backend computes on *raw arrays* (``numpy.ndarray`` on the CPU, ``cupy.ndarray`` on a GPU): no Tensor, no autograd, no
type promotion. The ops have already checked shapes and dtypes and raised the errors that a user sees; a backend only
chooses an algorithm, allocates and computes. What is plain elementwise, reduction or indexing goes through ``xp``,
the array namespace that NumPy and CuPy share; the methods below are what handwritten kernels serve.

Images are logically ``(N, C, H, W)``. They may arrive with any strides; kernels work on channels-last memory, so the
results are NCHW-shaped views of NHWC-contiguous buffers: ``y.transpose(0, 2, 3, 1)`` is C-contiguous.

Dtypes: every method takes float32 and float64, and float16 and bfloat16 with float32 accumulation; the result has the
dtype of the first array argument unless said otherwise. Statistics (``mean``, ``invstd``) are float32 for the
half types, else of the input's dtype.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from deepgpu.backends.unfinished import Convolution, Normalisation

Array = Any
"""A raw array of the backend's own kind."""

Pair = tuple[int, int]
"""Height and width."""


class RecurrenceTrace(NamedTuple):
    """What backward needs of the steps of a recurrent layer; a row is a sequence at a step."""

    outputs: Array
    """``(rows, H)``"""

    before: Array
    """``(rows, H)``: the states before the step."""

    gates: Array
    """``(rows, G H)``, or longer rows: the gates of the LSTM and the GRU."""

    other: Array | None = None
    """``(rows, ...)``: the LSTM's cells, the GRU's products of the state."""


class Backend(ABC):
    """What a device must be able to do. One instance a device, held by :mod:`deepgpu.backends.registry`."""

    type: str
    """``"cpu"`` or ``"cuda"``."""

    index: int | None
    """Which device of that type; None on the CPU."""

    xp: Any
    """The array namespace: ``numpy`` or ``cupy``."""

    fixed_memory = False
    """Whether a CUDA graph was captured: it knows arrays by address, so a tensor must keep its memory for good."""

    # --- arrays -----------------------------------------------------------------------------------------------------

    def accumulate(self, total: Array, other: Array) -> None:
        """``total += other``, for arrays of one shape and dtype, each element of ``total`` at its own place."""
        total += other

    @abstractmethod
    def sum(self, x: Array, axes: Sequence[int], keepdims: bool) -> Array:
        """The sum over some axes, named in ascending order; integers too."""

    def where(self, mask: Array, a: Array, b: Array) -> Array:
        """`a` where the mask is set, else `b`; all three broadcast."""
        return self.xp.where(mask, a, b)

    @abstractmethod
    def empty_like(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Uninitialised, of a shape of as many dimensions, which lie in memory in the order of those of ``x``."""

    def assign(self, out: Array, x: Array) -> None:
        """Copy an array into another, or into a part of one, of its shape."""
        out[...] = x

    @abstractmethod
    def cumsum(self, x: Array, axis: int, reverse: bool) -> Array:
        """The sums of all elements up to each along an axis, or from each on; in the dtype of ``x``."""

    def contiguous(self, x: Array) -> Array:
        """The array in C order; itself if it is so already."""
        return self.xp.ascontiguousarray(x)

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        """A view of this shape where strides allow it, else a copy."""
        return x.reshape(shape)

    @abstractmethod
    def from_numpy(self, array: Array) -> Array:
        """Copy a NumPy array to this device. On the CPU the array itself is returned."""

    @abstractmethod
    def to_numpy(self, array: Array) -> Array:
        """Copy an array to the host. On the CPU the array itself is returned."""

    @abstractmethod
    def scalar(self, value: Any) -> Array:
        """A NumPy scalar as an array of 0 dimensions, without a copy from the host."""

    @abstractmethod
    def receive(self, array: Array, non_blocking: bool) -> Array:
        """As :meth:`from_numpy`, for the data of a user; from pinned memory the host need not wait for the copy."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all work on this device is done."""

    @abstractmethod
    def add_at(self, out: Array, index: Any, values: Array) -> None:
        """``out[index] += values`` in place, where an index that occurs twice adds twice."""

    @abstractmethod
    def reduce_at(self, ufunc: str, out: Array, index: tuple[Array, ...], values: Array) -> None:
        """``out[index] = ufunc(out[index], values)`` in place, once for each time that an index occurs.

        ``ufunc`` is ``"multiply"``, ``"maximum"`` or ``"minimum"``; the index has an array for every dimension, and
        they broadcast to the shape of ``values``.
        """

    # --- matmul -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def matmul(self, a: Array, b: Array) -> Array:
        """Matrix product with NumPy's rules for 1-d and batched arguments.

        Operands may be any strided view; integer dtypes are allowed and wrap around.
        """

    @abstractmethod
    def linear(self, x: Array, w: Array, bias: Array | None) -> Array:
        """``x (M, K) @ w (N, K)^T + bias (N,) -> (M, N)``, all of one floating dtype."""

    # --- convolution ------------------------------------------------------------------------------------------------

    @abstractmethod
    def conv2d_fprop(
        self, x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        """``x (N, C, H, W) * w (K, C/groups, R, S) + bias (K,) -> y (N, K, P, Q)``, a cross-correlation.

        ``P = (H + 2 padding - dilation (R - 1) - 1) // stride + 1``, and ``Q`` likewise.
        """

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
        """The same left open; None where that saves nothing.

        ``kept`` may take what is made of the weights, for the next call with the same values; None: nothing is kept.
        """
        return None

    @abstractmethod
    def conv2d_dgrad(
        self, gy: Array, w: Array, input_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        """Gradient with respect to the input, ``(N, C, *input_size)``. Also the transposed convolution's forward."""

    @abstractmethod
    def conv2d_wgrad(
        self, gy: Array, x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Array:
        """Gradient with respect to the weight, ``(K, C/groups, *kernel_size)``."""

    # --- pooling ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def max_pool2d(
        self, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output_size: Pair
    ) -> tuple[Array, Array]:
        """Maximum of each window, and where it stood: ``(y, index)`` of shape ``(N, C, *output_size)``.

        ``index`` is int32: the position ``h * W + w`` in the input plane of the first maximum in row-major order; a NaN
        in the window is its maximum. Padding is minus infinity. ``output_size`` is given because it depends on
        ``ceil_mode``.
        """

    @abstractmethod
    def adaptive_max_pool2d(self, x: Array, output_size: Pair) -> tuple[Array, Array]:
        """As :meth:`max_pool2d`; window ``i`` spans ``floor(i H / P) .. ceil((i + 1) H / P)``."""

    @abstractmethod
    def pool_scatter(self, gy: Array, index: Array, input_size: Pair) -> Array:
        """Backward of a max pool: add ``gy`` at ``index`` of each plane of zeros ``(N, C, *input_size)``."""

    @abstractmethod
    def pool_gather(self, x: Array, index: Array) -> Array:
        """The elements of each plane of ``x`` at ``index``: the adjoint of :meth:`pool_scatter`."""

    @abstractmethod
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
        """Mean of each window, with PyTorch's rules for the divisor at the borders."""

    @abstractmethod
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
        """Adjoint of :meth:`avg_pool2d`, ``(N, C, *input_size)``."""

    @abstractmethod
    def adaptive_avg_pool2d(self, x: Array, output_size: Pair) -> Array:
        """Mean over the windows of :meth:`adaptive_max_pool2d`."""

    @abstractmethod
    def adaptive_avg_pool2d_backward(self, gy: Array, input_size: Pair) -> Array:
        """Adjoint of :meth:`adaptive_avg_pool2d`."""

    # --- batch norm -------------------------------------------------------------------------------------------------
    # x is (N, C) or (N, C, spatial...); weight and bias are (C,) or both None.

    @abstractmethod
    def batch_norm_train(
        self, x: Array | Convolution, weight: Array | None, bias: Array | None, eps: float
    ) -> tuple[Normalisation, Array, Array]:
        """Normalise by the batch's own statistics: ``(y, mean, var)``, ``var`` the biased variance of each channel.

        The statistics are computed now, ``y`` when it is called. So is a convolution: its result is ``y.x``. Only what
        this device's :meth:`conv2d_unfinished` returned, not normalised, may be one.
        """

    @abstractmethod
    def batch_norm_eval(
        self, x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
    ) -> Normalisation:
        """Normalise by given statistics, when it is called."""

    @abstractmethod
    def batch_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array, var: Array, eps: float, training: bool
    ) -> tuple[Array, Array, Array]:
        """``(gx, gweight, gbias)``. With ``training`` the statistics depend on ``x``, otherwise they are constants.

        ``gy`` may be what :meth:`Normalisation.limited_gradient` of this device returned.
        """

    # --- layer norm: rows (M, K); weight and bias are (K,) or None ---------------------------------------------------

    @abstractmethod
    def layer_norm(
        self, x: Array, weight: Array | None, bias: Array | None, eps: float, centered: bool
    ) -> tuple[Array, Array | None, Array]:
        """``(x - mean) invstd weight + bias`` and the statistics of the rows: ``(y, mean, invstd)``.

        ``invstd = 1 / sqrt(mean((x - mean)^2) + eps)``. Unless ``centered`` the mean counts as 0, and is returned as
        None: the RMS norm.
        """

    @abstractmethod
    def layer_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array | None, invstd: Array, affine: bool
    ) -> tuple[Array, Array | None, Array | None]:
        """``(gx, gweight, gbias)``, the latter two in the statistics' dtype, and None unless ``affine``."""

    # --- group norm: images (N, C, spatial...); weight and bias are (C,) or None -------------------------------------

    @abstractmethod
    def group_norm(
        self, x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
    ) -> tuple[Array, Array, Array]:
        """``(x - mean) invstd weight + bias`` and the statistics ``(N, groups)``: ``(y, mean, invstd)``."""

    @abstractmethod
    def group_norm_backward(
        self, gy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
    ) -> tuple[Array, Array, Array]:
        """``(gx, gweight, gbias)``, the latter two in the statistics' dtype or a wider one."""

    # --- activations ------------------------------------------------------------------------------------------------

    @abstractmethod
    def relu(self, x: Array) -> Array:
        """``max(x, 0)``; NaN stays NaN. Keeps the memory layout."""

    @abstractmethod
    def relu_backward(self, gy: Array, y: Array) -> Array:
        """``gy``, but 0 where ``y <= 0``."""

    @abstractmethod
    def hardtanh(self, x: Array, low: float, high: float) -> Array:
        """``min(max(x, low), high)``; NaN stays NaN. Keeps the memory layout. The limits fit the dtype of ``x``."""

    @abstractmethod
    def hardtanh_backward(self, gy: Array, y: Array, low: float, high: float) -> Array:
        """``gy``, but 0 where ``y <= low`` or ``y >= high``."""

    @abstractmethod
    def prelu(self, x: Array, weight: Array) -> Array:
        """``x`` where positive, else ``weight x``: one weight, or ``(C,)`` for ``(N, C, ...)``."""

    @abstractmethod
    def prelu_backward(self, gy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
        """``(gx, gweight)``."""

    @abstractmethod
    def erf(self, x: Array) -> Array:
        """The error function, elementwise."""

    # --- softmax ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def softmax(self, x: Array, axis: int) -> Array:
        """``exp(x - max) / sum(exp(x - max))`` along ``axis``."""

    @abstractmethod
    def log_softmax(self, x: Array, axis: int) -> Array:
        """``x - max - log(sum(exp(x - max)))`` along ``axis``."""

    @abstractmethod
    def softmax_backward(self, gy: Array, y: Array, axis: int) -> Array:
        """``y (gy - sum(gy y))``."""

    @abstractmethod
    def log_softmax_backward(self, gy: Array, y: Array, axis: int) -> Array:
        """``gy - exp(y) sum(gy)``."""

    # --- cross-entropy: x is (N, C), (N, C, d1, ...) or (C,); labels are int64 (N,), (N, d1, ...) or () --------------

    @abstractmethod
    def cross_entropy(self, x: Array, labels: Array, weight: Array | None, smoothing: float) -> tuple[Array, Array]:
        """``-sum_j c_j log softmax(x)_j`` a label, and what backward needs: ``max`` and ``log sum exp(x - max)``.

        ``c_j = (1 - smoothing) w[label] [j = label] + smoothing / C w_j`` with the classes' weights ``w``, or 1. A
        negative label does not count: its loss is 0. The results are ``(N, ...)`` and ``(2, N, ...)``, as statistics.
        """

    @abstractmethod
    def cross_entropy_backward(
        self, g: Array, x: Array, norms: Array, labels: Array, weight: Array | None, smoothing: float
    ) -> Array:
        """``g (sum(c) softmax(x) - c)`` with a gradient ``g`` a label, or one for all, which is 0-d."""

    # --- functions of each element -----------------------------------------------------------------------------------

    def arithmetic(self, name: str, a: Any, b: Any) -> Array | None:
        """The sum, difference, product or quotient of large operands, one of which may be a NumPy scalar.

        Parameters
        ----------
        name
            NumPy's name of it: ``"add"``, ``"subtract"``, ``"multiply"`` or ``"true_divide"``.

        Returns
        -------
        array or None
            None where ``xp``'s function is to do it.
        """
        return None

    def elementwise(self, name: str, x: Array, *factors: float) -> Array | None:
        """The function of each element in one pass; None where this device has no kernel for the array.

        Parameters
        ----------
        name
            ``"abs"``, ``"elu"``, ``"exp"``, ``"gelu"``, ``"hardsigmoid"``, ``"hardswish"``, ``"huber"``,
            ``"leaky_relu"``, ``"log"``, ``"log1p"``, ``"log_sigmoid"``, ``"mish"``, ``"rsqrt"``, ``"sigmoid"``,
            ``"silu"``, ``"softplus"``, ``"sqrt"``, ``"square"``, ``"tanh"`` or ``"tanh_gelu"``.
        *factors
            Of ELU ``bent, scale, inner`` (``scale x``, else ``bent (exp(inner x) - 1)``), of Huber's function beta, of
            the leaky ReLU the slope, of softplus ``beta, threshold``; others have none.
        """
        return None

    def elementwise_backward(self, name: str, gy: Array, at: Array, *factors: float) -> Array | None:
        """``gy`` times the slope at the input, or of exp, rsqrt, sigmoid, sqrt and tanh at the result; else None."""
        return None

    def binary_cross_entropy(self, p: Array, t: Array) -> Array | None:
        """``-(t log p + (1 - t) log(1 - p))``, no logarithm below -100; None where this device has no kernel for it."""
        return None

    def binary_cross_entropy_backward(self, gy: Array, p: Array, t: Array) -> Array | None:
        """``gy (p - t) / (p (1 - p))``, no divisor below 1e-12; or None."""
        return None

    # --- dropout -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def dropout_mask(
        self, x: Array, shape: tuple[int, ...], p: float, generator: Callable[[], np.random.Generator]
    ) -> Any:
        """Which elements of ``x``, or of a ``shape`` that broadcasts to it, are dropped: each with probability ``p``.

        It is whatever :meth:`dropout` of this backend understands: an array, or the key that an array is made from.
        ``generator`` tells what to draw from; a CUDA graph asks it again before each replay.
        """

    @abstractmethod
    def dropout(self, x: Array, mask: Any, scale: float) -> Array:
        """``x`` times a mask of :meth:`dropout_mask` and ``scale``, a product: NaN stays NaN. Its own adjoint."""

    # --- recurrent cells, rows (N, H) --------------------------------------------------------------------------------

    @abstractmethod
    def lstm_gates(self, gates: Array, c: Array) -> tuple[Array, Array]:
        """``(h, c')`` from the sums ``(N, 4 H)`` of the gates i, f, g, o and the cell.

        ``c' = sigmoid(f) c + sigmoid(i) tanh(g)``, ``h = sigmoid(o) tanh(c')``.
        """

    @abstractmethod
    def lstm_gates_backward(self, gh: Array, gc: Array, gates: Array, c: Array, new: Array) -> tuple[Array, Array]:
        """Gradients of the gates' sums and of the cell, from those of ``h`` and of the new cell, which is ``new``."""

    def has_recurrence(self, dtype: Any) -> bool:
        """Whether :meth:`recurrence` serves arrays of this dtype. Elsewhere a layer goes step by step."""
        return False

    def recurrence(
        self,
        kind: str,
        x: Array,
        w: Array,
        bias: Array | None,
        recurrent: Array,
        recurrent_bias: Array | None,
        first: tuple[Array, ...],
        sizes: tuple[int, ...],
        reverse: bool,
    ) -> tuple[Array, tuple[Array, ...], RecurrenceTrace]:
        """All steps of a recurrent layer: the outputs, the last states, and what backward needs.

        Parameters
        ----------
        kind
            ``"tanh"``, ``"relu"``, ``"lstm"`` or ``"gru"``, with G = 1, 1, 4 or 3 gates
        x
            ``(sum of sizes, K)``: the rows of step 0, of step 1, ...
        w, bias
            ``(G H, K)`` and ``(G H,)``
        recurrent, recurrent_bias
            ``(G H, H)`` and ``(G H,)``; the latter for the GRU only
        first
            The states before the first step, ``(B, H)`` each: ``h``, and the LSTM's ``c``.
        sizes
            The rows of each step: B of the first, and never more than of the step before.
        reverse
            From the last step to the first.
        """
        raise NotImplementedError

    def recurrence_backward(
        self,
        kind: str,
        gy: Array,
        glast: tuple[Array, ...],
        recurrent: Array,
        first: tuple[Array, ...],
        trace: RecurrenceTrace,
        sizes: tuple[int, ...],
        reverse: bool,
    ) -> tuple[Array, Array, tuple[Array, ...]]:
        """Gradients of the input's products, of the state's products, both ``(rows, G H)``, and of the first states."""
        raise NotImplementedError

    @abstractmethod
    def gru_gates(self, x: Array, hidden: Array, h: Array) -> Array:
        """``n + z (h - n)`` from the sums ``(N, 3 H)`` of the gates r, z, n of input and state, and the state.

        ``n = tanh(x_n + sigmoid(x_r + h_r) h_n)``, ``z = sigmoid(x_z + h_z)``.
        """

    @abstractmethod
    def gru_gates_backward(self, g: Array, x: Array, hidden: Array, h: Array) -> tuple[Array, Array, Array]:
        """Gradients of ``x``, of ``hidden`` and of ``h``."""

    # --- embedding ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def embedding(self, table: Array, index: Array) -> Array:
        """``table[index]`` for a table ``(rows, features)`` and numbers of rows that are not negative, of any shape."""

    @abstractmethod
    def embedding_backward(self, g: Array, index: Array, rows: int) -> Array:
        """Zeros ``(rows, features)`` with each row of ``g`` added where its number says."""

    # --- optimizers: every array is updated in place, all parameters in one call ------------------------------------

    @abstractmethod
    def sgd_step(
        self,
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
        """``torch.optim.SGD``'s rule. ``first``: the momenta are undefined and become the gradients.

        A GPU takes a learning rate that lies on the device, an array ``()`` of float32.
        """

    @abstractmethod
    def adam_step(
        self,
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
        """``torch.optim.Adam``'s rule, or AdamW's with ``decoupled``; AMSGrad if ``max_exp_avg_sqs`` is given.

        A GPU takes counts of the steps, and a learning rate, that lie on the device, arrays ``()`` of float32. The
        counts, one a parameter, are those before this step and are counted up.
        """
