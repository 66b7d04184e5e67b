"""MNIST and the data sets in its form: 28 x 28 grey images of ten classes, 60,000 to train on and 10,000 to test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deepgpu.ops.creation import from_numpy
from deepgpu.vision.datasets.idx import read_idx
from deepgpu.vision.datasets.locate import Source, find, obtain
from deepgpu.vision.datasets.vision import ImagesInMemory


class MNIST(ImagesInMemory):
    """Handwritten digits.

    LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998.

    Parameters
    ----------
    root
        The folder that holds ``MNIST/raw/train-images-idx3-ubyte`` and so on, each gzipped or not. They are looked for
        there, then in ``$DEEPGPU_DATA``, in /usr/share/datasets (where Debian's packages put them) and in
        ``~/.cache/deepgpu/datasets``.
    train
        The 60,000 training images, else the 10,000 test images.
    transform
        A function of the Pillow image.
    target_transform
        A function of the class index.
    download
        Download what was not found: to ``root``, or without one to ``$DEEPGPU_DATA`` or the cache folder.

    Attributes
    ----------
    data
        A uint8 tensor (N, 28, 28).
    targets
        An int64 tensor (N,).

    Raises
    ------
    DatasetNotFoundError
        If the files are not there and were not downloaded; says how to get them.
    ValueError
        If a file is truncated or corrupt; names it.
    """

    home = "https://yann.lecun.com/exdb/mnist/"
    mirrors: ClassVar[Sequence[str]] = ("https://ossci-datasets.s3.amazonaws.com/mnist/",)
    resources: ClassVar[dict[str, str]] = {  # MD5 of each file
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    system_folder: ClassVar[str] = "mnist"
    """Its folder in /usr/share/datasets."""
    debian_package: ClassVar[str | None] = None
    classes: Sequence[str] = (
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    )

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
        images = self._file(f"{self._beginning()}-images-idx3-ubyte.gz", download)
        labels = self._file(f"{self._beginning()}-labels-idx1-ubyte.gz", download)
        data, targets = read_idx(images), read_idx(labels)
        if data.ndim != 3 or data.dtype != np.uint8:
            raise ValueError(f"{images}: expected images (N, H, W) of uint8, found {data.shape} of {data.dtype}")
        if targets.shape != data.shape[:1]:
            raise ValueError(
                f"{labels}: expected {len(data)} labels, as many as {images} has images; found {targets.shape}"
            )
        if len(targets) and not 0 <= targets.min() <= targets.max() < len(self.classes):
            found = f"{targets.min()} to {targets.max()}"
            raise ValueError(f"{labels}: expected labels 0 to {len(self.classes) - 1}, found {found}")
        self.data = from_numpy(data)
        self.targets = from_numpy(targets.astype(np.int64))

    def _beginning(self) -> str:
        """Of the names of the files."""
        return "train" if self.train else "t10k"

    def _file(self, name: str, download: bool) -> Path:
        """The file on disk, downloaded if need be."""
        own = type(self).__name__
        found = find(self.root, (f"{own}/raw", own, self.system_folder), (name.removesuffix(".gz"), name))
        if found is not None:
            return found
        urls = [mirror + name for mirror in self.mirrors]
        by_hand = f"get {', '.join(self.resources)} from {self.home}"
        source = Source(own, name, self.resources[name], urls, f"{own}/raw", by_hand, self.debian_package)
        return obtain(source, self.root, download)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Articles of clothing, in the form of :class:`MNIST` (see there for the parameters); MIT licence.

    Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
    https://arxiv.org/abs/1708.07747.
    """

    home = "https://github.com/zalandoresearch/fashion-mnist"
    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    resources: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    system_folder = "fashion-mnist"
    debian_package = "dataset-fashion-mnist"
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )


class KMNIST(MNIST):
    """Cursive Japanese characters, in the form of :class:`MNIST` (see there for the parameters); CC BY-SA 4.0.

    Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto and Ha, "Deep Learning for Classical Japanese Literature",
    https://arxiv.org/abs/1812.01718.
    """

    home = "http://codh.rois.ac.jp/kmnist/"
    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    resources: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    }
    system_folder = "kmnist"
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
