"""Schedules: a seed always gives the same one, choices replay, a failing schedule shrinks to what matters."""

from __future__ import annotations

import numpy as np
import pytest
from deepgpu.kernels.emulator import Choice, Schedule, explore, shrink

from deepgpu.kernels import emulator

i32 = np.int32

CODE = r"""
// Who comes when: each thread draws a number.
extern "C" __global__ void order(unsigned* next, unsigned* drawn) {
  drawn[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(next, 1u);
  __syncthreads();
  atomicAdd(next, 0u);
}
// Wrong only if warp 1 gets ahead of warp 0.
extern "C" __global__ void warps(int* y) {
  if (threadIdx.x == 32) atomicExch(y, 1);
  if (threadIdx.x == 0) atomicCAS(y, 0, 2);
}
// Wrong only if a thread is interrupted between its two atomics.
extern "C" __global__ void lost_update(int* y) {
  const int old = atomicAdd(y, 0);
  atomicExch(y, old + 1);
}
// Wrong only if block 2 runs before block 0.
extern "C" __global__ void blocks(int* y) {
  if (blockIdx.x == 2) atomicCAS(y, 0, 5);
  if (blockIdx.x == 0) atomicCAS(y, 0, 3);
}
extern "C" __global__ void right(int* y) { atomicAdd(y, 1); }
extern "C" __global__ void always_wrong(int* y) { if (threadIdx.x == 0) y[0] = -1; }
extern "C" __global__ void converged(int* y) { if (threadIdx.x % 2) atomicAdd(y, __activemask() == 0xaaaaaaaau); }
"""


@pytest.fixture(scope="module", params=[False, True], ids=["fast", "check"])
def module(request):
    return emulator.RawModule(CODE, check=request.param)


def draw(module, **how):
    drawn = np.zeros(96, np.uint32)
    module.get_function("order")((1,), (96,), (np.zeros(1, np.uint32), drawn), **how)
    return drawn.tolist()


def test_seed_0_is_ascending_and_seed_1_descending(module):
    assert draw(module) == draw(module, seed=0) == list(range(96))
    assert draw(module, seed=1) == list(range(95, -1, -1))


def test_a_seed_always_gives_the_same_schedule(module):
    assert draw(module, seed=4) == draw(module, seed=4)
    assert len({tuple(draw(module, seed=s)) for s in range(6)}) == 6
    assert sorted(draw(module, seed=4)) == list(range(96))


def test_the_seed_of_the_module_is_the_default():
    module = emulator.RawModule(CODE, seed=1)
    assert draw(module) == list(range(95, -1, -1))
    assert draw(module, seed=0) == list(range(96))


def test_recorded_choices_replay(module):
    recorded = Schedule(seed=7)
    first = draw(module, schedule=recorded)
    assert first == draw(module, seed=7)
    assert len(recorded) > 0
    assert draw(module, schedule=Schedule(recorded.choices)) == first
    assert draw(module, schedule=Schedule(())) == list(range(96))


def expect(value):
    def compare(y):
        assert y[0] == value

    return compare


@pytest.mark.parametrize(
    ("kernel", "grid", "block", "value", "text"),
    [
        (
            "warps",
            1,
            64,
            1,
            None,
        ),  # atomicCAS of warp 0 first gives 2, then 1; warp 1 first gives 1: both orders end in 1
        ("lost_update", 1, 64, 64, "a thread is interrupted at an atomic"),
        ("blocks", 3, 1, 3, "the blocks run"),
        ("right", 2, 64, 128, None),
    ],
)
def test_a_failing_schedule_is_found_and_shrunk(module, kernel, grid, block, value, text):
    y = np.zeros(1, i32)
    failure = explore(module.get_function(kernel), (grid,), (block,), (y,), seeds=range(12), expect=expect(value))
    assert y[0] == 0, "explore works on copies"
    if text is None:
        assert failure is None
        return
    assert failure is not None
    assert len(failure.schedule) == 1, str(failure)
    assert text in str(failure)
    assert f"found with seed {failure.seed}" in str(failure)
    again = np.zeros(1, i32)  # the shrunk schedule is a complete recipe
    module.get_function(kernel)((grid,), (block,), (again,), schedule=failure.schedule)
    assert again[0] != value


def test_what_fails_in_every_order_shrinks_to_nothing(module):
    failure = explore(
        module.get_function("always_wrong"), (1,), (64,), (np.zeros(1, i32),), seeds=[5], expect=expect(1)
    )
    assert len(failure.schedule) == 0
    assert "the default order" in str(failure)


def test_active_lanes_converge_but_need_not(module):
    """Code may not rely on __activemask() naming all lanes that took the branch."""
    y = np.zeros(1, i32)
    module.get_function("converged")((1,), (32,), (y,))
    assert y[0] == 16
    assert explore(module.get_function("converged"), (1,), (32,), (y * 0,), expect=expect(16)) is not None


def test_shrinking_keeps_what_is_needed_together():
    choices = [Choice(0, i, 1, 1, 2) for i in range(40)]

    def fails(schedule):
        return {3, 29} <= {c.index for c in schedule.choices}

    assert [c.index for c in shrink(fails, Schedule(choices)).choices] == [3, 29]


def test_error_reports_carry_the_seed():
    bad = emulator.RawKernel(
        'extern "C" __global__ void f(int* y) { y[threadIdx.x / 2] = threadIdx.x; }', "f", check=True
    )
    with pytest.raises(emulator.RacecheckError, match=r"\(seed 11\)") as caught:
        bad((1,), (64,), (np.zeros(32, i32),), seed=11)
    assert caught.value.seed == 11
