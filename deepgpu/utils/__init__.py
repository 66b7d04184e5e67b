"""Tools beside the network: data loading."""

from deepgpu.utils import data
