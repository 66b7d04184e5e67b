"""deepgpu.memory: what large arrays on the CPU take."""

import gc
import sys

import deepgpu as dg
from deepgpu.backends.cpu import memory
from deepgpu.nn import functional as F


def test_stats_follow_the_tensors() -> None:
    gc.collect()
    dg.empty_cache()  # a larger piece that waits would serve, too
    x = dg.randn(256, 1024)
    dg.reset_peak_memory_stats()
    before = dg.memory_stats()
    assert before["peak"] == before["allocated"]
    y = F.relu(x)
    during = dg.memory_stats()
    assert during["allocated"] - before["allocated"] == during["peak"] - before["peak"] == y.nbytes
    del y
    after = dg.memory_stats()
    assert after["allocated"] == before["allocated"]
    assert after["peak"] == during["peak"]
    assert after["reserved"] >= after["allocated"]
    dg.empty_cache()
    assert dg.memory_stats()["reserved"] == before["allocated"]


def test_an_array_may_outlive_the_module(monkeypatch) -> None:
    """As at the end of a program, when Python empties the modules in an order of its own."""
    failed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", failed.append)
    array = memory.empty((256, 1024), "float32")
    monkeypatch.setattr(memory, "_pool", None)
    del array
    gc.collect()
    assert failed == []
