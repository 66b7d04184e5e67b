"""Vision transformer (Dosovitskiy et al., arXiv 2010.11929): an image as a sequence of patches."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

from deepgpu import nn
from deepgpu.errors import takes
from deepgpu.ops.creation import empty, zeros
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register, with_weights
from deepgpu.vision.ops.misc import MLP


class MLPBlock(MLP):
    """Two linear layers with GELU and dropout.

    Parameters
    ----------
    in_dim, mlp_dim
        Features outside and between.
    dropout
        Probability, behind each layer.
    """

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, dropout=dropout)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.normal_(m.bias, std=1e-6)


class EncoderBlock(nn.Module):
    """Attention, then two linear layers; a norm before each and a shortcut around each.

    Parameters
    ----------
    num_heads, hidden_dim, mlp_dim
        Heads of the attention, features of a patch, features between the linear layers.
    dropout, attention_dropout
        Probabilities.
    """

    def __init__(self, num_heads: int, hidden_dim: int, mlp_dim: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(hidden_dim, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(hidden_dim, num_heads, attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(hidden_dim, eps=1e-6)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Tensor) -> Tensor:
        """``(N, L, hidden_dim)`` to the same shape."""
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Positions, blocks, a norm.

    Parameters
    ----------
    seq_length
        How many patches, with the class token.
    num_layers
        How many blocks.
    num_heads, hidden_dim, mlp_dim, dropout, attention_dropout
        See :class:`EncoderBlock`.
    """

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(nn.init.normal_(empty(1, seq_length, hidden_dim), std=0.02))
        self.dropout = nn.Dropout(dropout)
        blocks = [EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout) for _ in range(num_layers)]
        self.layers = nn.Sequential(OrderedDict((f"encoder_layer_{i}", block) for i, block in enumerate(blocks)))
        self.ln = nn.LayerNorm(hidden_dim, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        """``(N, seq_length, hidden_dim)`` to the same shape."""
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """A transformer encoder over the patches of an image and a class token, whose output is classified.

    Parameters
    ----------
    image_size, patch_size
        Heights and widths, in pixels; a multiple of the other.
    num_layers, num_heads, hidden_dim, mlp_dim
        See :class:`EncoderBlock`.
    dropout, attention_dropout
        Probabilities.
    num_classes
        Outputs.
    representation_size
        Features of a hidden layer with tanh in the classifier; None for no such layer.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(takes("VisionTransformer", "image_size", f"a multiple of {patch_size}", image_size))
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.class_token = nn.Parameter(zeros(1, 1, hidden_dim))
        self.conv_proj = nn.Conv2d(3, hidden_dim, patch_size, patch_size)
        length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout)
        heads: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
        heads["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads = nn.Sequential(heads)
        self._start()

    def _start(self) -> None:
        fan_in = self.conv_proj.in_channels * self.patch_size**2
        nn.init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / fan_in))
        nn.init.zeros_(self.conv_proj.bias)
        if hasattr(self.heads, "pre_logits"):
            nn.init.trunc_normal_(self.heads.pre_logits.weight, std=math.sqrt(1 / self.hidden_dim))
            nn.init.zeros_(self.heads.pre_logits.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, image_size, image_size)`` to logits ``(N, num_classes)``."""
        if tuple(x.shape[-2:]) != (self.image_size, self.image_size):
            size = f"(N, 3, {self.image_size}, {self.image_size}); build the model with `image_size=` for others"
            raise ValueError(takes("VisionTransformer", "x", size, tuple(x.shape)))
        patches = self.conv_proj(x).flatten(2).permute(0, 2, 1)
        token = self.class_token.expand(x.shape[0], -1, -1)
        return self.heads(self.encoder(cat([token, patches], 1))[:, 0])


def _vit(patch: int, layers: int, heads: int, dim: int, mlp: int, weights: Weights, config: dict[str, Any]) -> Any:
    settings = {"image_size": 224, **config}
    model = VisionTransformer(
        patch_size=patch, num_layers=layers, num_heads=heads, hidden_dim=dim, mlp_dim=mlp, **settings
    )
    return with_weights(model, weights)


@register(least=224)
def vit_b_16(*, weights: Weights = None, progress: bool = True, **config: Any) -> VisionTransformer:
    """ViT-B/16: 86.6 million parameters. ``weights`` is the path of a state dict; see :class:`VisionTransformer`."""
    return _vit(16, 12, 12, 768, 3072, weights, config)


@register(least=224)
def vit_b_32(*, weights: Weights = None, progress: bool = True, **config: Any) -> VisionTransformer:
    """ViT-B/32, with larger patches: 88.2 million parameters."""
    return _vit(32, 12, 12, 768, 3072, weights, config)


@register(least=224)
def vit_l_16(*, weights: Weights = None, progress: bool = True, **config: Any) -> VisionTransformer:
    """ViT-L/16: 304.3 million parameters."""
    return _vit(16, 24, 16, 1024, 4096, weights, config)


@register(least=224)
def vit_l_32(*, weights: Weights = None, progress: bool = True, **config: Any) -> VisionTransformer:
    """ViT-L/32, with larger patches: 306.5 million parameters."""
    return _vit(32, 24, 16, 1024, 4096, weights, config)
