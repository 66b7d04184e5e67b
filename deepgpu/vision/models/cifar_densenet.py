"""DenseNet for 32 x 32 images (Huang et al., arXiv 1608.06993, section 4): three dense blocks."""

from __future__ import annotations

from typing import Any

from deepgpu import nn
from deepgpu.errors import takes
from deepgpu.nn import functional as F
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor
from deepgpu.vision.models.densenet import DenseLayer, Transition, start
from deepgpu.vision.models.registry import Weights, register_small, with_weights


class PlainLayer(nn.Module):
    """Norm, ReLU, 3x3 convolution: the layer of a DenseNet without bottlenecks.

    Parameters
    ----------
    num_input_features, growth_rate
        Channels that come in and go out.
    drop_rate
        Probability of dropout behind it all.
    """

    def __init__(self, num_input_features: int, growth_rate: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)

    def forward(self, input: list[Tensor]) -> Tensor:
        """Tensors ``(N, ..., H, W)`` to ``(N, growth_rate, H, W)``."""
        new = self.conv1(self.relu1(self.norm1(cat(input, 1))))
        return F.dropout(new, self.drop_rate, self.training) if self.drop_rate > 0 else new


class CifarDenseBlock(nn.ModuleList):
    """Layers, each of which gets the block's input and the outputs of the layers before it."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C + new, H, W)``."""
        features = [x]
        for layer in self:
            features.append(layer(features))
        return cat(features, 1)


class CifarDenseNet(nn.Module):
    """A densely connected network for small images.

    Parameters
    ----------
    depth
        ``3 n + 4`` layers; ``6 n + 4`` with bottlenecks: 40, 100, 190, 250, ...
    growth_rate
        Channels that each layer adds (k in the paper).
    num_classes
        Outputs.
    in_channels
        3 for colour images, 1 for grey ones such as Fashion-MNIST.
    bottleneck
        Whether a 1x1 convolution to ``4 k`` channels stands before each 3x3 one (the B in DenseNet-BC).
    reduction
        What share of the channels a transition keeps; 0.5 is the C in DenseNet-BC.
    drop_rate
        Probability of dropout behind each layer; the paper has 0.2 where images are not augmented.
    memory_efficient
        Less memory for about a fifth more time; see :class:`DenseLayer`. For bottlenecks.
    """

    def __init__(
        self,
        depth: int = 100,
        growth_rate: int = 12,
        num_classes: int = 10,
        in_channels: int = 3,
        bottleneck: bool = True,
        reduction: float = 0.5,
        drop_rate: float = 0.0,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        unit = 6 if bottleneck else 3
        if depth < unit + 4 or (depth - 4) % unit:
            raise ValueError(takes("CifarDenseNet", "depth", f"{unit} n + 4", depth))
        if not 0 < reduction <= 1:
            raise ValueError(takes("CifarDenseNet", "reduction", "a share in (0, 1]", reduction))
        channels = 2 * growth_rate if bottleneck else 16
        self.conv0 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        stages: list[nn.Module] = []
        for i in range(3):
            layers: list[nn.Module] = []
            for _ in range((depth - 4) // unit):
                if bottleneck:
                    layers.append(DenseLayer(channels, growth_rate, 4, drop_rate, memory_efficient))
                else:
                    layers.append(PlainLayer(channels, growth_rate, drop_rate))
                channels += growth_rate
            stages.append(CifarDenseBlock(layers))
            if i < 2:
                stages.append(Transition(channels, int(channels * reduction)))
                channels = int(channels * reduction)
        self.block1, self.transition1, self.block2, self.transition2, self.block3 = stages
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to logits ``(N, num_classes)``."""
        x = self.transition1(self.block1(self.conv0(x)))
        x = self.block3(self.transition2(self.block2(x)))
        return self.fc(self.avgpool(self.relu(self.norm(x))).flatten(1))


@register_small
def densenet40_bc(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarDenseNet:
    """DenseNet-BC (k = 12) of 40 layers, 0.18 million parameters. ``weights`` is the path of a state dict."""
    return with_weights(CifarDenseNet(40, **config), weights)


@register_small
def densenet100_bc(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarDenseNet:
    """DenseNet-BC (k = 12) of 100 layers, 0.77 million parameters."""
    return with_weights(CifarDenseNet(100, **config), weights)


@register_small
def densenet40(*, weights: Weights = None, progress: bool = True, **config: Any) -> CifarDenseNet:
    """DenseNet (k = 12) of 40 layers without bottlenecks and compression, 1.0 million parameters."""
    return with_weights(CifarDenseNet(40, **{"bottleneck": False, "reduction": 1.0, **config}), weights)
