"""Memory of GPUs, on the emulated device: what is counted, what happens when there is no more, pinned memory."""

import contextlib

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.backends.cuda import memory, runtime

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _emulated(emulated):
    dg.cuda.empty_cache()
    dg.cuda.reset_peak_memory_stats()


@contextlib.contextmanager
def limit(size):
    """The pool may hold no more than `size` bytes."""
    pool = runtime.cupy().get_default_memory_pool()
    pool.set_limit(size=size)
    try:
        yield
    finally:
        pool.set_limit(size=0)


def test_counts_what_is_alive_and_the_peak():
    before = dg.cuda.memory_allocated()
    x = dg.zeros(MIB // 4, device="cuda")
    view = x[10:]
    assert dg.cuda.memory_allocated() - before == MIB
    del x
    assert dg.cuda.memory_allocated() - before == MIB  # the view holds it
    y = dg.zeros(MIB // 4, device="cuda")
    del view, y
    assert dg.cuda.memory_allocated() == before
    assert dg.cuda.max_memory_allocated() - before == 2 * MIB
    assert dg.cuda.memory_reserved() >= before + 2 * MIB
    dg.cuda.empty_cache()
    assert dg.cuda.memory_reserved() == before
    dg.cuda.reset_peak_memory_stats()
    assert dg.cuda.max_memory_allocated() == before
    assert dg.cuda.max_memory_reserved() == before


def test_stats_have_pytorch_s_keys():
    stats = dg.cuda.memory_stats()
    x = dg.zeros(1000, device="cuda")
    after = dg.cuda.memory_stats()
    assert after["allocation.all.allocated"] > stats["allocation.all.allocated"]
    assert after["allocated_bytes.all.allocated"] - stats["allocated_bytes.all.allocated"] == x.nbytes
    assert after["allocated_bytes.all.current"] == dg.cuda.memory_allocated()
    assert "at most" in dg.cuda.memory_summary()
    free, total = dg.cuda.mem_get_info()
    assert 0 < free <= total == dg.cuda.get_device_properties().total_memory


def test_out_of_memory_says_what_was_asked_for_and_who_has_it():
    keep = dg.zeros(MIB, device="cuda")
    used, before = dg.cuda.memory_allocated(), dg.cuda.memory_stats()
    with limit(used + 3 * MIB), pytest.raises(dg.cuda.OutOfMemoryError) as caught:
        dg.zeros(2 * MIB, device="cuda")
    message = str(caught.value)
    assert "8.00 MiB were asked for" in message
    assert f"hold {memory.shown(used)}" in message
    assert "The pool may hold" in message
    assert isinstance(caught.value, RuntimeError)
    after = dg.cuda.memory_stats()
    assert after["num_ooms"] - before["num_ooms"] == 1
    assert dg.zeros(2 * MIB, device="cuda").sum().item() == 0  # it goes on
    assert keep.sum().item() == 0


def test_memory_that_a_cycle_holds_is_found_at_the_second_try():
    before = dg.cuda.memory_stats()["num_alloc_retries"]
    cycle = [dg.zeros(MIB, device="cuda")]
    cycle.append(cycle)
    used = dg.cuda.memory_allocated()
    del cycle
    with limit(used):
        y = dg.zeros(MIB // 2, device="cuda")
    assert dg.cuda.memory_stats()["num_alloc_retries"] - before == 1
    assert y.sum().item() == 0


def test_fraction_of_the_device():
    dg.cuda.set_per_process_memory_fraction(0.5)
    try:
        _, total = dg.cuda.mem_get_info()
        assert runtime.cupy().get_default_memory_pool().get_limit() == total // 2
    finally:
        dg.cuda.set_per_process_memory_fraction(1.0)
    with pytest.raises(ValueError, match="fraction"):
        dg.cuda.set_per_process_memory_fraction(2)


@pytest.mark.parametrize("dtype", [dg.float32, dg.bfloat16, dg.int64, dg.bool])
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 4, 5)])
def test_pinned_memory_holds_the_same(shape, dtype):
    x = (dg.randn(*shape) * 3).to(dtype)
    pinned = x.pin_memory()
    assert pinned.is_pinned()
    assert not x.is_pinned()
    assert pinned.pin_memory() is pinned
    there = pinned.to("cuda", non_blocking=True)
    assert there.dtype is dtype
    assert there.is_cuda
    assert not there.is_pinned()
    assert dg.equal(there.cpu(), x)


def test_the_order_of_dimensions_survives():
    x = dg.randn(2, 3, 4, 5).contiguous(memory_format=dg.channels_last)
    pinned = x.pin_memory()
    assert pinned.stride() == x.stride()
    there = pinned.cuda(non_blocking=True)
    assert there.is_contiguous(memory_format=dg.channels_last)
    assert dg.equal(there.cpu(), x)
    gaps = pinned[:, ::2]
    assert dg.equal(gaps.cuda(non_blocking=True).cpu(), x[:, ::2])


def test_pinned_memory_waits_for_the_copy(monkeypatch):
    """It is kept while the copy runs, though nobody else holds it, and given back afterwards."""
    stream = type(runtime.cupy().cuda.get_current_stream())

    class Running:
        done = False

    event = Running()
    monkeypatch.setattr(stream, "record", lambda self, _=None: event)
    pinned = dg.ones(1000).pin_memory()
    address = pinned._data.ctypes.data
    there = pinned.to("cuda", non_blocking=True)
    del pinned
    assert memory.is_pinned(runtime.cupy(), _At(address))
    monkeypatch.undo()
    event.done = True
    dg.ones(1).pin_memory().to("cuda", non_blocking=True)
    assert not memory.is_pinned(runtime.cupy(), _At(address))
    assert there.sum().item() == 1000


class _At:
    """What has an address."""

    def __init__(self, address):
        self.ctypes = type("", (), {"data": address})


def test_gradients_flow_back_through_the_copy():
    x = dg.ones(3).pin_memory().requires_grad_()
    (x.to("cuda", non_blocking=True) * 2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    assert x.grad.device == dg.device("cpu")


def test_what_cannot_be_pinned():
    with pytest.raises(RuntimeError, match="a tensor on the CPU"):
        dg.ones(2, device="cuda").pin_memory()


def test_modules_and_copy_take_non_blocking():
    net = dg.nn.Linear(2, 2).to("cuda", non_blocking=True)
    assert net.weight.is_cuda
    x = dg.zeros(3, device="cuda")
    x.copy_(dg.ones(3).pin_memory(), non_blocking=True)
    assert x.tolist() == [1, 1, 1]
    assert dg.ones(2).to("cuda", dg.float64, True).dtype is dg.float64


def test_numbers_of_bytes_for_people():
    assert [memory.shown(n) for n in (5, 2048, 3 << 19, 5 << 30)] == ["5 bytes", "2.00 KiB", "1.50 MiB", "5.00 GiB"]


def test_record_stream_keeps_the_memory(monkeypatch):
    side = dg.cuda.Stream()

    class Running:
        done = False

    event = Running()
    monkeypatch.setattr(type(side.cupy), "record", lambda self, _=None: event)
    before = dg.cuda.memory_allocated()
    x = dg.zeros(1000, device="cuda")
    x.record_stream(side)
    del x
    assert dg.cuda.memory_allocated() - before == 4000
    monkeypatch.undo()
    event.done = True
    np.testing.assert_array_equal(dg.ones(1).pin_memory().to("cuda", non_blocking=True).cpu().numpy(), [1])
    assert dg.cuda.memory_allocated() == before
