"""Data sets that can be trained on by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deepgpu.vision import datasets


@dataclass(frozen=True)
class Source:
    """A data set that can be trained on by name.

    Attributes
    ----------
    name
        Such as "fashion-mnist".
    about
        What it is.
    open
        Gives the training set (True) or the test set (False) with a transform, from a folder (or where it is found),
        downloaded if wanted.
    channels, size
        Of the images.
    mean, std
        Of the training set's pixels, for each channel.
    flip
        Whether a mirror image is of the same class.
    recipe
        Settings that are good for it.
    """

    name: str
    about: str
    open: Callable[[bool, Any, str | None, bool], Any]
    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    recipe: dict[str, Any] = field(default_factory=dict)

    def is_here(self, root: str | None = None) -> bool:
        """Whether its files are found (in ``root`` too), and whole."""
        try:
            self.open(False, None, root, False)
        except datasets.DatasetNotFoundError:
            return False
        return True


def _torchvision(name: str) -> Callable[[bool, Any, str | None, bool], Any]:
    def open(train: bool, transform: Any, root: str | None, download: bool) -> Any:
        return getattr(datasets, name)(root, train=train, transform=transform, download=download)

    return open


def _digits(train: bool, transform: Any, root: str | None, download: bool) -> Any:
    return datasets.Digits(train=train, transform=transform)


SOURCES = {
    s.name: s
    for s in (
        Source(
            "fashion-mnist",
            "clothes, 28 x 28 grey, 10 classes, 60,000 + 10,000 images",
            _torchvision("FashionMNIST"),
            1,
            28,
            (0.2860,),
            (0.3530,),
            True,
            {"epochs": 3, "lr": 0.2},
        ),
        Source(
            "mnist",
            "handwritten digits, 28 x 28 grey, 10 classes, 60,000 + 10,000 images",
            _torchvision("MNIST"),
            1,
            28,
            (0.1307,),
            (0.3081,),
            False,
            {"epochs": 3, "lr": 0.2},
        ),
        Source(
            "cifar10",
            "photos, 32 x 32 in colour, 10 classes, 50,000 + 10,000 images",
            _torchvision("CIFAR10"),
            3,
            32,
            (0.4914, 0.4822, 0.4465),
            (0.2470, 0.2435, 0.2616),
            True,
            {"epochs": 30, "lr": 0.2},
        ),
        Source(
            "cifar100",
            "photos, 32 x 32 in colour, 100 classes, 50,000 + 10,000 images",
            _torchvision("CIFAR100"),
            3,
            32,
            (0.5071, 0.4865, 0.4409),
            (0.2673, 0.2564, 0.2762),
            True,
            {"epochs": 30, "lr": 0.2},
        ),
        Source(
            "digits",
            "handwritten digits, 8 x 8 grey, 10 classes; comes with deepgpu",
            _digits,
            1,
            8,
            (0.3046,),
            (0.3754,),
            False,
            {"epochs": 15, "lr": 0.1, "batch_size": 64},
        ),
    )
}


def source_of(name: str) -> Source | None:
    """The data set of that name; None for "folder:PATH".

    Raises
    ------
    ValueError
        If there is none.
    """
    if name.startswith("folder:"):
        return None
    if name not in SOURCES:
        alike = difflib.get_close_matches(name, SOURCES, n=1)
        known = f"{', '.join(SOURCES)} or folder:PATH"
        raise ValueError(
            f"there is no data set {name!r}; {f'did you mean {alike[0]!r}? ' if alike else ''}`data` takes {known}"
        )
    return SOURCES[name]
