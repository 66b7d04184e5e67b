"""USPS: 16 x 16 grey images of handwritten digits from envelopes."""

from __future__ import annotations

import bz2
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deepgpu.vision.datasets.locate import Source, find, obtain
from deepgpu.vision.datasets.vision import ImagesInMemory


class USPS(ImagesInMemory):
    """7291 digits to train on and 2007 to test (Hull, "A database for handwritten text recognition research", 1994).

    Parameters
    ----------
    root
        The folder that holds ``usps.bz2`` and ``usps.t.bz2``, or ``USPS/`` with them. They are looked for there, then
        in ``$DEEPGPU_DATA``, in /usr/share/datasets and in ``~/.cache/deepgpu/datasets``.
    train
        The training images, else the test images.
    transform
        A function of the Pillow image.
    target_transform
        A function of the class index.
    download
        Download what was not found: to ``root``, or without one to ``$DEEPGPU_DATA`` or the cache folder.

    Attributes
    ----------
    data
        uint8 pixels, an array (N, 16, 16).
    targets
        The digits, a list of ints.

    Raises
    ------
    DatasetNotFoundError
        If the files are not there and were not downloaded; says how to get them.
    ValueError
        If a file is truncated or corrupt; names it.
    """

    home = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps"
    base = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
    resources: ClassVar[dict[bool, tuple[str, str]]] = {  # name and MD5, for training and for testing
        True: ("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
        False: ("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
    }
    classes = tuple(map(str, range(10)))

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        name, md5 = self.resources[train]
        path = find(root, ("USPS", "usps"), (name,))
        if path is None:
            by_hand = f"get {name} from {self.home}"
            path = obtain(Source("USPS", name, md5, (self.base + name,), "USPS", by_hand), root, download)
        self.data, self.targets = _read(path)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


def _read(path: Path) -> tuple[np.ndarray, list[int]]:
    """Lines ``label 1:value 2:value ...`` with labels 1 to 10 and values in [-1, 1]."""
    pixels: list[list[float]] = []
    labels: list[int] = []
    try:
        with bz2.open(path, "rt", encoding="ascii") as lines:
            for line in lines:
                label, *entries = line.split()
                values = [float(entry.partition(":")[2]) for entry in entries]
                if len(values) != 256 or not 1 <= int(label) <= 10:
                    raise ValueError(f"line {len(labels) + 1} has label {label} and {len(values)} values")
                pixels.append(values)
                labels.append(int(label) - 1)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path}: expected bzip2 of lines with a label 1 to 10 and 256 values: {error}") from None
    images = (np.array(pixels).reshape(-1, 16, 16) + 1) / 2 * 255
    return images.astype(np.uint8), labels
