"""deepgpu.memory: what large arrays on the CPU take."""

import gc

import deepgpu as dg
from deepgpu.nn import functional as F


def test_stats_follow_the_tensors() -> None:
    gc.collect()
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
