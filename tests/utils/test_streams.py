"""Streams of random numbers that stand in for the default generator."""

import copy
import pickle
import threading

import numpy as np

import deepgpu as dg
from deepgpu.random import default_generator, draw_from
from deepgpu.utils.data.streams import Streams


def test_draw_from_leaves_the_default_stream_alone():
    dg.manual_seed(1)
    expected = dg.rand(4).tolist()
    dg.manual_seed(1)
    with draw_from(dg.Generator().manual_seed(2)):
        inner = dg.rand(4).tolist()
        assert dg.initial_seed() == 2
        with draw_from(dg.Generator().manual_seed(3)):
            dg.rand(1)
        dg.manual_seed(2)
        assert dg.rand(4).tolist() == inner
    assert dg.initial_seed() == 1
    assert dg.rand(4).tolist() == expected


def test_draw_from_is_for_one_thread():
    dg.manual_seed(1)
    expected = dg.rand(2).tolist()
    dg.manual_seed(1)
    drawn = []
    with draw_from(dg.Generator().manual_seed(2)):
        thread = threading.Thread(target=lambda: drawn.append(dg.rand(2).tolist()))
        thread.start()
        thread.join()
    assert drawn == [expected]


def test_the_default_generator_has_no_copies():
    assert copy.deepcopy(default_generator) is default_generator
    assert pickle.loads(pickle.dumps(default_generator)) is default_generator


def test_batches_have_streams_of_their_own():
    streams = Streams(whole_process=True)

    def drawn(seed, batch):
        with streams.of_batch(seed, batch):
            return dg.rand(1).item(), np.random.rand()

    first = drawn(5, 0)
    others = [drawn(5, 1), drawn(6, 0)]
    assert drawn(5, 0) == first
    assert len({value for pair in (first, *others) for value in pair}) == 6
