"""Writing a file so that a crash, a kill or a full disk leaves the old one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file's path beside ``path``; what the block writes there takes the place of ``path`` at its end.

    The data is on disk (fsync) before the rename, so that ``path`` always holds the old or the new content, whole.

    Raises
    ------
    FileNotFoundError
        If the folder of ``path`` does not exist.
    OSError
        If the disk is full or the folder cannot be written; ``path`` is as it was, and the temporary file is gone.
    """
    target = Path(path)
    folder = target.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"cannot write {target}: there is no folder {folder}; make it first: mkdir -p {folder}")
    temporary = folder / f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode  # as the umask wants it; a writer may put its own file there
        yield temporary
        temporary.chmod(mode)
        _flush(temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            error.filename = str(target)
        raise
    _flush(folder)


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows has no handle of a folder to flush
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
