"""Layers that several families of models share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepgpu import nn
from deepgpu.tensor import Tensor

Layer = Callable[..., nn.Module]
Size = int | tuple[int, int]


class Conv2dNormActivation(nn.Sequential):
    """A convolution, a norm, an activation.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, groups, dilation
        Of the convolution.
    padding
        By default as much as keeps the size at stride 1.
    norm_layer, activation_layer
        Make the norm, of so many channels, and the activation; None leaves it out.
    inplace
        Given to the activation; None for one that does not take it.
    bias
        Of the convolution; by default only where no norm follows.

    Attributes
    ----------
    out_channels
        As given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        stride: Size = 1,
        padding: Size | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm2d,
        activation_layer: Layer | None = nn.ReLU,
        dilation: Size = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        if padding is None:
            kernel, spread = _pair(kernel_size), _pair(dilation)
            padding = ((kernel[0] - 1) // 2 * spread[0], (kernel[1] - 1) // 2 * spread[1])
        bias = norm_layer is None if bias is None else bias
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**({} if inplace is None else {"inplace": inplace})))
        super().__init__(*layers)
        self.out_channels = out_channels


def _pair(value: Size) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


class SqueezeExcitation(nn.Module):
    """Each channel times a factor that depends on the means of all channels (Hu et al., arXiv 1709.01507).

    Parameters
    ----------
    input_channels
        Of the input and the output.
    squeeze_channels
        Between the two layers that compute the factors.
    activation, scale_activation
        Make the activations behind the first and the second.
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Layer = nn.ReLU,
        scale_activation: Layer = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        scale = self.activation(self.fc1(self.avgpool(input)))
        return self.scale_activation(self.fc2(scale)) * input


class MLP(nn.Sequential):
    """Linear layers with an activation and dropout behind each, the last without activation.

    Parameters
    ----------
    in_channels
        Features that come in.
    hidden_channels
        Features of each layer's output.
    norm_layer, activation_layer
        Make what stands behind all linear layers but the last.
    inplace
        Given to activation and dropout; None for an activation that does not take it.
    bias
        Of the linear layers.
    dropout
        Probability.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: Sequence[int],
        norm_layer: Layer | None = None,
        activation_layer: Layer | None = nn.ReLU,
        inplace: bool | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        settings: dict[str, Any] = {} if inplace is None else {"inplace": inplace}
        layers: list[nn.Module] = []
        for features in hidden_channels[:-1]:
            layers.append(nn.Linear(in_channels, features, bias=bias))
            if norm_layer is not None:
                layers.append(norm_layer(features))
            if activation_layer is not None:
                layers.append(activation_layer(**settings))
            layers.append(nn.Dropout(dropout, **settings))
            in_channels = features
        layers += [nn.Linear(in_channels, hidden_channels[-1], bias=bias), nn.Dropout(dropout, **settings)]
        super().__init__(*layers)


class Permute(nn.Module):
    """:func:`deepgpu.permute` as a layer.

    Parameters
    ----------
    dims
        The order of the dimensions.
    """

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """The tensor with its dimensions in that order."""
        return x.permute(*self.dims)

    def extra_repr(self) -> str:
        """The order."""
        return f"dims={self.dims}"
