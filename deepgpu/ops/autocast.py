"""Automatic mixed precision: which ops round their arguments to a half type, and which want float32.

The lists are PyTorch's (its "Automatic Mixed Precision package" page), by device. An op that is in none runs in the
dtype of its arguments; so do in-place ops. Only floating-point tensors other than float64 are ever cast.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import state as recording
from deepgpu.tensor import Tensor

_PRODUCTS = frozenset(
    (
        "addbmm", "addmm", "baddbmm", "bmm", "chain_matmul", "conv1d", "conv2d", "conv3d",
        "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "einsum", "linear", "matmul", "mm", "prelu",
        "scaled_dot_product_attention", "tensordot",
    )
)  # fmt: skip

_LOSSES = frozenset(
    (
        "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy", "ctc_loss",
        "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse_loss",
        "multi_margin_loss", "multilabel_margin_loss", "nll_loss", "poisson_nll_loss", "smooth_l1_loss",
        "soft_margin_loss",
        "triplet_margin_loss",
    )
)  # fmt: skip

LOWER = {
    "cpu": _PRODUCTS,
    "cuda": _PRODUCTS | {"addmv", "addr", "mv"},
}
"""Ops that round their arguments."""

FLOAT32 = {
    "cpu": _LOSSES
    | frozenset(
        (
            "adaptive_avg_pool3d", "adaptive_max_pool3d", "avg_pool3d", "binary_cross_entropy", "cdist", "cholesky",
            "eigh", "eigvalsh", "fractional_max_pool2d", "grid_sample", "inverse", "lstsq", "matrix_rank",
            "max_pool3d", "max_unpool2d", "nanquantile", "pinv", "prod", "qr", "quantile", "solve", "svd", "svdvals",
            "trace",
        )
    ),
    "cuda": _LOSSES
    | frozenset(
        (
            "acos", "asin", "cdist", "cosh", "cosine_similarity", "cumprod", "cumsum", "dist", "erfinv", "exp", "expm1",
            "group_norm", "layer_norm", "log", "log10", "log1p", "log2", "log_softmax", "norm", "normalize", "pdist",
            "pow", "prod", "reciprocal", "renorm", "rsqrt", "sinh", "softmax", "softmin", "softplus", "sum", "tan",
        )
    ),
}  # fmt: skip
"""Ops that want float32."""

PROMOTE = {
    "cpu": frozenset(("cat", "index_copy", "stack")),
    "cuda": frozenset(
        (
            "addcdiv", "addcmul", "atan2", "bilinear", "cat", "cross", "dot", "grid_sample", "index_put", "scatter_add",
            "stack",
        )
    ),
}  # fmt: skip
"""Ops that take all arguments to the widest dtype among them."""

_KEPT = {"binary_cross_entropy", "inner", "interpolate"}
"""Ops that keep the dtype of their arguments, or refuse, though they are made of products."""

LISTED = frozenset().union(*LOWER.values(), *FLOAT32.values(), *PROMOTE.values(), _KEPT)

_HALF = (dtypes.float16, dtypes.bfloat16)


class State(threading.local):
    """Whether autocast is on, for each device type, and in which dtype.

    Attributes
    ----------
    active
        Whether it is on for any.
    cache_enabled
        Whether the casts of parameters are kept for the next op that wants them.
    depth
        How many ``with`` blocks are open; the cache lasts until the outermost ends.
    """

    def __init__(self) -> None:
        self.active = False
        self.enabled = {"cpu": False, "cuda": False}
        self.dtypes = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}
        self.cache_enabled = True
        self.cache: dict[int, tuple[Tensor, int, Tensor]] = {}
        self.depth = 0

    def set_enabled(self, device_type: str, enabled: bool) -> None:
        """Switch it for one device type."""
        self.enabled[device_type] = enabled
        self.active = any(self.enabled.values())


state = State()


def autocast(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """An op that casts its arguments first, as its list wants it, where autocast is on."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not state.active:
            return function(*args, **kwargs)
        return _cast_call(function, name, args, kwargs)

    return call


def _cast_call(function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    device = next((t._backend.type for t in _tensors((*args, *kwargs.values()))), "cpu")
    if not state.enabled[device]:
        return function(*args, **kwargs)
    if name == "binary_cross_entropy" and device == "cuda":
        raise RuntimeError(
            "`binary_cross_entropy` is unsafe to autocast: a half type cannot hold the logarithms of probabilities "
            "near 0 and 1; use `binary_cross_entropy_with_logits` (`nn.BCEWithLogitsLoss`) on the logits"
        )
    dtype = None
    if name in LOWER[device]:
        dtype = state.dtypes[device]
    elif name in FLOAT32[device]:
        dtype = dtypes.float32 if kwargs.get("dtype") is None else None
    elif name in PROMOTE[device]:
        found = [t.dtype for t in _tensors((*args, *kwargs.values())) if t.dtype.is_floating_point]
        dtype = functools.reduce(dtypes.promote_types, found) if found else None
    before = state.enabled[device]
    state.set_enabled(device, False)  # what the op is made of is the op's own business
    try:
        if dtype is None:
            return function(*args, **kwargs)
        named = {k: _converted(v, dtype, device) for k, v in kwargs.items()}
        return function(*[_converted(a, dtype, device) for a in args], **named)
    finally:
        state.set_enabled(device, before)


def _tensors(tree: Iterable[Any]) -> Iterator[Tensor]:
    for x in tree:
        if isinstance(x, Tensor):
            yield x
        elif isinstance(x, (tuple, list)):
            yield from _tensors(x)


def _converted(x: Any, dtype: dtypes.dtype, device: str) -> Any:
    if isinstance(x, Tensor):
        fits = x._backend.type == device and x.dtype.is_floating_point and x.dtype is not dtypes.float64
        return cached_cast(x, dtype) if fits and x.dtype is not dtype else x
    if isinstance(x, (tuple, list)) and any(isinstance(y, (Tensor, tuple, list)) for y in x):
        made = [_converted(y, dtype, device) for y in x]
        return made if isinstance(x, list) else tuple(made)
    return x


def cached_cast(x: Tensor, dtype: dtypes.dtype) -> Tensor:
    """``x`` in another dtype; of a float32 parameter the cast is kept until autocast ends, or its values change."""
    kept = state.cache_enabled and dtype in _HALF and x.requires_grad and x.is_leaf and x.dtype is dtypes.float32
    if not (kept and state.depth and recording.enabled):
        return x.to(dtype)
    found = state.cache.get(id(x))
    if found is not None and found[1] == x.version and found[2].dtype is dtype:
        return found[2]
    made = x.to(dtype)
    state.cache[id(x)] = (x, x.version, made)
    return made
