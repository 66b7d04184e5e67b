"""``SummaryWriter``: curves, pictures and histograms for TensorBoard, written by tensorboardX.

``pip install 'deepgpu[tensorboard]'``; ``tensorboard --logdir runs`` shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu.tensor import Tensor


class SummaryWriter:
    """Writes events for TensorBoard; PyTorch's methods ``add_scalar``, ``add_image``, ``add_histogram``, ...

    Parameters
    ----------
    log_dir
        The folder; by default ``runs/<time>_<host>``.
    comment
        Is appended to the default folder.
    **options
        As for ``tensorboardX.SummaryWriter``: ``purge_step``, ``max_queue``, ``flush_secs``, ``filename_suffix``.

    Raises
    ------
    ModuleNotFoundError
        If tensorboardX is not installed.
    """

    def __init__(self, log_dir: Any = None, comment: str = "", **options: Any) -> None:
        try:
            from tensorboardX import SummaryWriter as Writer
        except ImportError as error:
            raise ModuleNotFoundError(
                "`SummaryWriter` needs tensorboardX; install it with `pip install 'deepgpu[tensorboard]'`"
            ) from error
        self._writer = Writer(None if log_dir is None else str(log_dir), comment, **options)

    @property
    def log_dir(self) -> str:
        """The folder."""
        return self._writer.logdir

    def get_logdir(self) -> str:
        """The folder."""
        return self.log_dir

    def add_graph(self, model: Any, input_to_model: Any = None, verbose: bool = False, **options: Any) -> None:
        """Not supported: the picture of a traced graph."""
        raise NotImplementedError(
            "`SummaryWriter.add_graph`: there is no tracer; `deepgpu summary` and `deepgpu.viz` show a network's layers"
        )

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._writer, name) if "_writer" in self.__dict__ else None
        if found is None:
            raise AttributeError(f"'SummaryWriter' object has no attribute {name!r}")
        return _taking_tensors(found) if name.startswith("add_") else found

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self._writer.close()


def _taking_tensors(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*[_plain(a) for a in args], **{k: _plain(v) for k, v in kwargs.items()})

    return call


def _plain(x: Any) -> Any:
    if isinstance(x, Tensor):
        array = x.numpy(force=True)
        return array.astype("float32") if array.dtype.name == "bfloat16" else array
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    return type(x)(_plain(v) for v in x) if type(x) in (list, tuple) else x
