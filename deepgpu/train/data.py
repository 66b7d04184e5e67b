"""A data set, opened for training and judging."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepgpu.train.image_input import ImageInput
from deepgpu.train.sources import source_of
from deepgpu.vision import datasets


@dataclass(frozen=True)
class Splits:
    """What a training needs of a data set.

    Attributes
    ----------
    train, plain
        The training set with augmentation, and the same images without.
    test
        The test set; None if a folder has none.
    classes
        Their names.
    """

    train: Any
    plain: Any
    test: Any
    classes: list[str]


def open_data(name: str, image: ImageInput, augment: bool, root: str | None = None, download: bool = False) -> Splits:
    """Open a data set by name.

    Parameters
    ----------
    name
        One of :data:`SOURCES`, or "folder:PATH": a folder with ``train`` and ``val`` (or ``test``) in it, or only with
        a folder of images for each class.
    image
        What images become.
    augment
        Random crops and flips of the training images.
    root
        Where its files are; by default where they are found.
    download
        Whether to get what is missing.

    Raises
    ------
    DatasetNotFoundError
        If it is not there; says how to get it.
    """
    source = source_of(name)
    plain = image.for_data(source, False)
    if source is not None:
        images = source.open(True, image.for_data(source, augment), root, download)
        test = source.open(False, plain, root, download)
        return Splits(images, _with_transform(images, plain), test, list(images.classes))
    folder = Path(name.removeprefix("folder:")).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; folder:PATH takes one with a folder of images a class")
    tests = [folder / part for part in ("val", "valid", "validation", "test") if (folder / part).is_dir()]
    inner = folder / "train" if (folder / "train").is_dir() else folder
    test = datasets.ImageFolder(str(tests[0]), plain) if inner != folder and tests else None
    images = datasets.ImageFolder(str(inner), image.for_data(None, augment))
    if test is not None and test.classes != images.classes:
        raise ValueError(f"{inner} has the classes {images.classes}, but {tests[0]} has {test.classes}")
    return Splits(images, _with_transform(images, plain), test, list(images.classes))


def _with_transform(images: Any, transform: Any) -> Any:
    """The same data set with another transform; the images are not read again."""
    other = copy.copy(images)
    other.transform = transform
    return other
