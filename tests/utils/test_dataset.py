"""Data sets and how they are put together, against PyTorch's."""

import numpy as np
import pytest
import torch
import torch.utils.data as torch_data

import deepgpu as dg
from deepgpu.utils import data


class Numbers(data.Dataset):
    def __init__(self, first, last):
        self.numbers = range(first, last)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        return self.numbers[index]


class Stream(data.IterableDataset):
    def __init__(self, *numbers):
        self.numbers = numbers

    def __iter__(self):
        return iter(self.numbers)

    def __len__(self):
        return len(self.numbers)


def test_tensor_dataset():
    x, y = dg.arange(12).reshape(4, 3), dg.arange(4)
    samples = data.TensorDataset(x, y)
    assert len(samples) == 4
    assert samples[2][0].tolist() == [6, 7, 8]
    assert samples[2][1].item() == 2
    together = samples.__getitems__([3, 0])
    assert [s[1].item() for s in together] == [3, 0]
    batch = data.default_collate(together)
    assert [t.tolist() for t in batch] == [[[9, 10, 11], [0, 1, 2]], [3, 0]]


def test_tensor_dataset_needs_one_length():
    with pytest.raises(ValueError, match=r"size mismatch between tensors.*\[2, 3\]"):
        data.TensorDataset(dg.zeros(2), dg.zeros(3))


def test_concat():
    whole = Numbers(0, 3) + Numbers(10, 12)
    assert isinstance(whole, data.ConcatDataset)
    assert [whole[i] for i in range(5)] == [0, 1, 2, 10, 11]
    assert [whole[-1], whole[-5]] == [11, 0]
    assert whole.cumulative_sizes == [3, 5]
    with pytest.raises(IndexError, match="index 5 is out of range of 5"):
        whole[5]
    with pytest.raises(ValueError, match="index -6 is out of range of 5"):
        whole[-6]
    with pytest.raises(TypeError, match="use ChainDataset"):
        data.ConcatDataset([Stream(1)])


def test_chain():
    chain = Stream(1, 2) + Stream(3)
    assert list(chain) == [1, 2, 3]
    assert len(chain) == 3
    with pytest.raises(TypeError, match="only supports IterableDataset, but got Numbers"):
        list(data.ChainDataset([Numbers(0, 1)]))


def test_stack():
    assert data.StackDataset(Numbers(0, 2), Numbers(5, 7))[1] == (1, 6)
    assert data.StackDataset(a=Numbers(0, 2), b=Numbers(5, 7))[0] == {"a": 0, "b": 5}
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]"):
        data.StackDataset(Numbers(0, 2), Numbers(0, 3))


def test_subset_hands_whole_batches_on():
    subset = data.Subset(data.TensorDataset(dg.arange(10)), [7, 5, 3])
    assert len(subset) == 3
    assert subset[0][0].item() == 7
    assert isinstance(subset.__getitems__([0, 2]), data.Samples)
    assert data.Subset(Numbers(0, 10), [7, 5, 3]).__getitems__([2, 0]) == [3, 7]


def test_subset_with_its_own_getitem_needs_getitems():
    class Doubled(data.Subset):
        def __getitem__(self, index):
            return 2 * super().__getitem__(index)

    with pytest.raises(NotImplementedError, match="__getitems__"):
        Doubled(Numbers(0, 3), [0])


@pytest.mark.parametrize("lengths", [[3, 7], [0.5, 0.5], [0.3, 0.3, 0.4], [0.15, 0.15, 0.7], [1 / 3, 1 / 3, 1 / 3]])
def test_random_split_has_pytorch_s_lengths(lengths):
    parts = data.random_split(Numbers(0, 10), lengths, generator=dg.Generator().manual_seed(0))
    theirs = torch_data.random_split(range(10), lengths, generator=torch.Generator().manual_seed(0))
    assert [len(p) for p in parts] == [len(p) for p in theirs]
    assert sorted(i for p in parts for i in p.indices) == list(range(10))


def test_random_split_is_seeded():
    first, second = (
        data.random_split(Numbers(0, 100), [50, 50], generator=dg.Generator().manual_seed(1)) for _ in range(2)
    )
    assert first[0].indices == second[0].indices != list(range(50))


def test_random_split_errors():
    with pytest.raises(ValueError, match="sum to 9, but the data set has 10"):
        data.random_split(Numbers(0, 10), [4, 5])
    with pytest.raises(ValueError, match="fraction at index 0"):
        data.random_split(Numbers(0, 10), [-0.5, 1.5])
    with pytest.warns(UserWarning, match="split at index 1 is 0"):
        data.random_split(Numbers(0, 1), [0.5, 0.5])


def test_samples_are_a_sequence_of_samples():
    images, labels = dg.rand(4, 2, 2), dg.tensor([1, 0, 3, 2])
    samples = data.Samples(images, labels, numbers=True)
    assert len(samples) == 4
    image, label = samples[-1]
    assert label == 2
    assert type(label) is int
    np.testing.assert_array_equal(image.numpy(), images.numpy()[3])
    assert [y for _, y in samples] == [1, 0, 3, 2]
    assert [y for _, y in samples[1:3]] == [0, 3]
    with pytest.raises(IndexError, match="sample 4 of 4"):
        samples[4]
