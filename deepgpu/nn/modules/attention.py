"""Multi-head attention."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.nn import functional as F, init
from deepgpu.nn.modules.linear import Linear
from deepgpu.nn.modules.module import Module
from deepgpu.nn.parameter import Parameter
from deepgpu.ops.attention import attention_weights
from deepgpu.ops.creation import empty
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor


class NonDynamicallyQuantizableLinear(Linear):
    """A :class:`Linear` under the name that PyTorch prints for the output projection."""


class MultiheadAttention(Module):
    """Attention in several subspaces at once (Vaswani et al., arXiv 1706.03762).

    Parameters
    ----------
    embed_dim
        Features of queries and of the output, divided among the heads.
    num_heads
        A divisor of ``embed_dim``.
    dropout
        Probability with which a weight is dropped in training.
    bias
        Whether projections have biases.
    add_bias_kv
        A key and a value that are parameters are added to those given.
    add_zero_attn
        A key and a value of zeros are added.
    kdim, vdim
        Features of keys and values, if others than ``embed_dim``.
    batch_first
        ``(N, L, E)`` rather than ``(L, N, E)``.

    Attributes
    ----------
    in_proj_weight
        ``(3 embed_dim, embed_dim)``: of queries, keys and values; ``q_proj_weight``, ``k_proj_weight`` and
        ``v_proj_weight`` instead if these have other features.
    in_proj_bias
        ``(3 embed_dim,)`` or None
    out_proj
        The linear layer of the output.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        if embed_dim % num_heads:
            raise AssertionError("embed_dim must be divisible by num_heads")
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn

        def made(*shape: int) -> Parameter:
            return Parameter(empty(*shape, device=device, dtype=dtype))

        same = self.kdim == self.vdim == embed_dim
        self.register_parameter("in_proj_weight", made(3 * embed_dim, embed_dim) if same else None)
        for name, features in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
            self.register_parameter(f"{name}_proj_weight", None if same else made(embed_dim, features))
        self.register_parameter("in_proj_bias", made(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, made(1, 1, embed_dim) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for p in (self.bias_k, self.bias_v):
            if p is not None:
                init.xavier_normal_(p)

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        e = self.embed_dim
        biases = [None] * 3 if self.in_proj_bias is None else self.in_proj_bias.split(e)
        if self.in_proj_weight is None:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        elif query is key is value:  # one product for all three
            return list(F.linear(query, self.in_proj_weight, self.in_proj_bias).split(e, -1))
        else:
            weights = list(self.in_proj_weight.split(e))
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]

    def _heads(self, x: Tensor) -> Tensor:
        """``(L, N, E)`` as ``(N, heads, L, E / heads)``."""
        steps, n, _ = x.shape
        return x.reshape(steps, n, self.num_heads, self.head_dim).permute(1, 2, 0, 3)

    def _mask(
        self, query: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, n: int, steps: int, keys: int
    ) -> Tensor | None:
        """Both masks as numbers that are added, ``(N or 1, heads or 1, L, S)``."""
        total = None
        for name, mask in (("attn_mask", attn_mask), ("key_padding_mask", key_padding_mask)):
            if mask is None:
                continue
            if mask.dtype is dtypes.bool:
                mask = query.new_zeros(mask.shape).masked_fill(mask, float("-inf"))
            elif not mask.dtype.is_floating_point:
                raise AssertionError(f"only bool and floating types of {name} are supported")
            if name == "key_padding_mask":
                expected: tuple[int, ...] = (n, keys)
                shaped = mask.reshape(n, 1, 1, keys) if mask.shape == expected else None
            elif mask.dim() == 2:
                expected = (steps, keys)
                shaped = mask.reshape(1, 1, steps, keys) if mask.shape == expected else None
            else:
                expected = (n * self.num_heads, steps, keys)
                shaped = mask.reshape(n, self.num_heads, steps, keys) if mask.shape == expected else None
            if shaped is None:
                raise RuntimeError(takes("MultiheadAttention", name, f"shape {expected}", f"shape {tuple(mask.shape)}"))
            total = shaped if total is None else total + shaped
        return total

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attention, and its weights.

        Parameters
        ----------
        query, key, value
            ``(L, N, E)``, ``(S, N, kdim)`` and ``(S, N, vdim)``, N first with ``batch_first``, or all without N.
        key_padding_mask
            ``(N, S)``: bools, True for keys that do not count, or numbers that are added to the scores.
        need_weights
            Whether the weights are returned.
        attn_mask
            ``(L, S)`` or ``(N heads, L, S)``: bools, True where a query may not look, or numbers that are added.
        average_attn_weights
            Return the mean of the heads' weights, ``(N, L, S)``, rather than all, ``(N, heads, L, S)``.
        is_causal
            A hint that ``attn_mask`` is causal; it is used as it is given.
        """
        if query.dim() not in (2, 3) or key.dim() != query.dim() or value.dim() != query.dim():
            shapes = ", ".join([str(tuple(t.shape)) for t in (query, key, value)])
            raise AssertionError(f"query, key and value should be 3-D (batched) or 2-D (unbatched), but got {shapes}")
        if is_causal and attn_mask is None:
            raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
        if query.shape[-1] != self.embed_dim:
            raise AssertionError(f"was expecting embedding dimension of {self.embed_dim}, but got {query.shape[-1]}")
        batched = query.dim() == 3
        same = query is key is value
        x: list[Tensor] = [query, key, value]
        if not batched:
            x = [t.unsqueeze(1) for t in x]
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif self.batch_first:
            x = [t.transpose(0, 1) for t in x]
        q, k, v = self._projected(*([x[0]] * 3 if same else x))
        steps, n, _ = q.shape
        added = 0
        if self.bias_k is not None:
            k, v = (cat([t, b.expand(1, n, self.embed_dim)]) for t, b in ((k, self.bias_k), (v, self.bias_v)))
            added += 1
        if self.add_zero_attn:
            k, v = (cat([t, t.new_zeros((1, n, self.embed_dim))]) for t in (k, v))
            added += 1
        if added:
            attn_mask = None if attn_mask is None else F.pad(attn_mask, (0, added))
            key_padding_mask = None if key_padding_mask is None else F.pad(key_padding_mask, (0, added))
        mask = self._mask(q, attn_mask, key_padding_mask, n, steps, k.shape[0])
        weights = attention_weights(self._heads(q), self._heads(k), mask, False, None)
        if self.dropout and self.training:
            weights = F.dropout(weights, self.dropout)
        y = (weights @ self._heads(v)).permute(2, 0, 1, 3).reshape(steps, n, self.embed_dim)
        out = self.out_proj(y)
        out = out.squeeze(1) if not batched else out.transpose(0, 1) if self.batch_first else out
        if not need_weights:
            return out, None
        shown = weights.mean(1) if average_attn_weights else weights
        return out, shown if batched else shown.squeeze(0)
