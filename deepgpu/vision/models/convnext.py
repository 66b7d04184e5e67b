"""ConvNeXt (Liu et al., arXiv 2201.03545): a ResNet with what transformers taught."""

from __future__ import annotations

from typing import Any

from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.ops.creation import ones
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register, with_weights
from deepgpu.vision.ops.misc import Conv2dNormActivation, Permute
from deepgpu.vision.ops.stochastic_depth import StochasticDepth


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


def _norm(channels: int) -> LayerNorm2d:
    return LayerNorm2d(channels, eps=1e-6)


class CNBlock(nn.Module):
    """Depthwise 7x7, layer norm, and for each pixel two linear layers with GELU between; a shortcut around it all.

    Parameters
    ----------
    dim
        Channels.
    layer_scale
        What each channel of the branch is multiplied by at the start.
    stochastic_depth_prob
        With what probability the branch is left out in training.
    """

    def __init__(self, dim: int, layer_scale: float, stochastic_depth_prob: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            nn.LayerNorm(dim, eps=1e-6),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Tensor) -> Tensor:
        """``(N, dim, H, W)`` to the same shape."""
        result = self.stochastic_depth(self.layer_scale * self.block(input))
        result += input
        return result


class ConvNeXt(nn.Module):
    """ConvNeXt.

    Parameters
    ----------
    dims, depths
        Channels and blocks of each stage.
    stochastic_depth_prob
        With what probability the last block is left out; for the others it grows from 0.
    layer_scale
        What each channel of a branch is multiplied by at the start.
    num_classes
        Outputs.
    """

    def __init__(
        self,
        dims: list[int],
        depths: list[int],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        features: list[nn.Module] = [
            Conv2dNormActivation(3, dims[0], 4, 4, 0, norm_layer=_norm, activation_layer=None, bias=True)
        ]
        number, last = 0, sum(depths) - 1
        for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
            if i:
                features.append(nn.Sequential(_norm(dims[i - 1]), nn.Conv2d(dims[i - 1], dim, 2, 2)))
            blocks = []
            for _ in range(depth):
                blocks.append(CNBlock(dim, layer_scale, stochastic_depth_prob * number / last))
                number += 1
            features.append(nn.Sequential(*blocks))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(_norm(dims[-1]), nn.Flatten(1), nn.Linear(dims[-1], num_classes))
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(m.weight, std=0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        return self.classifier(self.avgpool(self.features(x)))


def _convnext(dims: list[int], depths: list[int], drop: float, weights: Weights, config: dict[str, Any]) -> Any:
    return with_weights(ConvNeXt(dims, depths, **{"stochastic_depth_prob": drop, **config}), weights)


@register
def convnext_tiny(*, weights: Weights = None, progress: bool = True, **config: Any) -> ConvNeXt:
    """Tiny: 28.6 million parameters. ``weights`` is the path of a state dict; for the rest see :class:`ConvNeXt`."""
    return _convnext([96, 192, 384, 768], [3, 3, 9, 3], 0.1, weights, config)


@register
def convnext_small(*, weights: Weights = None, progress: bool = True, **config: Any) -> ConvNeXt:
    """Small: 50.2 million parameters."""
    return _convnext([96, 192, 384, 768], [3, 3, 27, 3], 0.4, weights, config)


@register
def convnext_base(*, weights: Weights = None, progress: bool = True, **config: Any) -> ConvNeXt:
    """Base: 88.6 million parameters."""
    return _convnext([128, 256, 512, 1024], [3, 3, 27, 3], 0.5, weights, config)


@register
def convnext_large(*, weights: Weights = None, progress: bool = True, **config: Any) -> ConvNeXt:
    """Large: 197.8 million parameters."""
    return _convnext([192, 384, 768, 1536], [3, 3, 27, 3], 0.5, weights, config)
