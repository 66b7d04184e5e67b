"""Going on in the middle of an epoch: the rest is what an uninterrupted run gives, bit for bit."""

import json

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.utils import data


class Noise(data.Dataset):
    def __init__(self, n=23):
        self.n = n
        self.loaded = []

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        self.loaded.append(index)
        return index, dg.rand(3)


class Stream(data.IterableDataset):
    def __iter__(self):
        for i in range(23):
            yield i, dg.rand(3)


def _lists(batches):
    return [[index.tolist(), noise.tolist()] for index, noise in batches]


def _replacement(generator):
    return {"sampler": data.RandomSampler(range(23), replacement=True, generator=generator)}


def _batch_sampler(generator):
    return {
        "batch_size": 1,
        "batch_sampler": data.BatchSampler(data.RandomSampler(range(23), generator=generator), 4, True),
    }


MAKERS = {
    "shuffle": lambda g: {"shuffle": True, "generator": g},
    "shuffle by default generator": lambda g: {"shuffle": True},
    "sampler's own generator": _replacement,
    "batch sampler": _batch_sampler,
    "weights": lambda g: {"sampler": data.WeightedRandomSampler([1.0] * 23, 23, generator=g)},
    "threads": lambda g: {"shuffle": True, "generator": g, "num_workers": 2, "worker_type": "thread"},
    "processes": lambda g: {"shuffle": True, "generator": g, "num_workers": 2},
}


def _loader(make, seed, samples=None):
    arguments = {"batch_size": 4} | make(dg.Generator().manual_seed(seed))
    return data.DataLoader(samples or Noise(), **arguments)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.parametrize("given", [0, 3, 5])
def test_resume(make, given):
    dg.manual_seed(7)
    loader = _loader(make, 1)
    list(loader)  # not the first epoch
    batches = iter(loader)
    for _ in range(given):
        next(batches)
        dg.rand(5)  # the training draws too
    state, default = json.loads(json.dumps(loader.state_dict())), dg.get_rng_state()
    rest, following = _lists(batches), _lists(loader)

    dg.manual_seed(99)
    resumed = _loader(make, 2)
    dg.set_rng_state(default)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert _lists(resumed) == rest
    assert _lists(resumed) == following


def test_skipped_samples_are_not_loaded():
    loader = data.DataLoader(Noise(), 4, shuffle=True)
    batches = iter(loader)
    next(batches), next(batches)
    state = loader.state_dict()
    resumed = data.DataLoader(samples := Noise(), 4, shuffle=True)
    resumed.load_state_dict(state)
    rest = [i for index, _ in resumed for i in index.tolist()]
    assert samples.loaded == rest
    assert len(rest) == 23 - 8


def test_the_number_of_workers_may_change():
    loader = data.DataLoader(Noise(), 4, shuffle=True)
    batches = iter(loader)
    next(batches)
    state, rest = loader.state_dict(), _lists(batches)
    resumed = data.DataLoader(Noise(), 4, shuffle=True, num_workers=3, worker_type="thread")
    resumed.load_state_dict(state)
    assert _lists(resumed) == rest


def test_iterable_data_set_is_read_again():
    loader = data.DataLoader(Stream(), 4)
    batches = iter(loader)
    next(batches), next(batches)
    state, rest = loader.state_dict(), _lists(batches)
    resumed = data.DataLoader(Stream(), 4)
    resumed.load_state_dict(state)
    assert _lists(resumed) == rest
    assert len(rest) == 4


def test_between_epochs():
    first = data.DataLoader(Noise(), 4, shuffle=True, generator=dg.Generator().manual_seed(0))
    list(first)
    state = first.state_dict()
    assert (state["seed"], state["batches"]) == (None, 0)
    second = data.DataLoader(Noise(), 4, shuffle=True, generator=dg.Generator().manual_seed(5))
    second.load_state_dict(state)
    assert _lists(second) == _lists(first)


def test_after_the_last_batch_nothing_is_left():
    loader = data.DataLoader(Noise(), 4)
    for i, _ in enumerate(loader):
        if i == len(loader) - 1:
            state = loader.state_dict()
    resumed = data.DataLoader(Noise(), 4)
    resumed.load_state_dict(state)
    assert list(resumed) == []
    assert len(list(resumed)) == len(resumed)


def test_a_state_of_another_loader():
    state = data.DataLoader(Noise(), 4).state_dict()
    with pytest.raises(ValueError, match="batch size 4, this one has 5"):
        data.DataLoader(Noise(), 5).load_state_dict(state)
    with pytest.raises(ValueError, match="number of samples 23, this one has 24"):
        data.DataLoader(Noise(24), 4).load_state_dict(state)
    with pytest.raises(ValueError, match="the state has 0 generators, this loader 1"):
        data.DataLoader(Noise(), 4, generator=dg.Generator()).load_state_dict(state)


def test_more_batches_than_there_are():
    loader = data.DataLoader(Noise(), 4)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict() | {"batches": 7}
    loader.load_state_dict(state)
    with pytest.raises(ValueError, match="cannot go on after 7 batches: the epoch has only 6"):
        iter(loader)


def test_state_does_not_draw():
    loader = data.DataLoader(Noise(), 4, shuffle=True)
    before = np.asarray(dg.get_rng_state()).tolist()
    loader.load_state_dict(loader.state_dict())
    assert np.asarray(dg.get_rng_state()).tolist() == before
