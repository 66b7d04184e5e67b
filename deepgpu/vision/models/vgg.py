"""VGG (Simonyan & Zisserman, arXiv 1409.1556): 3x3 convolutions and pooling, then three linear layers."""

from __future__ import annotations

from typing import Any

from deepgpu import nn
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register, with_weights

# Table 1 of the paper: output channels of the convolutions in each stage; a stage ends with a 2x2 max-pool.
STAGES = {
    11: [[64], [128], [256, 256], [512, 512], [512, 512]],
    13: [[64, 64], [128, 128], [256, 256], [512, 512], [512, 512]],
    16: [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]],
    19: [[64, 64], [128, 128], [256] * 4, [512] * 4, [512] * 4],
}


def make_layers(stages: list[list[int]], batch_norm: bool = False) -> nn.Sequential:
    """The convolutional part.

    Parameters
    ----------
    stages
        Output channels of the convolutions in each stage.
    batch_norm
        Normalise behind each convolution.
    """
    layers: list[nn.Module] = []
    channels = 3
    for stage in stages:
        for out in stage:
            layers.append(nn.Conv2d(channels, out, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(out))
            layers.append(nn.ReLU(inplace=True))
            channels = out
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """A convolutional part and a classifier.

    Parameters
    ----------
    features
        Gives 512 channels; they are pooled to 7 x 7.
    num_classes
        Outputs.
    init_weights
        Set the random start: He's normal for convolutions (fan out), a normal of standard deviation 0.01 for linear
        layers, biases 0.
    dropout
        Probability, in the classifier.
    """

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            self._start()

    def _start(self) -> None:
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
            else:
                continue
            if m.bias is not None:
                nn.init.constant_(m.bias, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` of at least 32 x 32 to logits ``(N, num_classes)``."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _vgg(depth: int, batch_norm: bool, weights: Weights, config: dict[str, Any]) -> Any:
    return with_weights(VGG(make_layers(STAGES[depth], batch_norm), **config), weights)


@register
def vgg11(*, weights: Weights = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-11: 132.9 million parameters. ``weights`` is the path of a state dict; for the rest see :class:`VGG`."""
    return _vgg(11, False, weights, config)


@register
def vgg11_bn(*, weights: Weights = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-11 with batch normalisation: 132.9 million parameters."""
    return _vgg(11, True, weights, config)


@register
def vgg13(*, weights: Weights = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-13: 133.0 million parameters."""
    return _vgg(13, False, weights, config)


@register
def vgg13_bn(*, weights: Weights = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-13 with batch normalisation: 133.1 million parameters."""
    return _vgg(13, True, weights, config)


@register
def vgg16(*, weights: Weights = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-16: 138.4 million parameters."""
    return _vgg(16, False, weights, config)


@register
def vgg16_bn(*, weights: Weights = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-16 with batch normalisation: 138.4 million parameters."""
    return _vgg(16, True, weights, config)


@register
def vgg19(*, weights: Weights = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-19: 143.7 million parameters."""
    return _vgg(19, False, weights, config)


@register
def vgg19_bn(*, weights: Weights = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-19 with batch normalisation: 143.7 million parameters."""
    return _vgg(19, True, weights, config)
