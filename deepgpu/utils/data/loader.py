"""The loader: what to load, in which order, by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from deepgpu.errors import takes
from deepgpu.random import Generator, default_generator
from deepgpu.utils.data.collate import default_collate, default_convert
from deepgpu.utils.data.dataset import Dataset, IterableDataset
from deepgpu.utils.data.epoch import Epoch, Progress
from deepgpu.utils.data.pinning import can_pin, pinned
from deepgpu.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed
from deepgpu.utils.data.worker import Job
from deepgpu.utils.data.workers import InlineWorker, ThreadWorker, Worker, close_all, close_with

T_co = TypeVar("T_co", covariant=True)

_FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}


class DataLoader(Generic[T_co]):
    """Batches of a data set, an epoch for each ``iter()``.

    Parameters
    ----------
    dataset
        A map-style or iterable-style data set.
    batch_size
        Samples a batch; None to get single samples.
    shuffle
        Take the samples in a new random order each epoch.
    sampler
        The order of the samples, instead of ``shuffle``: an iterable of indices.
    batch_sampler
        The batches, instead of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``: an iterable of lists of
        indices.
    num_workers
        How many workers load ahead; with 0 batches are loaded when they are asked for.
    collate_fn
        What makes a batch of a list of samples; by default :func:`default_collate` (:func:`default_convert` for single
        samples).
    pin_memory
        Put batches into pinned memory, so that ``batch.to("cuda", non_blocking=True)`` copies while the host goes on.
        Without a GPU it warns and does not.
    pin_memory_device, in_order
        Taken for compatibility and without effect: memory is pinned for all GPUs, batches always come in order.
    drop_last
        Leave away the last batch if it has fewer samples.
    timeout
        Seconds to wait for a worker's batch before it is an error; 0 waits for ever.
    worker_init_fn
        Called in each worker with its index before it starts to load.
    multiprocessing_context
        How worker processes start: a name ("forkserver", "spawn", "fork") or a context of :mod:`multiprocessing`. By
        default "forkserver", where there is none "spawn"; see Notes.
    generator
        Where the epochs' seeds and the order are drawn from; by default the default generator.
    prefetch_factor
        Batches each worker loads ahead; 2 unless given.
    persistent_workers
        Keep the workers, and their copies of the data set, from epoch to epoch.
    worker_type
        "process", or "thread": threads share the data set and cost next to nothing, and suit NumPy, Pillow and files,
        which let go of Python's global lock while they work.

    Notes
    -----
    Reproducible: the epoch's seed is drawn when the iterator is made. The sampler, and the loading of each batch, then
    draw from streams that belong to this seed and the index of the batch (deepgpu's, NumPy's and Python's global
    generators; in threads deepgpu's only). The batches of a map-style data set are therefore the same for any number
    and type of workers, and what the training draws in between does not matter to them, nor they to it.

    Processes are started from a clean server process and not by forking this one, which is not safe once Numba or other
    threads are at work: data set, ``collate_fn`` and ``worker_init_fn`` are pickled (by cloudpickle, so lambdas and
    classes of the main script will do). Each has one thread for kernels and BLAS.

    To go on in the middle of an epoch, see :meth:`state_dict`.
    """

    _progress: Progress | None
    _workers: list[Worker] | None

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        worker_type: str = "process",
    ) -> None:
        if num_workers < 0:
            raise ValueError(takes("DataLoader", "num_workers", "a number >= 0", num_workers))
        if timeout < 0:
            raise ValueError(takes("DataLoader", "timeout", "seconds >= 0", timeout))
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError("`DataLoader`: `prefetch_factor` needs workers; set `num_workers` > 0")
        if num_workers == 0 and multiprocessing_context is not None:
            raise ValueError("`DataLoader`: `multiprocessing_context` needs workers; set `num_workers` > 0")
        if num_workers == 0 and persistent_workers:
            raise ValueError("`DataLoader`: `persistent_workers` needs workers; set `num_workers` > 0")
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ValueError(takes("DataLoader", "prefetch_factor", "a number >= 1", prefetch_factor))
        if worker_type not in ("process", "thread"):
            raise ValueError(takes("DataLoader", "worker_type", '"process" or "thread"', repr(worker_type)))
        if num_workers and worker_type == "process":
            _context(multiprocessing_context)  # an unknown name is an error now, not at the first batch
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.in_order = in_order
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.worker_type = worker_type

        iterable = isinstance(dataset, IterableDataset)
        if iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "`DataLoader`: an IterableDataset decides its order itself; it takes no `shuffle`, `sampler` or "
                "`batch_sampler`"
            )
        if sampler is not None and shuffle:
            raise ValueError("`DataLoader`: `sampler` option is mutually exclusive with `shuffle`")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "`DataLoader`: `batch_sampler` option is mutually exclusive with `batch_size`, `shuffle`, "
                    "`sampler` and `drop_last`"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("`DataLoader`: `batch_size=None` gives single samples and cannot `drop_last`")
        self._batched = batch_size is not None or batch_sampler is not None
        if sampler is None and not iterable:
            if shuffle:
                sampler = RandomSampler(dataset, generator=generator)  # type: ignore[arg-type]
            else:
                sampler = SequentialSampler(dataset)  # type: ignore[arg-type]
        if batch_size is not None and batch_sampler is None and not iterable:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)  # type: ignore[arg-type]
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_collate if self._batched else default_convert
        self.collate_fn = collate_fn
        self._epochs = 0
        self._progress = None
        self._workers = None  # those that persist
        self._made = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and hasattr(self, "_made"):
            raise ValueError(f"`DataLoader`: `{name}` cannot be changed any more; make a new loader")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        """The number of batches of an epoch; TypeError if the data set or sampler has no length."""
        if isinstance(self.dataset, IterableDataset):
            samples = len(self.dataset)  # type: ignore[arg-type]
            if self.batch_size is None:
                return samples
            return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)
        return len(self._order())  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        resumed = self._progress
        if resumed is None or not resumed.pending:
            seed = draw_seed(self.generator)
            resumed = Progress(seed, self._generator_states())
        self._progress = resumed
        resumed.pending = False
        self._epochs += 1
        job = Job(
            dataset=self.dataset,
            collate_fn=self.collate_fn,
            worker_init_fn=self.worker_init_fn,
            num_workers=self.num_workers,
            batched=self._batched,
            batch_size=self.batch_size,
            drop_last=self.drop_last,
            seed=resumed.seed,
        )
        workers = self._workers or self._start(job)
        if self.persistent_workers and self._workers is None:
            self._workers = workers
            close_with(self, workers)
        return Epoch(
            workers,
            number=self._epochs,
            progress=resumed,
            order=None if isinstance(self.dataset, IterableDataset) else self._order(),
            ahead=self.prefetch_factor or 1,
            timeout=self.timeout or None,
            close_workers=not self.persistent_workers,
            finish=pinned if self.pin_memory and can_pin() else None,
        )

    def _order(self) -> Iterable[Any]:
        """What the workers are told to load: lists of indices, or indices."""
        return self.batch_sampler if self._batched else self.sampler  # type: ignore[return-value]

    def _start(self, job: Job) -> list[Worker]:
        if self.num_workers == 0:
            return [InlineWorker(job)]
        if self.worker_type == "thread":
            return [ThreadWorker(job, i) for i in range(self.num_workers)]
        from deepgpu.utils.data.process import ByValue, ProcessWorker

        context, by_value = _context(self.multiprocessing_context), ByValue(job)
        workers: list[Worker] = []
        try:
            for i in range(self.num_workers):
                workers.append(ProcessWorker(by_value, i, context))  # noqa: PERF401 - those started must be known
        except BaseException:
            close_all(workers)
            raise
        return workers

    # --- going on in the middle of an epoch -------------------------------------------------------------------------

    def _generators(self) -> list[Generator]:
        """The generators, other than the default one, that the order of an epoch is drawn from."""
        inner = getattr(self.batch_sampler, "sampler", None)
        owners = (self, self.sampler, self.batch_sampler, inner)
        found = {id(g): g for o in owners if isinstance(g := getattr(o, "generator", None), Generator)}
        return [g for g in found.values() if g is not default_generator]

    def _generator_states(self) -> list[str]:
        return [bytes(g.get_state().numpy()).decode() for g in self._generators()]

    def state_dict(self) -> dict[str, Any]:
        """How far the loader is: what :meth:`load_state_dict` needs to go on after the batches given out so far.

        Made of dicts, lists, numbers and strings, so that JSON can hold it. The state of the default generator is not
        part of it; save that beside it (:func:`deepgpu.get_rng_state`).

        Notes
        -----
        In the middle of an epoch the state is the epoch's seed, the number of batches given out and the states that the
        samplers' generators had when the epoch began: the order is drawn again, and what was given out is skipped
        without being loaded. An iterable-style data set has no indices to skip: it is read from the beginning, and the
        first batches are thrown away. A sampler of your own goes on right if it draws from deepgpu's generators.
        """
        progress = self._progress
        under_way = progress is not None and not progress.finished
        return {
            "seed": progress.seed if under_way and progress is not None else None,
            "batches": progress.batches if under_way and progress is not None else 0,
            "generators": progress.generators if under_way and progress is not None else self._generator_states(),
            "batch_size": self.batch_size,
            "samples": len(self.dataset) if hasattr(self.dataset, "__len__") else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was called: the next ``iter()`` gives the rest of that epoch.

        Raises
        ------
        ValueError
            If the state belongs to a loader with another batch size, data set or number of generators.
        """
        mine = self.state_dict()
        for key, what in (("batch_size", "batch size"), ("samples", "number of samples")):
            if state[key] != mine[key]:
                raise ValueError(
                    f"`DataLoader.load_state_dict`: the state is of a loader with {what} {state[key]}, this one has "
                    f"{mine[key]}; make the loader as it was when the state was saved"
                )
        generators = self._generators()
        if len(generators) != len(state["generators"]):
            raise ValueError(
                f"`DataLoader.load_state_dict`: the state has {len(state['generators'])} generators, this loader "
                f"{len(generators)}; give it a `generator` exactly if it had one when the state was saved"
            )
        for generator, saved in zip(generators, state["generators"], strict=True):
            generator.set_state(np.frombuffer(saved.encode(), np.uint8))
        self._progress = None
        if state["seed"] is not None:
            self._progress = Progress(state["seed"], state["generators"], state["batches"], pending=True)


def _context(given: Any) -> Any:
    """The context of :mod:`multiprocessing` that the user asked for."""
    import multiprocessing

    from deepgpu.utils.data.process import start_method

    if given is None:
        given = start_method()
    if not isinstance(given, str):
        return given
    known = multiprocessing.get_all_start_methods()
    if given not in known:
        raise ValueError(
            takes("DataLoader", "multiprocessing_context", f"one of {', '.join(map(repr, known))}", repr(given))
        )
    return multiprocessing.get_context(given)
