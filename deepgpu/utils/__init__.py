"""Tools beside the network: data loading, checkpoints of activations."""

from deepgpu.utils import checkpoint, data
