"""Data sets, samplers and loaders under PyTorch's names.

Seeds decide everything: the seed of an epoch fixes the order of the samples, and the seed of an epoch with the index of
a batch fixes every draw made while that batch is loaded. So the batches are the same, bit for bit, whether the process
itself or any number of workers loads them, and a loader can go on in the middle of an epoch
(:meth:`DataLoader.state_dict`).
"""

from deepgpu.utils.data.collate import default_collate, default_convert
from deepgpu.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from deepgpu.utils.data.loader import DataLoader
from deepgpu.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from deepgpu.utils.data.samples import Samples
from deepgpu.utils.data.worker import WorkerInfo, get_worker_info
