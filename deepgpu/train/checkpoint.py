"""Checkpoints: files from which a training goes on, each whole or refused.

One file a checkpoint: a ``.safetensors`` file with all tensors, and everything else as JSON in its header, with a
SHA-256 over both. It is written atomically under a name with the number of steps, and only then older ones go: whatever
happens while one is written, the one before is there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from deepgpu.serialization import CorruptFileError, load_tensors, save_tensors
from deepgpu.tensor import Tensor
from deepgpu.train.errors import CorruptCheckpointError
from deepgpu.train.state import join, split

FORMAT = "deepgpu checkpoint 1"
_NAME = re.compile(r"step-(\d+)\.safetensors")


def write(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a checkpoint, atomically.

    Parameters
    ----------
    state
        Nested dicts, lists and tuples of tensors, numbers and strings.

    Raises
    ------
    OSError
        If the disk is full or cannot be written; a file that was there before stays.
    """
    tensors, text = split(state)
    save_tensors(tensors, path, {"format": FORMAT, "state": text, "sha256": _digest(tensors, text)})


def read(path: str | os.PathLike[str]) -> Any:
    """Read a checkpoint to the CPU.

    Raises
    ------
    CorruptCheckpointError
        If it is not exactly what was written.
    """
    try:
        tensors, metadata = load_tensors(path)
    except CorruptFileError as error:
        raise CorruptCheckpointError(f"the checkpoint {path} is damaged: {error}", Path(path)) from None
    if metadata.get("format") != FORMAT:
        raise CorruptCheckpointError(f"{path} is no checkpoint of a training (format {FORMAT!r})", Path(path))
    if _digest(tensors, metadata.get("state", "")) != metadata.get("sha256"):
        raise CorruptCheckpointError(f"the checkpoint {path} is damaged: its checksum does not match", Path(path))
    return join(tensors, metadata["state"])


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        t = tensors[name]
        array = np.ascontiguousarray(t._backend.to_numpy(t._data))
        digest.update(f"{name} {t.dtype} {tuple(t.shape)}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


class Checkpoints:
    """The checkpoints of a training in one folder, the newest of which are kept.

    Parameters
    ----------
    folder
        Made when the first one is saved. It should hold nothing else.
    keep
        How many to keep: 2, so that there is one to fall back on.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 2) -> None:
        self.folder = Path(folder)
        self.keep = keep

    def paths(self) -> list[Path]:
        """All checkpoints, the newest first."""
        found = [p for p in self.folder.glob("step-*.safetensors") if _NAME.fullmatch(p.name)]
        return sorted(found, key=_step, reverse=True)

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the checkpoint of a step, then remove the oldest beyond those to keep, and those of later steps.

        Later ones belong to a training that went on from an earlier checkpoint; they would count as newer.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}.safetensors"
        write(path, state)
        others = [p for p in self.paths() if p != path]
        later = [p for p in others if _step(p) > step]
        for old in later + [p for p in others if p not in later][self.keep - 1 :]:
            old.unlink()
        return path

    def remove_unfinished(self) -> None:
        """Remove the temporary files of a process that was killed while it saved."""
        for path in self.folder.glob(".*tmp*"):
            with suppress(OSError):
                path.unlink()

    def read(self, path: Path | None = None) -> tuple[Path, Any]:
        """The newest checkpoint, or a given one.

        Returns
        -------
        path, state

        Raises
        ------
        FileNotFoundError
            If there is none.
        CorruptCheckpointError
            If it is damaged; the message names the newest one before it that is whole.
        """
        paths = self.paths()
        chosen = path or (paths[0] if paths else None)
        if chosen is None or not chosen.is_file():
            raise FileNotFoundError(f"there is no checkpoint in {self.folder}" if path is None else f"no file {path}")
        try:
            return chosen, read(chosen)
        except CorruptCheckpointError as error:
            previous = _first_whole(p for p in paths if p != chosen)
            hint = "there is no other one that is whole" if previous is None else f"the one before is whole: {previous}"
            raise CorruptCheckpointError(f"{error}; {hint}", chosen, previous) from None


def _first_whole(paths: Iterable[Path]) -> Path | None:
    for path in paths:
        with suppress(CorruptCheckpointError):
            read(path)
            return path
    return None


def _step(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])
