"""deepgpu.backends.cpu.memory: arrays on memory that is used again."""

import gc

import numpy as np
import pytest

from deepgpu.backends.cpu import memory

SHAPE = (64, 1024)
SIZE = 64 * 1024 * 4


@pytest.fixture(autouse=True)
def fresh_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()
    monkeypatch.setattr(memory, "_pool", memory._Pool())


def test_memory_is_used_again() -> None:
    x = memory.empty(SHAPE, np.float32)
    assert x.flags.c_contiguous
    assert x.ctypes.data % memory.ALIGNMENT == 0
    where = x.ctypes.data
    del x
    assert memory.empty(SHAPE[::-1], np.float32).ctypes.data == where
    assert memory.empty((64, 512), np.float64).ctypes.data == where


def test_a_view_keeps_its_memory() -> None:
    x = memory.empty(SHAPE, np.float32)
    x[...] = 1
    rows = x.T[5:9].reshape(-1)
    part = x[3].view(np.int32)[::2]
    del x, rows
    assert memory.stats()["allocated"] == SIZE
    others = [memory.empty(SHAPE, np.float32) for _ in range(3)]
    for other in others:
        other[...] = 2
    assert (part.view() == np.float32(1).view(np.int32)).all()
    del part
    assert memory.stats()["allocated"] == 3 * SIZE


def test_views_of_the_block_are_no_blocks() -> None:
    x = memory.empty(SHAPE, np.float32)
    block = x.base
    for view in (block[1:], block.view(), block.reshape(-1)):
        del view
    del block
    assert memory.stats() == {"allocated": SIZE, "peak": SIZE, "reserved": SIZE}
    del x
    assert memory.stats() == {"allocated": 0, "peak": SIZE, "reserved": SIZE}


def test_idle_memory_is_no_more_than_the_peak() -> None:
    for rows in range(64, 512, 16):
        memory.empty((rows, 1024), np.float32)
        stats = memory.stats()
        assert stats["reserved"] <= stats["peak"]
    memory.release()
    assert memory.stats()["reserved"] == 0


def test_small_arrays_are_numpys() -> None:
    assert memory.empty((10, 10), np.float32).base is None
    assert memory.empty_like(np.ones((10, 10))).base is None


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2), (3, 2, 1, 0), (1, 0, 3, 2)])
@pytest.mark.parametrize("dtype", [None, np.int64])
def test_like_keeps_the_order_of_dimensions(axes: tuple[int, ...], dtype: type | None) -> None:
    x = np.empty((20, 30, 10, 12), np.float32).transpose(axes)
    y = memory.empty_like(x, dtype)
    expected = np.empty_like(x, dtype)
    assert (y.shape, y.strides, y.dtype) == (expected.shape, expected.strides, expected.dtype)


def test_when_memory_is_short_what_is_idle_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    del_me = memory.empty(SHAPE, np.float32)
    del del_me
    original, failures = np.empty, [MemoryError()]

    def empty(*args: object, **kwargs: object) -> np.ndarray:
        if failures:
            raise failures.pop()
        return original(*args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(np, "empty", empty)
    assert memory.empty((128, 1024), np.float32).shape == (128, 1024)
    assert memory.stats()["reserved"] == 2 * SIZE


def test_a_larger_piece_serves_where_none_fits() -> None:
    x, y = memory.empty(SHAPE, np.float32), memory.empty((3 * SHAPE[0], SHAPE[1]), np.float32)
    where = y.ctypes.data
    del x, y
    kept = memory.empty((SHAPE[0] + 32, SHAPE[1]), np.float32)  # the smallest that is large enough
    assert kept.ctypes.data == where
    assert memory.stats() == {"allocated": 3 * SIZE, "peak": 4 * SIZE, "reserved": 4 * SIZE}
    small = memory.empty((SHAPE[0] // memory.SPARE // 2, SHAPE[1]), np.float32)  # all that waits is far too large
    assert memory.stats()["reserved"] == 4 * SIZE + small.nbytes
