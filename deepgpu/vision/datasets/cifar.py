"""CIFAR-10 and CIFAR-100: 32 x 32 colour images, 50,000 to train on and 10,000 to test."""

from __future__ import annotations

import codecs
import io
import pickle
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deepgpu.vision.datasets.locate import Source, find, obtain
from deepgpu.vision.datasets.vision import ImagesInMemory

_PIXELS = 3 * 32 * 32


class CIFAR10(ImagesInMemory):
    """Small colour images of ten classes.

    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Parameters
    ----------
    root
        The folder that holds ``cifar-10-python.tar.gz``, or ``cifar-10-batches-py`` unpacked. It is looked for there,
        then in ``$DEEPGPU_DATA``, in /usr/share/datasets and in ``~/.cache/deepgpu/datasets``.
    train
        The 50,000 training images, else the 10,000 test images.
    transform
        A function of the Pillow image.
    target_transform
        A function of the class index.
    download
        Download the archive (170 MB) if it was not found: to ``root``, or without one to ``$DEEPGPU_DATA`` or the cache
        folder.

    Attributes
    ----------
    data
        uint8 pixels, an array (N, 32, 32, 3).
    targets
        The class indices, a list of ints.

    Raises
    ------
    DatasetNotFoundError
        If the files are not there and were not downloaded; says how to get them.
    ValueError
        If a file is truncated or corrupt; names it.
    """

    home = "https://www.cs.toronto.edu/~kriz/cifar.html"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    base_folder = "cifar-10-batches-py"
    train_list: ClassVar[Sequence[str]] = tuple(f"data_batch_{i}" for i in range(1, 6))
    test_list: ClassVar[Sequence[str]] = ("test_batch",)
    batch_size: ClassVar[dict[bool, int]] = {True: 10000, False: 10000}
    """Images in each file, for training and for testing."""
    meta: ClassVar[dict[str, str]] = {"filename": "batches.meta", "key": "label_names"}
    label_key = "labels"

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
        names = self.train_list if train else self.test_list
        files = self._files((self.meta["filename"], *names), download)
        path, content = next(files)
        names_of_classes = _entry(path, content).get(self.meta["key"])
        if not names_of_classes:
            raise ValueError(f"{path}: expected the entry {self.meta['key']!r}, the names of the classes")
        self.classes = tuple(str(name) for name in names_of_classes)
        batches = [self._batch(path, _entry(path, content)) for path, content in files]
        self.data = np.concatenate([images for images, _ in batches])
        self.targets = [label for _, labels in batches for label in labels]

    def _batch(self, path: str, entry: dict[str, Any]) -> tuple[np.ndarray, list[int]]:
        """The images (N, 32, 32, 3) and labels of a file."""
        images, labels = np.asarray(entry.get("data")), np.asarray(entry.get(self.label_key))
        n = self.batch_size[self.train]
        if images.shape != (n, _PIXELS) or images.dtype != np.uint8 or labels.shape != (n,):
            found = f"{images.shape} of {images.dtype} and {labels.shape} labels"
            raise ValueError(f"{path}: expected {(n, _PIXELS)} pixels of uint8 and {(n,)} labels, found {found}")
        if not 0 <= labels.min() <= labels.max() < len(self.classes):
            found = f"{labels.min()} to {labels.max()}"
            raise ValueError(f"{path}: expected labels 0 to {len(self.classes) - 1}, found {found}")
        return images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels.tolist()

    def _files(self, names: Sequence[str], download: bool) -> Iterator[tuple[str, bytes]]:
        """Paths and contents of files of the unpacked folder, else of the archive, which is downloaded if need be."""
        unpacked = find(self.root, (self.base_folder,), (names[0],))
        if unpacked is not None:
            for path in map(unpacked.with_name, names):
                if not path.is_file():
                    raise ValueError(f"{path}: missing; unpack {self.filename} again")
                yield str(path), path.read_bytes()
            return
        archive = find(self.root, (".",), (self.filename,))
        if archive is None:
            own = type(self).__name__
            source = Source(own, self.filename, self.tgz_md5, [self.url], "", f"get {self.filename} from {self.home}")
            archive = obtain(source, self.root, download)
        yield from self._members(archive, names)

    def _members(self, archive: Path, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Paths and contents of files of the archive."""
        import pooch

        found = pooch.file_hash(str(archive), alg="md5")
        if found != self.tgz_md5:
            raise ValueError(
                f"{archive}: truncated or corrupt: {archive.stat().st_size} bytes with MD5 {found}, expected MD5 "
                f"{self.tgz_md5}; delete it and get it again"
            )
        wanted = [f"{self.base_folder}/{name}" for name in names]
        with tarfile.open(archive, "r:gz") as tar:
            files = {m.name: tar.extractfile(m) for m in tar if m.name in wanted}
            contents = {name: file.read() for name, file in files.items() if file is not None}
        for member in wanted:
            if member not in contents:
                raise ValueError(f"{archive}: has no member {member}")
            yield f"{archive}/{member}", contents[member]

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """Small colour images of a hundred classes; see :class:`CIFAR10` for the parameters."""

    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    base_folder = "cifar-100-python"
    train_list = ("train",)
    test_list = ("test",)
    batch_size: ClassVar[dict[bool, int]] = {True: 50000, False: 10000}
    meta: ClassVar[dict[str, str]] = {"filename": "meta", "key": "fine_label_names"}
    label_key = "fine_labels"


def _entry(path: str, content: bytes) -> dict[str, Any]:
    """The dict in a pickle, of which only plain types and arrays are made."""
    try:
        entry = _Plain(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a corrupt pickle can raise anything
        raise ValueError(
            f"{path}: truncated or corrupt: {len(content)} bytes that are no whole pickle ({error}); get it again"
        ) from error
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: expected a dict, found {type(entry).__name__}")
    return entry


class _Plain(pickle.Unpickler):
    """Makes what a pickle of plain types and arrays needs, and nothing else: a pickle can call any function."""

    _ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
        ("_codecs", "encode"): codecs.encode,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which is not allowed") from None
