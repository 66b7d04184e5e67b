"""Models by name, and the weights they start from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, TypeVar

from deepgpu import nn
from deepgpu.serialization import load

B = TypeVar("B", bound=Callable[..., nn.Module])
Norm = Callable[[int], nn.Module]
Weights = str | os.PathLike[str] | None


@dataclass(frozen=True)
class Entry:
    """A model and the images it is made for.

    Attributes
    ----------
    builder
        Makes it.
    small
        Whether it is made for images of about 32 x 32 and takes ``in_channels``.
    size
        Height and width of the images it was designed for.
    least
        The least height and width that it takes.
    classifies
        Whether it gives logits ``(N, num_classes)``; else it gives maps.
    """

    builder: Callable[..., nn.Module]
    small: bool
    size: int
    least: int
    classifies: bool


_ENTRIES: dict[str, Entry] = {}


def register(
    builder: B | None = None, *, small: bool = False, size: int = 224, least: int = 32, classifies: bool = True
) -> Any:
    """Make a function that builds a model known by its name; with arguments (see :class:`Entry`), a decorator."""

    def note(builder: B) -> B:
        _ENTRIES[builder.__name__] = Entry(builder, small, size, least, classifies)
        return builder

    return note if builder is None else note(builder)


def register_small(builder: B) -> B:
    """The same, for a model that is made for small images and takes ``in_channels``."""
    return register(small=True, size=32, least=8)(builder)


def is_small(name: str) -> bool:
    """Whether the model is made for images of about 32 x 32, with any number of channels.

    The others are made for about 224 x 224 and three channels; :func:`least_size` says what else they take.
    """
    return _entry(name).small


def design_size(name: str) -> int:
    """Height and width of the images that the model was designed for."""
    return _entry(name).size


def least_size(name: str) -> int:
    """The least height and width of an image that the model takes."""
    return _entry(name).least


def is_classifier(name: str) -> bool:
    """Whether the model gives a logit for each class, rather than maps of the image's size."""
    return _entry(name).classifies


def list_models(include: str | None = None, exclude: str | None = None) -> list[str]:
    """The names of all models, sorted.

    Parameters
    ----------
    include, exclude
        Only names that match the first pattern and not the second, such as ``"resnet*"``.
    """
    return sorted(
        name
        for name in _ENTRIES
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
    return _entry(name).builder(**config)


def _entry(name: str) -> Entry:
    key = name.lower()
    if key not in _ENTRIES:
        alike = difflib.get_close_matches(key, _ENTRIES, n=3, cutoff=0.5)
        known = f"did you mean {' or '.join(alike)}?" if alike else f"there are {', '.join(list_models())}"
        raise ValueError(f"`get_model`: there is no model {name!r}; {known}")
    return _ENTRIES[key]


def with_weights(
    model: nn.Module,
    weights: Weights,
    unused: tuple[str, ...] = (),
    renamed: Callable[[str], str] | None = None,
) -> Any:
    """Load a state dict into a new model.

    Parameters
    ----------
    weights
        A ``.safetensors``, ``.pth`` or ``.pt`` file with the model's ``state_dict``, such as torchvision's; None keeps
        the random start.
    unused
        Beginnings of keys that the file may have although the model has no such part.
    renamed
        Gives the key of today for one of an old file.

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
    state = {key if renamed is None else renamed(key): value for key, value in state.items()}
    state = {key: value for key, value in state.items() if not key.startswith(unused)}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise RuntimeError(f"the weights in {weights} do not fit: {error}") from None
    return model
