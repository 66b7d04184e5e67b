"""Tools beside the network: data loading, checkpoints of activations, logs for TensorBoard."""

from deepgpu.utils import checkpoint, data, tensorboard
