"""AlexNet in its form for one GPU (Krizhevsky, arXiv 1404.5997)."""

from __future__ import annotations

from typing import Any

from deepgpu import nn
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register, with_weights


class AlexNet(nn.Module):
    """Five convolutions and three linear layers.

    Parameters
    ----------
    num_classes
        Outputs.
    dropout
        Probability, in the classifier.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` of at least 63 x 63 to logits ``(N, num_classes)``."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@register(least=63)
def alexnet(*, weights: Weights = None, progress: bool = True, **config: Any) -> AlexNet:
    """AlexNet: 61.1 million parameters. ``weights`` is the path of a state dict; for the rest see :class:`AlexNet`."""
    return with_weights(AlexNet(**config), weights)
