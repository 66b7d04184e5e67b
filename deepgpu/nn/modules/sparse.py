"""Embedding layers: tables whose rows are trained."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.nn import functional as F, init
from deepgpu.nn.modules.module import Module
from deepgpu.nn.parameter import Parameter
from deepgpu.ops.creation import empty
from deepgpu.tensor import Tensor


class _Table(Module):
    """A table and what its look-ups have in common."""

    weight: Parameter
    padding_idx: int | None

    def _make(
        self, rows: int, features: int, padding_idx: int | None, weight: Tensor | None, freeze: bool, **factory: Any
    ) -> None:
        self.num_embeddings = rows
        self.embedding_dim = features
        if padding_idx is not None:
            if not -rows <= padding_idx < rows:
                raise AssertionError("Padding_idx must be within num_embeddings")
            padding_idx %= rows
        self.padding_idx = padding_idx
        if weight is None:
            self.weight = Parameter(empty(rows, features, **factory), requires_grad=not freeze)
            self.reset_parameters()
        else:
            if tuple(weight.shape) != (rows, features):
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self) -> None:
        """Draw new initial values, normal with variance 1; the padding's row is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx].zero_()


class Embedding(_Table):
    """A table whose rows are looked up by number; see :func:`deepgpu.nn.functional.embedding`.

    Parameters
    ----------
    num_embeddings, embedding_dim
        Rows and features.
    padding_idx
        A row of zeros that gets no gradient.
    max_norm, norm_type, scale_grad_by_freq, sparse
        See :func:`deepgpu.nn.functional.embedding`.

    Attributes
    ----------
    weight
        ``(num_embeddings, embedding_dim)``, normal with variance 1
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__()
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        self._make(num_embeddings, embedding_dim, padding_idx, _weight, _freeze, device=device, dtype=dtype)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, **options: Any) -> Any:
        """A layer with this table, which is not trained if ``freeze``; ``options`` are the constructor's."""
        rows, features = embeddings.shape
        return cls(rows, features, _weight=embeddings, _freeze=freeze, **options)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        usual = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        parts += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join(parts + (["sparse=True"] if self.sparse else []))


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows of a table; see :func:`deepgpu.nn.functional.embedding_bag`.

    Parameters
    ----------
    num_embeddings, embedding_dim
        Rows and features.
    mode
        ``"sum"``, ``"mean"`` or ``"max"``
    max_norm, norm_type, scale_grad_by_freq, sparse, include_last_offset, padding_idx
        See :func:`deepgpu.nn.functional.embedding_bag`.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: dtypes.dtype | None = None,
    ) -> None:
        super().__init__()
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset
        self._make(num_embeddings, embedding_dim, padding_idx, _weight, False, device=device, dtype=dtype)

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        usual = {"max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        parts += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        parts.append(f"mode={self.mode!r}")
        return ", ".join(parts + ([f"padding_idx={self.padding_idx}"] if self.padding_idx is not None else []))
