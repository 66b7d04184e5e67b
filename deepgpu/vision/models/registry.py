"""Models by name, and the weights they start from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any, TypeVar

from deepgpu import nn
from deepgpu.serialization import load

B = TypeVar("B", bound=Callable[..., nn.Module])

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
_SMALL: set[str] = set()


def register(builder: B) -> B:
    """Make a function that builds a model known by its name."""
    _BUILDERS[builder.__name__] = builder
    return builder


def register_small(builder: B) -> B:
    """The same, for a model that is made for small images and takes ``in_channels``."""
    _SMALL.add(builder.__name__)
    return register(builder)


def is_small(name: str) -> bool:
    """Whether the model is made for images of about 32 x 32, with any number of channels.

    The others are made for about 224 x 224 and three channels; they take images from 32 x 32.
    """
    return name.lower() in _SMALL


def list_models(include: str | None = None, exclude: str | None = None) -> list[str]:
    """The names of all models, sorted.

    Parameters
    ----------
    include, exclude
        Only names that match the first pattern and not the second, such as ``"resnet*"``.
    """
    return sorted(
        name
        for name in _BUILDERS
        if (include is None or fnmatch(name, include)) and not (exclude is not None and fnmatch(name, exclude))
    )


def get_model(name: str, **config: Any) -> nn.Module:
    """Build the model called ``name``.

    Parameters
    ----------
    **config
        Its arguments, such as ``num_classes`` or ``weights``.

    Raises
    ------
    ValueError
        If there is no such model; the message names those that are spelled alike.
    """
    key = name.lower()
    if key not in _BUILDERS:
        alike = difflib.get_close_matches(key, _BUILDERS, n=3, cutoff=0.5)
        known = f"did you mean {' or '.join(alike)}?" if alike else f"there are {', '.join(list_models())}"
        raise ValueError(f"`get_model`: there is no model {name!r}; {known}")
    return _BUILDERS[key](**config)


def with_weights(model: nn.Module, weights: str | os.PathLike[str] | None) -> nn.Module:
    """Load a state dict into a new model.

    Parameters
    ----------
    weights
        A ``.safetensors``, ``.pth`` or ``.pt`` file with the model's ``state_dict``, such as torchvision's; None keeps
        the random start.

    Raises
    ------
    ValueError
        If it is the name of weights that torchvision would download.
    RuntimeError
        If keys or shapes do not fit.
    """
    if weights is None:
        return model
    if not os.path.exists(weights) and os.path.basename(str(weights)) == str(weights) and "." not in str(weights):
        raise ValueError(
            f"`weights` takes the path of a state dict (.safetensors, .pth or .pt) or None, but got {weights!r}; "
            "weights are not downloaded. With torchvision: `torch.save(model.state_dict(), 'weights.pth')`"
        )
    state = load(weights, map_location="cpu")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise RuntimeError(f"the weights in {weights} do not fit: {error}") from None
    return model
