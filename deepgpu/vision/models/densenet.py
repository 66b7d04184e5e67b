"""Densely connected networks (Huang et al., arXiv 1608.06993): each layer sees the outputs of all before it."""

from __future__ import annotations

import re
from typing import Any

from deepgpu import nn
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor
from deepgpu.utils.checkpoint import checkpoint
from deepgpu.vision.models.registry import Weights, register, with_weights


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1 convolution; norm, ReLU, 3x3 convolution to ``growth_rate`` new channels.

    Parameters
    ----------
    num_input_features
        Channels of all inputs together.
    growth_rate
        Channels that go out.
    bn_size
        The 1x1 convolution (the "bottleneck") gives ``bn_size * growth_rate`` channels.
    drop_rate
        Probability of dropout behind it all.
    memory_efficient
        Compute what the first half keeps again in the backward pass (arXiv 1707.06990): memory that grows with the
        depth of a block, not with its square.
    """

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, bn_size * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def bottleneck(self, *inputs: Tensor) -> Tensor:
        """The inputs side by side, normed and brought to few channels: what would take the most memory to keep."""
        return self.conv1(self.relu1(self.norm1(cat(inputs, 1))))

    def forward(self, input: Tensor | list[Tensor]) -> Tensor:
        """One tensor, or a list of tensors ``(N, ..., H, W)``, to ``(N, growth_rate, H, W)``."""
        inputs = [input] if isinstance(input, Tensor) else input
        if self.memory_efficient and any(t.requires_grad for t in inputs):
            narrow = checkpoint(self.bottleneck, *inputs, use_reentrant=False)
        else:
            narrow = self.bottleneck(*inputs)
        new = self.conv2(self.relu2(self.norm2(narrow)))
        return nn.functional.dropout(new, self.drop_rate, self.training) if self.drop_rate > 0 else new


class DenseBlock(nn.ModuleDict):
    """Dense layers, each of which gets the block's input and the outputs of the layers before it.

    Parameters
    ----------
    num_layers
        How many.
    num_input_features
        Channels of the block's input.
    bn_size, growth_rate, drop_rate, memory_efficient
        See :class:`DenseLayer`.
    """

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            channels = num_input_features + i * growth_rate
            self[f"denselayer{i + 1}"] = DenseLayer(channels, growth_rate, bn_size, drop_rate, memory_efficient)

    def forward(self, init_features: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C + num_layers * growth_rate, H, W)``."""
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return cat(features, 1)


class Transition(nn.Sequential):
    """Between blocks: norm, ReLU, 1x1 convolution to fewer channels, mean of 2x2 pixels.

    Parameters
    ----------
    num_input_features, num_output_features
        Channels that come in and go out.
    """

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, 1, bias=False)
        self.pool = nn.AvgPool2d(2, 2)


class DenseNet(nn.Module):
    """A densely connected network for images of about 224 x 224.

    Parameters
    ----------
    growth_rate
        Channels that each layer adds (k in the paper).
    block_config
        How many layers each block has.
    num_init_features
        Channels of the first convolution.
    bn_size
        The 1x1 convolutions give ``bn_size * growth_rate`` channels.
    drop_rate
        Probability of dropout behind each layer.
    num_classes
        Outputs.
    memory_efficient
        Less memory for about a fifth more time; see :class:`DenseLayer`. As in PyTorch, norms that are computed twice
        update their running statistics twice.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, ...] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, num_init_features, 7, 2, 3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(num_init_features))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        self.features.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        channels = add_blocks(
            self.features, num_init_features, block_config, growth_rate, bn_size, drop_rate, memory_efficient
        )
        self.classifier = nn.Linear(channels, num_classes)
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        features = nn.functional.relu(self.features(x), inplace=True)
        return self.classifier(nn.functional.adaptive_avg_pool2d(features, (1, 1)).flatten(1))


def add_blocks(
    features: nn.Sequential,
    channels: int,
    block_config: tuple[int, ...],
    growth_rate: int,
    bn_size: int,
    drop_rate: float,
    memory_efficient: bool,
) -> int:
    """Add dense blocks, transitions that halve the channels, and the last norm; how many channels come out."""
    for i, num_layers in enumerate(block_config, 1):
        block = DenseBlock(num_layers, channels, bn_size, growth_rate, drop_rate, memory_efficient)
        features.add_module(f"denseblock{i}", block)
        channels += num_layers * growth_rate
        if i < len(block_config):
            features.add_module(f"transition{i}", Transition(channels, channels // 2))
            channels //= 2
    features.add_module(f"norm{len(block_config) + 1}", nn.BatchNorm2d(channels))
    return channels


def start(model: nn.Module) -> None:
    """Set the random start: He's normal for convolutions (arXiv 1502.01852), zeros for the biases of linear layers."""
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight)
        elif isinstance(m, nn.Linear):
            nn.init.zeros_(m.bias)


def _key_of_today(key: str) -> str:
    """The files that torchvision downloads have ``denselayer1.norm.1.weight`` for ``denselayer1.norm1.weight``."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", key)


def _densenet(
    growth_rate: int, block_config: tuple[int, ...], num_init_features: int, weights: Weights, config: dict[str, Any]
) -> Any:
    model = DenseNet(growth_rate, block_config, num_init_features, **config)
    return with_weights(model, weights, renamed=_key_of_today)


@register
def densenet121(*, weights: Weights = None, progress: bool = True, **config: Any) -> DenseNet:
    """DenseNet-121: 8.0 million parameters. ``weights`` is the path of a state dict; else see :class:`DenseNet`."""
    return _densenet(32, (6, 12, 24, 16), 64, weights, config)


@register
def densenet161(*, weights: Weights = None, progress: bool = True, **config: Any) -> DenseNet:
    """DenseNet-161, with growth rate 48: 28.7 million parameters."""
    return _densenet(48, (6, 12, 36, 24), 96, weights, config)


@register
def densenet169(*, weights: Weights = None, progress: bool = True, **config: Any) -> DenseNet:
    """DenseNet-169: 14.1 million parameters."""
    return _densenet(32, (6, 12, 32, 32), 64, weights, config)


@register
def densenet201(*, weights: Weights = None, progress: bool = True, **config: Any) -> DenseNet:
    """DenseNet-201: 20.0 million parameters."""
    return _densenet(32, (6, 12, 48, 32), 64, weights, config)
