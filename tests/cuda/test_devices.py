"""Devices, streams, events and random numbers of the emulated device, under PyTorch's names."""

import pytest

import deepgpu as dg


@pytest.fixture(autouse=True)
def _emulated(emulated):
    pass


def test_what_it_is():
    assert dg.cuda.is_available()
    assert dg.cuda.is_initialized()
    assert (dg.cuda.device_count(), dg.cuda.current_device()) == (1, 0)
    assert dg.cuda.get_device_name("cuda:0") == "CUDA emulator"
    assert dg.cuda.get_device_capability(dg.device("cuda")) == (9, 0)
    assert dg.cuda.get_device_properties(0).warp_size == 32
    assert dg.cuda.is_bf16_supported()


def test_devices_that_are_not_there():
    with pytest.raises(RuntimeError, match="'cuda:3' does not exist"):
        dg.cuda.set_device(3)
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        dg.cuda.get_device_name("cpu")


def test_device_contexts():
    with dg.cuda.device(0), dg.cuda.device("cuda"), dg.cuda.device(None), dg.cuda.device(-1):
        assert dg.cuda.current_device() == 0
    with dg.cuda.device_of(dg.ones(1)), dg.cuda.device_of(dg.ones(1, device="cuda")):
        assert dg.cuda.current_device() == 0


def test_streams_nest_and_return():
    outer = dg.cuda.current_stream()
    assert outer == dg.cuda.default_stream()
    a, b = dg.cuda.Stream(), dg.cuda.Stream(device="cuda:0", priority=-1)
    assert a != b
    with dg.cuda.stream(a):
        assert dg.cuda.current_stream() == a
        with b:
            assert dg.cuda.current_stream() == b
            with dg.cuda.stream(None):
                assert dg.cuda.current_stream() == b
        assert dg.cuda.current_stream() == a
        x = dg.ones(3, device="cuda") * 2
    outer.wait_stream(a)
    assert dg.cuda.current_stream() == outer
    assert len({outer, a, b, dg.cuda.current_stream()}) == 3
    a.synchronize()
    assert a.query()
    assert a.device == dg.device("cuda", 0)
    assert x.tolist() == [2, 2, 2]


def test_a_stream_can_be_set():
    before, mine = dg.cuda.current_stream(), dg.cuda.Stream()
    dg.cuda.set_stream(mine)
    try:
        assert dg.cuda.current_stream() == mine
    finally:
        dg.cuda.set_stream(before)


def test_events_measure_time():
    start, end = (dg.cuda.Event(enable_timing=True) for _ in range(2))
    assert end.query()
    with pytest.raises(ValueError, match="must be recorded"):
        start.elapsed_time(end)
    start.record()
    dg.ones(10, 10, device="cuda").sum()
    end.record(dg.cuda.current_stream())
    end.synchronize()
    end.wait()
    assert end.query()
    assert start.elapsed_time(end) > 0
    dg.cuda.synchronize()


def test_interprocess_events_are_refused():
    with pytest.raises(NotImplementedError, match="interprocess"):
        dg.cuda.Event(interprocess=True)


def test_states_of_random_numbers():
    dg.cuda.manual_seed_all(3)
    assert dg.cuda.initial_seed() == 3
    state, states = dg.cuda.get_rng_state(), dg.cuda.get_rng_state_all()
    first = dg.rand(4, device="cuda")
    dg.cuda.set_rng_state(state)
    assert dg.equal(dg.rand(4, device="cuda"), first)
    dg.cuda.set_rng_state_all(states)
    assert dg.equal(dg.rand(4, device="cuda"), first)
    dg.cuda.seed_all()
    assert dg.cuda.initial_seed() != 3
