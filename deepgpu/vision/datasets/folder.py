"""Images in folders, one for each class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deepgpu.errors import takes
from deepgpu.vision.datasets.vision import VisionDataset
from deepgpu.vision.transforms.functional.image import pillow

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def pil_loader(path: str | Path) -> Any:
    """The image in a file, as RGB.

    Raises
    ------
    OSError
        If it cannot be read; names the file.
    """
    image = pillow()
    try:
        with open(path, "rb") as file:
            return image.open(file).convert("RGB")
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for broken files
        raise OSError(f"{path}: cannot read this image of {os.path.getsize(path)} bytes: {error}") from error


default_loader = pil_loader


def has_file_allowed_extension(filename: str, extensions: str | tuple[str, ...]) -> bool:
    """Whether the name ends, in capitals or not, in one of the extensions."""
    return filename.lower().endswith(extensions)


def is_image_file(filename: str) -> bool:
    """Whether the name ends like that of an image."""
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def find_classes(directory: str | Path) -> tuple[list[str], dict[str, int]]:
    """The sorted names of the folders in a folder, and the index of each."""
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"{directory}: has no folders, one for each class")
    return classes, {name: i for i, name in enumerate(classes)}


def make_dataset(
    directory: str | Path,
    class_to_idx: dict[str, int] | None = None,
    extensions: str | tuple[str, ...] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """Paths and class indices of all files below the folders of the classes, in the order of their names.

    Parameters
    ----------
    directory
        The folder with the folders.
    class_to_idx
        The index of each class; by default those of :func:`find_classes`.
    extensions
        How the names of the files end that count.
    is_valid_file
        Whether a path counts; instead of ``extensions``.
    allow_empty
        Whether a class may have no files.
    """
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("`make_dataset`: takes either `extensions` or `is_valid_file`")
    if is_valid_file is None:
        endings = extensions

        def is_valid_file(path: str) -> bool:
            return has_file_allowed_extension(path, endings)  # type: ignore[arg-type]

    indices = find_classes(directory)[1] if class_to_idx is None else class_to_idx
    if not indices:
        raise ValueError(takes("make_dataset", "class_to_idx", "at least one class", indices))
    samples, empty = [], []
    for name in sorted(indices):
        found = []
        for folder, _, files in sorted(os.walk(os.path.join(directory, name), followlinks=True)):
            paths = [os.path.join(folder, file) for file in sorted(files)]
            found += [(path, indices[name]) for path in paths if is_valid_file(path)]
        samples += found
        if not found:
            empty.append(name)
    if empty and not allow_empty:
        wanted = "" if extensions is None else f" Files count that end in {', '.join(_tuple(extensions))}."
        raise FileNotFoundError(f"{directory}: found no valid file for the classes {', '.join(empty)}.{wanted}")
    return samples


def _tuple(extensions: str | tuple[str, ...]) -> tuple[str, ...]:
    return (extensions,) if isinstance(extensions, str) else extensions


class DatasetFolder(VisionDataset):
    """Files in folders, one folder for each class: ``root/class/any/where/file.ext``.

    Parameters
    ----------
    root
        The folder with the folders.
    loader
        A function that reads a sample from a path.
    extensions
        How the names of the files end that count.
    transform
        A function of the sample.
    target_transform
        A function of the class index.
    is_valid_file
        Whether a path counts; instead of ``extensions``.
    allow_empty
        Whether a class may have no files.

    Attributes
    ----------
    classes
        The names of the classes, sorted.
    class_to_idx
        The index of each.
    samples
        Paths and class indices.
    targets
        The class indices.
    """

    def __init__(
        self,
        root: str | Path,
        loader: Callable[[str], Any],
        extensions: tuple[str, ...] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self.extensions = extensions
        self.classes, self.class_to_idx = self.find_classes(root)
        self.samples = make_dataset(root, self.class_to_idx, extensions, is_valid_file, allow_empty)
        self.targets: Sequence[int] = [target for _, target in self.samples]

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """Which classes there are; a subclass may say otherwise."""
        return find_classes(directory)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The sample and the index of its class, after their transforms."""
        path, target = self.samples[index]
        return self.transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images in folders, one folder for each class: ``root/dog/1.png``, ``root/cat/a/2.jpeg``.

    Parameters
    ----------
    root
        The folder with the folders.
    transform
        A function of the Pillow image.
    target_transform
        A function of the class index.
    loader
        A function that reads an image from a path.
    is_valid_file
        Whether a path counts; by default by its extension.
    allow_empty
        Whether a class may have no files.
    """

    def __init__(
        self,
        root: str | Path,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples
