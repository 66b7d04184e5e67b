"""EMNIST: handwritten digits and letters in MNIST's form."""

from __future__ import annotations

import shutil
import string
import zipfile
from pathlib import Path
from typing import Any, ClassVar

from deepgpu.errors import takes
from deepgpu.vision.datasets.locate import Source, find, obtain
from deepgpu.vision.datasets.mnist import MNIST

# Letters whose small and capital forms look alike are one class in all splits but "byclass" and "letters".
_MERGED = set("cijklmopsuvwxyz")
_ALL = set(string.digits + string.ascii_letters)


class EMNIST(MNIST):
    """Handwritten digits and letters, in the form of :class:`MNIST`; each image is transposed, as in the files.

    Cohen, Afshar, Tapson and van Schaik, "EMNIST: an extension of MNIST to handwritten letters", arXiv 1702.05373.

    Parameters
    ----------
    root
        The folder that holds ``EMNIST/raw`` with ``emnist-letters-train-images-idx3-ubyte`` and so on, each gzipped or
        not, or with ``gzip.zip``, the archive of them all (536 MB). Also looked for where :class:`MNIST` looks.
    split
        "byclass" (62 classes), "bymerge" or "balanced" (47), "letters" (1 to 26), "digits" or "mnist" (10).
    **kwargs
        ``train``, ``transform``, ``target_transform`` and ``download`` as for :class:`MNIST`.
    """

    home = "https://www.nist.gov/itl/products-and-services/emnist-dataset"
    mirrors = ("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",)
    archive = "gzip.zip"
    archive_md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    system_folder = "emnist"
    classes_split_dict: ClassVar[dict[str, list[str]]] = {
        "byclass": sorted(_ALL),
        "bymerge": sorted(_ALL - _MERGED),
        "balanced": sorted(_ALL - _MERGED),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root: str | Path | None = None, split: str = "balanced", **kwargs: Any) -> None:
        if split not in self.classes_split_dict:
            raise ValueError(takes("EMNIST", "split", ", ".join(self.classes_split_dict), split))
        self.split = split
        self.classes = self.classes_split_dict[split]
        super().__init__(root, **kwargs)

    def _beginning(self) -> str:
        return f"emnist-{self.split}-{'train' if self.train else 'test'}"

    def _file(self, name: str, download: bool) -> Path:
        folders = ("EMNIST/raw", "EMNIST", self.system_folder)
        found = find(self.root, folders, (name.removesuffix(".gz"), name))
        if found is not None:
            return found
        archive = find(self.root, folders, (self.archive,))
        if archive is None:
            by_hand = f"get {self.archive} from {self.home}"
            source = Source("EMNIST", self.archive, self.archive_md5, self.mirrors, "EMNIST/raw", by_hand)
            archive = obtain(source, self.root, download)
        return _extracted(archive, name)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}\nCharacters: {self.split}"


def _extracted(archive: Path, name: str) -> Path:
    """A file of the archive, put beside it."""
    target = archive.parent / name
    try:
        with zipfile.ZipFile(archive) as files:
            member = next((m for m in files.namelist() if m.endswith(f"/{name}") or m == name), None)
            if member is None:
                raise ValueError(f"{archive}: expected a file {name} in it; there are {', '.join(files.namelist())}")
            partial = target.with_suffix(".part")
            with files.open(member) as source, partial.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive}: truncated or corrupt ({error}); remove it and get it again") from None
    partial.replace(target)
    return target
