"""Where the files of a data set are: found on disk, or downloaded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_CHUNK = 1 << 16  # bytes between two steps of the progress bar
SYSTEM = Path("/usr/share/datasets")  # where Debian's packages put theirs


class DatasetNotFoundError(RuntimeError):
    """The files of a data set are not on this machine; the message says how to get them."""


class Bar:
    """A progress bar as pooch wants one: it sets ``total`` and calls ``update``, ``reset`` and ``close``."""

    def __init__(self, name: str) -> None:
        from rich import progress
        from rich.console import Console

        columns = (progress.TextColumn(name), progress.BarColumn(), progress.DownloadColumn())
        speed = (progress.TransferSpeedColumn(), progress.TimeRemainingColumn())
        self._progress = progress.Progress(*columns, *speed, console=Console(stderr=True))
        self._task = self._progress.add_task(name, total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def total(self) -> float | None:
        """Bytes to come."""
        return self._progress.tasks[0].total

    @total.setter
    def total(self, size: float) -> None:
        self._progress.update(self._task, total=size)

    def update(self, size: float) -> None:
        """So many bytes have come."""
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        """None have come."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """It is over."""
        self._progress.stop()


def cache_folder() -> Path:
    """Where downloads go unless told otherwise: ``$DEEPGPU_DATA``, else ``deepgpu/datasets`` in the user's cache."""
    given = os.environ.get("DEEPGPU_DATA")
    return Path(given) if given else _user_cache()


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "deepgpu" / "datasets"


def places(root: str | Path | None) -> list[Path]:
    """Where to look, in this order: ``root``, ``$DEEPGPU_DATA``, /usr/share/datasets, the user's cache folder."""
    given = [] if root is None else [Path(root).expanduser()]
    own = [cache_folder()] if os.environ.get("DEEPGPU_DATA") else []
    return list(dict.fromkeys([*given, *own, SYSTEM, _user_cache()]))


def find(root: str | Path | None, folders: Sequence[str], names: Sequence[str]) -> Path | None:
    """The first file of one of these ``names`` in one of these ``folders`` of one of the :func:`places`.

    In ``root`` itself they may also lie without a folder; elsewhere that could be another data set's.
    """
    for place in places(root):
        for folder in folders if root is None or place != Path(root).expanduser() else (*folders, "."):
            for name in names:
                path = place / folder / name
                if path.is_file():
                    return path
    return None


class Source(NamedTuple):
    """Where a file of a data set comes from.

    Attributes
    ----------
    dataset
        The data set, for messages.
    name
        The file.
    md5
        Its checksum.
    urls
        Where it can be downloaded.
    folder
        Where downloads of this data set go, within a place.
    by_hand
        What to get by hand, for people to read.
    package
        The Debian package that holds the data set, or None.
    """

    dataset: str
    name: str
    md5: str
    urls: Sequence[str]
    folder: str
    by_hand: str
    package: str | None = None


def obtain(source: Source, root: str | Path | None, download: bool) -> Path:
    """Download a file that was not found.

    Parameters
    ----------
    source
        Where it comes from.
    root
        The place for it; None for the cache folder.
    download
        Whether to; else it is an error.

    Raises
    ------
    DatasetNotFoundError
        If it was not downloaded; says how to get it.
    """
    target = (cache_folder() if root is None else Path(root).expanduser()) / source.folder
    failure = ""
    if download:
        try:
            return fetch(source.urls, source.md5, target, source.name)
        except DatasetNotFoundError as error:
            failure = f"\n{error}"
    ways = []
    if source.package is not None:
        ways.append(f"on Debian or Ubuntu: sudo apt-get install {source.package}")
    if not download:
        ways.append(f"let it be downloaded: {source.dataset}(..., download=True)")
    ways.append(f"{source.by_hand} and put it into {target}")
    raise DatasetNotFoundError(
        f"`{source.dataset}`: {source.name} was not found in {', '.join(str(p) for p in places(root))}.{failure}\n"
        "Ways to get the data:\n" + "\n".join(f"- {way}" for way in ways)
    )


def fetch(urls: Sequence[str], md5: str, folder: Path, name: str) -> Path:
    """Download a file to ``folder / name``, from the first of the ``urls`` that gives it with this checksum.

    The file appears in the folder when it is complete and right.

    Raises
    ------
    DatasetNotFoundError
        If none does.
    """
    import pooch

    failures: list[str] = []
    for url in urls:
        with _noted(url, failures), Bar(name) as bar:
            folder.mkdir(parents=True, exist_ok=True)
            downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK, timeout=30)
            return Path(pooch.retrieve(url, f"md5:{md5}", fname=name, path=folder, downloader=downloader))
    raise DatasetNotFoundError(f"{name}: the download failed:\n" + "\n".join(failures))


@contextlib.contextmanager
def _noted(url: str, failures: list[str]) -> Iterator[None]:
    """Note why a download failed (no network, no room, a wrong checksum) instead of raising it."""
    try:
        yield
    except (OSError, ValueError) as error:
        failures.append(f"  {url}: {error}")
