"""deepgpu.backends.sharing: whose memory an array is, by reference counts."""

import numpy as np

from deepgpu.backends.cpu import memory
from deepgpu.backends.sharing import has_references, is_sole


class Holder:
    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def is_sole(self, references: int = 1) -> bool:
        return is_sole(self.array, references)  # not in the assertion, which keeps what it has evaluated


def test_an_attribute_alone() -> None:
    holder = Holder(np.zeros(10))
    assert holder.is_sole()
    also = holder.array
    assert not holder.is_sole()
    assert holder.is_sole(2)
    view = also[1:]
    del also
    assert not holder.is_sole()
    del view
    assert holder.is_sole()


def test_references_of_anything() -> None:
    thing = object()
    known = has_references(thing, 1), has_references(thing, 2)
    also = thing
    more = has_references(thing, 1), has_references(thing, 2)
    del also
    assert known == (True, False)
    assert more == (False, True)


def test_a_view_of_what_nobody_else_sees() -> None:
    for whole in (np.zeros((100, 200)), memory.empty((100, 200), np.float64)):
        holder = Holder(whole.T)
        assert not holder.is_sole()
    del whole
    assert holder.is_sole()
    holder = Holder(np.zeros((100, 200)).T)
    assert holder.is_sole()
    sibling = holder.array[1:]
    assert not holder.is_sole()
    del sibling
    assert holder.is_sole()


def test_memory_of_others() -> None:
    assert not Holder(np.frombuffer(bytearray(80))).is_sole()
