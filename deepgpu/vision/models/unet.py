"""U-Net (Ronneberger et al., arXiv 1505.04597): down to few pixels and up again, with bridges at each resolution."""

from __future__ import annotations

from typing import Any

from deepgpu import nn
from deepgpu.errors import takes
from deepgpu.nn import functional as F
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor
from deepgpu.vision.models.registry import Weights, register, with_weights
from deepgpu.vision.models.resnet import conv3x3


class DoubleConv(nn.Sequential):
    """Twice a 3x3 convolution, a norm and a ReLU.

    Parameters
    ----------
    in_channels, out_channels
        Channels.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU(inplace=True)


class Up(nn.Module):
    """Twice the resolution, half the channels, side by side with what came down, two convolutions.

    Parameters
    ----------
    in_channels
        Of the lower resolution; half of them go out.
    upsample
        ``"transposed"``: a 2x2 transposed convolution of stride 2; ``"bilinear"``: interpolation and a 1x1 convolution.
    """

    def __init__(self, in_channels: int, upsample: str) -> None:
        super().__init__()
        half = in_channels // 2
        self.up: nn.Module
        if upsample == "transposed":
            self.up = nn.ConvTranspose2d(in_channels, half, 2, stride=2)
        else:
            self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(in_channels, half, 1))
        self.conv = DoubleConv(in_channels, half)

    def forward(self, x: Tensor, bridge: Tensor) -> Tensor:
        """``(N, C, H, W)`` and ``(N, C / 2, 2 H, 2 W)`` (or one pixel more) to the bridge's shape."""
        x = self.up(x)
        below, right = bridge.shape[2] - x.shape[2], bridge.shape[3] - x.shape[3]
        if below or right:  # the size on the way down was odd
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        return self.conv(cat([bridge, x], 1))


class UNet(nn.Module):
    """U-Net with padded convolutions and batch norm: the output has the input's size.

    Its keys: ``down.0.conv1.weight`` to ``down.D`` (the last is the bottom), ``up.0.up.weight`` and
    ``up.0.conv.conv1.weight`` to ``up.D-1``, from the lowest resolution to the highest, ``head.weight``.

    Parameters
    ----------
    num_classes
        Channels of the output.
    in_channels
        Of the images.
    width
        Channels at the full resolution; each step down doubles them.
    depth
        Steps down; the image must have at least ``2 ** depth`` pixels on a side.
    upsample
        ``"transposed"`` as in the paper, or ``"bilinear"``.
    """

    def __init__(
        self,
        num_classes: int = 2,
        in_channels: int = 3,
        width: int = 64,
        depth: int = 4,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        if upsample not in ("transposed", "bilinear"):
            raise ValueError(takes("UNet", "upsample", "'transposed' or 'bilinear'", upsample))
        if depth < 1:
            raise ValueError(takes("UNet", "depth", "at least 1", depth))
        channels = [width * 2**i for i in range(depth + 1)]
        self.down = nn.ModuleList(
            DoubleConv(inp, out) for inp, out in zip([in_channels, *channels], channels, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(Up(c, upsample) for c in reversed(channels[1:]))
        self.head = nn.Conv2d(width, num_classes, 1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3):
                nn.init.kaiming_normal_(m.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to a logit for each pixel and class, ``(N, num_classes, H, W)``."""
        bridges: list[Tensor] = []
        for i, step in enumerate(self.down):
            if i:
                bridges.append(x)
                x = self.pool(x)
            x = step(x)
        for step in self.up:
            x = step(x, bridges.pop())
        return self.head(x)


@register(classifies=False)
def unet(*, weights: Weights = None, progress: bool = True, **config: Any) -> UNet:
    """U-Net: 31.0 million parameters. ``weights`` is the path of a state dict; for the rest see :class:`UNet`."""
    return with_weights(UNet(**config), weights)
