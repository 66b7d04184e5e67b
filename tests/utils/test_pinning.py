"""DataLoader(pin_memory=True), with the emulated device and without a GPU."""

import collections

import pytest

import deepgpu as dg
from deepgpu.utils.data import DataLoader, TensorDataset
from deepgpu.utils.data.pinning import pinned

Pair = collections.namedtuple("Pair", "x y")


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_pinned_and_the_same(emulated, workers):
    data = TensorDataset(dg.arange(20).float().reshape(10, 2), dg.arange(10))
    options = {"batch_size": 4, "num_workers": workers, "worker_type": "thread"}
    plain = [[t.tolist() for t in batch] for batch in DataLoader(data, **options)]
    seen = []
    for x, y in DataLoader(data, pin_memory=True, **options):
        assert x.is_pinned()
        assert y.is_pinned()
        seen.append([x.to("cuda", non_blocking=True).tolist(), y.cuda(non_blocking=True).tolist()])
    assert seen == plain


def test_whatever_holds_the_tensors_stays(emulated):
    class Custom:
        def pin_memory(self):
            return "its own"

    t = dg.ones(2)
    ordered = collections.OrderedDict(a=t)
    batch = pinned({"pair": Pair(t, [t, "text"]), "tuple": (t, 3), "ordered": ordered, "custom": Custom()})
    assert batch["pair"].x.is_pinned()
    assert type(batch["pair"]) is Pair
    assert batch["pair"].y[0].is_pinned()
    assert batch["pair"].y[1] == "text"
    assert type(batch["tuple"]) is tuple
    assert batch["tuple"][1] == 3
    assert type(batch["ordered"]) is collections.OrderedDict
    assert batch["custom"] == "its own"
    assert not t.is_pinned()


def test_without_a_gpu_it_warns_and_goes_on(monkeypatch):
    monkeypatch.setattr("deepgpu.backends.cuda.runtime.is_available", lambda: False)
    loader = DataLoader(TensorDataset(dg.ones(3, 2)), batch_size=3, pin_memory=True)
    with pytest.warns(UserWarning, match="no accelerator is found"):
        ((x,),) = list(loader)
    assert not x.is_pinned()
