"""GoogLeNet (Szegedy et al., arXiv 1409.4842): convolutions of several sizes side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register, with_weights


class GoogLeNetOutputs(NamedTuple):
    """What the model gives in training: the logits, and those of the auxiliary classifiers."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor


class BasicConv2d(nn.Module):
    """Convolution, norm, ReLU.

    Parameters
    ----------
    in_channels, out_channels
        Channels.
    **kwargs
        Further arguments of the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H', W')``."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four branches side by side: 1x1; 1x1 and 3x3; again 1x1 and 3x3; pooling and 1x1.

    The third branch has 5x5 in the paper; torchvision's has 3x3, and so have the weights that there are.

    Parameters
    ----------
    in_channels
        Channels that come in.
    ch1x1, ch3x3, ch5x5, pool_proj
        Channels of the four branches.
    ch3x3red, ch5x5red
        Channels behind the first 1x1 convolutions of the second and third branch.
    """

    def __init__(
        self, in_channels: int, ch1x1: int, ch3x3red: int, ch3x3: int, ch5x5red: int, ch5x5: int, pool_proj: int
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1),
            BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, ch5x5red, kernel_size=1),
            BasicConv2d(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W)``."""
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A classifier on features from the middle, whose gradient reaches the first layers on a short way.

    Parameters
    ----------
    in_channels
        Of the features.
    num_classes
        Outputs.
    dropout
        Probability.
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, num_classes)``."""
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


class GoogLeNet(nn.Module):
    """GoogLeNet with batch norm.

    Parameters
    ----------
    num_classes
        Outputs.
    aux_logits
        Whether there are two auxiliary classifiers, used in training.
    transform_input
        Take images that were normalised with ImageNet's statistics, and bring them to the range [-1, 1] that the
        weights of torchvision were trained on: say so for these weights.
    init_weights
        Set the random start: a truncated normal of standard deviation 0.01.
    dropout, dropout_aux
        Probabilities, in the classifier and in the auxiliary ones.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool = True,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = InceptionAux(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = InceptionAux(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights:
            for m in self.modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    nn.init.trunc_normal_(m.weight, mean=0.0, std=0.01, a=-2, b=2)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Images ``(N, 3, H, W)`` to logits ``(N, num_classes)``; in training with ``aux_logits``, those of all three.

        Returns
        -------
        Tensor or GoogLeNetOutputs
        """
        if self.transform_input:
            x = from_imagenet(x)
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        middle1 = self.inception4a(x)
        middle2 = self.inception4d(self.inception4c(self.inception4b(middle1)))
        x = self.inception5b(self.inception5a(self.maxpool4(self.inception4e(middle2))))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutputs(logits, self.aux2(middle2), self.aux1(middle1))
        return logits


def from_imagenet(x: Tensor) -> Tensor:
    """Images normalised with ImageNet's means and deviations as images normalised with 0.5 and 0.5."""
    mean = x.new_tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = x.new_tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    return x * (std / 0.5) + (mean - 0.5) / 0.5


@register
def googlenet(*, weights: Weights = None, progress: bool = True, **config: Any) -> GoogLeNet:
    """GoogLeNet: 6.6 million parameters, 13.0 million with the auxiliary classifiers.

    ``weights`` is the path of a state dict; with torchvision's say ``transform_input=True``, and ``aux_logits=False``
    where the file has none. For the rest see :class:`GoogLeNet`.
    """
    model = GoogLeNet(**{"init_weights": weights is None, **config})
    return with_weights(model, weights, () if model.aux_logits else ("aux1.", "aux2."))
