"""Checkpoint files: what goes in comes out, and anything damaged is refused."""

import math

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.train import Checkpoints, CorruptCheckpointError
from deepgpu.train.checkpoint import read, write
from deepgpu.train.randomness import random_states, seed_all, set_random_states
from deepgpu.train.state import join, split

STATE = {
    "model": {"a.weight": dg.arange(6).reshape(2, 3), "b": dg.ones(2, dtype=dg.bfloat16), "scalar": dg.tensor(3.0)},
    "optimizer": {"state": {0: {"momentum_buffer": dg.zeros(3), "step": 4}, 1: {}}, "groups": [{"betas": (0.9, 0.99)}]},
    "numbers": [1, 0.1, -0.0, 1e308, None, True, "text", math.inf],
    "empty": {},
}


def equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, dg.Tensor):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.float().numpy(), b.float().numpy())
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            equal(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            equal(x, y)
    else:
        assert repr(a) == repr(b)


def test_split_and_join():
    equal(join(*split(STATE)), STATE)


def test_split_names_what_it_cannot_hold():
    with pytest.raises(TypeError, match=r"`optimizer\.x\.1` takes tensors.*but got builtins\.set"):
        split({"optimizer": {"x": [0, {1}]}})


def test_write_and_read(tmp_path):
    write(tmp_path / "a.safetensors", STATE)
    equal(read(tmp_path / "a.safetensors"), STATE)


def test_every_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "a.safetensors"
    write(path, STATE)
    whole = path.read_bytes()
    for i in range(0, len(whole), 7):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(CorruptCheckpointError, match=r"a\.safetensors"):
            read(path)


@pytest.mark.parametrize("length", [0, 4, 100, -40, -1])
def test_truncated_is_refused(tmp_path, length):
    path = tmp_path / "a.safetensors"
    write(path, STATE)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CorruptCheckpointError, match=r"a\.safetensors is damaged"):
        read(path)


def test_other_safetensors_files_are_refused(tmp_path):
    dg.save({"a": dg.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(CorruptCheckpointError, match="is no checkpoint of a training"):
        read(tmp_path / "a.safetensors")


def test_the_newest_two_are_kept(tmp_path):
    kept = Checkpoints(tmp_path / "c")
    for step in (3, 10, 200):
        kept.save(step, {"step": step})
    assert [p.name for p in kept.paths()] == ["step-00000200.safetensors", "step-00000010.safetensors"]
    assert kept.read()[1] == {"step": 200}
    assert kept.read(kept.paths()[1])[1] == {"step": 10}
    kept.save(10, {"step": "again"})  # after going on from the older one
    assert [p.name for p in kept.paths()] == ["step-00000010.safetensors"]


def test_corrupt_checkpoint_is_refused_and_the_previous_one_offered(tmp_path):
    kept = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        kept.save(step, {"w": dg.ones(100)})
    one, two, three = reversed(kept.paths())
    for path in (two, three):
        content = bytearray(path.read_bytes())
        content[-5] ^= 16
        path.write_bytes(content)
    with pytest.raises(CorruptCheckpointError) as refused:
        kept.read()
    assert str(three) in str(refused.value)
    assert f"the one before is whole: {one}" in str(refused.value)
    assert (refused.value.path, refused.value.previous) == (three, one)
    one.write_bytes(b"")
    with pytest.raises(CorruptCheckpointError, match="there is no other one that is whole"):
        kept.read()


def test_remove_unfinished(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(1, {})
    (tmp_path / ".step-00000002.safetensors.123-ab.tmp").write_bytes(b"half")
    kept.remove_unfinished()
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001.safetensors"]


def test_random_states():
    import random

    def draw():
        return dg.rand(2).tolist(), np.random.rand(2).tolist(), np.random.randn(), random.random()

    seed_all(3)
    draw()
    states = join(*split(random_states()))
    first = draw()
    assert draw() != first
    set_random_states(states)
    assert draw() == first
    seed_all(3)
    draw()
    assert draw() == first
