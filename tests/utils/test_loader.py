"""The loader without workers, against PyTorch's: order, lengths, arguments."""

import random

import numpy as np
import pytest
import torch.utils.data as torch_data

import deepgpu as dg
from deepgpu.utils import data


class Squares(data.Dataset):
    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return index**2


class Stream(data.IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


def _lists(loader):
    return [batch.tolist() for batch in loader]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("n", "batch_size"), [(0, 3), (1, 3), (9, 3), (10, 3), (2, 5)])
@pytest.mark.parametrize("kind", ["map", "iterable"])
def test_batches_in_order(kind, n, batch_size, drop_last):
    samples = Squares(n) if kind == "map" else Stream(n)
    torch_samples = [i**2 for i in range(n)] if kind == "map" else _TorchStream(n)
    ours = data.DataLoader(samples, batch_size, drop_last=drop_last)
    theirs = torch_data.DataLoader(torch_samples, batch_size, drop_last=drop_last)
    assert _lists(ours) == _lists(theirs)
    assert len(ours) == len(theirs)


class _TorchStream(torch_data.IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


def test_single_samples():
    assert list(data.DataLoader(Squares(3), batch_size=None)) == [0, 1, 4]
    assert list(data.DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    assert len(data.DataLoader(Stream(3), batch_size=None)) == 3


def test_samplers_given():
    assert _lists(data.DataLoader(Squares(), sampler=[3, 1, 2], batch_size=2)) == [[9, 1], [4]]
    assert _lists(data.DataLoader(Squares(), batch_sampler=[[1, 2], [3]])) == [[1, 4], [9]]
    assert len(data.DataLoader(Squares(), batch_sampler=[[1, 2], [3]])) == 2


def test_shuffle_is_a_new_permutation_each_epoch_and_seeded():
    loader = data.DataLoader(Squares(20), 5, shuffle=True, generator=dg.Generator().manual_seed(0))
    first, second = _lists(loader), _lists(loader)
    for epoch in (first, second):
        assert sorted(i for batch in epoch for i in batch) == [i**2 for i in range(20)]
    assert first != second
    again = data.DataLoader(Squares(20), 5, shuffle=True, generator=dg.Generator().manual_seed(0))
    assert [_lists(again), _lists(again)] == [first, second]


def test_default_generator_decides_without_another():
    loader = data.DataLoader(Squares(20), 5, shuffle=True)
    dg.manual_seed(1)
    first = _lists(loader)
    dg.manual_seed(1)
    assert _lists(loader) == first


def test_collate_fn():
    assert list(data.DataLoader(Squares(4), 2, collate_fn=tuple)) == [(0, 1), (4, 9)]


def test_a_data_set_can_put_the_batch_together():
    class Together(Squares):
        def __getitems__(self, indices):
            return data.Samples(dg.tensor(indices) ** 2)

    ((batch,), _) = data.DataLoader(Together(4), 2)
    assert batch.tolist() == [0, 1]


def test_loading_draws_from_streams_of_the_batch():
    class Noise(data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return dg.rand(1).item(), np.random.rand(), random.random()

    loader = data.DataLoader(Noise(), 2)
    dg.manual_seed(0)
    first = [[t.tolist() for t in batch] for batch in loader]
    after = dg.rand(3).tolist()
    dg.manual_seed(0)
    np.random.seed(5)
    random.seed(5)
    numpy_next, python_next = np.random.RandomState(5).rand(), random.Random(5).random()
    second = []
    for batch in loader:
        second.append([t.tolist() for t in batch])
        assert np.random.rand() == numpy_next  # the global streams go on as if nothing had been loaded
        assert random.random() == python_next
        np.random.seed(5)
        random.seed(5)
    assert dg.rand(3).tolist() == after
    assert first == second
    assert len({v for batch in first for field in batch for v in field}) == 18


def test_training_draws_do_not_change_the_batches():
    loader = data.DataLoader(Squares(20), 5, sampler=_DrawsAsItGoes(), generator=dg.Generator().manual_seed(0))
    again = data.DataLoader(Squares(20), 5, sampler=_DrawsAsItGoes(), generator=dg.Generator().manual_seed(0))
    undisturbed = _lists(again)
    disturbed = []
    for batch in loader:
        dg.rand(7)
        disturbed.append(batch.tolist())
    assert disturbed == undisturbed


class _DrawsAsItGoes(data.Sampler):
    def __iter__(self):
        for _ in range(20):
            yield dg.randint(20, (1,)).item()

    def __len__(self):
        return 20


def test_an_error_passes_and_the_loader_goes_on():
    class Faulty(Squares):
        def __getitem__(self, index):
            if index == 2:
                raise KeyError("no such sample")
            return index

    batches = iter(data.DataLoader(Faulty(6), 2))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(KeyError, match="no such sample"):
        next(batches)
    assert next(batches).tolist() == [4, 5]
    with pytest.raises(StopIteration):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_stop_iteration_of_a_data_set_is_not_the_end():
    class Ends(Squares):
        def __getitem__(self, index):
            raise StopIteration

    with pytest.raises(RuntimeError, match="raised StopIteration"):
        list(data.DataLoader(Ends()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_workers": -1}, "`num_workers` takes a number >= 0, but got -1"),
        ({"timeout": -1}, "`timeout` takes seconds >= 0"),
        ({"prefetch_factor": 2}, "`prefetch_factor` needs workers"),
        ({"persistent_workers": True}, "`persistent_workers` needs workers"),
        ({"multiprocessing_context": "spawn"}, "`multiprocessing_context` needs workers"),
        ({"num_workers": 1, "prefetch_factor": 0}, "`prefetch_factor` takes a number >= 1"),
        ({"sampler": [0], "shuffle": True}, "`sampler` option is mutually exclusive with `shuffle`"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "`batch_sampler` option is mutually exclusive"),
        ({"batch_sampler": [[0]], "drop_last": True}, "`batch_sampler` option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "cannot `drop_last`"),
        ({"num_workers": 1, "multiprocessing_context": "spork"}, "but got 'spork'"),
        ({"worker_type": "fibre"}, "but got 'fibre'"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.DataLoader(Squares(), **arguments)


@pytest.mark.parametrize("arguments", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_iterable_data_sets_take_no_order(arguments):
    with pytest.raises(ValueError, match="an IterableDataset decides its order itself"):
        data.DataLoader(Stream(3), **arguments)
    assert _lists(data.DataLoader(Stream(3), shuffle=False)) == [[0], [1], [2]]


def test_what_is_fixed_cannot_be_changed():
    loader = data.DataLoader(Squares())
    with pytest.raises(ValueError, match="`batch_size` cannot be changed"):
        loader.batch_size = 3
