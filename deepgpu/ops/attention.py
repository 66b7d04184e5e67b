"""Attention (Vaswani et al., arXiv 1706.03762)."""

from __future__ import annotations

import math

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.dropout import dropout
from deepgpu.ops.op import op
from deepgpu.ops.softmax import softmax
from deepgpu.tensor import Tensor, wrap


def attention_weights(
    query: Tensor, key: Tensor, attn_mask: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    """``softmax(query key^T scale + mask)``: how much each query takes of each key's value."""
    name = "scaled_dot_product_attention"
    if query._data.shape[-1] != key._data.shape[-1]:
        expected = f"{query._data.shape[-1]} features, as `query` has"
        raise RuntimeError(takes(name, "key", expected, f"shape {tuple(key.shape)}"))
    factor = 1 / math.sqrt(query._data.shape[-1]) if scale is None else scale
    scores = (query * factor) @ key.transpose(-1, -2)
    rows, cols = scores._data.shape[-2:]
    if is_causal:
        xp = query._backend.xp
        later = wrap(xp.arange(cols) > xp.arange(rows)[:, None], query._backend)
        scores = scores.masked_fill(later, float("-inf"))
    if attn_mask is None:
        return softmax(scores, -1)
    if attn_mask.dtype is not dtypes.bool:
        if attn_mask.dtype is not query.dtype:
            raise RuntimeError(
                takes(name, "attn_mask", f"bools, or the dtype of `query`, {query.dtype}", attn_mask.dtype)
            )
        return softmax(scores + attn_mask, -1)
    weights = softmax(scores.masked_fill(~attn_mask, float("-inf")), -1)
    blind = ~attn_mask.any(-1, keepdim=True)  # queries that may see nothing get zeros, and no NaN
    return weights.masked_fill(blind, 0.0) if bool(blind._data.any()) else weights


@op
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(query key^T scale + mask) value``.

    Parameters
    ----------
    query
        ``(..., L, E)``
    key, value
        ``(..., S, E)`` and ``(..., S, V)``; leading sizes broadcast.
    attn_mask
        What broadcasts to ``(..., L, S)``: bools, True where a query may look, or numbers that are added.
    dropout_p
        Probability with which a weight is dropped.
    is_causal
        A query may not look at later keys.
    scale
        By default ``1 / sqrt(E)``.
    enable_gqa
        Several heads of ``query`` (dimension -3) share one of ``key`` and ``value``.

    Returns
    -------
    Tensor
        ``(..., L, V)``
    """
    name = "scaled_dot_product_attention"
    for argument, t in (("query", query), ("key", key), ("value", value)):
        if t._data.ndim < 2:
            raise ValueError(takes(name, argument, "at least 2 dimensions", f"shape {tuple(t.shape)}"))
        if t.dtype is not query.dtype:
            raise RuntimeError(takes(name, argument, f"the dtype of `query`, {query.dtype}", t.dtype))
    if is_causal and attn_mask is not None:
        raise RuntimeError(takes(name, "attn_mask", "None with `is_causal`", f"shape {tuple(attn_mask.shape)}"))
    if enable_gqa:
        share, rest = divmod(query._data.shape[-3], key._data.shape[-3])
        if rest:
            expected = f"a divisor of the {query._data.shape[-3]} heads of `query`"
            raise RuntimeError(takes(name, "key", expected, key._data.shape[-3]))
        key, value = (t.repeat_interleave(share, -3) for t in (key, value))
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return weights @ value
